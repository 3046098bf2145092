"""What a paced line does when it is only half there: ended subscriptions, a PLC that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from tests.twin.equipment.lines import plc, signals
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_session import LineSession

PATIENCE_S = 240.0


@pytest_asyncio.fixture
async def line() -> AsyncIterator[Emulated]:
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, speed=30.0, insecure=True) as emulated,
    ):
        yield emulated


@pytest_asyncio.fixture
async def equipment(line: Emulated) -> AsyncIterator[OpcUaEquipment]:
    async with OpcUaEquipment.connect(
        line.endpoint, signals(), plant_hash=None, timeout_s=2.0, fast_ms=50.0
    ) as connected:
        yield connected


@pytest.mark.parametrize("error", [TimeoutError(), ValueError("no number")], ids=repr)
async def test_a_listener_that_fails_is_a_lost_connection(equipment, monkeypatch, error):
    def fail(place: int, value: ua.DataValue) -> bool:
        raise error

    first = equipment._session
    monkeypatch.setattr(first.table, "take", fail)
    await equipment.wait_connected(connected=False)
    with pytest.raises(ConnectionError, match="a subscription ended"):
        await equipment.read()
    await equipment.wait_connected()
    assert equipment._session is not first
    (gap,) = equipment.drain_gaps()
    assert gap.reason == f"a subscription ended: {error!r}, new session"
    assert gap.from_us <= gap.until_us
    assert equipment.drain_gaps() == ()
    assert (await equipment.read()).time_us >= gap.until_us


async def test_a_dead_listener_is_told_before_anybody_watches(equipment):
    """Not one stale reading between the end of a listener and the watcher's next look."""
    for task in equipment._session._subscriptions._tasks:
        task.cancel()
    await asyncio.sleep(0.0)
    await asyncio.sleep(0.0)
    assert not equipment.connected
    with pytest.raises(ConnectionError, match="a subscription ended"):
        await equipment.read()


async def test_the_servers_own_word_ends_a_subscription(equipment):
    subscription = equipment._session._subscriptions._open["fast"]
    told = ua.StatusChangeNotification(Status=ua.StatusCode(ua.StatusCodes.BadTimeout))
    message = ua.NotificationMessage(NotificationData=[told])
    await subscription.publish_callback(ua.PublishResult(1, NotificationMessage=message))
    await equipment.wait_connected(connected=False)
    await equipment.wait_connected()
    (gap,) = equipment.drain_gaps()
    assert "the server says BadTimeout" in gap.reason


async def test_a_subscription_without_keep_alive_is_a_lost_connection(equipment):
    """The others go on and the plant's time moves: only this one is overdue."""
    slow = equipment._session._subscriptions._open["slow"]
    assert slow.last_publish_at is not None
    slow.last_publish_at -= 7.0
    assert not equipment.connected
    callbacks = equipment._session.client.uaclient.session._subscription_callbacks
    del callbacks[slow.subscription_id]  # no word of it comes through
    await equipment.wait_connected(connected=False)
    await equipment.wait_connected()
    (gap,) = equipment.drain_gaps()
    assert gap.reason == "a subscription fell silent, new session"


async def test_a_plc_that_no_longer_counts_is_silent(line, equipment, monkeypatch):
    """Its values still move, as those of an input card may when the program hangs."""
    served = line._served.plc
    tags = served._control_tags
    held = served._plc_alive

    def hung() -> tuple[float, ...]:
        mode, permit, _, *others = tags()
        return (mode, permit, float(held), *others)

    monkeypatch.setattr(served, "_control_tags", hung)
    await equipment.wait_connected(connected=False)
    with pytest.raises(ConnectionError, match="the PLC fell silent"):
        await equipment.read()
    async with asyncio.timeout(PATIENCE_S):
        while "does not show its line" not in equipment._why:
            assert not equipment.connected
            await asyncio.sleep(0.01)
    assert not equipment.connected  # a new session was tried, and alone does not make it alive
    monkeypatch.undo()
    await equipment.wait_connected()
    (gap,) = equipment.drain_gaps()
    assert gap.reason.startswith("the PLC fell silent")


async def test_values_that_the_server_dropped_are_a_gap(equipment):
    before = await equipment.read()
    assert equipment.drain_gaps() == ()
    equipment._session.table.overflows += 1
    after = await equipment.read()
    (gap,) = equipment.drain_gaps()
    assert gap.reason == "the server dropped values"
    assert before.time_us <= gap.from_us <= gap.until_us <= (await equipment.read()).time_us
    assert gap.until_us >= after.time_us
    assert equipment.drain_gaps() == ()


async def test_whatever_goes_wrong_while_beginning_anew_is_tried_again(equipment, monkeypatch):
    begin = LineSession.begin
    failures = iter([RuntimeError("no such thing"), KeyError("oven")])

    async def fail(*arguments: Any) -> LineSession:
        for error in failures:
            raise error
        return await begin(*arguments)

    monkeypatch.setattr(LineSession, "begin", fail)
    equipment._session._subscriptions._tasks[0].cancel()
    await equipment.wait_connected(connected=False)
    whys = set()
    while not equipment.connected:
        whys.add(equipment._why)
        await asyncio.sleep(0.01)
    assert "KeyError('oven')" in whys
    await equipment.wait_connected()
    await equipment.read()


async def test_a_watcher_that_ends_is_told(equipment, monkeypatch):
    monkeypatch.setattr(LineSession, "carry_on", lambda *_: 1 / 0)
    equipment._session._subscriptions._tasks[0].cancel()
    async with equipment._change:
        await equipment._change.wait_for(lambda: "no longer watched" in equipment._why)
    for asked in (equipment.read(), equipment.command("RequestRemote")):
        with pytest.raises(ConnectionError, match="no longer watched: ZeroDivisionError"):
            await asked
