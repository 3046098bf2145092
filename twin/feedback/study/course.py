"""What one simulated shift leaves behind: its readings, and its journal of states.

States come from the journal and are exact. Buffer levels come from the readings: a journal tells
who changed state, not which part went where (sources release without a change of state, an oven
takes parts while it goes on), so a level is known where it was read and not in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twin.cycle import Reading
from twin.feedback.kpi import Kpis, evaluate
from twin.feedback.ledger import Ledger
from twin.line.journal import Row
from twin.line.model import Line
from twin.signals import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Stock:
    """A buffer over the readings of a window: mean parts in it, and how often it was full or empty."""

    mean_parts: float
    full_share: float
    empty_share: float


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One shift. ``values`` has one row a reading at ``times_s`` (rising) and one column a signal."""

    line: Line
    signals: Sequence[Signal]
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]
    rows: Sequence[Row]

    def series(self, name: str) -> NDArray[np.float64]:
        """The values of one signal. Raises ``KeyError`` for one that the line does not have."""
        for n, signal in enumerate(self.signals):
            if signal.name == name:
                column: NDArray[np.float64] = self.values[:, n]
                return column
        raise KeyError(name)

    def kpis(self, from_s: float = 0.0) -> Kpis:
        """All figures, with books that begin at ``from_s``."""
        ledger = Ledger(self.line.plant, self.signals)
        good = np.zeros(len(self.signals), dtype=np.int64)
        for time_s, values in zip(self.times_s.tolist(), self.values, strict=True):
            if time_s >= from_s:
                time_us = round(time_s * 1e6)
                ledger.book(Reading(time_us, 0, values, np.full(good.size, time_us), good))
        return evaluate(ledger)

    def stocks(self, from_s: float = 0.0) -> Mapping[str, Stock]:
        """Each buffer, over the readings from ``from_s`` on."""
        counted = self.times_s >= from_s
        found = {}
        for buffer in self.line.plant.buffers:
            level = self.series(f"{buffer.name}.level")[counted]
            full = level >= max(float(buffer.capacity), 1.0)
            empty = level == 0.0
            found[buffer.name] = Stock(float(level.mean()), float(full.mean()), float(empty.mean()))
        return found
