"""What instruments report of a line: noise, delay, lost samples, drift.

The luck of a sensor is a pure function of seed, world, signal and sample, so that two controllers
read the same noise. Meters and counters are exact; a quality value keeps its noise until the next
part comes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.config.plant import ScenarioSpec, SensorSpec
from twin.kernels import draws
from twin.line import schema as s
from twin.line.model import Line
from twin.line.tags import TagReader
from twin.signals import Quality

FIRST_STREAM = 10_000
"""Entities from here on are sensors."""


@dataclass(frozen=True, slots=True)
class _Instrument:
    at: int
    counter_at: int
    """The operation counter that tells a new sample; -1: a sample each second."""
    spec: SensorSpec


class Sensors:
    """The instruments of one line; remembers what delayed ones have still to show."""

    def __init__(self, reader: TagReader, seed: int, world: int, scenario: ScenarioSpec) -> None:
        self._seed, self._world, self._scenario = seed, world, scenario
        self._instruments = _instruments(reader.line, reader.index)
        self._coming: dict[int, deque[tuple[int, float]]] = {
            instrument.at: deque()
            for instrument in self._instruments
            if instrument.spec.delay_s > 0.0
        }

    def measure(
        self, time_us: int, true: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Values, source times and status bits; a lost sample is NaN and Bad."""
        values = true.copy()
        source_us = np.full(true.shape, time_us, dtype=np.int64)
        status = np.zeros(true.shape, dtype=np.int64)
        hours = time_us / 3.6e9
        for instrument in self._instruments:
            at, spec = instrument.at, instrument.spec
            second = time_us // 1_000_000
            sample = int(true[instrument.counter_at]) if instrument.counter_at >= 0 else second
            stream = FIRST_STREAM + at
            if spec.noise_sd:
                luck = draws.normal(self._seed, self._world, stream, draws.NOISE, sample)
                values[at] += spec.noise_sd * luck
            values[at] *= 1.0 + self._scenario.sensor_drift_per_h * hours
            if at in self._coming:
                values[at], source_us[at] = self._delayed(at, spec, time_us, float(values[at]))
            lost = max(spec.dropout, self._scenario.dropout)
            if lost:
                luck = draws.uniform(self._seed, self._world, stream, draws.DROPOUT, second)
                if luck < lost:
                    values[at], status[at] = np.nan, Quality.BAD
        return values, source_us, status

    def _delayed(self, at: int, spec: SensorSpec, time_us: int, value: float) -> tuple[float, int]:
        coming = self._coming[at]
        if not coming or coming[-1][0] < time_us:
            coming.append((time_us, value))
        shown_us = time_us - round(spec.delay_s * 1e6)
        while len(coming) > 1 and coming[1][0] <= shown_us:
            coming.popleft()
        return coming[0][1], min(coming[0][0], time_us)


def _instruments(line: Line, index: dict[str, int]) -> tuple[_Instrument, ...]:
    found = []
    for station, element in zip(line.plant.stations, line.stations, strict=True):
        counter = index[f"{station.name}.op_count"]
        for name, spec in station.sensors.items():
            if name == "zone_temp_c":
                zones = [tag for tag in index if tag.startswith(f"{station.name}.zone_temp_")]
                found += [_Instrument(index[zone], -1, spec) for zone in zones]
                continue
            sampled = name in ("power_kw", "tool_use") or element.kind == s.CONVEYOR
            at_exit = name in element.outputs
            counter_at = counter if at_exit or not sampled or name == "tool_use" else -1
            found.append(_Instrument(index[f"{station.name}.{name}"], counter_at, spec))
    for name, disturbance in line.plant.disturbances.items():
        if disturbance.noise_sd:
            spec = SensorSpec(noise_sd=disturbance.noise_sd)
            found.append(_Instrument(index[f"env.{name}"], -1, spec))
    return tuple(found)
