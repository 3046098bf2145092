"""The best constant setpoints of a plant, found by search and shipped with the search's log.

``fixed`` is the controller to beat, so it must be no straw man: every process setpoint, the takt and
one standby time-out for each station are searched together on the true plant, over shifts that no
report uses. The search looks at seeded random points first and then lets CMA-ES go on from the best
(Hansen, Ostermeier, Evolutionary Computation 9 (2001) 159), which learns that setpoints hang
together: a slower turning pays only with a slower takt. All on common random numbers. The score is
the one objective, EUR per good part ordered. Since a search over twenty shifts also learns those
shifts by heart, the best points are then compared on sixty others, and the winner there is kept.

Time-outs are gone through once more by themselves, on the shifts in which all orders are met. A good
one saves some hundredths of a kilowatt-hour a part; in a shift that a breakdown cuts short, any change
moves the end by a part or two, each worth a hundred times that, and drowns it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from controllers.mpc.operating_point import OperatingPoint
from controllers.mpc.stations import Prices, cells_of, per_part_at
from controllers.shift_cost import Outcome, Shift
from twin.config import Plant, load_plant, untuned
from twin.kernels import draws
from twin.line.model import build_line
from twin.objective import Objective

TUNING_SEEDS = tuple(range(1001, 1021))
"""Twenty shifts; reports use seeds below 1000."""
SELECTION_SEEDS = tuple(range(2001, 2061))
FINALISTS = 10
NEVER_S = 1_000_000.0
TIME_OUT_S = (30.0, 3600.0)
NEVER_FROM = 0.95
"""Time-outs are searched between these; the last part of the way stands for never."""
TIME_OUTS_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 2400.0, NEVER_S)
"""Those that are tried for each station in the end."""
TIME_OUT_SHARE = 0.2
"""Share of the evaluations that is kept for them."""
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
    """One evaluated point: its setpoints, and what came of each shift."""

    setpoints: Mapping[str, float]
    outcomes: tuple[Outcome, ...]

    @property
    def eur_per_part(self) -> float:
        """Mean cost."""
        return float(np.mean([outcome.eur_per_part for outcome in self.outcomes]))

    @property
    def tools_eur_per_part(self) -> float:
        """Mean cost of edges."""
        return float(np.mean([outcome.tools_eur_per_part for outcome in self.outcomes]))

    def calm_eur_per_part(self, base: Trial) -> float:
        """Mean cost over the shifts in which ``base`` met all orders; over all if there are none."""
        pairs = zip(self.outcomes, base.outcomes, strict=True)
        calm = [outcome.eur_per_part for outcome, of_base in pairs if of_base.is_calm]
        return float(np.mean(calm)) if calm else self.eur_per_part


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


_shift: Shift | None = None


def _prepare(plant_name: str, utilisation: float, variant: str) -> None:
    global _shift  # noqa: PLW0603 - one shift a worker process, made once
    _shift = Shift(plant_name, utilisation, variant)


def _one(task: tuple[int, dict[str, float]]) -> Outcome:
    assert _shift is not None
    return _shift.outcome(*task)


@dataclass(slots=True)
class _Search:
    """The points tried so far, by several processes, on common random numbers."""

    pool: ProcessPoolExecutor
    seeds: Sequence[int]
    evaluations: int
    progress: Callable[[int, float], None]
    log: list[Trial] = field(default_factory=list)

    def at(self, setpoints: Mapping[str, float]) -> Trial:
        """Try a point on the tuning seeds."""
        self.log.append(self.on(self.seeds, setpoints))
        self.progress(len(self.log), min(trial.eur_per_part for trial in self.log))
        return self.log[-1]

    def on(self, seeds: Sequence[int], setpoints: Mapping[str, float]) -> Trial:
        """Try a point on any seeds; that is not in the log."""
        tasks = [(seed, dict(setpoints)) for seed in seeds]
        return Trial(setpoints, tuple(self.pool.map(_one, tasks, chunksize=5)))


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

    Deterministic for given arguments.
    """
    plant = load_plant(plant_name)
    with ProcessPoolExecutor(
        workers, initializer=_prepare, initargs=(plant_name, utilisation, variant)
    ) as pool:
        search = _Search(pool, seeds, evaluations, progress)
        _all_knobs(search, plant, random_points)
        finalists = sorted(search.log, key=lambda trial: trial.eur_per_part)[:FINALISTS]
        selected = [search.on(SELECTION_SEEDS, t.setpoints) for t in (*finalists, *search.log[:2])]
        best = min(selected, key=lambda trial: trial.eur_per_part)
        rested = search.on(SELECTION_SEEDS, _time_outs(search, plant, best.setpoints))
        if rested.calm_eur_per_part(best) < best.calm_eur_per_part(best):
            best = rested
    return best, search.log


def _all_knobs(search: _Search, plant: Plant, random_points: int) -> None:
    """The recipe, what the model proposes, random points, and CMA-ES from the best of them."""
    import cma  # takes a second, and nobody else needs it

    space = knobs(plant)

    def score(shares: Sequence[float]) -> float:
        point = {knob.name: knob.at(x) for knob, x in zip(space, shares, strict=True)}
        return search.at(point).eur_per_part

    best = [knob.share(knob.start) for knob in space]
    least = score(best)
    proposed = proposal(plant)
    trial = [knob.share(proposed.get(knob.name, knob.start)) for knob in space]
    for n in range(-1, random_points):
        if n >= 0:  # half of the points lie anywhere, half about the best so far
            spread = 1.0 if n % 2 else 0.15
            trial = [_random_share(x, spread, n, m) for m, x in enumerate(best)]
        cost = score(trial)
        if cost < least:
            best, least = trial, cost
    evolution = cma.CMAEvolutionStrategy(
        best, SPREAD, {"bounds": [0.0, 1.0], "seed": 7, "verbose": -9, "verb_log": 0}
    )
    most = round((1.0 - TIME_OUT_SHARE) * search.evaluations)
    while len(search.log) + evolution.popsize < most:
        points = evolution.ask()
        evolution.tell(points, [score(point) for point in points])
    score(evolution.result.xfavorite)  # the middle of what it has found: luck averages out


def _time_outs(search: _Search, plant: Plant, start: Mapping[str, float]) -> Mapping[str, float]:
    """Each station's time-out in turn, over and over, as long as one of them can be bettered."""
    names = [knob.name for knob in knobs(plant) if knob.logarithmic]
    base = best = search.on(search.seeds, start)
    is_better = True
    while is_better:
        is_better = False
        for name in names:
            for time_out_s in TIME_OUTS_S:
                if len(search.log) >= search.evaluations:
                    return best.setpoints
                if best.setpoints[name] == time_out_s:
                    continue
                trial = search.at({**best.setpoints, name: time_out_s})
                if trial.calm_eur_per_part(base) < best.calm_eur_per_part(base):
                    best, is_better = trial, True
    return best.setpoints


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
    prices = Prices(
        objective.usual_eur_per_mwh * 1e-3,
        objective.wip_eur_per_part,
        objective.backlog_eur_per_part,
    )
    takt_lo_s = plant.source.takt_s.operator[0]
    point = OperatingPoint(cells, takt_lo_s).solve(
        cells,
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


def _random_share(best: float, spread: float, n: int, m: int) -> float:
    luck = draws.uniform(7, draws.TWIN, m, draws.DISTURBANCE, n)
    if spread >= 1.0:
        return luck
    return min(max(best + spread * (2.0 * luck - 1.0), 0.0), 1.0)
