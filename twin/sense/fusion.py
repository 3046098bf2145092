"""One picture from instruments of different rates: meters, sensors, environment, material.

Fast values, part results that come with a part, hourly ambient and lot data arrive together in a
reading, each with its own age. Values that are not critical are carried over a short gap and then
given up; the noisy power sensor is weighed against the exact energy meter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from twin.cycle import Observation, Reading
from twin.sense.cleaning import Cleaner, CleaningMemory
from twin.signals import UNUSABLE, Quality, Role, Signal

NEVER_US = -(10**15)
SELF_TOLD = Quality.BAD | Quality.UNCERTAIN
"""What an instrument, or its server, says of itself."""


@dataclass(slots=True)
class SenseMemory:
    """What sensing remembers: the cleaner's memory, last good values and their times, meters."""

    cleaning: CleaningMemory
    good: NDArray[np.float64]
    good_us: NDArray[np.int64]
    quality: NDArray[np.int64]
    """What was wrong with each value of the last reading, before any was carried over."""
    meters: NDArray[np.float64] | None = None
    meters_us: int = 0


class Fusion:
    """Turns readings of one plant into observations."""

    def __init__(self, signals: tuple[Signal, ...], stale_after_s: float) -> None:
        self._cleaner = Cleaner(signals, stale_after_s)
        self.index = {signal.name: n for n, signal in enumerate(signals)}
        # Where a setpoint stands is known or it is not: rates are counted from there. And what the
        # PLC permitted a while ago is no permit.
        self._carried = np.array(
            [
                not (s.critical or s.role is Role.MV or s.name.startswith("control."))
                for s in signals
            ]
        )
        self._names = tuple(self.index)
        self._sampled = np.array([s.sampled_s > 0.0 for s in signals])
        at_rest = int(Quality.FROZEN | Quality.OUT_OF_RANGE)
        self._counted = np.array([int(UNUSABLE) & ~(0 if s.critical else at_rest) for s in signals])
        self._carry_us = round(stale_after_s * 1e6)
        stations = [name[: -len(".power_kw")] for name in self.index if name.endswith(".power_kw")]
        stations = [name for name in stations if name != "line"]
        self._power = np.array([self.index[f"{name}.power_kw"] for name in stations])
        self._energy = np.array([self.index[f"{name}.energy_kwh"] for name in stations])
        self._since = np.array([self.index[f"{name}.state_since_s"] for name in stations])
        self._noise = np.array([signals[n].noise_sd for n in self._power])
        limits = [signals[n].validity for n in self._power]
        self._least_kw = np.array([0.0 if each is None else each.lo for each in limits])
        self._most_kw = np.array([np.inf if each is None else each.hi for each in limits])

    def begin(self) -> SenseMemory:
        """Nothing seen yet."""
        cleaning = self._cleaner.begin()
        n = len(self.index)
        never_us = np.full(n, NEVER_US, dtype=np.int64)
        return SenseMemory(cleaning, np.full(n, np.nan), never_us, np.zeros(n, dtype=np.int64))

    def observe(self, reading: Reading, memory: SenseMemory) -> Observation:
        """The observation of this cycle."""
        values, quality = self._cleaner.clean(reading, memory.cleaning)
        unusable = (quality & int(UNUSABLE)) != 0
        fresh = ~unusable
        memory.quality = quality.copy()
        memory.good[fresh] = values[fresh]
        memory.good_us[fresh] = reading.time_us
        if unusable.any():
            carried = (
                unusable & self._carried & (reading.time_us - memory.good_us <= self._carry_us)
            )
            values[carried] = memory.good[carried]
            quality[carried] = int(Quality.JUMP)  # usable, but not of this moment
            values[unusable & ~carried] = np.nan
        self._weigh_power(values, fresh, reading.time_us, memory)
        # The guard decides by this same observation: nobody may write into it in between.
        values.setflags(write=False)
        quality.setflags(write=False)
        return Observation(
            reading.time_us,
            reading.step,
            values,
            quality,
            MappingProxyType(dict(reading.part_ids)),
            reading.events,
            self.index,
        )

    def out_of_order(self, memory: SenseMemory) -> Mapping[str, int]:
        """The instruments that show nothing of use, with what is wrong with each.

        One that shows nothing, or nothing new, is one of them if it ever has shown something: not every line has all.
        What comes with parts has to say so itself, since before the first there is nothing. Of those that are not critical
        neither a repeated value nor one beyond its range counts: the meter of a machine that is off shows 0, or noise.
        """
        marks = memory.quality & self._counted
        seen, is_told = memory.good_us > NEVER_US, (marks & int(SELF_TOLD)) != 0
        failing = (marks != 0) & np.where(self._sampled, seen | is_told, seen & is_told)
        return {self._names[n]: int(marks[n]) for n in np.flatnonzero(failing)}

    def _weigh_power(
        self,
        values: NDArray[np.float64],
        fresh: NDArray[np.bool_],
        time_us: int,
        memory: SenseMemory,
    ) -> None:
        """Where a station kept its state since the last reading, its meter gives its power."""
        # A meter carried over a gap has not stood still.
        meters = np.where(fresh[self._energy], values[self._energy], np.nan)
        elapsed_h = (time_us - memory.meters_us) / 3.6e9
        if memory.meters is not None and elapsed_h > 0.0:
            steady = values[self._since] <= memory.meters_us / 1e6
            with np.errstate(over="ignore"):  # a meter may show anything
                mean_kw = (meters - memory.meters) / elapsed_h
            possible = (mean_kw >= self._least_kw) & (mean_kw <= self._most_kw)
            mean_kw = np.where(possible, mean_kw, np.nan)  # else it has begun anew
            # The meter is exact; a mean over the period differs from the moment by the sensor's
            # own noise at most, while the state lasts.
            weight = np.where(self._noise > 0.0, 0.9, 0.0) * (steady & np.isfinite(mean_kw))
            power = values[self._power]
            mixed = np.where(weight > 0.0, weight * mean_kw + (1.0 - weight) * power, power)
            values[self._power] = np.where(np.isfinite(power), mixed, power)
        memory.meters, memory.meters_us = meters, time_us
