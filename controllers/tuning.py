"""The best constant setpoints of a plant, found by search and shipped with the search's log.

``fixed`` is the controller to beat, so it must be no straw man: every process setpoint, the takt and
one standby time-out for each station are searched together on the true plant, over shifts that no
report uses. The search looks at seeded random points first and then lets CMA-ES go on from the best
(Hansen, Ostermeier, Evolutionary Computation 9 (2001) 159), which learns that setpoints hang
together: a slower turning pays only with a slower takt. All on common random numbers. The score is
the one objective, EUR per good part ordered. Since a search over twenty shifts also learns those
shifts by heart, the best points are then compared on sixty others, and the winner there is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.operating_point import OperatingPoint
from controllers.mpc.stations import Prices, cells_of, per_part_at
from twin.config import Plant, load_plant, load_truth, untuned
from twin.feedback.account import gas_owed_kwh, heat_owed_kwh
from twin.kernels import draws
from twin.line.model import build_line
from twin.line.scenario import build_table
from twin.line.simulator import Simulator, initial_state
from twin.line.tags import NO_CONTROL, TagReader
from twin.objective import Objective, Stocks, Used

TUNING_SEEDS = tuple(range(1001, 1021))
"""Twenty shifts; reports use seeds below 1000."""
SELECTION_SEEDS = tuple(range(2001, 2061))
FINALISTS = 10
NEVER_S = 1_000_000.0
TIME_OUT_S = (30.0, 3600.0)
NEVER_FROM = 0.95
"""Time-outs are searched between these; the last part of the way stands for never."""
SPREAD = 0.15
"""The first standard deviation of CMA-ES, as a share of each knob's way; assumption."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One searched setpoint: its name and operator limits; time-outs are searched as logarithms."""

    name: str
    lo: float
    hi: float
    start: float
    logarithmic: bool = False

    def at(self, share: float) -> float:
        """The setpoint at a share (0 to 1) of the way."""
        if self.logarithmic:
            value = self.lo * (self.hi / self.lo) ** share
            return NEVER_S if share >= NEVER_FROM else round(value, 1)
        return round(self.lo + share * (self.hi - self.lo), 4)

    def share(self, value: float) -> float:
        """Where a setpoint lies between its limits."""
        if self.logarithmic:
            share = np.log(max(value, self.lo) / self.lo) / np.log(self.hi / self.lo)
        else:
            share = (value - self.lo) / (self.hi - self.lo)
        return float(min(max(share, 0.0), 1.0))


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluated point: its setpoints and mean score."""

    setpoints: Mapping[str, float]
    eur_per_part: float
    tools_eur_per_part: float


def knobs(plant: Plant) -> tuple[Knob, ...]:
    """Everything that ``fixed`` may choose."""
    takt = plant.source.takt_s
    found = [Knob("line.takt_s", *takt.operator, takt.start)]
    for station in plant.stations:
        for name, spec in station.setpoints.items():
            if not spec.discrete:
                found.append(Knob(f"{station.name}.{name}", *spec.operator, spec.start))
        if station.standby:
            knob = f"{station.name}.standby_after_s"
            found.append(Knob(knob, *TIME_OUT_S, TIME_OUT_S[1], logarithmic=True))
    return tuple(found)


class Shift:
    """Runs one shift of the true plant at constant setpoints and scores it."""

    def __init__(self, plant_name: str, utilisation: float, variant: str) -> None:
        plant = load_plant(plant_name)
        self.plant = plant
        self.line = build_line(plant, load_truth(plant_name, plant), variant)
        self.reader = TagReader(self.line)
        self.objective = Objective.of(plant)
        self.utilisation = utilisation
        self.tools = tuple(s.name for s in plant.stations if s.tool is not None)

    def eur_per_part(self, seed: int, setpoints: Mapping[str, float]) -> tuple[float, float]:
        """Cost of the shift per good part ordered, stocks and demand charge included; edges alone."""
        plant, hours = self.plant, self.plant.shift_h
        table = build_table(plant, seed, draws.PLANT, hours, utilisation=self.utilisation)
        simulator = Simulator(self.line, table)
        state = initial_state(self.line, seed, draws.PLANT)
        simulator.prime(state)
        energy_eur = last_kwh = peak_kw = 0.0
        quarters = round(hours * 4)
        at = self.reader.index
        values = self.reader.read(state, NO_CONTROL)
        for quarter in range(quarters):
            price = values[at["env.price_eur_per_mwh"]]
            until_s = (quarter + 1) * 900.0
            simulator.advance(state, setpoints if quarter == 0 else {}, until_s)
            values = self.reader.read(state, NO_CONTROL)
            kwh = float(values[at["line.energy_kwh"]])
            energy_eur += (kwh - last_kwh) * price * 1e-3
            site_kw = values[at["env.site_load_kw"]] if "env.site_load_kw" in at else 0.0
            peak_kw = max(peak_kw, (kwh - last_kwh) * 4.0 + site_kw)
            last_kwh = kwh
        return self._score(values, energy_eur, peak_kw)

    def _score(
        self, values: NDArray[np.float64], energy_eur: float, peak_kw: float
    ) -> tuple[float, float]:
        at = self.reader.index

        def tag(name: str) -> float:
            return float(values[at[name]])

        energy_kwh = tag("line.energy_kwh")
        ordered, good = tag("line.ordered_count"), tag("line.good_count")
        price = 1e3 * energy_eur / energy_kwh if energy_kwh else 0.0
        used = Used(
            energy_kwh=energy_kwh,
            price_eur_per_mwh=price,
            gas_kwh=tag("line.gas_kwh"),
            material_kg=tag("line.material_kg"),
            scrap_kg=tag("line.scrap_kg"),
            good=good,
            edges={n: tag(f"{n}.tool_changes") + tag(f"{n}.tool_use") for n in self.tools},
        )
        known = dict(zip(at, values.tolist(), strict=True))
        stocks = Stocks(
            max(ordered - good, 0.0),
            tag("line.wip"),
            heat_owed_kwh(self.plant, known, self.plant.shift_h * 3600.0),
            gas_owed_kwh(self.plant, known),
        )
        cost = self.objective.running_eur(used) + self.objective.stocks_eur(stocks, price)
        cost += peak_kw * self.objective.peak_eur_per_kw
        return cost / max(ordered, 1.0), self.objective.tools_eur(used) / max(good, 1.0)


_shift: Shift | None = None


def _prepare(plant_name: str, utilisation: float, variant: str) -> None:
    global _shift  # noqa: PLW0603 - one shift a worker process, made once
    _shift = Shift(plant_name, utilisation, variant)


def _one(task: tuple[int, dict[str, float]]) -> tuple[float, float]:
    assert _shift is not None
    return _shift.eur_per_part(*task)


def tune(
    plant_name: str,
    utilisation: float,
    variant: str = "nominal",
    *,
    random_points: int = 100,
    evaluations: int = 500,
    seeds: Sequence[int] = TUNING_SEEDS,
    workers: int = 2,
    progress: Callable[[int, float], None] = lambda _n, _best: None,
) -> tuple[Trial, list[Trial]]:
    """The best point, scored on the selection seeds, and the log of all trials.

    The recipe and the model's own proposal are looked at first. Deterministic for given arguments.
    """
    import cma  # takes half a second, and nobody else needs it

    plant = load_plant(plant_name)
    space = knobs(plant)
    log: list[Trial] = []
    with ProcessPoolExecutor(
        workers, initializer=_prepare, initargs=(plant_name, utilisation, variant)
    ) as pool:

        def score(shares: Sequence[float]) -> float:
            point = {knob.name: knob.at(x) for knob, x in zip(space, shares, strict=True)}
            log.append(_mean(point, pool.map(_one, [(seed, point) for seed in seeds], chunksize=5)))
            best = min(trial.eur_per_part for trial in log)
            progress(len(log), best)
            return log[-1].eur_per_part

        best = [knob.share(knob.start) for knob in space]
        least = score(best)
        proposed = proposal(plant)
        trial = [k.share(proposed.get(k.name, k.start)) for k in space]
        cost = score(trial)
        if cost < least:
            best, least = trial, cost
        for n in range(random_points):
            # Half of the points lie anywhere, half about the best so far.
            spread = 1.0 if n % 2 else 0.15
            trial = [_random_share(x, spread, n, m) for m, x in enumerate(best)]
            cost = score(trial)
            if cost < least:
                best, least = trial, cost
        search = cma.CMAEvolutionStrategy(
            best, SPREAD, {"bounds": [0.0, 1.0], "seed": 7, "verbose": -9, "verb_log": 0}
        )
        while len(log) + search.popsize < evaluations:
            points = search.ask()
            search.tell(points, [score(point) for point in points])
        score(search.result.xfavorite)  # the middle of what it has found: luck averages out
        finalists = sorted(log, key=lambda trial: trial.eur_per_part)[:FINALISTS]
        finalists += log[:2]
        selected = []
        for finalist in finalists:
            tasks = [(seed, dict(finalist.setpoints)) for seed in SELECTION_SEEDS]
            selected.append(_mean(finalist.setpoints, pool.map(_one, tasks, chunksize=15)))
    return min(selected, key=lambda trial: trial.eur_per_part), log


def proposal(plant: Plant) -> dict[str, float]:
    """What the nominal model proposes: its best steady course within the recipe's own limits.

    Empty for plants whose stations are not per-part.
    """
    line = build_line(plant)
    cells = cells_of(line)
    if not any(cell.mvs for cell in cells):
        return {}
    recipe = untuned(plant)
    objective = Objective.of(plant)
    part = per_part_at(cells, recipe.setpoints)
    price = float(plant.energy.adders_eur_per_mwh) + float(
        np.mean(plant.energy.tariffs_eur_per_mwh[plant.energy.tariff])
    )
    prices = Prices(price * 1e-3, objective.wip_eur_per_part, objective.backlog_eur_per_part)
    takt_lo_s = plant.source.takt_s.operator[0]
    point = OperatingPoint(cells, objective.tool_excess_factor, takt_lo_s).solve(
        [(1.0, 1.0)] * len(cells),
        [cell.d for cell in cells],
        prices,
        1e4,
        part.edges_eur or 1e3,
        part.defects,
    )
    proposed = {"line.takt_s": takt_lo_s}
    for cell, z in zip(cells, point.z, strict=True):
        proposed |= cell.unscaled(z)
        proposed[f"{cell.name}.standby_after_s"] = 2.0 * cell.warm_up_s
    return proposed


def _mean(setpoints: Mapping[str, float], shifts: Iterable[tuple[float, float]]) -> Trial:
    cost, tools = np.mean(list(shifts), axis=0)
    return Trial(setpoints, float(cost), float(tools))


def _random_share(best: float, spread: float, n: int, m: int) -> float:
    luck = draws.uniform(7, draws.TWIN, m, draws.DISTURBANCE, n)
    if spread >= 1.0:
        return luck
    return min(max(best + spread * (2.0 * luck - 1.0), 0.0), 1.0)
