"""A line that has locked itself: elements that wait for each other in a circle.

A rework loop that is full does it: the inspection cannot send a part back because the first buffer is
full, and the stations behind that buffer cannot pass theirs on because the inspection holds one. So does
an assembly whose components lie behind a part that it has no room for. Nothing is due any more, and
nothing ever will be.

Each element that stands still waits for something: for room in a buffer, which any of those can make that
take from it; for parts in a buffer, which any of those can bring that fill it; or, a source at its limit
of parts, for one to leave the line. An element is locked if, for one of the things that it waits for, all
who could help are locked. Who has something due, who waits for people or orders, a conveyor that moves and
elements of other packages count as able to go on.
"""

from __future__ import annotations

from typing import NamedTuple

from twin.line import schema as s
from twin.line.flow import has_room, level
from twin.line.model import Line
from twin.line.source import is_wanted_now
from twin.line.transitions import comes_apart, destination
from twin.state import LineState

WIP_LIMIT = "wip_limit"
"""Stands for the buffer that a source waits for which may let no more parts in."""


class Wait(NamedTuple):
    """What an element waits for, and who could help."""

    what: str
    helpers: tuple[int, ...]


def deadlock(line: Line, state: LineState) -> tuple[str, ...]:
    """The circle of waits: element, the buffer it waits for, the element that could help, and so on.

    Empty where there is none. A line that merely waits for orders, people or a repair has none.
    """
    waits = {e: _waits(line, state.ints, e) for e in range(len(line.elements) - 1)}
    locked = {e for e, lacking in waits.items() if lacking}
    while True:
        still = {e for e in locked if any(_hopeless(wait, locked) for wait in waits[e])}
        if still == locked:
            break
        locked = still
    return _circle(line, waits, locked)


def _hopeless(wait: Wait, locked: set[int]) -> bool:
    return bool(wait.helpers) and locked.issuperset(wait.helpers)


def _circle(line: Line, waits: dict[int, list[Wait]], locked: set[int]) -> tuple[str, ...]:
    """Follow the waits until one comes round."""
    way: list[int] = []
    names: list[str] = []
    e = min(locked, default=-1)
    while e >= 0 and e not in way:
        wait = next(wait for wait in waits[e] if _hopeless(wait, locked))
        way.append(e)
        names += [line.elements[e].name, wait.what]
        e = wait.helpers[0]
    return tuple(names[2 * way.index(e) :]) if way else ()


def _waits(line: Line, i: list[int], e: int) -> list[Wait]:
    """What an element that stands still waits for; nothing for one that can go on."""
    kind = line.elements[e].kind
    if kind == s.SOURCE:
        return _source_waits(line, i, e)
    state, slot = i[e * s.E_INTS + s.STATE], i[e * s.E_INTS + s.SLOT]
    if kind == s.CONVEYOR and state == s.BLOCKED:
        goes_to = line.k[s.ELEMENTS_K + e * s.EK + s.GIVES_TO]
        return (
            []
            if has_room(goes_to, i, line.k)
            else [Wait(line.buffers[goes_to], _takers(line, goes_to))]
        )
    if kind != s.STATION:
        return []
    if state not in (s.IDLE, s.BLOCKED, s.STANDBY) or i[e * s.E_INTS + s.STANDBY_ASKED]:
        return []
    return _for_room(line, i, e, slot) if slot >= 0 else _for_parts(line, i, e)


def _source_waits(line: Line, i: list[int], e: int) -> list[Wait]:
    k, ek = line.k, s.ELEMENTS_K + e * s.EK
    at, limit = k[s.K_LINE_I], k[ek + s.WIP_LIMIT]
    goes_to = k[ek + s.GIVES_TO]
    if not has_room(goes_to, i, k):
        return [Wait(line.buffers[goes_to], _takers(line, goes_to))]
    inside = i[at + s.RELEASED] - i[at + s.LINE_SCRAPPED] - i[at + s.GOOD]
    if 0 < limit <= inside and not is_wanted_now(e, i, k):
        last = [
            n + 1
            for n, station in enumerate(line.plant.stations)
            if station.gives_to == line.plant.sink or station.inspects
        ]
        return [Wait(WIP_LIMIT, tuple(last))]
    return []


def _for_room(line: Line, i: list[int], e: int, slot: int) -> list[Wait]:
    """What a finished part waits for, and what the pieces do that come off it."""
    k, ek = line.k, s.ELEMENTS_K + e * s.EK
    to = destination(e, slot, i, line.c, k)
    full = [to] if to >= 0 and not has_room(to, i, k) else []
    if comes_apart(e, to, k):
        also = k[ek + s.ALSO_GIVES_K]
        for n in range(k[also]):
            buffer, pieces = k[also + 1 + 2 * n], k[also + 2 + 2 * n]
            inside = i[k[s.K_BUFFER_I] + buffer * s.B_INTS + s.LEVEL]
            if inside + pieces > k[k[s.K_BUFFER_K] + s.BK * buffer + s.ROOM]:
                full.append(buffer)
    return [Wait(line.buffers[buffer], _takers(line, buffer)) for buffer in full]


def _for_parts(line: Line, i: list[int], e: int) -> list[Wait]:
    """What a station without a part lacks to begin, or to wake for."""
    k, ek = line.k, s.ELEMENTS_K + e * s.EK
    asleep = i[e * s.E_INTS + s.STATE] == s.STANDBY
    needed = [(k[ek + s.TAKES_FROM], k[ek + (s.WAKE_AT if asleep else s.AT_LEAST)])]
    also = k[ek + s.ALSO_TAKES_K]
    if also > 0:
        needed += [(k[also + 1 + 2 * n], k[also + 2 + 2 * n]) for n in range(k[also])]
    lacking = [buffer for buffer, parts in needed if level(buffer, i, k) < parts]
    travelling = [i[k[s.K_BUFFER_I] + buffer * s.B_INTS + s.ON_BELT] for buffer in lacking]
    return [
        Wait(line.buffers[buffer], _near(line, buffer, 0))
        for buffer, on_belt in zip(lacking, travelling, strict=True)
        if not on_belt
    ]


def _takers(line: Line, buffer: int) -> tuple[int, ...]:
    """Those that take parts from a buffer."""
    return _near(line, buffer, 1)


def _near(line: Line, buffer: int, side: int) -> tuple[int, ...]:
    """The elements before (0) or behind (1) a buffer."""
    k = line.k
    at = k[s.K_FED_K] + (2 * buffer + side) * (k[s.K_ELEMENTS] + 1)
    return k[at + 1 : at + 1 + k[at]]
