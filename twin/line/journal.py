"""What an engine tells of one advance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from twin.cycle import Event
from twin.line.model import Line

Row = tuple[float, int, int, int, int]
"""Time in seconds, element, state before, state after, part."""


class Transitions(Sequence[Event]):
    """What happened during one advance, in order; each event is made when it is looked at.

    ``rows`` has the same as (time in seconds, element, state before, state after, part).
    """

    def __init__(self, line: Line, rows: list[Row]) -> None:
        self._line, self.rows = line, rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Event]: ...
    def __getitem__(self, at: int | slice) -> Event | Sequence[Event]:
        if isinstance(at, slice):
            return Transitions(self._line, self.rows[at])
        time_s, element, before, after, part = self.rows[at]
        name = self._line.elements[element].name
        return Event(round(time_s * 1e6), name, before, after, part)
