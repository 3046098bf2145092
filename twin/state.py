"""All that changes in a line, as one record; a copy of it is a snapshot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class LineState:
    """The moving part of a twin: time, counters, clocks, parts.

    ``floats`` and ``ints`` are the flat columns that ``twin.line.schema`` lays out; nothing that
    matters to the future of the line is kept anywhere else, so that a state can be saved, restored
    in another process, or forked at any instant. ``now_s`` is plant time in seconds.
    """

    now_s: float
    floats: list[float]
    ints: list[int]

    def copy(self) -> LineState:
        """An independent snapshot."""
        return LineState(self.now_s, self.floats.copy(), self.ints.copy())
