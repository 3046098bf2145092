from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from tests.twin.equipment.foreign.mapped_lines import (
    confirmed,
    drafted,
    loaded,
    quick_line,
    quick_plant,
    quick_plc,
    quick_signals,
)
from twin.config import load_plant
from twin.equipment.emulator import Emulated
from twin.equipment.foreign.discovery import checked
from twin.equipment.foreign.live_check import Row, Verdict
from twin.equipment.opcua_link import WrongServer

FEED = "turning.feed_mm"
WRONG = [
    (r"Process/power_kw", "Process/power", "turning.power_kw", "missing", "no such node"),
    (r"turning/Process/power_kw", "turning/Status/StateText", "turning.power_kw", "type", "words"),
    (r"turning/Process/power_kw\"", 'turning/Process/power_kw", unit: W', "turning.power_kw", "unit", "kW"),
    (r"feed_mm/Request", "feed_mm/LowLimit", FEED, "access", "may not write"),
    (r"(feed_mm/Request\", type: \")Double", r"\1Float", FEED, "type", "takes Double"),
    (r"(feed_mm/Active\")", r"\1, gain: 1000", FEED, "value", "outside"),
    (r"(feed_mm/Active\")", r"\1, gain: 1.1", FEED, "range", "narrow the plant file"),
    (r"infeed/Level\"", 'infeed/Level", bad_values: [0]', "infeed.level", "value", "see why"),
    (r"(Process/power_kw\")", r"\1, bit: 2", "turning.power_kw", "type", "no bit 2"),
    (r"Control/ControllerAlive", "Control/PlcAlive", "handshake.heartbeat", "access", "right"),
    (r"b_turned/PartIds", "b_turned/Level", "b_turned", "type", "array"),
]  # fmt: skip


@pytest.fixture
async def line() -> AsyncIterator[Emulated]:
    async with asyncio.timeout(240), Emulated(quick_plc(), lockstep=False, insecure=True) as served:
        yield served


async def rows_of(line: Emulated, text: str | None, folder) -> dict[str, Row]:
    mapping = None if text is None else loaded(text, folder)
    rows = await checked(line.endpoint, quick_plant(), quick_line(), quick_signals(), mapping, None)
    return {row.name: row for row in rows}


async def test_our_own_address_space_is_as_declared(line, tmp_path):
    rows = await rows_of(line, None, tmp_path)
    assert {row.verdict for row in rows.values()} == {Verdict.OK}
    assert {signal.name for signal in quick_signals()} <= set(rows)
    takt = rows["line.takt_s"]
    assert (takt.type, takt.unit, takt.access, takt.value) == ("Double", "s", "r", 72.0)
    assert rows["Line/Setpoints/takt_s/Request"].access == "rw"
    assert rows["Control/ApplySetpoints"].type == "method"


async def test_another_plants_server_is_told(line):
    with pytest.raises(WrongServer, match="another plant file"):
        await checked(
            line.endpoint, load_plant("molding_cell"), quick_line(), quick_signals(), None, None
        )


async def test_a_draft_is_told_guess_by_guess(line, tmp_path):
    draft = await drafted(line.endpoint)
    rows = await rows_of(line, draft, tmp_path)
    guesses = [row for row in rows.values() if row.verdict is Verdict.GUESS]
    assert len(guesses) > 150
    assert all("delete its guess" in row.todo for row in guesses)
    undecided = {name for name, row in rows.items() if row.verdict is Verdict.UNDECIDED}
    assert undecided == {n for n in rows if f"#   {n}: not told apart" in draft}
    fine = await rows_of(line, confirmed(draft), tmp_path)
    assert [row for row in fine.values() if row.is_problem] == []


async def test_what_is_wrong_is_said_with_what_to_do(line, tmp_path):
    good = confirmed(await drafted(line.endpoint))
    for pattern, new, name, verdict, todo in WRONG:
        text, count = re.subn(pattern, new, good, count=1)
        assert count == 1, pattern
        row = (await rows_of(line, text, tmp_path))[name]
        assert (row.verdict, row.is_problem) == (verdict, True), row
        assert todo in row.todo


async def test_absent_is_no_problem_but_for_what_is_critical(line, tmp_path):
    text = confirmed(await drafted(line.endpoint))
    for name in ("turning.state", "turning.op_count"):
        text = re.sub(rf"(?m)^  {name}:.*\n", "", text)
        text += f"  - {{signals: {name}, why: not at this machine}}\n"
    rows = await rows_of(line, text, tmp_path)
    assert rows["turning.op_count"].verdict is Verdict.ABSENT
    assert rows["turning.op_count"].todo == "not at this machine"
    assert rows["turning.state"].verdict is Verdict.UNDECIDED
