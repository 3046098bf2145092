"""What a paced line last said of each signal, fed by subscriptions."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from asyncua import ua

from twin.clock import monotonic_us
from twin.cycle import Event, Reading
from twin.equipment.binding import AsServed, Interpreting, quality
from twin.equipment.journal import EventInbox
from twin.equipment.opcua_link import Found
from twin.signals import FUTURE_US, Quality

_log = logging.getLogger(__name__)
_OVERFLOW = 0x0480
"""InfoType DataValue with the bit Overflow (OPC UA Part 4, 7.39.1): the server dropped values."""


class LastValues:
    """A table of the newest value, source time and status of each signal.

    Places beyond the signals hold the part lists, then the plant time, then the
    journal. What raw values mean, ``interpretation`` says. A value with an older source time than the one held is late: counted, not shown.
    ``alive_place`` is that of the counter that a living PLC moves, -1 if there is none.
    ``states`` names the entity of each place whose change is a transition: where the server keeps
    no journal, the notifications are one, and what passed between two readings is not lost.
    """

    def __init__(
        self,
        found: Found,
        n_signals: int,
        alive_place: int = -1,
        states: Mapping[int, str] | None = None,
        interpretation: Interpreting | None = None,
    ) -> None:
        self.found = found
        self._interpretation = interpretation or AsServed()
        self._states = states or {}
        self.values = np.full(n_signals, np.nan)
        self.source_us = np.zeros(n_signals, dtype=np.int64)
        self.status = np.full(n_signals, int(Quality.MISSING), dtype=np.int64)
        self.part_ids: dict[str, tuple[int, ...]] = {}
        """The lists that are known: one that came without a value is not the empty one."""
        self.inbox = EventInbox(found.entities)
        self.time_us = 0
        self._told_us = self._told_at_us = -1
        self.heard_us = self.beat_us = monotonic_us()
        """When the newest plant time came, and the PLC last counted, by the monotonic clock."""
        self.news = asyncio.Event()
        self.beat = asyncio.Event()
        self.overflows = self.late = 0
        self.complete = asyncio.Event()
        self._holders = tuple(found.part_ids)
        self._alive_place = alive_place
        self._begun = False
        self.refused: dict[int, str] = {}
        """By place, why the server does not report what belongs there."""
        self._quarantined: set[int] = set()
        self._awaited: set[int] = set()

    @property
    def time_place(self) -> int:
        """The place of the plant time; the journal has the next."""
        return len(self.values) + len(self._holders)

    def expect(self, places: Sequence[int]) -> None:
        """``complete`` is set once each of these places has been heard of."""
        self._awaited = set(places)

    def take(self, place: int, value: ua.DataValue) -> bool:
        """Put one notification into the table; whether events are missing before it."""
        code = 0 if value.StatusCode is None else value.StatusCode.value
        if code & _OVERFLOW == _OVERFLOW:
            self.overflows += 1
        held = None if value.Value is None else value.Value.Value
        at = place - len(self.values)
        if at < 0:
            self._signal(place, held, code, value)
        elif at < len(self._holders):
            self._list(self._holders[at], held, code)
        elif place == self.time_place:
            self._tell(self._interpretation.time_us(held))
        hole = place > self.time_place and self._journal(self.records(held))
        self._heard_of(place)
        return hole

    def refuse(self, place: int, why: str) -> None:
        """The server does not report what belongs here: it is bad as long as this session lasts."""
        self.refused[place] = why
        if place < len(self.values):
            self.status[place] = int(Quality.BAD | Quality.MISSING)
        elif place < self.time_place:
            self.part_ids.pop(self._holders[place - len(self.values)], None)
        self._heard_of(place)

    def records(self, held: Any) -> tuple[int, ...]:
        """Records of the journal as they came; what is none counts as dropped."""
        numbers = _whole_numbers(held) or ()
        entities = numbers[2::5]
        is_whole = not numbers or len(numbers) % 5 == 1
        if is_whole and all(0 <= entity < len(self.found.entities) for entity in entities):
            return numbers
        self.overflows += 1
        return ()

    def _heard_of(self, place: int) -> None:
        if self._awaited:
            self._awaited.discard(place)
            if not self._awaited:
                self.complete.set()

    def reading(self) -> Reading:
        """A snapshot, with the events since the last one."""
        reading = Reading(
            self.time_us,
            0,
            self.values.copy(),
            self.source_us.copy(),
            self.status.copy(),
            dict(self.part_ids),
            self.inbox.drain(),
        )
        return self._interpretation.completed(reading)

    def _list(self, holder: str, held: Any, code: int) -> None:
        numbers = _whole_numbers(held)
        if numbers is None or quality(code) is Quality.BAD:
            self.part_ids.pop(holder, None)
        else:
            self.part_ids[holder] = numbers

    def _signal(self, place: int, held: Any, code: int, value: ua.DataValue) -> None:
        stamp = value.SourceTimestamp
        source_us = self.time_us
        if stamp is not None:
            source_us = ua.datetime_to_win_epoch(stamp) // 10 - self.found.epoch_us
        if source_us < self.source_us[place] <= self._latest_us():
            self.late += 1
            return
        before = self.values[place]
        self.values[place], mark = self._interpretation.value(place, held, code)
        self._quarantine(place, held, is_strange=mark is Quality.BAD and quality(code) is not mark)
        if place == self._alive_place and abs(self.values[place] - before) > 0.0:
            self.beat_us = monotonic_us()
            self.beat.set()
        self.source_us[place], self.status[place] = source_us, int(mark)
        after = self.values[place]
        if place in self._states and abs(after - before) > 0.0:  # both are known
            entity = self._states[place]
            self.inbox.note(Event(source_us, entity, int(before), int(after), 0))
        if source_us <= self._latest_us():
            self._passed(source_us)

    def _quarantine(self, place: int, held: Any, *, is_strange: bool) -> None:
        """Tell once that the server calls good what means nothing here, and once that it is over."""
        if is_strange is (place in self._quarantined):
            return
        node = self.found.values[place]
        if is_strange:
            self._quarantined.add(place)
            _log.warning("%s shows %.80r, which means nothing: marked bad", node, held)
        else:
            self._quarantined.discard(place)
            _log.warning("%s is understood again", node)

    def _tell(self, time_us: int | None) -> None:
        """The server says what time it is; what is no time says nothing."""
        if time_us is None:
            return
        if self._told_at_us < 0:
            self.time_us = 0  # whatever a stamp has claimed before
        self._told_us, self._told_at_us = time_us, monotonic_us()
        self._passed(time_us)

    def _latest_us(self) -> float:
        """The latest that it can be on the line, by the time last told.

        A stamp from further ahead moves nothing: its value is of the future, and will be marked so.
        How much later the told time came than others do is wall time: a fast line gets further in it.
        Where the server never tells its time, there is nothing but the stamps to go by.
        """
        if self._told_at_us < 0:
            return math.inf
        speed = self.found.speed
        passed_us = (monotonic_us() - self._told_at_us) * speed
        return self._told_us + passed_us + FUTURE_US * max(1.0, speed)

    def _passed(self, time_us: int) -> None:
        if time_us > self.time_us:
            self.time_us, self.heard_us = time_us, monotonic_us()
            self.news.set()

    def _journal(self, numbers: Sequence[int]) -> bool:
        if not numbers:
            return False
        if not self._begun:
            self.inbox.begin(numbers)
            self._begun = True
        elif self.inbox.missing(numbers[0]):
            return True
        else:
            self.inbox.take(numbers)
        return False


def _whole_numbers(held: Any) -> tuple[int, ...] | None:
    """A list of whole numbers; None if it is anything else."""
    is_list = isinstance(held, list) and all(isinstance(one, int) for one in held)
    return tuple(held) if is_list else None
