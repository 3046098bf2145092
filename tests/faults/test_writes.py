"""A write whose answer is lost, a line that goes away: what the server received is the judge."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.ua_client import UaClientState

from tests.twin.analyze.in_step import loop_of
from tests.twin.driven import Asking
from tests.twin.equipment.lines import FEED, SPEED, batch, plc, signals, value
from tests.twin.equipment.wires import Wire
from twin.cycle import Cycle, Outcome
from twin.equipment import own_line
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_types import refusal
from twin.equipment.plc import Result
from twin.runtime import OUT_OF_SIGHT, Runtime

PATIENCE_S = 240.0
FAR_US = 10**12


@pytest.fixture
async def line() -> AsyncIterator[Emulated]:
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, insecure=True) as served,
    ):
        yield served


@pytest.fixture
async def wire(line: Emulated) -> AsyncIterator[Wire]:
    async with Wire(line.endpoint) as laid:
        yield laid


@pytest.fixture
async def equipment(wire: Wire) -> AsyncIterator[OpcUaEquipment]:
    async with OpcUaEquipment.connect(
        wire.endpoint, signals(), plant_hash=None, timeout_s=2.0, fast_ms=50.0
    ) as connected:
        await connected.command("RequestRemote")
        yield connected


def received(line: Emulated) -> list[tuple[str, float]]:
    """Every setpoint that came to the PLC and was put in force, in its order."""
    taken = (Result.OK, Result.CLAMPED)
    return [(one.signal, one.value) for one in line.plc.written if one.result in taken]


async def shown(equipment: OpcUaEquipment, name: str, wanted: float) -> None:
    """Wait until a reading shows a setpoint in force."""
    while value(await equipment.read(), name) != wanted:  # noqa: ASYNC110  (subscriptions tell)
        await asyncio.sleep(0.05)


async def test_a_lost_answer_is_unknown_and_the_reading_tells_what_is_in_force(
    line: Emulated, wire: Wire, equipment: OpcUaEquipment
) -> None:
    """The request arrives, the answer does not: the "failed" value is in force, once."""
    wire.mute()
    answer = await equipment.write(batch(1, FAR_US, **{SPEED: 230.0}))
    assert answer.outcome is Outcome.UNKNOWN
    assert received(line) == [(SPEED, 230.0)]
    wire.mend()
    if not equipment.connected:
        await equipment.wait_connected()
    await shown(equipment, SPEED, 230.0)
    after = await equipment.write(batch(2, FAR_US, **{SPEED: 230.5}))
    assert after.outcome is Outcome.ACCEPTED
    assert received(line) == [(SPEED, 230.0), (SPEED, 230.5)]


async def test_a_request_that_hangs_is_unknown_and_too_late_when_it_comes(
    line: Emulated, wire: Wire, equipment: OpcUaEquipment
) -> None:
    """What the network kept back past its deadline the PLC refuses, whatever became of us."""
    before = await equipment.read()
    wire.hang()
    deadline_us = before.time_us + 1_000_000
    late = await equipment.write(batch(1, deadline_us - 10_000_000, **{SPEED: 230.0}))
    assert late.outcome is Outcome.UNKNOWN
    assert received(line) == []
    wire.mend()
    await equipment.wait_connected()
    number = 2
    while (await equipment.write(batch(number, FAR_US, **{FEED: 0.2}))).outcome is Outcome.UNKNOWN:
        await equipment.wait_connected()
        number += 1
    assert SPEED not in dict(received(line))


async def test_nothing_that_was_asked_while_the_line_was_away_is_ever_sent(
    line: Emulated, wire: Wire, equipment: OpcUaEquipment
) -> None:
    wire.cut()
    refused = 0
    while refused < 5:
        try:
            answer = await equipment.write(batch(1 + refused, FAR_US, **{SPEED: 231.0 + refused}))
        except ConnectionError:
            refused += 1
        else:
            assert answer.outcome is Outcome.UNKNOWN
        await asyncio.sleep(0.05)
    wire.mend()
    await equipment.wait_connected()
    await equipment.read()
    answer = await equipment.write(batch(50, FAR_US, **{SPEED: 230.0}))
    assert answer.outcome is Outcome.ACCEPTED, answer
    await shown(equipment, SPEED, 230.0)
    assert received(line) == [(SPEED, 230.0)]
    (gap,) = equipment.drain_gaps()
    assert gap.from_us < gap.until_us


async def test_what_a_loop_decides_while_the_line_breaks_and_returns_is_not_sent(
    line: Emulated, wire: Wire, equipment: OpcUaEquipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision takes its time in a thread, and the session is back before it is made."""
    runtime = Runtime(loop_of(Asking()), equipment, equipment.clock(), paced=True)
    step, decided, is_back = runtime.loop.step, asyncio.Event(), threading.Event()
    here = asyncio.get_running_loop()

    def slow(*given: Any) -> Cycle:
        cycle = step(*given)
        if cycle.decision.batch is not None and cycle.decision.batch.setpoints:
            here.call_soon_threadsafe(decided.set)
            assert is_back.wait(PATIENCE_S)
        return cycle

    async def until_decided() -> None:
        while not decided.is_set():
            await runtime.turn(equipment.clock().now_us())

    monkeypatch.setattr(runtime.loop, "step", slow)
    runtime.command("close")
    turning = asyncio.create_task(until_decided())
    await decided.wait()
    wire.cut()
    await equipment.wait_connected(connected=False)
    wire.mend()
    await equipment.wait_connected()
    is_back.set()
    await turning
    answer = runtime._acknowledged
    assert answer is not None
    assert (answer.outcome, answer.detail) == (Outcome.SKIPPED, OUT_OF_SIGHT)
    assert line.plc.written == []


async def test_a_denial_while_the_session_is_renewed_is_no_refusal(
    equipment: OpcUaEquipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is not activated yet is denied everything; in one that stands it is a word."""
    session = equipment._session

    async def denied(*_: object) -> list[object]:
        raise refusal(ua.StatusCodes.BadUserAccessDenied)

    monkeypatch.setattr(own_line, "call", denied)
    word = await session.write(batch(1, FAR_US, **{SPEED: 230.0}), lambda _: "")
    assert (word.outcome, word.detail) == (Outcome.REJECTED, "BadUserAccessDenied")

    async def denied_on_the_way(*_: object) -> list[object]:
        monkeypatch.setattr(
            type(session.client), "state", property(lambda _: UaClientState.RECONNECTING)
        )
        raise refusal(ua.StatusCodes.BadUserAccessDenied)

    monkeypatch.setattr(own_line, "call", denied_on_the_way)
    vague = await session.write(batch(2, FAR_US, **{SPEED: 230.0}), lambda _: "")
    assert vague.outcome is Outcome.UNKNOWN
