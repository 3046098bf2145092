"""A runtime in lockstep: what it may be granted, its next turns, and a loop that has closed."""

from __future__ import annotations

from tests.twin.driven import PERIOD_US, TAKT, Noted, Stores, driven
from twin.cycle import Action, Batch, Cycle, Decision, Mode
from twin.runtime import Runtime
from twin.signals import Setpoint

DEADLINE_US = 10_000_000


def granted(mode: Mode = Mode.CLOSED, takt_s: float | None = 75.0, command: str = "") -> Decision:
    """A decision at plant time 0 with one setpoint, or the heartbeat alone."""
    setpoints = () if takt_s is None else (Setpoint(TAKT, takt_s),)
    batch = Batch(1, 1, setpoints, DEADLINE_US)
    return Decision(0, mode, (), Action({}), batch, (), command)


async def turns(runtime: Runtime, line: Noted, n: int) -> list[Cycle]:
    """The next ``n`` turns in lockstep."""
    cycles = []
    for _ in range(n):
        if runtime.latest is not None:
            time_us = runtime.latest.reading.time_us + PERIOD_US
            await runtime._clock.sleep_until(time_us)
        cycles.append(await runtime.turn(line.plc.now_us))
    return cycles


async def closed() -> tuple[Runtime, Noted, Stores]:
    """A runtime whose loop has closed and has written once."""
    runtime, line, stores = driven()
    runtime.command("close", "a test")
    await turns(runtime, line, 2)
    assert line.log[-3:] == ["intend 1", "write 1", "conclude 1"]
    assert runtime.loop.mode is Mode.CLOSED
    line.log.clear()
    return runtime, line, stores
