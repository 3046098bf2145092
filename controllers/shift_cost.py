"""What one shift of the true plant costs, at constant setpoints or by a rule: how a search judges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.config import load_plant, load_truth
from twin.cycle import Estimate, Forecast, Observation, Situation, Twin
from twin.feedback.account import gas_owed_kwh, heat_owed_kwh
from twin.kernels import draws
from twin.line.engine import Engine, engine
from twin.line.expectation import expected_defects, spoilt_is_scrapped
from twin.line.initial import initial_state
from twin.line.model import build_line
from twin.line.scenario import build_table, scenario_of
from twin.line.tags import NO_CONTROL, TagReader
from twin.objective import Objective, Stocks, Used
from twin.protocols import Controller
from twin.state import LineState

QUARTER_S = 900.0


class Outcome(NamedTuple):
    """What one shift came to: cost per good part ordered, edges per good part, all orders met.

    ``scrap_share`` is that to be expected, see ``twin.line.expectation``, and ``eur_per_part`` counts it instead of
    what was scrapped by luck: a search would find the points to which luck was kind. (An order that luck made miss is
    missed all the same.) ``drawn_eur_per_part`` is what the shift did cost.

    ``material_eur_per_part`` is what of the cost is material, less what scrap brings back;
    ``energy_eur_per_part`` electricity and gas of a good part, with the heat that the end owes.
    """

    eur_per_part: float
    tools_eur_per_part: float
    is_calm: bool
    material_eur_per_part: float
    energy_eur_per_part: float
    scrap_share: float
    drawn_eur_per_part: float


class Shift:
    """Runs one shift of the true plant and scores it."""

    def __init__(
        self,
        plant_name: str,
        utilisation: float,
        variant: str,
        scenario: str = "nominal",
        hours: float | None = None,
    ) -> None:
        """``hours`` of plant time from 0 on, by default the plant's own shift."""
        plant = load_plant(plant_name)
        self.plant, self.scenario = plant, scenario
        self.hours = float(plant.shift_h) if hours is None else hours
        mismatch = scenario_of(plant, scenario).model_mismatch
        self.line = build_line(plant, load_truth(plant_name, plant), variant, mismatch)
        self.reader = TagReader(self.line)
        self.objective = Objective.of(plant)
        self.utilisation = utilisation
        self.tools = tuple(s.name for s in plant.stations if s.tool is not None)

    def outcome(self, seed: int, setpoints: Mapping[str, float]) -> Outcome:
        """One shift at constant setpoints, stocks and demand charge included."""

        def held(simulator: Engine, state: LineState, until_s: float) -> None:
            simulator.advance(state, setpoints if state.now_s == 0.0 else {}, until_s)

        return self._judged(seed, held)

    def driven(self, seed: int, controller: Controller) -> Outcome:
        """The same with a controller that sees the line once a period, without noise or guard.

        It is shown what is read, and nothing of a twin: for rules, which ask for no more.
        """
        period_s, asked = self.plant.control.period_s, dict[str, float]()

        def followed(simulator: Engine, state: LineState, until_s: float) -> None:
            while state.now_s < until_s:
                wanted = controller.decide(self._seen(state)).setpoints
                moves = {name: value for name, value in wanted.items() if asked.get(name) != value}
                asked.update(moves)
                simulator.advance(state, moves, min(state.now_s + period_s, until_s))

        return self._judged(seed, followed)

    def _seen(self, state: LineState) -> Situation:
        values = self.reader.read(state, NO_CONTROL)
        now_us, well = round(state.now_s * 1e6), np.zeros(values.shape, dtype=np.int64)
        seen = Observation(now_us, 0, values, well, {}, (), self.reader.index)
        nothing = Estimate(state, {}, {})
        return Situation(
            state.now_s,
            self.reader.signals,
            seen,
            nothing,
            Forecast(60.0, {}, {}, {}),
            {},
            _no_fork,
        )

    def _judged(self, seed: int, drive: Callable[[Engine, LineState, float], None]) -> Outcome:
        plant, hours = self.plant, self.hours
        table = build_table(
            plant, seed, draws.PLANT, hours, self.scenario, utilisation=self.utilisation
        )
        simulator = engine(self.line, table)
        state = initial_state(self.line, seed, draws.PLANT)
        simulator.prime(state)
        energy_eur = last_kwh = peak_kw = 0.0
        end_s = hours * 3600.0
        at = self.reader.index
        values = self.reader.read(state, NO_CONTROL)
        for quarter in range(math.ceil(end_s / QUARTER_S)):
            price = values[at["env.price_eur_per_mwh"]]
            until_s = min((quarter + 1) * QUARTER_S, end_s)
            drive(simulator, state, until_s)
            values = self.reader.read(state, NO_CONTROL)
            kwh = float(values[at["line.energy_kwh"]])
            energy_eur += (kwh - last_kwh) * price * 1e-3
            site_kw = values[at["env.site_load_kw"]] if "env.site_load_kw" in at else 0.0
            if until_s == (quarter + 1) * QUARTER_S:  # a part of a quarter is not metered
                peak_kw = max(peak_kw, (kwh - last_kwh) * 4.0 + site_kw)
            last_kwh = kwh
        return self._score(values, energy_eur, peak_kw, self._spoilt(state))

    def _spoilt(self, state: LineState) -> float | None:
        """Parts to be expected scrapped; None where only drawn scrap tells."""
        return expected_defects(self.line, state) if spoilt_is_scrapped(self.plant) else None

    def _score(
        self, values: NDArray[np.float64], energy_eur: float, peak_kw: float, defects: float | None
    ) -> Outcome:
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
            heat_owed_kwh(self.plant, known, self.hours * 3600.0),
            gas_owed_kwh(self.plant, known),
        )
        cost = self.objective.running_eur(used) + self.objective.stocks_eur(stocks, price)
        cost += peak_kw * self.objective.peak_eur_per_kw
        tools_eur = self.objective.tools_eur(used)
        material_eur = self.objective.material_eur(used)
        made = max(good + tag("line.scrap_count"), 1.0)
        # A part that was scrapped by luck has been made for nothing, but for what its material brings back.
        return_eur = used.material_kg * self.objective.scrap_eur_per_kg / made
        lost_eur = self.objective.running_eur(used) / made - return_eur
        scrapped = made - good
        defects = scrapped if defects is None else defects
        luck_eur = (scrapped - defects) * lost_eur
        return Outcome(
            (cost - luck_eur) / max(ordered, 1.0),
            tools_eur / max(good, 1.0),
            ordered <= good,
            material_eur / max(ordered, 1.0),
            self.objective.energy_eur(used, stocks) / max(good, 1.0),
            defects / made,
            cost / max(ordered, 1.0),
        )


def _no_fork(_world: int) -> Twin:
    raise LookupError("a rule asks for no twin")
