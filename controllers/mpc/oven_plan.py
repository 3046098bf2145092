"""What an oven's optimal-control problem is given, and what it answers; see ``oven_problem``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.solves import Solve

__all__ = ["Longest", "OvenLimits", "OvenNow", "OvenPlan"]


@dataclass(frozen=True, slots=True)
class Longest:
    """How long a step may be, against the shortest, and which limit says so."""

    rel: float = 1.0
    by: str = "number of open orders unknown"


@dataclass(frozen=True, slots=True, eq=False)
class OvenNow:
    """Where a plan starts from, and what is known of the time ahead.

    ``part_c``, ``cured_min`` (by place), ``mass_kg`` (places, then carriers to enter, one a step; 0
    where there is none). ``step_s`` is the shortest step, ``first_step_s`` what is left of the present
    one at that pace, a stop included.
    """

    zone_c: NDArray[np.float64]
    part_c: NDArray[np.float64]
    cured_min: NDArray[np.float64]
    mass_kg: NDArray[np.float64]
    ambient_c: float
    first_step_s: float
    step_s: float
    fan_rel: float
    heat_transfer: float
    """Learned factor on the heat transfer to the carriers."""
    cured_offset_min: float
    gas_eur_per_kwh: float
    electricity_eur_per_kwh: float
    scrap_eur: float
    peak_eur_per_kw: float = 0.0
    fan_paid_kw: float = 0.0
    """What the circulation fans may draw over a quarter of an hour without a new peak of the shift."""
    stands_s: float = 0.0
    """For so much of the first step the conveyor stands, whatever its speed."""
    longest: Longest = Longest()
    """By so much the steps may be longer than ``step_s`` says; the plan chooses."""
    longer_before_rel: float = 1.0
    """Length of a step at the speed in force, as far as one may be that long."""

    @property
    def longest_rel(self) -> float:
        """The number of `longest`."""
        return self.longest.rel


@dataclass(frozen=True, slots=True, eq=False)
class OvenPlan:
    """Zone temperatures (nodes by zones) at times from now; fan speed and step (s) by block; expected cures.

    ``before_s`` is the length of a step at the speed that was in force, ``longest`` what limited them.
    """

    time_s: NDArray[np.float64]
    zone_c: NDArray[np.float64]
    fan_rel: NDArray[np.float64]
    step_s: NDArray[np.float64]
    before_s: float
    longest: Longest
    cured_min: NDArray[np.float64]
    heat_kw: NDArray[np.float64]
    usable: bool
    solve: Solve

    @property
    def status(self) -> str:
        """The solver's word."""
        return f"{self.solve.solver}: {self.solve.status}"

    def zones_at(self, time_s: float) -> NDArray[np.float64]:
        """Zone temperatures at a time after the plan was made; the last ones are held."""
        return np.array([np.interp(time_s, self.time_s, course) for course in self.zone_c.T])

    def fan_at(self, time_s: float) -> float:
        """Fan speed at that time."""
        return float(self.fan_rel[self._block(time_s)])

    def step_at(self, time_s: float) -> float:
        """How long a carrier stays in a place at that time."""
        return float(self.step_s[self._block(time_s)])

    def steps_around(self, time_s: float) -> tuple[float, float]:
        """The length of a step at that time, and of the block before."""
        block = self._block(time_s)
        return float(self.step_s[block]), float(self.step_s[block - 1]) if block else self.before_s

    def _block(self, time_s: float) -> int:
        block = int(np.searchsorted(self.time_s[1:], time_s, side="right"))
        return min(block, len(self.fan_rel) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class OvenLimits:
    """What the plant allows: setpoint limits by zone, their rate, fan limits, the band of cure."""

    zone_lo_c: NDArray[np.float64]
    zone_hi_c: NDArray[np.float64]
    rate_k_per_s: float
    fan: tuple[float, float]
    cured_min: tuple[float, float]
    exit_lo_c: float
