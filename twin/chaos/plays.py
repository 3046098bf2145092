"""How a case is played: the loop is closed, something is broken and mended, the loop comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.chaos.case import RECOVER_S, Play, Step
from twin.chaos.processes import LOOK_S
from twin.chaos.proxy import Weather
from twin.chaos.rig import Missed, Rig, now_s

if TYPE_CHECKING:
    from twin.chaos.rig import Loop

Act = Callable[[Rig], Awaitable[None]]
TURNS_BEFORE, TURNS_AFTER = 12, 8
"""Turns while closed, before a fault and after it: by then memory has stopped to grow, and its alarms are over."""

FAILED = Step("HOLD", "the controller (failed|starts anew)", 3)
"""What a loop makes of a controller that does not answer."""


async def kill_worker(rig: Rig) -> None:
    """The process in which the newest loop's controller decides is gone."""
    os.kill(rig.loop.worker, signal.SIGKILL)


async def nothing(rig: Rig) -> None:
    """All is mended by ``calm``."""


@dataclass(frozen=True, slots=True)
class Harm:
    """One thing that is broken: how, for how long at least, how it is mended, what has to come of it.

    Without steps the loop has to stay CLOSED.
    """

    act: Act
    steps: tuple[Step, ...] = ()
    for_s: float = 0.0
    mend: Act = nothing


def broken(*harms: Harm) -> Play:
    """Break one thing after another, each from a loop that is closed; the loop comes back each time."""

    async def play(rig: Rig) -> None:
        loop = await begun(rig)
        for harm in harms:
            rig.begin_fault(*harm.steps)
            began_s = now_s()
            async with loop.watched() as modes:
                await harm.act(rig)
                await _came(rig, modes, harm.steps)
            await asyncio.sleep(max(0.0, began_s + harm.for_s - now_s()))
            await harm.mend(rig)
            rig.calm()
            rig.end_fault()
            await ended(rig)
        rig.story.after = loop.footprint

    return play


async def _came(rig: Rig, modes: Sequence[str], steps: Sequence[Step]) -> None:
    """Wait until the modes have come, for twice as long as they may take; the judge is the record."""
    wait_s = max((2.0 * step.limit_s(rig.period_s) + 10.0 for step in steps), default=0.0)
    deadline_s = now_s() + wait_s
    while now_s() < deadline_s:
        left = iter(modes)
        if all(step.mode in left for step in steps):
            return
        await asyncio.sleep(LOOK_S)


def shown(*steps: Step, for_s: float = 0.0, **plan: object) -> Harm:
    """A fault that the line itself shows: see ``twin.equipment.faults``."""

    async def act(rig: Rig) -> None:
        rig.show(**plan)

    return Harm(act, steps, for_s)


def decided(does: str, *steps: Step, for_s: float = 0.0) -> Harm:
    """A controller that falls ill: see ``restless``."""

    async def act(rig: Rig) -> None:
        rig.decide(does)

    return Harm(act, steps, for_s)


def weather(*steps: Step, for_s: float = 0.0, **what: Any) -> Harm:
    """A wire that is bad in one way or another: see ``Weather``."""

    async def act(rig: Rig) -> None:
        rig.wire.weather = Weather(**what)

    return Harm(act, steps, for_s)


async def begun(rig: Rig) -> Loop:
    """A loop that has been closed for a while; what it holds is noted."""
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


async def noting(rig: Rig, waiting: Awaitable[object]) -> None:
    """Wait for something; that it has not come is put on record, and the play goes on."""
    try:
        await waiting
    except Missed as missed:
        rig.story.notes.append(str(missed))


def expect(rig: Rig, holds: bool, why: str) -> None:
    """Put on record what does not hold."""
    if not holds:
        rig.story.notes.append(why)
