"""The books of a window of plant time, closed: what was counted, drawn, spent and left standing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from twin.config import Plant
from twin.feedback.doubts import Doubts
from twin.feedback.quarters import Quarter
from twin.feedback.state_energy import ASLEEP, CLASS_OF_STATE
from twin.line import schema as s
from twin.objective import Stocks
from twin.processes import load


class UndefinedError(Exception):
    """A figure that cannot be given; the message is the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """All sums of one window ``[from_us, until_us]`` of a line; what is not known is not there.

    ``counted`` has the growth of each counter and meter by signal name, ``first`` and ``last`` the
    first and last known value of every signal. ``quarters`` are the whole quarters of an hour of
    the clock. ``energy_kwh`` divides each station's electricity among the four classes of
    ``state_energy``, an estimate. ``drift`` holds the twin's mean absolute one-step errors by signal,
    where a twin ran beside the line. ``doubts`` is what was not measured as it should be.
    """

    plant: Plant
    from_us: int
    until_us: int
    counted: Mapping[str, float]
    first: Mapping[str, float]
    last: Mapping[str, float]
    electricity_eur: float | None
    quarters: tuple[Quarter, ...]
    energy_kwh: Mapping[str, tuple[float, float, float, float]]
    drift: Mapping[str, float]
    doubts: Doubts

    @property
    def hours(self) -> float:
        """Length of the window. Raises ``UndefinedError`` for less than two readings."""
        if self.until_us <= self.from_us:
            raise UndefinedError("the window has no length: it needs two readings")
        return (self.until_us - self.from_us) / 3.6e9

    def growth(self, signal: str) -> float:
        """How much a counter or meter grew. Raises ``UndefinedError`` if it was never known."""
        if signal not in self.counted:
            raise UndefinedError(f"{signal} was never known")
        return self.counted[signal]

    def at_end(self, signal: str) -> float:
        """The last known value of a signal. Raises ``UndefinedError`` if it was never known."""
        return _known(self.last, signal)

    @property
    def good_parts(self) -> float:
        """Good parts made; raises ``UndefinedError`` where a figure per good part has no sense."""
        good = self.growth("line.good_count")
        if good <= 0.0:
            raise UndefinedError("no good part was made")
        return good

    @property
    def electricity_cost_eur(self) -> float:
        """Electricity at the prices in force."""
        if self.electricity_eur is None:
            raise UndefinedError("the price of electricity was never known")
        return self.electricity_eur

    @property
    def price_eur_per_mwh(self) -> float:
        """The mean price at which the energy was drawn; without any, the last price."""
        energy_kwh = self.growth("line.energy_kwh")
        if energy_kwh > 0.0:
            return self.electricity_cost_eur / energy_kwh * 1e3
        return self.at_end("env.price_eur_per_mwh")

    def stocks_at_start(self) -> Stocks:
        """What stood in the line at the start of the window."""
        orders = _known(self.first, "line.ordered_count")
        return self._stocks(
            self.first, self.from_us, orders - _known(self.first, "line.good_count")
        )

    def stocks_at_end(self) -> Stocks:
        """What stands in the line at its end.

        The backlog goes on from that at the start: a counter that began anew does not move it.
        """
        before = self.stocks_at_start().backlog
        grown = self.growth("line.ordered_count") - self.growth("line.good_count")
        return self._stocks(self.last, self.until_us, before + grown)

    def edges_used(self) -> dict[str, float]:
        """Edges used up by station: changes, and the life that the edges in place have lost since.

        Negative where the edge in place at the end has less behind it than the one at the start had.
        """
        return {
            name: self.growth(f"{name}.tool_changes")
            + _known(self.last, f"{name}.tool_use")
            - _known(self.first, f"{name}.tool_use")
            for name in self.tooled
        }

    @property
    def tooled(self) -> tuple[str, ...]:
        """The stations with a cutting edge."""
        return tuple(station.name for station in self.plant.stations if station.tool is not None)

    def _stocks(self, values: Mapping[str, float], now_us: int, backlog: float) -> Stocks:
        return Stocks(
            backlog=backlog,
            wip=_known(values, "line.wip"),
            heat_owed_kwh=heat_owed_kwh(self.plant, values, now_us / 1e6),
            gas_owed_kwh=gas_owed_kwh(self.plant, values),
        )


def heat_owed_kwh(plant: Plant, values: Mapping[str, float], now_s: float) -> float:
    """Electricity that brings every station back to ready: warm-up power and time of the plant file.

    A station that sleeps owes a whole warm-up, one that warms up what is left of it. A continuous
    station in setback owes a whole warm-up as well: assumption.
    """
    owed = 0.0
    for station in plant.stations:
        state = _known(values, f"{station.name}.state")
        if state not in CLASS_OF_STATE:
            raise UndefinedError(f"{station.name}.state is {state:g}, which is no state code")
        whole_s = float(station.warm_up_s)
        left_s = whole_s if CLASS_OF_STATE[int(state)] == ASLEEP else 0.0
        if state == s.WARM_UP:
            since_s = _known(values, f"{station.name}.state_since_s")
            left_s = min(max(whole_s - (now_s - since_s), 0.0), whole_s)
        owed += float(station.power.warm_up_kw) * left_s / 3600.0
    return owed


def gas_owed_kwh(plant: Plant, values: Mapping[str, float]) -> float:
    """Gas that brings every heated zone back to the temperature of its recipe.

    By the nominal heat capacity and burner efficiency; walls and parts are left out (assumption).
    """
    owed = 0.0
    for station in plant.stations:
        model = load(station.model)
        numbers = {q.name: float(q.default or 0.0) for q in model.parameters}
        numbers |= {name: float(value) for name, value in station.parameters.items()}
        for store in model.stores:
            missing_k = station.setpoints[store.setpoint].start
            missing_k -= _known(values, f"{station.name}.{store.signal}")
            owed += missing_k * numbers[store.capacity] / 3600.0 / numbers[store.efficiency]
    return owed


def _known(values: Mapping[str, float], signal: str) -> float:
    value = values.get(signal, math.nan)
    if math.isnan(value):
        raise UndefinedError(f"{signal} was never known")
    return value
