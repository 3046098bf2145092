"""How a case is played: the loop is closed, something is broken and mended, the loop comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from twin.chaos.case import RECOVER_S, Case, Play
from twin.chaos.rig import Missed, Rig, now_s

if TYPE_CHECKING:
    from twin.chaos.rig import Loop

Act = Callable[[Rig], Awaitable[None]]
TURNS_BEFORE, TURNS_AFTER = 20, 6
"""Turns while closed, before a fault and after it: memory has stopped to grow by then."""


async def nothing(rig: Rig) -> None:
    """All is mended by ``calm``."""


def broken(act: Act, *, for_s: float = 0.0, mend: Act = nothing) -> Play:
    """Break something for so long, or until the loop has gone where it must; then mend it."""

    async def play(rig: Rig, case: Case) -> None:
        loop = await begun(rig, case)
        rig.begin_fault()
        began_s = now_s()
        await act(rig)
        for step in case.steps:
            wait_s = 2.0 * step.limit_s(rig.period_s) + 10.0
            await noting(rig, loop.until({step.mode}, wait_s))
        await asyncio.sleep(max(0.0, began_s + for_s - now_s()))
        await mend(rig)
        rig.calm()
        rig.end_fault()
        await ended(rig)

    return play


def shown(for_s: float = 0.0, **plan: object) -> Play:
    """A fault that the line itself shows: see ``twin.equipment.faults``."""

    async def act(rig: Rig) -> None:
        rig.show(**plan)

    return broken(act, for_s=for_s)


def decided(does: str, for_s: float = 0.0) -> Play:
    """A controller that falls ill: see ``restless``."""

    async def act(rig: Rig) -> None:
        rig.decide(does)

    return broken(act, for_s=for_s)


async def begun(rig: Rig, case: Case) -> Loop:
    """A loop that has been closed for a while; what it holds is noted."""
    if not rig.loops:
        await rig.begin_loop(*case.more)
    loop = await rig.closed(TURNS_BEFORE)
    rig.story.before = loop.footprint
    return loop


async def ended(rig: Rig) -> None:
    """The loop is brought back, goes on for a while, and what it holds is noted."""
    try:
        await rig.recover(RECOVER_S)
        await rig.loop.turns(TURNS_AFTER, rig.patience_s(TURNS_AFTER))
    except Missed as missed:
        rig.story.notes.append(str(missed))
    rig.story.after = rig.loop.footprint


async def noting(rig: Rig, waiting: Awaitable[object]) -> None:
    """Wait for something; that it has not come is put on record, and the play goes on."""
    with suppress(asyncio.CancelledError):
        try:
            await waiting
        except Missed as missed:
            rig.story.notes.append(str(missed))


def expect(rig: Rig, holds: bool, why: str) -> None:
    """Put on record what does not hold."""
    if not holds:
        rig.story.notes.append(why)
