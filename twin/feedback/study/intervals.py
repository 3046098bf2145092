"""Means over independent shifts, with Student's 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twin.feedback.compare import student_t


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the half-width of its interval; one shift has none (None)."""

    mean: float
    half_width: float | None
    shifts: int

    @property
    def share(self) -> float | None:
        """The half-width as a share of the mean; None where there is none, or of a mean of zero."""
        if self.half_width is None or (self.mean == 0.0 and self.half_width > 0.0):
            return None
        return self.half_width / abs(self.mean) if self.mean else 0.0

    def record(self) -> dict[str, float | int | None]:
        """As plain data."""
        return {"mean": self.mean, "half_width": self.half_width, "shifts": self.shifts}


def interval(values: Sequence[float]) -> Interval:
    """The interval of the mean of independent values. Raises ``ValueError`` if there are none."""
    n = len(values)
    if n == 0:
        raise ValueError("nothing to take a mean of")
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, 1)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return Interval(mean, student_t(n - 1) * spread / math.sqrt(n), n)


def intervals(shifts: Sequence[Mapping[str, float]]) -> dict[str, Interval]:
    """Each figure over the shifts in which it is defined; ``shifts`` of each says how many."""
    names = dict.fromkeys(name for shift in shifts for name in shift)
    return {name: interval([s[name] for s in shifts if name in s]) for name in names}
