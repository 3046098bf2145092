"""How measured quantities that have a band leave it: the violations of a shift."""

from __future__ import annotations

import math
from collections.abc import Sequence

from twin.cycle import Reading
from twin.signals import Role, Signal


class Bands:
    """Counts how measured quantities that have a band leave it: how often, for how long, how far."""

    def __init__(self, signals: Sequence[Signal] = ()) -> None:
        self._bands = [
            (n, s.operator) for n, s in enumerate(signals) if s.role is Role.CV and s.operator
        ]
        self._outside: set[int] = set()
        self._since_s = 0.0
        self._times, self._seconds, self._deepest = 0, 0.0, 0.0

    def look(self, reading: Reading) -> None:
        """Take in what was read; what is outside stays so until the next reading."""
        now_s = reading.time_us / 1e6
        self._seconds += len(self._outside) * (now_s - self._since_s)
        outside = set()
        for n, band in self._bands:
            value = float(reading.values[n])
            if math.isfinite(value) and not band.holds(value):
                outside.add(n)
                beyond = abs(value - band.clip(value)) / (band.hi - band.lo)
                self._deepest = max(self._deepest, beyond)
        self._times += len(outside - self._outside)
        self._outside, self._since_s = outside, now_s

    def record(self) -> dict[str, float]:
        """Times, seconds, and the largest excess as a share of the band's width."""
        return {"times": self._times, "seconds": self._seconds, "deepest_share": self._deepest}
