"""Random kills of a loop and of its controller's process, at random moments."""

from __future__ import annotations

import asyncio
import os
import signal
from statistics import median

from twin.chaos.case import Case, Play
from twin.chaos.luck import Luck
from twin.chaos.plays import begun, expect, noting
from twin.chaos.rig import Loop, Rig, now_s

KILL_SPEED = 20.0
"""The watchdog of six periods has bitten after one and a half seconds then."""
RESTART_S = 5.0
"""From the start of a new loop until it is ADVISORY."""


def killed(loops: int, controllers: int) -> Play:
    """Kill the loop so often, and its controller's process so often; each time the line goes on.

    Of the loop: the PLC has to fall back by itself, a new loop has to be ADVISORY soon, and to close
    by an operator's word. Of the controller: the loop has to hold, and to be closed again.
    """

    async def play(rig: Rig) -> None:
        luck = Luck(rig.seed, "kills")
        await begun(rig)
        rig.story.before = None
        for _ in range(controllers):
            await _kill_controller(rig, rig.loop, luck)
        times_s = [await _kill_loop(rig, luck) for _ in range(loops)]
        late = [took_s for took_s in times_s if took_s > RESTART_S]
        why = f"{len(late)} of {loops} new loops were not up within {RESTART_S:g} s"
        why += f": {median(times_s or [0.0]):.1f} s in the median, {max(times_s, default=0.0):.1f} s at most"
        expect(rig, holds=not late, why=why)

    return play


async def _kill_controller(rig: Rig, loop: Loop, luck: Luck) -> None:
    await asyncio.sleep(luck.between(0.0, 2.0 * rig.period_s))
    worker = loop.worker
    os.kill(worker, signal.SIGKILL)
    await noting(rig, loop.until({"HOLD", "SHED"}, rig.patience_s(4)))
    await rig.recover(60.0)
    rig.story.recovered_s.clear()
    expect(rig, holds=loop.worker != worker, why="the controller's process is not a new one")


async def _kill_loop(rig: Rig, luck: Luck) -> float:
    """Kill it once; how long the new one took to be up, seconds."""
    await asyncio.sleep(luck.between(0.0, 2.0 * rig.period_s))
    await rig.loop.child.end(signal.SIGKILL)
    watchdog_s = rig.plant.control.watchdog_periods * rig.period_s
    began_s = now_s()
    loop = await rig.begin_loop()
    took_s = now_s() - began_s
    seen = await loop.ask("status")
    why = f"a new loop is {seen.get('mode')}"
    expect(rig, holds=seen.get("mode") == "ADVISORY", why=why)
    await asyncio.sleep(max(0.0, began_s + watchdog_s + 1.0 - now_s()))
    answer = await loop.ask("close", "chaos: before the shed is acknowledged")
    why = f"the PLC did not shed: {answer}"
    expect(rig, holds="has shed" in str(answer.get("error")), why=why)
    await rig.recover(30.0)
    rig.story.recovered_s.clear()
    return took_s


def shares(loops: int, controllers: int, workers: int) -> list[Case]:
    """So many kills, spread over lines side by side; each line has luck of its own."""
    found = []
    for n in range(workers):
        some = [total // workers + (n < total % workers) for total in (loops, controllers)]
        if any(some):
            found.append(_kills(some[0], some[1]))
    return found


def _kills(loops: int, controllers: int) -> Case:
    injected = f"SIGKILL of the loop {loops} times, of its controller's process {controllers} times"
    play = killed(loops, controllers)
    return Case(30, "process", "random kills", injected, play, speed=KILL_SPEED)
