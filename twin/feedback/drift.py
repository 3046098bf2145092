"""How well the twin ran on by itself: its one-step errors, booked turn by turn."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping


class DriftBook:
    """Mean absolute one-step errors of the twin, by signal.

    A turn's error is what the line showed less what the twin, in step with it a turn ago, had come to
    by itself. It counts only where the signal could be relied on in both turns: a twin that was put
    in step with a wrong reading is not to blame for the next one, and the first reading of a line
    says nothing of a twin that has not seen it yet.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._times: dict[str, int] = {}
        self._relied: Collection[str] = ()

    def book(self, drift: Mapping[str, float], doubted: Collection[str]) -> None:
        """Take in a turn's errors, none if the line could not be seen; ``doubted`` do not count."""
        relied = {
            name for name, error in drift.items() if math.isfinite(error) and name not in doubted
        }
        for name in drift:
            if name in relied and name in self._relied:
                self._sums[name] = self._sums.get(name, 0.0) + abs(drift[name])
                self._times[name] = self._times.get(name, 0) + 1
        self._relied = relied

    def means(self) -> dict[str, float]:
        """The mean absolute error of each signal that was ever compared."""
        return {name: total / self._times[name] for name, total in self._sums.items()}
