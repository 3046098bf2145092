"""Readings of one oven with all kinds of sensors, told value by value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twin.cycle import Observation, Reading
from twin.sense.fusion import Fusion
from twin.signals import Limits, Quality, Role, Signal

STALE_AFTER_S = 90.0
TEMP, STATE, SINCE = "oven.zone_temp_1_c", "oven.state", "oven.state_since_s"
POWER, ENERGY = "oven.power_kw", "oven.energy_kwh"
AMBIENT, SPEED = "env.ambient_c", "oven.speed"
SIGNALS = (
    Signal(STATE, "1", Role.PV, "", critical=True),
    Signal(TEMP, "Cel", Role.CV, "", Limits(0, 400), critical=True, sampled_s=30.0, noise_sd=0.2),
    Signal(POWER, "kW", Role.PV, "", Limits(0, 60), sampled_s=30.0, noise_sd=0.5),
    Signal(ENERGY, "kW.h", Role.PV, ""),
    Signal(SINCE, "s", Role.PV, ""),
    Signal(AMBIENT, "Cel", Role.DV, "", Limits(-10, 45), sampled_s=30.0),
    Signal(SPEED, "m/min", Role.MV, "", Limits(0, 10), rate_per_s=0.1),
)
INDEX = {signal.name: n for n, signal in enumerate(SIGNALS)}


class Sensing:
    """Fusion under way: tell it values, ask it what is seen."""

    def __init__(self) -> None:
        self.fusion = Fusion(SIGNALS, STALE_AFTER_S)
        self.memory = self.fusion.begin()
        self.turns = 0

    def see(
        self,
        time_s: float,
        told: Mapping[str, float] | None = None,
        age_s: Mapping[str, float] | None = None,
        status: Mapping[str, Quality] | None = None,
    ) -> Observation:
        """All at rest but what is told; the temperature has the last digits of a live sensor."""
        self.turns += 1
        values = {STATE: 4.0, TEMP: 180.0 + 0.01 * (self.turns % 7), POWER: 12.0 + 0.01 * time_s}
        values |= {ENERGY: 12.0 * time_s / 3600.0, SINCE: 0.0, AMBIENT: 20.0, SPEED: 2.0}
        values |= told or {}
        source_us = np.full(len(SIGNALS), round(time_s * 1e6), dtype=np.int64)
        marks = np.zeros(len(SIGNALS), dtype=np.int64)
        for name, age in (age_s or {}).items():
            source_us[INDEX[name]] -= round(age * 1e6)
        for name, mark in (status or {}).items():
            marks[INDEX[name]] = int(mark)
        array = np.array([values[signal.name] for signal in SIGNALS], dtype=np.float64)
        reading = Reading(round(time_s * 1e6), 0, array, source_us, marks)
        before = array.copy()
        observation = self.fusion.observe(reading, self.memory)
        assert np.array_equal(array, before, equal_nan=True)  # the raw sample stays as it came
        return observation


def mark(seen: Observation, name: str) -> Quality:
    return Quality(int(seen.quality[INDEX[name]]))
