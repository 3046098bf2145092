"""Whether a counter can have moved as it shows: a wrong reading must not stay in the books."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from twin.signals import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS_PER_S = 1.0
"""More than one part a second is no part; assumption for lines of machines."""
UNBOUNDED = 1e30
"""A rate that no counter has; finite, so that no time at all is still no growth."""
SLACK = 1.0
"""Of any counter's unit: counts come whole, and stamps are rounded."""
ROUNDING = 1e-9
"""A meter that falls by less than this share has not begun anew: its sum was rounded."""


class Believable:
    """Follows the counters of one line.

    A step that the line cannot have made, up (more energy than its largest power, a second in less
    than a second) or down (counters do not), is believed when the next reading confirms it.
    """

    def __init__(self, counters: Sequence[str], signals: Sequence[Signal]) -> None:
        self._most_per_s = np.array([_most_per_s(name, signals) for name in counters])
        self._last = np.full(len(counters), np.nan)
        self._known_us = np.zeros(len(counters), dtype=np.int64)
        self._doubted = np.zeros(len(counters), dtype=np.bool_)
        self.times = np.zeros(len(counters), dtype=np.int64)
        """How often each counter was not believed."""

    def doubt(self, time_us: int, counts: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the counters are not to be booked now. Unknown ones are NaN."""
        grown = counts - self._last
        room = self._most_per_s * ((time_us - self._known_us) * 1e-6) + SLACK
        fell = grown < -ROUNDING * np.maximum(np.abs(counts), 1.0)
        beyond: NDArray[np.bool_] = ((grown > room) | fell) & ~self._doubted
        known = np.isfinite(counts) & ~beyond
        self._last = np.where(known, counts, self._last)
        self._known_us[known] = time_us
        self._doubted = beyond | (self._doubted & ~np.isfinite(counts))
        self.times += beyond
        return beyond


def _most_per_s(name: str, signals: Sequence[Signal]) -> float:
    owner, _, column = name.partition(".")
    if column.startswith("time_"):
        return 1.0
    if column == "energy_kwh":
        powers = [s for s in signals if s.name.endswith(".power_kw")]
        if owner != "line":
            powers = [s for s in powers if s.name == f"{owner}.power_kw"]
        else:
            powers = [s for s in powers if not s.name.startswith("line.")]
        most_kw = [s.validity.hi if s.validity else UNBOUNDED for s in powers]
        return sum(most_kw) / 3600.0 if most_kw else UNBOUNDED
    if column.endswith("_count") and column != "ordered_count":
        return PARTS_PER_S
    return UNBOUNDED  # orders and goods come as somebody enters them
