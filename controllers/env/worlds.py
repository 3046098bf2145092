"""The lines that a policy is trained and judged on: as described, as they truly are, or drawn anew.

A *world* is a line with its constants, and a shift of what comes from outside. Worlds are numbered: number and
configuration say everything about one. The luck of failures and repairs is keyed apart, by the episode.
What comes from outside in a randomised world is that of no shift that anybody is judged on (`TABLES`); the
shifts of a nominal or true line are those of the same seeds elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from controllers.env.schema import FORECAST, PRICE, decision_s_of
from twin.analyze.forecasting import Forecaster
from twin.config import Plant, StationSpec, Truth, load_plant, load_truth
from twin.config.errors import KeyPath
from twin.config.revise import Change, revised_plant
from twin.config.truth import TrueStation
from twin.config.values import Value
from twin.kernels import draws
from twin.line.environment import ROW_S
from twin.line.model import Element, Line, build_line
from twin.line.scenario import build_table, scenario_of

Kind = Literal["randomised", "nominal", "true"]
Part = Literal["training", "held_out"]
TABLES: dict[Part, int] = {"training": 2**40, "held_out": 2**41}
"""Where the seeds of what comes from outside begin in randomised worlds: beyond all with which anything is
tuned, selected or tested, and those that are held out beyond those that are trained on."""
HELD_OUT = 0.1
"""Share of each range, at either end, that training never draws from."""
SERVICE_SHARE, DEFECT_SHARE = 0.05, 0.5
"""By how much service times and defect rates without a range of their own are moved; assumption."""


@dataclass(frozen=True, slots=True)
class Randomisation:
    """From what worlds are drawn. Ranges are those of the plant file, which `twin identify` can narrow.

    ``held_out`` draws each number from the ends of its range, which ``training`` leaves alone. Scenarios
    take turns by lot; ``None`` is the one that the environment was made with, and its utilisation.
    """

    part: Part = "training"
    scenarios: tuple[str, ...] | None = None
    utilisation: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """Which worlds an environment has. ``worlds`` of them are made and come round again; None: no two alike."""

    plant: Plant
    truth: Truth | None
    kind: Kind
    scenario: str
    variant: str
    utilisation: float | None
    decision_s: float
    randomisation: Randomisation
    worlds: int | None

    @property
    def decisions(self) -> int:
        """How many there are in a shift: the first one is due after a decision period, none at its very end."""
        return math.ceil(round(self.plant.shift_h * 3.6e9) / round(self.decision_s * 1e6)) - 1


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """One line and one shift. ``rows``, or ``table``, as ``twin.line.scenario`` has it; ``forecast`` by decision, EUR/MWh."""

    line: Line
    scenario: str
    rows: list[float]
    table: NDArray[np.float64]
    forecast: NDArray[np.float64]


def setting_of(
    plant: str | Plant,
    *,
    kind: Kind,
    scenario: str,
    variant: str,
    utilisation: float | None,
    decision_s: float | None,
    randomisation: Randomisation,
    worlds: int | None,
    time_outs_s: Mapping[str, float] | None = None,
) -> Setting:
    """The setting, checked. ``plant`` is a name or path, or a plant without a file.

    Without ``decision_s`` decisions are as far apart as `decision_s_of` has it. ``time_outs_s`` are the standby
    time-outs of stations, by name, where they are not the plant file's: no action moves them, a controller below a
    policy may have set them.

    Raises ``PlantError`` for a plant, a scenario or a variant that is not there, ``ValueError`` for a period
    of decisions that the loop cannot keep and for a true line that has no truth file.
    """
    found = load_plant(plant) if isinstance(plant, str) else plant
    period_s = found.control.period_s
    decision_s = decision_s_of(found) if decision_s is None else decision_s
    if not decision_s > 0.0 or round(decision_s * 1e6) % round(period_s * 1e6):
        msg = f"decisions every {decision_s:g} s do not fit control periods of {period_s:g} s"
        raise ValueError(f"{msg}: give a multiple")
    truth = None
    if kind == "true":
        if not isinstance(plant, str):
            raise ValueError(
                "a true line is read from its truth file: give the plant by name or path"
            )
        truth = load_truth(plant, found)
    for name in (scenario, *(randomisation.scenarios or ())):
        scenario_of(found, name)
    if time_outs_s:
        names = [station.name for station in found.stations]
        changes: dict[KeyPath, Change] = {
            ("stations", names.index(name), "standby_after_s", "start"): after_s
            for name, after_s in time_outs_s.items()
        }
        found = revised_plant(found, changes)
    return Setting(
        found, truth, kind, scenario, variant, utilisation, decision_s, randomisation, worlds
    )


class Worlds:
    """Makes the worlds of one setting, and keeps those that come round again."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.nominal = build_line(setting.plant, variant=setting.variant)
        self._price = PriceAhead(setting.plant)
        self._forecast = lru_cache(maxsize=64)(self._forecast_of)
        self.world = lru_cache(maxsize=setting.worlds or 1)(self._made)

    def number(self, episode: int) -> int:
        """The world that an episode is in."""
        worlds = self.setting.worlds
        return episode if worlds is None else episode % worlds

    def _made(self, number: int) -> World:
        setting = self.setting
        plant, scenario, demanded = setting.plant, setting.scenario, setting.utilisation
        mismatch = scenario_of(plant, scenario).model_mismatch
        if setting.kind == "randomised":
            lot = Lot(setting.randomisation, number)
            scenario, demanded = lot.scenario(scenario), lot.utilisation(demanded)
            mismatch = scenario_of(plant, scenario).model_mismatch
            line = build_line(plant, lot.truth(self.nominal), setting.variant, mismatch)
        elif setting.kind == "true":
            line = build_line(plant, setting.truth, setting.variant, mismatch)
        else:
            line = (
                self.nominal if not mismatch else build_line(plant, None, setting.variant, mismatch)
            )
        if setting.kind == "randomised":
            number += TABLES[setting.randomisation.part]
        hours = plant.shift_h
        rows = build_table(plant, number, draws.PLANT, hours, scenario, utilisation=demanded)
        table = np.array(rows)
        return World(line, scenario, rows, table, self._forecasts(table))

    def _forecasts(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """By decision, from the price that the line shows then: the row of the table before."""
        plant = self.setting.plant
        if PRICE not in plant.disturbances:
            return np.zeros((1, len(FORECAST)))
        column = list(plant.disturbances).index(PRICE)
        prices = table.reshape(-1, len(plant.disturbances) + 2)[:, column]
        return self._forecast(prices.tobytes())

    def _forecast_of(self, prices: bytes) -> NDArray[np.float64]:
        """The same for a course of prices by minute; most worlds share a tariff."""
        course, setting = np.frombuffer(prices), self.setting
        found = []
        for n in range(setting.decisions + 2):  # the begin of the shift and its end are none
            now_s = min(n * setting.decision_s, setting.plant.shift_h * 3600.0)
            row = max(int(np.ceil(now_s / ROW_S)) - 1, 0)
            found.append(self._price.ahead(float(course[min(row, course.size - 1)]), now_s))
        return np.array(found)


class PriceAhead:
    """The loop's own forecast of the price, in two numbers; the same for the same price and time."""

    def __init__(self, plant: Plant) -> None:
        self._forecaster = Forecaster(plant)
        self._steps = max(1, round(3600.0 / plant.control.line_period_s))
        self.ahead = lru_cache(maxsize=4096)(self._ahead)

    def _ahead(self, price: float, now_s: float) -> tuple[float, float]:
        """Mean of the next hour, and of the one after; the price of now where it is on no tariff."""
        course = self._forecaster.known_price(f"env.{PRICE}", price, now_s / 3600.0)
        if course is None:
            return price, price
        after = course[self._steps : 2 * self._steps]
        next_hour = float(course[: self._steps].mean())
        return next_hour, float(after.mean()) if after.size else next_hour


@dataclass(slots=True)
class Lot:
    """The draws behind one randomised world."""

    randomisation: Randomisation
    number: int
    drawn: int = field(default=0)

    def share(self) -> float:
        """Where in its range the next number lies, from 0 to 1; at the ends for what is held out."""
        luck = draws.uniform(self.number, draws.PLANT, 0, draws.RANDOMISED, self.drawn)
        self.drawn += 1
        if self.randomisation.part == "training":
            return HELD_OUT + (1.0 - 2.0 * HELD_OUT) * luck
        return 2.0 * HELD_OUT * luck if luck < 0.5 else 1.0 - 2.0 * HELD_OUT * (1.0 - luck)

    def scenario(self, otherwise: str) -> str:
        """One of the scenarios."""
        names = self.randomisation.scenarios or (otherwise,)
        luck = draws.uniform(self.number, draws.TWIN, 0, draws.RANDOMISED, 0)
        return names[min(int(luck * len(names)), len(names) - 1)]

    def utilisation(self, otherwise: float | None) -> float | None:
        """What is demanded, of what the line can make."""
        if self.randomisation.utilisation is None:
            return otherwise
        lo, hi = self.randomisation.utilisation
        return lo + (hi - lo) * self.share()

    def truth(self, line: Line) -> Truth:
        """A plant as it might be: every number that has a range, service times and defects moved."""
        stations = {
            spec.name: self._station(spec, element)
            for spec, element in zip(line.plant.stations, line.stations, strict=True)
        }
        return Truth.model_construct(
            schema_version=1, plant=line.plant.name, drawn_with_seed=self.number, stations=stations
        )

    def _station(self, spec: StationSpec, element: Element) -> TrueStation:
        failures = spec.failures.items()
        tool = spec.tool
        return TrueStation.model_construct(
            parameters=self._parameters(spec, element),
            effects={},
            drift_per_h={},
            warm_up_s=self._of(spec.warm_up_s),
            idle_kw=self._of(spec.power.idle_kw),
            standby_kw=self._of(spec.power.standby_kw),
            tool_life_cv=None if tool is None else self._of(tool.life_cv),
            mean_between_s={name: self._of(failure.mean_between_s) for name, failure in failures},
            mean_repair_s={name: self._of(failure.mean_repair_s) for name, failure in failures},
        )

    def _parameters(self, spec: StationSpec, element: Element) -> dict[str, Value]:
        found = {}
        for quantity in element.process.parameters:
            value = spec.parameters.get(quantity.name, Value(value=quantity.default or 0.0))
            if value.range is None and quantity.name.endswith("time_s"):
                value = _spread(value, SERVICE_SHARE)
            elif value.range is None and quantity.name in ("defect", "base_defect"):
                value = _spread(value, DEFECT_SHARE)
            drawn = float(self._of(value))
            found[quantity.name] = Value(value=min(max(drawn, quantity.lo), quantity.hi))
        return found

    def _of(self, value: Value) -> Value:
        """A number drawn from the range of another; drawn whether there is one or not."""
        share = self.share()
        if value.range is None:
            return value
        lo, hi = value.range
        return Value(value=lo + (hi - lo) * share)


def _spread(value: Value, share: float) -> Value:
    """The same number with a range around it."""
    lo, hi = sorted((float(value) * (1.0 - share), float(value) * (1.0 + share)))
    return Value(value=float(value), range=(lo, hi))
