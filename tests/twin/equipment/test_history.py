"""HistoryRead of the emulator, served from the historian."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asyncua import Client, ua

from tests.twin.cli.shell import twin
from tests.twin.equipment.lines import PERIOD_US, plc, signals, value
from twin.equipment import history
from twin.equipment.emulator import FIRST_DAY, Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.store.historian import Historian

ROOT = "acme/ulm/machining/line1"
STEPS = 20


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Emulated]:
    with Historian(tmp_path / "past.duckdb", signals()) as past:
        async with (
            asyncio.timeout(240),
            Emulated(plc(), lockstep=True, insecure=True, past=past) as served,
        ):
            yield served


async def moved(line: Emulated) -> list[float]:
    """The energy meter at each of some steps."""
    shown = []
    async with OpcUaEquipment.connect(line.endpoint, signals(), plant_hash=None) as equipment:
        for step in range(1, STEPS + 1):
            await equipment.command("Advance", float(step * PERIOD_US))
            shown.append(value(await equipment.read(), "line.energy_kwh"))
    return shown


async def read(client: Client, path: str, start, end, number: int = 0):
    index = await client.get_namespace_index("urn:takttwin:line:1")
    node = client.get_node(ua.NodeId(f"{ROOT}/{path}", index))
    return await node.read_raw_history(start, end, number)


async def test_what_was_shown_is_read_back_forward_and_backward(line, monkeypatch):
    shown = await moved(line)
    epoch = FIRST_DAY + timedelta(hours=line.plc.line.plant.energy.starts_at_h)
    begin, end = epoch + timedelta(microseconds=PERIOD_US), epoch + timedelta(hours=4)
    async with Client(line.endpoint) as client:
        forward = await read(client, "Line/EnergyTotal", begin, end)
        assert [v.Value.Value for v in forward] == shown
        stamps = [v.SourceTimestamp.replace(tzinfo=UTC) for v in forward]
        assert stamps == [
            epoch + timedelta(microseconds=PERIOD_US * n) for n in range(1, STEPS + 1)
        ]
        backward = await read(client, "Line/EnergyTotal", end, begin)
        assert [v.Value.Value for v in backward] == shown[::-1]
        first = await read(client, "Line/EnergyTotal", begin, None, 3)
        assert [v.Value.Value for v in first] == shown[:3]
        last = await read(client, "Line/EnergyTotal", None, end, 3)
        assert [v.Value.Value for v in last] == shown[:-4:-1]
        monkeypatch.setattr(history, "MOST", 7)  # continuation points lead through all of it
        parts = await read(client, "Line/EnergyTotal", begin, end)
        assert [v.Value.Value for v in parts] == shown
        states = await read(client, "Stations/turning/Status/StateCurrent", begin, end)
        assert {v.Value.VariantType for v in states} == {ua.VariantType.Int32}


async def test_a_node_without_a_history_says_so_and_spoils_nothing(line):
    await moved(line)
    async with Client(line.endpoint) as client:
        index = await client.get_namespace_index("urn:takttwin:line:1")
        details = ua.ReadRawModifiedDetails()
        details.IsReadModified = False
        details.StartTime, details.EndTime = FIRST_DAY, FIRST_DAY + timedelta(days=1)
        details.NumValuesPerNode = 0
        parameters = ua.HistoryReadParameters()
        parameters.HistoryReadDetails = details
        for path in ("Control/RequestSeq", "Line/EnergyTotal"):
            wanted = ua.HistoryReadValueId()
            wanted.NodeId = ua.NodeId(f"{ROOT}/{path}", index)
            parameters.NodesToRead.append(wanted)
        refused, served = await client.uaclient.history_read(parameters)
        assert refused.StatusCode.name == "BadHistoryOperationUnsupported"
        assert served.StatusCode.is_good()
        assert len(served.HistoryData.DataValues) >= STEPS
        meter = client.get_node(ua.NodeId(f"{ROOT}/Line/EnergyTotal", index))
        assert ua.AccessLevel.HistoryRead in await meter.get_access_level()


async def test_without_a_record_there_is_no_history():
    async with (
        asyncio.timeout(240),
        Emulated(plc(), lockstep=True, insecure=True) as line,
        Client(line.endpoint) as client,
    ):
        index = await client.get_namespace_index("urn:takttwin:line:1")
        meter = client.get_node(ua.NodeId(f"{ROOT}/Line/EnergyTotal", index))
        assert ua.AccessLevel.HistoryRead not in await meter.get_access_level()


def test_a_record_is_not_written_over(tmp_path: Path):
    path = tmp_path / "past.duckdb"
    path.write_bytes(b"mine")
    code, _, err = twin("emulate", "machining_line", "--insecure", "--history", path)
    assert code == 5
    assert "exists already" in err
    assert path.read_bytes() == b"mine"


def test_times_before_the_epoch_are_no_times():
    assert history._told(None) is None
    assert history._told(ua.get_win_epoch()) is None
    assert history._told(datetime(2026, 1, 1, tzinfo=UTC)) is not None
