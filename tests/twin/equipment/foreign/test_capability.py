"""What a foreign server lets us write is known before anything is written."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.twin.equipment.foreign.mapped_lines import (
    SPEED,
    confirmed,
    drafted,
    loaded,
    quick_plant,
    quick_plc,
    quick_signals,
)
from twin.equipment import server
from twin.equipment.emulator import Emulated
from twin.equipment.foreign.line import ForeignLine
from twin.equipment.opcua import OpcUaEquipment
from twin.signals import Role

FEED = "turning.feed_mm"


async def test_a_node_that_is_read_only_bars_its_mv_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes = server._attributes

    def without_feed(
        name: str, value: Any, data_type: Any, *, writable: bool = False, **more: Any
    ) -> Any:
        held = attributes(name, value, data_type, writable=writable, **more)
        if locked and writable and name == "Request":
            held = attributes(name, value, data_type, writable=False, **more)
        return held

    locked = False
    monkeypatch.setattr(server, "_attributes", without_feed)
    async with asyncio.timeout(240):
        async with Emulated(quick_plc(), lockstep=False, insecure=True) as line:
            text = confirmed(await drafted(line.endpoint))
            assert await barred(line.endpoint, text, tmp_path) == {}
            without = re.sub(rf"(?m)^  {re.escape(FEED)}: .*write.*$", _unwritten, text)
            assert without != text
            told = await barred(line.endpoint, without, tmp_path)
            assert told == {FEED: "the mapping has nothing to write for it"}
        locked = True
        async with Emulated(quick_plc(), lockstep=False, insecure=True) as line:
            told = await barred(line.endpoint, text, tmp_path)
    mvs = {signal.name for signal in quick_signals() if signal.role is Role.MV}
    assert SPEED in told
    assert set(told) <= mvs
    assert all(why.endswith("may not be written by this user") for why in told.values())


def _unwritten(line: re.Match[str]) -> str:
    return re.sub(r", write: \{[^}]*\}", "", line[0])


async def barred(url: str, text: str, folder: Path) -> dict[str, str]:
    binding = ForeignLine(loaded(text, folder), quick_plant(), quick_signals())
    async with OpcUaEquipment.connect(
        url, quick_signals(), plant_hash=None, binding=binding
    ) as equipment:
        return dict(equipment.barred)
