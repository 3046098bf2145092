"""Remote control belongs to one session: what the PLC answers to the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from asyncua import Client, ua

from tests.twin.equipment.lines import PERIOD_US, SPEED, batch, plc, signals
from twin.cycle import Outcome
from twin.equipment.address_space import NAMESPACE
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.plc import PlcMode, ShedReason

ROOT = "acme/ulm/machining/line1"
Connect = Callable[[], Awaitable[OpcUaEquipment]]


@pytest_asyncio.fixture
async def line() -> AsyncIterator[Emulated]:
    async with Emulated(plc(), lockstep=True, insecure=True) as emulated:
        yield emulated


@pytest_asyncio.fixture
async def connect(line: Emulated) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def one_more() -> OpcUaEquipment:
            connection = OpcUaEquipment.connect(line.endpoint, signals(), plant_hash=None)
            return await stack.enter_async_context(connection)

        yield one_more


async def test_another_session_is_refused_while_the_owner_lives(line, connect):
    owner, other = await connect(), await connect()
    await owner.command("RequestRemote")
    await owner.command("Advance", float(PERIOD_US))
    for verb in ("RequestRemote", "ReleaseRemote"):
        with pytest.raises(ValueError, match="BadUserAccessDenied"):
            await other.command(verb)
    assert line.plc.mode is PlcMode.REMOTE
    refused = await other.write(batch(1, PERIOD_US, **{SPEED: 230.0}))
    assert (refused.outcome, refused.detail) == (Outcome.REJECTED, "NOT_REMOTE")
    assert line.plc.active[SPEED] == 220.0
    assert [row.result.name for row in line.plc.written] == ["NOT_REMOTE"]
    await owner.command("RequestRemote")  # once more does no harm
    taken = await owner.write(batch(1, PERIOD_US, **{SPEED: 230.0}))
    assert taken.outcome is Outcome.ACCEPTED
    assert line.plc.active[SPEED] == 230.0


async def test_a_strangers_heartbeat_does_not_keep_the_watchdog_quiet(line, connect):
    owner, other = await connect(), await connect()
    await owner.command("RequestRemote")
    for k in range(1, 5):
        await owner.command("Advance", float(k * PERIOD_US))
        beat = await other.write(batch(k, k * PERIOD_US))
        assert beat.detail == ("NOT_REMOTE" if k < 3 else "heartbeat")
    assert line.plc.shed is ShedReason.HEARTBEAT


@pytest.mark.parametrize("end", ["release", "shed", "permit"])
async def test_the_owner_is_forgotten_when_remote_control_ends(line, connect, end):
    owner, other = await connect(), await connect()
    await owner.command("RequestRemote")
    if end == "release":
        await owner.command("ReleaseRemote")
    elif end == "shed":
        await owner.command("Advance", float(3 * PERIOD_US))
        await other.command("ResetShed")
    else:
        await other.command("PermitRemote", 0.0)  # an operator's, whoever owns
        await other.command("PermitRemote", 1.0)
        await other.command("ResetShed")
    assert line.plc.mode is PlcMode.AUTO
    await other.command("RequestRemote")
    answer = await other.write(batch(1, line.plc.now_us, line__takt_s=80.0))
    assert answer.outcome is not Outcome.REJECTED
    former = await owner.write(batch(2, line.plc.now_us, line__takt_s=81.0))
    assert (former.outcome, former.detail) == (Outcome.REJECTED, "NOT_REMOTE")


async def test_a_closed_session_owns_nothing(line, connect):
    async with OpcUaEquipment.connect(line.endpoint, signals(), plant_hash=None) as owner:
        await owner.command("RequestRemote")
    other = await connect()
    assert line.plc.mode is PlcMode.REMOTE  # until the watchdog bites
    early = await other.write(batch(1, 0, line__takt_s=80.0))
    assert early.detail == "NOT_REMOTE"
    await other.command("RequestRemote")
    answer = await other.write(batch(1, 0, line__takt_s=80.0))
    assert answer.outcome is not Outcome.REJECTED


async def test_plain_writes_of_a_stranger_neither_count_nor_wait_for_the_owner(line, connect):
    owner = await connect()
    await owner.command("RequestRemote")
    await owner.command("Advance", float(PERIOD_US))
    async with Client(line.endpoint) as stranger, Client(line.endpoint) as second:
        index = await stranger.get_namespace_index(NAMESPACE)

        async def put(client: Client, path: str, value: float, kind: ua.VariantType) -> None:
            target = client.get_node(ua.NodeId(f"{ROOT}/{path}", index))
            await target.write_value(value, kind)

        speed = "Stations/turning/Setpoints/cutting_speed_m_per_min/Request"
        await put(stranger, speed, 230.0, ua.VariantType.Double)
        await put(second, "Control/RequestSeq", 5, ua.VariantType.Int64)
        assert line.plc.written == []  # each commits its own
        await put(stranger, "Control/RequestSeq", 6, ua.VariantType.Int64)
        assert [row.result.name for row in line.plc.written] == ["NOT_REMOTE"]
        for k in range(2, 4):
            await put(stranger, "Control/ControllerAlive", k, ua.VariantType.Int64)
            await owner.command("Advance", float(k * PERIOD_US))
    assert line.plc.active[SPEED] == 220.0
    assert line.plc.shed is ShedReason.HEARTBEAT


async def test_of_two_that_request_at_once_one_gets_it(connect):
    both = [await connect(), await connect()]
    answers = await asyncio.gather(
        *(one.command("RequestRemote") for one in both), return_exceptions=True
    )
    assert sorted(answer is None for answer in answers) == [False, True]
