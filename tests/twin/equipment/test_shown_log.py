"""The witness for what a record must hold: what came from the nodes of critical instruments, faults and all."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.twin.equipment.lines import plc
from twin.equipment.emulator import Emulated

ZONES = [f"oven.zone_temp_{n}_c" for n in (1, 2, 3, 4)]


async def test_it_keeps_what_critical_instruments_showed(tmp_path: Path) -> None:
    line, log = plc(name="paint_cure_line"), tmp_path / "shown.jsonl"
    faults = {
        ZONES[0]: {"kind": "times", "by": 0.0},
        ZONES[1]: {"kind": "nan"},
        ZONES[2]: {"kind": "boolean"},
    }
    (tmp_path / "faults.json").write_text(json.dumps({"values": faults}))
    async with (
        asyncio.timeout(240),
        Emulated(
            line, lockstep=True, insecure=True, shown_log=log, faults=tmp_path / "faults.json"
        ),
    ):
        pass
    first = json.loads(log.read_text("utf-8").splitlines()[0])
    assert list(first["values"]) == ZONES
    assert [first["values"][name] for name in ZONES[:3]] == [0.0, None, None]
    assert first["values"][ZONES[3]] > 100.0
