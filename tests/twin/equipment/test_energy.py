"""Standby by the methods of the energy companion model, and PackML's commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from asyncua import Client, Node, ua

from tests.twin.equipment.lines import plant, plc
from twin.equipment import energy
from twin.equipment.emulator import Emulated
from twin.equipment.plc import Plc, Result

ROOT = "acme/ulm/machining/line1"
HOUR_MS = 3_600_000.0


@pytest.fixture
async def line() -> AsyncIterator[Emulated]:
    async with asyncio.timeout(240), Emulated(plc(), lockstep=True, insecure=True) as served:
        yield served


@pytest.fixture
async def client(line) -> AsyncIterator[Client]:
    async with Client(line.endpoint) as connected:
        yield connected


async def node(client: Client, path: str) -> Node:
    index = await client.get_namespace_index("urn:takttwin:line:1")
    return client.get_node(ua.NodeId(f"{ROOT}/{path}", index))


async def call(client: Client, folder: str, method: str, *arguments: ua.Variant):
    owner = await node(client, folder)
    return await owner.call_method(await node(client, f"{folder}/{method}"), *arguments)


ENERGY = "Stations/wash/EnergyManagement"


async def test_only_who_is_in_remote_control_sends_a_machine_to_sleep(line, client):
    pause = ua.Variant(HOUR_MS, ua.VariantType.Double)
    with pytest.raises(ua.UaStatusCodeError, match="BadUserAccessDenied"):
        await call(client, ENERGY, "StartPause", pause)
    assert [(r.signal, r.value, r.result) for r in line.plc.written] == [
        ("wash.standby", 1.0, Result.NOT_REMOTE)
    ]
    await call(client, "Control", "RequestRemote")
    mode, to_mode, to_operate, stay, code = await call(client, ENERGY, "StartPause", pause)
    spec = plant().station("wash")
    assert (mode, to_mode, stay, code) == (energy.STANDBY_MODE, 0.0, 0.0, energy.SUCCESS)
    assert to_operate == 1000.0 * float(spec.warm_up_s)
    assert line.plc.active["wash.standby"] == 1.0
    assert await (await node(client, f"{ENERGY}/PauseTime")).read_value() == HOUR_MS
    async with Client(line.endpoint) as stranger:
        with pytest.raises(ua.UaStatusCodeError, match="BadUserAccessDenied"):
            await call(stranger, ENERGY, "EndPause")
    assert line.plc.active["wash.standby"] == 1.0
    ready_ms, code = await call(client, ENERGY, "EndPause")
    assert (ready_ms, code) == (to_operate, energy.SUCCESS)
    assert line.plc.active["wash.standby"] == 0.0


async def test_a_pause_that_is_too_short_and_a_mode_that_is_none(line, client):
    await call(client, "Control", "RequestRemote")
    short = ua.Variant(1.0, ua.VariantType.Double)
    assert (await call(client, ENERGY, "StartPause", short))[-1] == energy.NO_SUITABLE_MODE
    unknown = ua.Variant(7, ua.VariantType.Byte)
    assert (await call(client, ENERGY, "SwitchToEnergySavingMode", unknown))[-1] == (
        energy.NO_SUCH_MODE
    )
    assert line.plc.written == []
    own = ua.Variant(energy.STANDBY_MODE, ua.VariantType.Byte)
    answer = await call(client, ENERGY, "SwitchToEnergySavingMode", own)
    assert (answer[0], answer[-1]) == (energy.STANDBY_MODE, energy.SUCCESS)
    assert line.plc.active["wash.standby"] == 1.0


async def test_status_and_words_follow_the_machine(line, client):
    await call(client, "Control", "RequestRemote")
    await call(client, "Stations/inspection/Command", "Reset")
    await call(client, "Control", "Advance", ua.Variant(60_000_000, ua.VariantType.Int64))
    at = "Stations/inspection"
    status = await node(client, f"{at}/EnergyManagement/StandbyManagementStatus")
    words = await (await status.get_child("0:EnumStrings")).read_value()
    assert words[await status.read_value()].Text == "Energy saving mode"
    assert await (await node(client, f"{at}/Status/StateText")).read_value() == "Idle"
    assert await (await node(client, f"{at}/Status/StateNumber")).read_value() == 4
    await call(client, f"{at}/Command", "Start")
    await call(client, "Control", "Advance", ua.Variant(61_000_000, ua.VariantType.Int64))
    assert words[await status.read_value()].Text == "Moving to ready to operate"
    assert await (await node(client, f"{at}/Status/StateText")).read_value() == "Starting"


def test_a_batch_is_not_disturbed_by_a_pause():
    """Methods have no number: the next batch is still the next."""
    one: Plc = plc()
    one.command("RequestRemote")
    echo = one.echo_sequence
    assert one.pause("wash", 1.0) is Result.OK
    assert one.echo_sequence == echo
    assert one.pause("nobody", 1.0) is Result.UNKNOWN_TAG
    assert one.pause("wash", 0.0, stranger=True) is Result.NOT_REMOTE
    assert one.active["wash.standby"] == 1.0
