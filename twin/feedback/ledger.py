"""The books of a line, kept reading by reading: counters, energy at its price, peaks, stocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from twin.config import Plant
from twin.cycle import Reading
from twin.feedback.account import Account
from twin.feedback.believable import ROUNDING, Believable
from twin.feedback.doubts import Doubts
from twin.feedback.drift import DriftBook
from twin.feedback.quarters import QuarterMeter
from twin.feedback.state_energy import TIMES, StateEnergy
from twin.signals import UNUSABLE, Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_TWIN: Mapping[str, float] = MappingProxyType({})
_LINE_COUNTERS = (
    "good_count",
    "scrap_count",
    "released_count",
    "ordered_count",
    "material_kg",
    "scrap_kg",
    "energy_kwh",
    "gas_kwh",
)
_STATION_COUNTERS = (
    "op_count",
    "scrap_count",
    "failure_count",
    "tool_changes",
    "energy_kwh",
    "gas_kwh",
)


class Ledger:
    """Books every reading of a line; ``account()`` closes the books at any moment.

    A reading shows what was in force up to its instant, so the stretch since the last one is
    charged at the price, and with the site load, that the new reading shows. A price or load that
    is not there is held from the last known one, or taken from the first one that comes, and the
    account says for how much energy. A counter that goes backwards (the controller was restarted)
    begins a new segment: nothing is added or taken away for the step itself. A step that cannot be,
    such as that of a single wrong reading, is not booked (``twin.feedback.believable``). A value that
    did not come, or that its source calls unusable, counts as unknown; growth over the hole is booked when
    the counter is known again.
    """

    def __init__(self, plant: Plant, signals: Sequence[Signal]) -> None:
        self._plant = plant
        self._names = tuple(signal.name for signal in signals)
        index = {name: n for n, name in enumerate(self._names)}
        stations = [station.name for station in plant.stations]
        counters = [f"line.{name}" for name in _LINE_COUNTERS]
        counters += [f"{of}.{name}" for of in stations for name in (*_STATION_COUNTERS, *TIMES)]
        self._counters = tuple(name for name in counters if name in index)
        if not self._counters:
            msg = f"plant {plant.name}: none of its counters is among the {len(signals)} signals"
            raise ValueError(f"{msg}; give the ledger the signals of this plant")
        self._counters_at = np.array([index[name] for name in self._counters], dtype=np.int64)
        place = {name: n for n, name in enumerate(self._counters)}
        self._energy_at = place.get("line.energy_kwh", -1)
        self._price_at = index.get("env.price_eur_per_mwh", -1)
        self._site_at = index.get("env.site_load_kw", -1)
        self._metered = tuple(
            name
            for name in stations
            if all(f"{name}.{column}" in place for column in ("energy_kwh", *TIMES))
        )
        self._times_at = np.array(
            [[place[f"{name}.{time}"] for time in TIMES] for name in self._metered],
            dtype=np.int64,
        ).reshape(len(self._metered), len(TIMES))
        self._meters_at = np.array(
            [place[f"{name}.energy_kwh"] for name in self._metered], dtype=np.int64
        )
        self._from_us = self._until_us = -1
        unknown = np.full(len(signals), np.nan)
        self._first, self._last = unknown, unknown
        self._counts = unknown[self._counters_at]
        self._grown = np.zeros(len(self._counters))
        self._has_holes = self._is_whole = self._price_is_known = False
        self._unknown_count = np.zeros(len(signals), dtype=np.int64)
        self._restarts: dict[str, int] = {}
        self._began_anew_us: list[int] = []
        self._electricity_eur = 0.0
        self._unpriced_kwh = 0.0
        self._held_price_kwh = 0.0
        self._site_kwh = 0.0
        self._held_site_s = 0.0
        self._meter = QuarterMeter(plant.energy.starts_at_h)
        self._is_metering = False
        self._is_complete = True
        self._state_energy = StateEnergy(len(self._metered))
        self._believable = Believable(self._counters, signals)
        self._drift = DriftBook()

    def book(self, reading: Reading, drift: Mapping[str, float] = NO_TWIN) -> None:
        """Take in the next reading, and by how much the twin had missed it where one ran beside.

        Raises ``ValueError`` for a reading that does not come later.
        """
        values = reading.values
        if values.shape != self._last.shape:
            msg = (
                f"reading at {reading.time_us} us has {values.size} values, the line has "
                f"{len(self._names)} signals: give the ledger the signals of this equipment"
            )
            raise ValueError(msg)
        if reading.time_us <= self._until_us:
            msg = (
                f"reading at {reading.time_us} us is not later than the last one booked "
                f"({self._until_us} us): keep one ledger for each run"
            )
            raise ValueError(msg)
        if reading.status.any() or not np.isfinite(values).all():
            known, usable = self._held(reading)
        else:
            known, usable = values, None
        known, usable = self._believed(reading.time_us, known, usable)
        if self._from_us < 0:
            self._from_us, self._first = reading.time_us, known
            self._has_holes = usable is not None
        elif self._has_holes:
            self._first = np.where(np.isfinite(self._first), self._first, known)
            self._has_holes = not np.isfinite(self._first).all()
        self._book(reading.time_us, known, usable)
        doubted = () if usable is None else {self._names[at] for at in np.flatnonzero(~usable)}
        self._drift.book(drift, doubted)
        self._last, self._until_us = known, reading.time_us

    def account(self) -> Account:
        """The books as they stand."""
        if self._from_us < 0:
            raise ValueError("nothing was booked: an account needs at least one reading")
        known = np.isfinite(self._first)
        counted = {
            name: float(grown)
            for name, at, grown in zip(self._counters, self._counters_at, self._grown, strict=True)
            if known[at]
        }
        return Account(
            plant=self._plant,
            from_us=self._from_us,
            until_us=self._until_us,
            counted=counted,
            first=self._by_name(self._first),
            last=self._by_name(self._last),
            electricity_eur=self._electricity_eur if self._price_is_known else None,
            quarters=tuple(self._meter.quarters),
            energy_kwh=self._energy_by_class(counted),
            drift=self._drift.means(),
            doubts=self._doubts(),
        )

    def _by_name(self, values: NDArray[np.float64]) -> dict[str, float]:
        pairs = zip(self._names, values.tolist(), strict=True)
        return {name: value for name, value in pairs if not math.isnan(value)}

    def _held(self, reading: Reading) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The values with the last known one where none came, and where one did."""
        usable = np.isfinite(reading.values) & ((reading.status & int(UNUSABLE)) == 0)
        self._unknown_count += ~usable
        return np.where(usable, reading.values, self._last), usable

    def _believed(
        self, time_us: int, known: NDArray[np.float64], usable: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        """The same without the counters whose step cannot be."""
        counts = known.take(self._counters_at)
        if usable is not None:
            counts = np.where(usable.take(self._counters_at), counts, np.nan)
        doubted = self._believable.doubt(time_us, counts)
        if not doubted.any():
            return known, usable
        at = self._counters_at[doubted]
        known, usable = known.copy(), np.ones(known.size, bool) if usable is None else usable.copy()
        known[at], usable[at] = self._last[at], False
        return known, usable

    def _book(
        self, time_us: int, known: NDArray[np.float64], usable: NDArray[np.bool_] | None
    ) -> None:
        counts = known.take(self._counters_at)
        grown = counts - self._counts
        self._counts = counts
        was_whole = self._is_whole
        self._is_whole = usable is None or bool(usable[self._counters_at].all())
        begins = self._until_us < 0
        if not (grown.min() >= 0.0):  # also where something is unknown
            if not begins:
                was_whole = not self._begin_anew(time_us, counts, grown) and was_whole
            grown = np.where(grown > 0.0, grown, 0.0)
        if begins:
            grown = np.zeros_like(grown)
        self._grown += grown
        energy_kwh = float(grown[self._energy_at]) if self._energy_at >= 0 else 0.0
        self._charge(energy_kwh, known, usable)
        self._meter_grid(time_us, known, usable)
        if was_whole and self._is_whole:
            self._state_energy.book(grown.take(self._times_at), grown.take(self._meters_at))

    def _begin_anew(
        self, time_us: int, counts: NDArray[np.float64], grown: NDArray[np.float64]
    ) -> bool:
        """Note the counters that went backwards; whether there were any.

        If they are most of those that had counted anything, it was the whole line.
        """
        back = grown < -ROUNDING * np.maximum(np.abs(counts), 1.0)
        if 2 * back.sum() > np.sum(counts - grown > 0.0) > 1:
            self._began_anew_us.append(time_us)
        for at in np.flatnonzero(back):
            name = self._counters[at]
            self._restarts[name] = self._restarts.get(name, 0) + 1
            if at == self._energy_at:
                self._is_complete = False
        return bool(back.any())

    def _charge(
        self, energy_kwh: float, known: NDArray[np.float64], usable: NDArray[np.bool_] | None
    ) -> None:
        """Put the energy since the last reading to account at the price in force."""
        price = float(known[self._price_at]) if self._price_at >= 0 else math.nan
        if math.isnan(price):
            self._unpriced_kwh += energy_kwh
            return
        self._price_is_known = True
        if usable is not None and not usable[self._price_at]:
            self._held_price_kwh += energy_kwh
        if self._unpriced_kwh:
            self._held_price_kwh += self._unpriced_kwh
            energy_kwh += self._unpriced_kwh
            self._unpriced_kwh = 0.0
        self._electricity_eur += energy_kwh * price * 1e-3

    def _meter_grid(
        self, time_us: int, known: NDArray[np.float64], usable: NDArray[np.bool_] | None
    ) -> None:
        """Read the grid meter: the line's electricity and the rest of the site's."""
        elapsed_s = (time_us - self._until_us) * 1e-6 if self._until_us >= 0 else 0.0
        if self._site_at >= 0:
            load_kw = float(known[self._site_at])
            if math.isnan(load_kw):
                self._is_complete = self._is_complete and elapsed_s == 0.0
            else:
                self._site_kwh += load_kw * elapsed_s / 3600.0
            if usable is not None and not usable[self._site_at]:
                self._held_site_s += elapsed_s
        if self._energy_at < 0 or math.isnan(self._counts[self._energy_at]):
            return
        if usable is not None and not usable[self._counters_at[self._energy_at]]:
            return
        grid_kwh = float(self._grown[self._energy_at]) + self._site_kwh
        if self._is_metering:
            self._meter.book(time_us, grid_kwh, is_complete=self._is_complete)
        else:
            self._meter.begin(time_us, grid_kwh)
            self._is_metering = True
        self._is_complete = True

    def _energy_by_class(
        self, counted: dict[str, float]
    ) -> dict[str, tuple[float, float, float, float]]:
        found = {}
        for n, name in enumerate(self._metered):
            columns = [f"{name}.{column}" for column in TIMES]
            if f"{name}.energy_kwh" in counted and all(column in counted for column in columns):
                times_s = np.array([counted[column] for column in columns])
                kwh = counted[f"{name}.energy_kwh"]
                found[name] = self._state_energy.divided(n, times_s, kwh)
        return found

    def _doubts(self) -> Doubts:
        """What was not measured as it should be."""
        moved = zip(self._counters, self._believable.times.tolist(), strict=True)
        used = (*self._counters, "env.price_eur_per_mwh", "env.site_load_kw")
        counts = dict(zip(self._names, self._unknown_count.tolist(), strict=True))
        return Doubts(
            began_anew_us=tuple(self._began_anew_us),
            went_back=dict(self._restarts),
            not_believed={name: times for name, times in moved if times},
            unusable={name: counts[name] for name in used if counts.get(name)},
            others=self._held_over(),
        )

    def _held_over(self) -> list[str]:
        """In sentences, what stands in for something that was not measured."""
        said = []
        if self._held_price_kwh:
            said.append(f"{self._held_price_kwh:.3f} kWh were charged at a price held over.")
        if self._held_site_s:
            said.append(f"For {self._held_site_s:.0f} s the site load was held over or unknown.")
        quarters = self._meter.quarters
        between = sum(quarter.is_interpolated for quarter in quarters)
        if between:
            said.append(f"{between} of {len(quarters)} quarters of an hour were interpolated.")
        partly = sum(not quarter.is_complete for quarter in quarters)
        if partly:
            said.append(
                f"{partly} of {len(quarters)} quarters of an hour were not metered in full and "
                "are left out of the peak."
            )
        return said
