from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.twin.cli.shell import twin
from twin.act.guard import GuardMemory
from twin.cli import desk
from twin.cli.desk import SOCKET, Desk, _bound, ask, is_served
from twin.cli.lease import Lease
from twin.cli.loop import _say
from twin.cli.problems import Problem
from twin.config import load_plant
from twin.cycle import Action, Cycle, Decision, Health, Mode, Reading
from twin.kernels.draws import TWIN
from twin.line.initial import initial_state
from twin.line.model import build_line
from twin.line.snapshot import from_json
from twin.runtime import Runtime
from twin.solves import Binding, Solve
from twin.store.audit import Audit


class Loop:
    mode = Mode.ADVISORY
    mvs = ("line.takt_s", "wash.standby")

    def __init__(self) -> None:
        self.memory = SimpleNamespace(guard=GuardMemory())
        self.health: dict[str, Health] = {}


class Line:
    """As much of a runtime as the desk sees; each turn ends in the mode that was set for it."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.latest: Cycle | None = None
        self.commands: list[str] = []
        self.next = Mode.ADVISORY
        self._woken = asyncio.Event()

    command = Runtime.command

    @property
    def _commands(self) -> list[str]:
        return self.commands

    def turn(
        self, desk: Desk, commands: tuple[str, ...] | None = None, action: Action | None = None
    ) -> None:
        taken = tuple(self.commands) if commands is None else commands
        none = np.zeros(0)
        whole = none.astype(np.int64)
        decision = Decision(30_000_000, self.next, ("because",), action or Action({}), None, ())
        self.latest = Cycle(1, Reading(30_000_000, 0, none, whole, whole), taken, None, decision)
        self.loop.mode = self.next
        desk.turned(self.latest)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Audit]:
    with Audit(tmp_path / "audit.sqlite") as found:
        yield found


def desk_of(line: Any, audit: Audit, lease: Lease | None = None, trouble: str = "") -> Desk:
    return Desk(line, audit, {"run": "r-1"}, lease, lambda: trouble)


async def asked(folder: Path, **request: object) -> dict[str, Any]:
    return await asyncio.to_thread(ask, folder, request)


async def test_the_twin_of_a_running_loop_is_handed_out(
    tmp_path: Path, line: Line, audit: Audit
) -> None:
    built = build_line(load_plant("machining_line"))
    line.loop.line = built  # type: ignore[attr-defined]
    line.loop.memory.twin = initial_state(built, 1, TWIN)
    async with desk_of(line, audit).open(tmp_path):
        told = await asked(tmp_path, verb="snapshot")
    assert from_json(built, told["snapshot"]) == line.loop.memory.twin
    assert line.commands == []  # looking is no command


async def test_status_is_answered_at_once_and_the_socket_is_the_owners_alone(
    tmp_path: Path, line: Line, audit: Audit
) -> None:
    async with desk_of(line, audit).open(tmp_path):
        mode = (tmp_path / SOCKET).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert is_served(tmp_path)
        told = await asked(tmp_path, verb="status")
        assert told == {"run": "r-1", "mode": "ADVISORY", "pid": os.getpid()}
    assert not (tmp_path / SOCKET).exists()
    assert not is_served(tmp_path)


def test_a_store_that_cannot_record_is_told_with_the_status(line: Line, audit: Audit) -> None:
    assert "trouble" not in desk_of(line, audit).status()
    assert desk_of(line, audit, trouble="disk full").status()["trouble"] == "disk full"


def test_the_last_solve_of_each_station_is_shown_though_others_are_newer(
    line: Line, audit: Audit, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = desk_of(line, audit)
    binds = (Binding("feed_mm", "hi", 0.25),)
    turns = (
        {"oven": Solve("sqp/piqp", "solved", 8, 1e-4), "turning": Solve("ipopt", "old", 9, 1e-9)},
        {"turning": Solve("ipopt", "solved", 7, float("nan"), binds)},
        {},
    )
    for solves in turns:
        line.turn(desk, action=Action({}, solves=solves))
    told = json.loads(json.dumps(desk.status(), allow_nan=False))
    assert told["solves"]["turning"]["binding"] == [["feed_mm", "hi", 0.25]]
    assert told["solves"]["oven"]["kkt_residual"] == 1e-4
    _say(told, as_json=False)
    shown = capsys.readouterr().out
    assert "turning: ipopt: solved, 7 iterations; binds: feed_mm hi 0.25 EUR a unit" in shown
    assert "oven: sqp/piqp: solved, 8 iterations, KKT 1.0e-04; binds: no limit" in shown


async def test_a_command_is_on_record_before_it_is_done_and_waits_for_its_own_turn(
    tmp_path: Path, line: Line, audit: Audit
) -> None:
    desk = desk_of(line, audit)
    async with desk.open(tmp_path):
        asking = asyncio.create_task(asked(tmp_path, verb="close", reason="trial", who="ann"))
        await line._woken.wait()
        assert line.commands == ["close: trial"]
        (command,) = audit.commands()
        assert (command.verb, command.who, command.reason) == ("close", "ann", "trial")
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
        ("freeze", "x", Mode.CLOSED, 2),
    ],
)
async def test_what_does_not_fit_is_refused_and_changes_nothing(
    verb: str, reason: str, mode: Mode, code: int, line: Line, audit: Audit
) -> None:
    line.loop.mode = mode
    with pytest.raises(Problem) as caught:
        await desk_of(line, audit).answer({"verb": verb, "reason": reason})
    assert caught.value.code == code
    assert line.commands == []
    assert list(audit.commands()) == []


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


@pytest.mark.parametrize("line_of_text", [b"{}\n", b"[]\n", b"nonsense\n", b"\n", b'{"verb": 3}\n'])
async def test_nonsense_is_answered_and_does_no_harm(
    line_of_text: bytes, tmp_path: Path, line: Line, audit: Audit
) -> None:
    async with desk_of(line, audit).open(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
        writer.write(line_of_text)
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert b'"exit_code": 2' in answer
        assert (await asked(tmp_path, verb="status"))["mode"] == "ADVISORY"
    assert line.commands == []


async def test_a_folder_with_a_long_name_is_served_too(
    tmp_path: Path, line: Line, audit: Audit
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    async with desk_of(line, audit).open(folder):
        assert is_served(folder)
        assert (await asked(folder, verb="status"))["run"] == "r-1"
    assert not (folder / SOCKET).exists()


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


@pytest.mark.parametrize("verb", [["status"], ["open"], ["close", "--reason", "trial"]], ids=str)
def test_a_loop_that_stands_still_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    """As a stopped process does: the kernel takes the request, and nobody reads it."""
    monkeypatch.setattr(desk, "STATUS_S", 0.05)
    folder = tmp_path / "r-1"
    folder.mkdir()
    with _bound(folder) as silent:
        silent.listen()
        code, _, err = twin("loop", *verb, "--out", tmp_path)
    assert code == 3
    assert f"error[unreachable]: the loop in {folder} does not answer: timed out\n hint: " in err


def test_one_lease_for_one_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ours, theirs, other = Lease("opc.tcp://a"), Lease("opc.tcp://a"), Lease("opc.tcp://b")
    ours.take()
    ours.take()
    with pytest.raises(Problem) as caught:
        theirs.take()
    assert caught.value.code == 5
    other.take()
    ours.give_back()
    theirs.take()
    theirs.give_back()
    other.give_back()
