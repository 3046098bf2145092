"""How long the stages of a loop took; kept apart from every result."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

REMEMBERED = 100_000
"""Decisions whose times are kept one by one: more than a shift has of a loop that turns each second."""


class DecisionTimes:
    """How long decisions took, seconds. Count, sum and longest are of all.

    Shares are of the last ``remembered``: exact for a run of no more decisions than that, of the newest
    in a service that goes on for months.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._last: deque[float] = deque(maxlen=remembered)
        self.count = 0
        self.sum_s = 0.0
        self.longest_s: float | None = None

    def add(self, taken_s: float) -> None:
        """One more decision."""
        self._last.append(taken_s)
        self.count += 1
        self.sum_s += taken_s
        self.longest_s = taken_s if self.longest_s is None else max(self.longest_s, taken_s)

    @property
    def latest_s(self) -> float:
        """The last one. Raises ``IndexError`` before the first."""
        return self._last[-1]

    def within(self, share: float) -> float | None:
        """The time in which this share of them was made; None before the first."""
        ordered = sorted(self._last)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None

    def longer_than(self, limit_s: float) -> int:
        """How many took longer than this."""
        return sum(taken_s > limit_s for taken_s in self._last)


@dataclass(slots=True)
class Timings:
    """How long the stages took. Seconds."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    wall_s: dict[str, float] = field(default_factory=dict)
    decisions: DecisionTimes = field(default_factory=DecisionTimes)

    def add(self, stage: str, cpu: float, wall: float) -> None:
        """One more pass through a stage."""
        self.cpu_s[stage] = self.cpu_s.get(stage, 0.0) + cpu
        self.wall_s[stage] = self.wall_s.get(stage, 0.0) + wall
