"""What a station draws in the states in which it makes no part, and how long it takes to wake.

The power in such a state is constant in the model, so the estimate is the mean of the samples that
fell into it, and the scatter is the sensor's noise, which is one and the same in all states and is
therefore taken from all of them together. Blocked, down and waiting stations draw what idle ones do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.finding import UNKNOWN, Finding, Interval, finding
from twin.analyze.identification.record import Column, Record
from twin.analyze.identification.stays import stays_s
from twin.config.plant import StationSpec
from twin.line import schema as s

STATES_OF: Mapping[str, tuple[int, ...]] = {
    "off_kw": (s.OFF,),
    "standby_kw": (s.STANDBY,),
    "idle_kw": (s.IDLE, s.BLOCKED, s.DOWN, s.TOOL_CHANGE, s.SETUP, s.SERVICE, s.WAITING),
    "warm_up_kw": (s.WARM_UP,),
}
FROZEN = 20
"""From so many samples on, noise that never moves the last bit is none: the instrument, or the log, stands still."""
CLOCK_S = 0.01
"""How finely a PLC's clocks of states can be trusted; assumption."""


@dataclass(frozen=True, slots=True, eq=False)
class PowerFindings:
    """Powers of one station, the sensor's noise, and every sample less its state's mean."""

    findings: tuple[Finding, ...]
    noise_kw: Interval
    residual_time_s: Column
    residual_kw: Column


def power_findings(station: StationSpec, record: Record) -> PowerFindings:
    """The power of each state, kW, with the noise of the sensor that shows it."""
    name = station.name
    rows = record.whole(f"{name}.state", f"{name}.power_kw")
    state, power = record[f"{name}.state"][rows], record[f"{name}.power_kw"][rows]
    groups = {key: np.isin(state, states) for key, states in STATES_OF.items()}
    declared_kw = _declared_noise(station)
    frozen = {
        key
        for key, mask in groups.items()
        if declared_kw > 0.0 and mask.sum() >= FROZEN and np.ptp(power[mask]) == 0.0
    }
    seen = {
        key: int(mask.sum()) for key, mask in groups.items() if mask.any() and key not in frozen
    }
    residual, inside = np.zeros(rows.size), np.zeros(rows.size, dtype=bool)
    for key in seen:
        mask = groups[key]
        residual[mask] = power[mask] - power[mask].mean()
        inside |= mask
    freedom = sum(seen.values()) - len(seen)
    noise = _noise(residual[inside], freedom)
    found = []
    for key, mask in groups.items():
        is_frozen = key in frozen
        mean = UNKNOWN if is_frozen else _mean(power[mask], noise.estimate, freedom, declared_kw)
        note = (
            f"stands still: {mask.sum()} samples without the instrument's noise"
            if is_frozen
            else ""
        )
        at = (name, "power", key)
        found.append(finding(at, "kW", getattr(station.power, key), mean, note=note))
    return PowerFindings(tuple(found), noise, record.time_s[rows][inside], residual[inside])


def _mean(samples: Column, noise_kw: float, freedom: int, declared_kw: float) -> Interval:
    from scipy.stats import t

    n = samples.size
    if n == 0:
        return UNKNOWN
    if freedom < 1:  # a single sample: the plant file's word for the sensor must do
        noise_kw, freedom = declared_kw, 10**6
        if noise_kw <= 0.0:
            return Interval(float(samples.mean()), -math.inf, math.inf, n)
    half = float(t.ppf(0.975, freedom)) * noise_kw / math.sqrt(n)
    mean = float(samples.mean())
    return Interval(mean, mean - half, mean + half, n)


def _noise(residual: Column, freedom: int) -> Interval:
    from scipy.stats import chi2

    if freedom < 1:
        return UNKNOWN
    squares = float((residual**2).sum())
    lo, hi = (math.sqrt(squares / float(chi2.ppf(q, freedom))) for q in (0.975, 0.025))
    return Interval(math.sqrt(squares / freedom), lo, hi, residual.size)


def _declared_noise(station: StationSpec) -> float:
    sensor = station.sensors.get("power_kw")
    return sensor.noise_sd if sensor is not None else 0.0


def time_findings(station: StationSpec, record: Record) -> tuple[Finding, ...]:
    """How long waking up and changing an edge take: always the same in the model."""
    found = [
        finding(
            (station.name, "warm_up_s"),
            "s",
            station.warm_up_s,
            _always(stays_s(record, station.name, s.WARM_UP)),
        )
    ]
    if station.tool is not None:
        changes = _always(stays_s(record, station.name, s.TOOL_CHANGE))
        found.append(
            finding((station.name, "tool", "change_s"), "s", station.tool.change_s, changes)
        )
    return tuple(found)


def _always(stays: Column) -> Interval:
    """A time that is the same each time: its median, which a stay that was cut cannot move."""
    if not stays.size:
        return UNKNOWN
    middle = float(np.median(stays))
    spread = 1.4826 * float(np.median(np.abs(stays - middle)))
    half = CLOCK_S + 1.96 * spread / math.sqrt(stays.size)
    return Interval(middle, middle - half, middle + half, stays.size)
