"""A line that has locked itself: stations that hold parts and wait for each other in a circle.

A rework loop that is full does it: the inspection cannot send a part back because the first buffer is
full, and the stations behind that buffer cannot pass theirs on because the inspection holds one. Nothing
is due any more, and nothing ever will be.
"""

from __future__ import annotations

from collections.abc import Sequence

from twin.line import schema as s
from twin.line.flow import has_room
from twin.line.model import Line
from twin.line.transitions import destination
from twin.state import LineState


def deadlock(line: Line, state: LineState) -> tuple[str, ...]:
    """The circle of waits: station, the buffer it waits for, the station behind that, and so on.

    Empty where there is none. A line that merely waits for orders, people or a repair has none.
    """
    waits: dict[int, tuple[int, tuple[int, ...]]] = {}
    for n, element in enumerate(line.stations):
        e = n + 1
        if element.kind == s.STATION and state.ints[e * s.E_INTS + s.STATE] == s.BLOCKED:
            to = destination(e, state.ints[e * s.E_INTS + s.SLOT], state.ints, line.c, line.k)
            if to >= 0 and not has_room(to, state.ints, line.k):
                waits[e] = to, _behind(line, to)
    for e in waits:
        circle = _follow(e, waits)
        if circle:
            return tuple(
                name
                for station in circle
                for name in (line.elements[station].name, line.buffers[waits[station][0]])
            )
    return ()


def _behind(line: Line, buffer: int) -> tuple[int, ...]:
    """The elements that take parts from a buffer."""
    k = line.k
    at = k[s.K_FED_K] + (2 * buffer + 1) * (k[s.K_ELEMENTS] + 1)
    return k[at + 1 : at + 1 + k[at]]


def _follow(e: int, waits: dict[int, tuple[int, tuple[int, ...]]]) -> Sequence[int]:
    """The circle that waiting leads to if all who could take a part wait as well; else nothing."""
    reached: list[int] = []
    stuck = e
    while stuck not in reached:
        reached.append(stuck)
        behind = waits[stuck][1]
        if not behind or any(taker not in waits for taker in behind):
            return ()
        stuck = behind[0]
    return reached[reached.index(stuck) :]
