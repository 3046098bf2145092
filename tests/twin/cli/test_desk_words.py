"""Operators' words at the desk of a running loop: on record before they are done, and refused with the reason."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path

import pytest

from tests.twin.cli.desks import ANN, Line, asked, desk_of
from twin.cli.loop import _say
from twin.cli.problems import Problem
from twin.cycle import Health, Mode
from twin.store.audit import Audit


async def test_a_command_is_on_record_before_it_is_done_and_waits_for_its_own_turn(
    tmp_path: Path, line: Line, audit: Audit
) -> None:
    desk = desk_of(line, audit)
    async with desk.open(tmp_path):
        asking = asyncio.create_task(asked(tmp_path, verb="close", reason="trial", who="admin"))
        async with asyncio.timeout(30.0):
            await line._woken.wait()
        assert line.commands == ["close: trial"]
        (command,) = audit.commands()
        # By the kernel's word, not by the request's.
        assert (command.verb, command.who, command.reason) == ("close", getpass.getuser(), "trial")
        line.turn(desk, commands=())  # one that was under way
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asking.done()
        line.next = Mode.INIT
        line.turn(desk)
        told = await asking
    assert (told["mode"], told["reasons"]) == ("INIT", ["because"])


@pytest.mark.parametrize(
    ("verb", "reason", "mode", "code"),
    [
        ("close", "", Mode.ADVISORY, 2),
        ("ack", " ", Mode.SHED, 2),
        ("close", "x", Mode.SHED, 4),
        ("close", "x", Mode.OFF, 4),
        ("close", "x", Mode.CLOSED, 5),
        ("close", "x", Mode.HOLD, 5),
        ("ack", "x", Mode.CLOSED, 5),
        ("freeze", "x", Mode.ADVISORY, 5),
        ("freeze", "x", Mode.SHED, 5),
        ("melt", "x", Mode.CLOSED, 2),
    ],
)
async def test_what_does_not_fit_is_refused_and_changes_nothing(
    verb: str, reason: str, mode: Mode, code: int, line: Line, audit: Audit
) -> None:
    line.loop.mode = mode
    with pytest.raises(Problem) as caught:
        await desk_of(line, audit).answer({"verb": verb, "reason": reason}, ANN)
    assert caught.value.code == code
    assert line.commands == []
    (row,) = audit.commands()
    assert (row.verb, row.who) == (f"refused: {verb}", "ann")
    assert row.reason.startswith(caught.value.message)


async def test_a_command_that_the_guard_refuses_is_a_refusal(
    tmp_path: Path, line: Line, audit: Audit
) -> None:
    desk = desk_of(line, audit)
    async with desk.open(tmp_path):
        asking = asyncio.create_task(asked(tmp_path, verb="close", reason="trial"))
        await line._woken.wait()
        line.turn(desk)
        told = await asking
    assert told == {"error": "the loop stays ADVISORY: because", "exit_code": 4}


async def test_who_closes_in_spite_of_a_doubt_is_on_record_with_it(
    tmp_path: Path, line: Line, audit: Audit, capsys: pytest.CaptureFixture[str]
) -> None:
    why = "the correction of wash.gas_kwh is out of all reason: 3"
    line.loop.health = {"wash.gas_kwh": Health(0.0, why), "wash.last_cycle_s": Health(1.0)}
    desk = desk_of(line, audit)
    async with desk.open(tmp_path):
        asking = asyncio.create_task(asked(tmp_path, verb="ack", reason="a new meter"))
        await line._woken.wait()
        line.turn(desk)
        told = await asking
    assert told["in_doubt"] == {"wash.gas_kwh": why}
    (row,) = audit.commands()
    assert row.reason == "a new meter (the model is in doubt: wash.gas_kwh)"
    line.loop.memory.guard.accepted_doubts = {"wash.gas_kwh"}
    _say(desk.status(), as_json=False)
    assert f"in doubt, accepted: {why}" in capsys.readouterr().out


async def test_a_refusal_carries_its_advice(tmp_path: Path, line: Line, audit: Audit) -> None:
    line.loop.mode = Mode.OFF
    async with desk_of(line, audit).open(tmp_path):
        told = await asked(tmp_path, verb="close", reason="trial")
        assert told == {
            "error": "the loop is off",
            "exit_code": 4,
            "hint": "first: twin loop start",
        }
        told = await asked(tmp_path, verb="mv_off", mv="line.tact_s")
        assert told["hint"].startswith("did you mean 'line.takt_s'?")


LATIN = b"St\xf6rung".decode("utf-8", "surrogateescape")


async def test_text_that_is_no_utf_8_stops_no_command(
    tmp_path: Path, line: Line, audit: Audit
) -> None:
    desk = desk_of(line, audit)
    async with desk.open(tmp_path):
        assert "error" in await asked(tmp_path, verb=f"melt {LATIN}")
        asking = asyncio.create_task(asked(tmp_path, verb="open", reason=LATIN))
        async with asyncio.timeout(30.0):
            await line._woken.wait()
        line.turn(desk)
        assert (await asking)["mode"] == "ADVISORY"
    refused, opened = audit.commands()
    assert refused.verb == r"refused: melt St\udcf6rung"
    assert (opened.verb, opened.reason) == ("open", r"St\udcf6rung")
    assert audit.verify() == []


@pytest.mark.parametrize("verb", ["open", "off", "freeze"])
def test_who_gives_authority_up_is_heard_whatever_ails_the_record(
    verb: str, line: Line, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ailing(*_: object) -> None:
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr(audit, "command", ailing)
    desk = desk_of(line, audit)
    assert desk.command(verb, "anna", "smoke") == f"{verb}: smoke"
    assert line.commands == [f"{verb}: smoke"]
    with pytest.raises(RuntimeError, match="of our own"):
        desk.command("close", "anna", "trial")
    assert line.commands == [f"{verb}: smoke"]
