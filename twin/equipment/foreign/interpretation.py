"""How what a foreign server reports becomes a reading of the plant's signals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from asyncua import ua
from numpy.typing import NDArray

from twin.cycle import Reading
from twin.equipment.foreign.meaning import Encoding, Meaning, StatusRules
from twin.signals import UNUSABLE, Quality


@dataclass(slots=True)
class Echo:
    """The PLC's echo of our sequence number, which begins again where a node's type ends.

    ``place`` is that of the signal, -1 if there is none; ``width`` is how many numbers the narrower of the
    two nodes has, the one that we write and the one that is read; ``sent`` is the last number sent.
    """

    place: int = -1
    width: int | None = None
    sent: int = 0

    def unwound(self, shown: float) -> float:
        """The number that is meant: the latest of those sent that looks like this.

        Before our own numbers have passed the width it is taken as it stands: it may be another's, which we
        number on from.
        """
        if self.width is None or self.sent < self.width or not math.isfinite(shown):
            return shown
        return float(self.sent - (self.sent - int(shown)) % self.width)


@dataclass(slots=True)
class Interpretation:
    """By place of a signal: what its raw values mean, and what stands in for what the server lacks.

    ``asked`` are setpoints as they were written, with how the node holds them: a value in force that
    differs by no more than the node's type can say is shown as it was asked, so that nobody writes
    the same again. ``echo`` unwinds the echo of our counter. ``stand_ins`` are what the loop's own side knows of the handshake. ``since`` gives
    the place of a state for that of its beginning, which the stamp of the state tells. The good
    values at ``unchanged`` are as young as the reading, however old their stamps.
    """

    rules: StatusRules
    meanings: Mapping[int, Meaning]
    epoch_us: int
    since: Mapping[int, int] = field(default_factory=dict)
    unchanged: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    asked: dict[int, tuple[float, Encoding]] = field(default_factory=dict)
    stand_ins: dict[int, float] = field(default_factory=dict)
    echo: Echo = field(default_factory=Echo)

    def value(self, place: int, raw: Any, code: int) -> tuple[float, Quality]:
        """A value and its quality; NaN and bad where the raw value means nothing."""
        mark = self.rules.mark(code)
        value = np.nan if raw is None else self.meanings[place].value(raw)
        if mark is Quality.BAD or np.isnan(value):
            return np.nan, Quality.BAD
        if place == self.echo.place:
            value = self.echo.unwound(value)
        if place in self.asked:
            wanted, encoding = self.asked[place]
            value = wanted if encoding.holds(value, wanted) else value
        return value, mark

    def time_us(self, raw: Any) -> int | None:
        """Plant time from the server's clock."""
        if not isinstance(raw, datetime):
            return None
        return ua.datetime_to_win_epoch(raw) // 10 - self.epoch_us

    def completed(self, reading: Reading) -> Reading:
        """The reading with what the loop's own side knows, and with the age that values have."""
        values, source_us = reading.values.copy(), reading.source_us.copy()
        status = reading.status.copy()
        for place, value in self.stand_ins.items():
            values[place], status[place] = value, int(Quality.GOOD)
            source_us[place] = reading.time_us
        for place, state in self.since.items():
            values[place], status[place] = source_us[state] / 1e6, status[state]
            source_us[place] = source_us[state]
            if status[place] & int(UNUSABLE):
                values[place] = np.nan
        good = self.unchanged[(status[self.unchanged] & int(UNUSABLE)) == 0]
        source_us[good] = reading.time_us
        return replace(reading, values=values, source_us=source_us, status=status)
