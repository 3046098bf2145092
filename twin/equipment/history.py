"""HistoryRead of an emulated line, served from a record of its readings.

What is kept is a reading a second of plant time at most, or one a lockstep step; a client gets each
value once, with the time at its source. Only raw values are served (OPC UA Part 11): a client that
wants means or extremes works them out itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from asyncua import ua
from asyncua.server.history import HistoryStorageInterface

from twin.cycle import Reading
from twin.equipment.node_types import DataType
from twin.equipment.opcua_types import TYPES, data_value, refusal, status
from twin.equipment.server import CASTS
from twin.signals import Quality

EVERY_US = 1_000_000
"""A paced line is recorded this often, microseconds of plant time."""
MOST = 10_000
"""So many values in one answer; a continuation point leads to the rest."""
_NEVER = ua.get_win_epoch()


class SampleColumns(Protocol):
    """Raw samples of one signal, oldest or newest first."""

    @property
    def source_us(self) -> Any:
        """When each was taken, plant time."""
        ...

    @property
    def value(self) -> Any:
        """NaN for none."""
        ...

    @property
    def status(self) -> Any:
        """Bits of ``Quality``."""
        ...


class Past(Protocol):
    """Where readings are kept: the historian."""

    def append(self, reading: Reading, received_us: int) -> object:
        """Take one reading."""
        ...

    def samples(
        self, name: str, from_us: int, until_us: int, limit: int, *, newest_first: bool
    ) -> SampleColumns:
        """Raw samples by their times at the source, both ends included."""
        ...


class ServedHistory(HistoryStorageInterface):
    """The history that the server asks: by node the signal's name and type, by time the record.

    ``epoch`` is the calendar time of plant time 0.
    """

    def __init__(
        self, past: Past, nodes: Mapping[ua.NodeId, tuple[str, DataType]], epoch: datetime
    ) -> None:
        super().__init__(MOST)
        self._past, self._nodes, self._epoch = past, nodes, epoch
        self._last_us = -EVERY_US

    def keep(self, reading: Reading, *, every_us: int) -> None:
        """Record a reading if it is later than the last one by so much."""
        if reading.time_us >= self._last_us + max(every_us, 1):
            self._past.append(reading, reading.time_us)
            self._last_us = reading.time_us

    async def init(self) -> None:
        """Nothing to do: the record is open."""

    async def stop(self) -> None:
        """Nothing to do: who opened the record closes it."""

    async def read_node_history(
        self, node_id: ua.NodeId, start: datetime | None, end: datetime | None, nb_values: int
    ) -> tuple[list[ua.DataValue], datetime | None]:
        """Raw values between two times, forward or backward; either may be missing with a number.

        The continuation point is the time of the first value that did not fit.
        """
        if node_id not in self._nodes:
            raise refusal(ua.StatusCodes.BadHistoryOperationUnsupported)
        begin, stop = _told(start), _told(end)
        if (begin is None and stop is None) or (None in (begin, stop) and not nb_values):
            raise refusal(ua.StatusCodes.BadHistoryOperationInvalid)
        backward = begin is None or (stop is not None and begin > stop)
        ends = [self._plant_us(time) for time in (begin, stop) if time is not None]
        from_us = min(ends) if None not in (begin, stop) or not backward else -(2**62)
        until_us = max(ends) if None not in (begin, stop) or backward else 2**62
        most = min(nb_values or MOST, MOST)
        name, kind = self._nodes[node_id]
        found = self._past.samples(name, from_us, until_us, most + 1, newest_first=backward)
        rows = list(
            zip(found.source_us.tolist(), found.value.tolist(), found.status.tolist(), strict=True)
        )
        values = [self._value(kind, *row) for row in rows[:most]]
        more = len(rows) > most and begin is not None
        return values, self._stamp(rows[most][0]) if more else None

    async def new_historized_node(
        self, node_id: ua.NodeId, period: timedelta | None, count: int = 0
    ) -> None:
        """The record is filled by the line itself, and not by the library's subscriptions."""
        raise refusal(ua.StatusCodes.BadNotSupported)

    async def save_node_value(self, node_id: ua.NodeId, datavalue: ua.DataValue) -> None:
        """See ``new_historized_node``."""
        raise refusal(ua.StatusCodes.BadNotSupported)

    async def new_historized_event(
        self, source_id: Any, evtypes: Sequence[Any], period: timedelta | None, count: int = 0
    ) -> None:
        """Transitions are read from ``Events/Recent``."""
        raise refusal(ua.StatusCodes.BadNotSupported)

    async def save_event(self, event: Any) -> None:
        """See ``new_historized_event``."""
        raise refusal(ua.StatusCodes.BadNotSupported)

    async def read_event_history(
        self, source_id: Any, start: Any, end: Any, nb_values: int, evfilter: Any
    ) -> tuple[list[Any], datetime | None]:
        """There are none."""
        raise refusal(ua.StatusCodes.BadHistoryOperationUnsupported)

    def _plant_us(self, time: datetime) -> int:
        return round((time - self._epoch) / timedelta(microseconds=1))

    def _stamp(self, source_us: int) -> datetime:
        return self._epoch + timedelta(microseconds=source_us)

    def _value(self, kind: DataType, source_us: int, value: float, bits: int) -> ua.DataValue:
        stamp = self._stamp(source_us)
        if value != value or bits & int(Quality.BAD):  # noqa: PLR0124  (NaN alone differs from itself)
            nothing = ua.Variant(None, ua.VariantType.Null)
            return data_value(nothing, status(ua.StatusCodes.BadSensorFailure), stamp)
        doubt = bits & int(Quality.UNCERTAIN)
        code = ua.StatusCodes.UncertainLastUsableValue if doubt else ua.StatusCodes.Good
        return data_value(ua.Variant(CASTS[kind](value), TYPES[kind]), status(code), stamp)


def _told(time: datetime | None) -> datetime | None:
    """A time of a request; None for one that was left out, which travels as the year 1601."""
    return None if time is None or time <= _NEVER else time
