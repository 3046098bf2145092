"""What can be measured on a line or written to it: signals, their limits and their quality."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntFlag, StrEnum


class Role(StrEnum):
    """What a signal is to the control loop."""

    MV = "MV"
    """Manipulated: the loop may write it."""
    CV = "CV"
    """Controlled: it has a target or a band."""
    DV = "DV"
    """Disturbance: measured, not influenced (ambient, material, price)."""
    PV = "PV"
    """Any other process value: states, counters, meters."""


UNITS = frozenset(
    [
        "1",
        "%",
        "%/K",
        "%/MPa",
        "%/s",
        "Cel",
        "K",
        "K-1",
        "s",
        "min",
        "h",
        "h-1",
        "mm",
        "um",
        "m",
        "mm-1",
        "m2",
        "mm2/s",
        "m/min",
        "mm/s",
        "deg",
        "g",
        "kg",
        "kg/l",
        "l",
        "m3",
        "m3/h",
        "N",
        "N/mm2",
        "bar",
        "MPa",
        "kW",
        "W",
        "kW.h",
        "MJ",
        "kW.h/kg",
        "kW/K",
        "kW/bar",
        "kJ/K",
        "kJ/kg",
        "kJ/mol",
        "kJ/(kg.K)",
        "kJ/(m3.K)",
        "W/(m2.K)",
        "V",
        "A",
        "Hz",
        "1/min",
        "EUR",
        "EUR/MW.h",
        "EUR/kW",
    ]
)
"""The unit codes (UCUM) in use: of signals, of recorded columns, of process models."""


class Quality(IntFlag):
    """What is wrong with a measurement; ``GOOD`` is nothing at all."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2
    STALE = 4
    FROZEN = 8
    OUT_OF_RANGE = 16
    JUMP = 32
    FUTURE = 64
    MISSING = 128


FUTURE_US = 2_000_000
"""A stamp may run ahead of the reading by this much: clocks differ."""
UNUSABLE = (
    Quality.BAD
    | Quality.UNCERTAIN
    | Quality.STALE
    | Quality.FROZEN
    | Quality.OUT_OF_RANGE
    | Quality.FUTURE
    | Quality.MISSING
)
"""Any of these bits keeps a value away from the controller; a jump alone is replaced, not fatal."""


_FAILURE = Quality.BAD | Quality.MISSING | Quality.STALE | Quality.FROZEN | Quality.OUT_OF_RANGE
_OUT_OF_SPECIFICATION = Quality.UNCERTAIN | Quality.FUTURE


def ne_107(quality: int) -> str:
    """The status of an instrument by NAMUR NE 107, as its letter: F (failure), S (out of specification), or N (normal).

    What a device tells itself comes as a status of OPC UA, where F and C (check function) are Bad and S is Uncertain,
    so that C is shown as F; M (maintenance required) is Good and not seen (OPC 10000-100, section 4.5.4).
    """
    if quality & _FAILURE:
        return "F"
    return "S" if quality & _OUT_OF_SPECIFICATION else "N"


@dataclass(frozen=True, slots=True)
class Limits:
    """A closed interval in the unit of its signal."""

    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lo) and math.isfinite(self.hi) and self.lo <= self.hi):
            msg = f"limits [{self.lo}, {self.hi}] are not an interval of finite numbers"
            raise ValueError(msg)

    def holds(self, value: float) -> bool:
        """Whether the value is inside; NaN never is."""
        return self.lo <= value <= self.hi

    def clip(self, value: float) -> float:
        """The nearest value inside."""
        return min(max(value, self.lo), self.hi)

    def nests(self, inner: Limits) -> bool:
        """Whether the other interval lies inside this one."""
        return self.lo <= inner.lo and inner.hi <= self.hi


@dataclass(frozen=True, slots=True)
class Signal:
    """One tag of the line.

    ``validity`` bounds what can be true or written at all, ``engineering`` what the process was
    designed for, ``operator`` what is allowed today; each lies inside the one before. An MV has all
    three and a ``rate_per_s`` (its own unit per second of plant time). ``node`` is the path below
    the line object of the address space; ``array`` marks a list of part numbers.
    """

    name: str
    unit: str
    role: Role
    node: str
    validity: Limits | None = None
    engineering: Limits | None = None
    operator: Limits | None = None
    rate_per_s: float = math.inf
    critical: bool = False
    discrete: bool = False
    sampled_s: float = 0.0
    """Longest time without news after which the value is stale; 0: it changes on events only."""
    noise_sd: float = 0.0
    """Standard deviation of the sensor's noise; a noisy sensor that repeats itself is frozen."""


@dataclass(frozen=True, slots=True)
class Setpoint:
    """A value asked of one MV, in the MV's own unit."""

    signal: str
    value: float
