"""Case 33: one random fault after another, and what the loop's process holds at the end."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from twin.chaos.case import Play, Step
from twin.chaos.luck import Luck
from twin.chaos.plays import TURNS_AFTER, begun
from twin.chaos.proxy import Weather
from twin.chaos.rig import Missed, Rig, now_s

ZONE = "oven.zone_temp_2_c"
WARM_SHARE = 0.3
"""Of the soak, after which memory is taken as warm."""
LONGEST_S = 4.0


async def _nan(rig: Rig) -> None:
    rig.show(values={ZONE: {"kind": "nan"}})


async def _stall(rig: Rig) -> None:
    rig.wire.weather = Weather(is_stalled=True)


async def _reset(rig: Rig) -> None:
    rig.wire.reset()


async def _lag(rig: Rig) -> None:
    rig.wire.weather = Weather(delay_s=0.1, jitter_s=0.05, loss=0.1)


async def _worker(rig: Rig) -> None:
    with suppress(Missed, ProcessLookupError):
        os.kill(rig.loop.worker, signal.SIGKILL)


async def _fail(rig: Rig) -> None:
    rig.decide("infeasible")


async def _refuse(rig: Rig) -> None:
    rig.show(answers="BadUserAccessDenied")


FAULTS = (_nan, _stall, _reset, _lag, _worker, _fail, _refuse)


def soak(wall_s: float) -> Play:
    """Random faults for so long. Each lasts some seconds; after each the loop has to come back."""

    async def play(rig: Rig) -> None:
        loop = await begun(rig)
        rig.story.before = None
        luck = Luck(rig.seed, "soak")
        began_s = now_s()
        while now_s() < began_s + wall_s:
            fault = FAULTS[int(luck.draw() * len(FAULTS))]
            rig.begin_fault(ANY)
            await fault(rig)
            await asyncio.sleep(luck.between(0.5, LONGEST_S))
            rig.calm()
            rig.end_fault()
            await rig.recover(60.0)
            await loop.turns(TURNS_AFTER, rig.patience_s(TURNS_AFTER))
            if rig.story.before is None and now_s() > began_s + WARM_SHARE * wall_s:
                rig.story.before = loop.footprint
        await asyncio.sleep(5.0)
        rig.story.after = loop.footprint

    return play


ANY = Step("", "")
"""Whatever mode comes, or none: what is looked at is what is held, lost and written."""
