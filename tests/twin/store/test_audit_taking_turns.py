"""Two loops take turns on one line: the numbers that the other one used are no hole, a row taken out is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.twin.analyze.in_step import loop_of, nominal
from tests.twin.driven import PERIOD_US, Asking, Noted
from twin.line.tags import line_signals
from twin.runtime import EquipmentClock, Runtime
from twin.store import audit_check
from twin.store.audit import Audit
from twin.store.audit_chain import NAME
from twin.store.audit_head import head_file


async def _turns(runtime: Runtime, line: Noted, count: int, command: str) -> None:
    runtime.command(command, "a test")
    for _ in range(count):
        await runtime._clock.sleep_until(line.plc.now_us + PERIOD_US)
        await runtime.turn(line.plc.now_us)


async def taken_turns(folder: Path) -> Path:
    """The first of two audits: its loop was closed, then another one, then it again."""
    line = Noted()
    with Audit(folder / "one.sqlite") as one, Audit(folder / "other.sqlite") as other:
        first, second = (
            Runtime(loop_of(Asking()), line, EquipmentClock(line), record=audit)
            for audit in (one, other)
        )
        for runtime in (first, second, first):
            await _turns(runtime, line, 5, "close")
            await _turns(runtime, line, 2, "open")
        assert other.verify() == []
    return folder / "one.sqlite"


def tampered(path: Path, *statements: str) -> list[str]:
    """What is found once somebody has had the file."""
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    with Audit(path, read_only=True) as audit:
        return [f"{one.where}: {one.text}" for one in audit.verify()]


async def test_numbers_that_another_loop_has_used_are_no_hole(tmp_path: Path) -> None:
    path = await taken_turns(tmp_path)
    with Audit(path) as audit:
        numbers = [intent.sequence for intent in audit.intents()]
        assert audit.verify() == []
    half = len(numbers) // 2
    assert numbers[half] - numbers[half - 1] > 1
    assert numbers == [*range(1, half + 1), *range(numbers[half], numbers[-1] + 1)]


def without(number: int) -> list[str]:
    """A write is taken out of the record, with what became of it."""
    tables = ("intents", "outcomes")
    return [f"delete from {table} where sequence = {number}" for table in tables]  # noqa: S608


async def test_a_row_that_was_taken_out_is_missed_by_the_chain(tmp_path: Path) -> None:
    path = await taken_turns(tmp_path)
    whole = path.read_bytes()
    with Audit(path) as audit:
        numbers = [intent.sequence for intent in audit.intents()]
    for number in numbers:
        path.write_bytes(whole)
        found = tampered(path, *without(number))
        assert found[0].startswith(f"intent {number}: removed: link")


WITHOUT_CHAIN = (f"drop table {NAME}", "pragma user_version = 0")


async def test_a_row_that_was_taken_out_is_missed_by_its_number_too(tmp_path: Path) -> None:
    path = await taken_turns(tmp_path)
    head_file(path).unlink()
    with Audit(path) as audit:
        first, second, third, *_, last = [intent.sequence for intent in audit.intents()]
        turns = {turn["decision"]["batch"]["sequence"]: turn["number"] for turn in written(audit)}
    whole = path.read_bytes()
    missing = f"intent {third}: number {second} is missing after intent {first}"
    assert missing in tampered(path, *WITHOUT_CHAIN, *without(second))
    path.write_bytes(whole)
    found = tampered(path, *WITHOUT_CHAIN, *without(last - 1))
    assert any(f"number {last - 1} is missing" in one for one in found)
    # Each turn of a closed loop shows the loop's own last number: with turns taken out, that excuses nothing.
    path.write_bytes(whole)
    cut = f"delete from cycles where number in ({turns[second]}, {turns[third]})"  # noqa: S608
    assert missing in tampered(path, *WITHOUT_CHAIN, *without(second), cut)


def written(audit: Audit) -> Iterator[dict[str, Any]]:
    """The turns in which setpoints were granted."""
    for text in audit.cycles():
        turn: dict[str, Any] = json.loads(text)
        batch = turn["decision"]["batch"]
        if batch is not None and batch["setpoints"]:
            yield turn


@pytest.mark.parametrize("echo", [19.0, 21.0, 2.0, None, 1e300])
async def test_a_jump_that_the_echo_does_not_explain_is_a_hole(
    tmp_path: Path, echo: float | None
) -> None:
    path = await taken_turns(tmp_path)
    head_file(path).unlink()
    database = sqlite3.connect(path)
    rows = database.execute("select number, record from cycles").fetchall()
    for number, text in rows:
        turn = json.loads(text)
        turn["values"][audit_check.ECHO_AT] = echo
        database.execute(
            "update cycles set record = ? where number = ?", (json.dumps(turn), number)
        )
    database.commit()
    database.close()
    assert any("is missing after intent" in one for one in tampered(path, *WITHOUT_CHAIN))


def test_where_the_echo_stands_in_a_turn_is_where_every_line_has_it() -> None:
    for plant in ("machining_line", "molding_cell", "paint_cure_line"):
        signals = line_signals(nominal(plant))
        assert signals[audit_check.ECHO_AT].name == "control.echo_seq"
