from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.twin.cli.shell import twin
from tests.twin.equipment.certificates import ending_in
from twin.act.memory import GuardMemory
from twin.act.told import hear
from twin.cli import local_socket
from twin.cli.desk import Desk
from twin.cli.lease import LOCKS, Lease
from twin.cli.linked import certificate_doubts
from twin.cli.local_socket import SOCKET, Peer, ask, bound, is_served, peer_of
from twin.cli.loop import _say
from twin.cli.problems import Problem
from twin.config import load_plant
from twin.cycle import Action, Cycle, Decision, Health, Mode, Reading
from twin.kernels.draws import TWIN
from twin.line.initial import initial_state
from twin.line.model import build_line
from twin.line.snapshot import from_json
from twin.loop import ControlLoop
from twin.runtime import Runtime
from twin.signals import Limits, Role, Signal
from twin.solves import Binding, Solve
from twin.store.audit import Audit

TAKT = Signal(
    "line.takt_s",
    "s",
    Role.MV,
    "Line/Takt",
    Limits(20.0, 400.0),
    Limits(40.0, 200.0),
    Limits(60.0, 120.0),
)
STANDBY = Signal("wash.standby", "1", Role.MV, "Stations/wash/Standby")


class Loop:
    mode = Mode.ADVISORY
    mvs = ("line.takt_s", "wash.standby")
    limited = ControlLoop.limited

    def __init__(self) -> None:
        self.memory = SimpleNamespace(guard=GuardMemory())
        self.signals = (TAKT, STANDBY)
        self.health: dict[str, Health] = {}


class Line:
    """As much of a runtime as the desk sees; each turn ends in the mode that was set for it."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.latest: Cycle | None = None
        self.commands: list[str] = []
        self.next = Mode.ADVISORY
        self.mvs = {signal.name: signal for signal in self.loop.signals}
        self._equipment = None
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
        for command in taken:
            hear((command,), self.mvs, self.loop.memory.guard, {}, {})
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
    return Desk(line, audit, {"run": "r-1"}, lease, lambda: trouble, lambda: 3600.0)


ANN = Peer("ann", is_owner=True)


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
        assert told == {
            "run": "r-1",
            "mode": "ADVISORY",
            "requested": "ADVISORY",
            "pid": os.getpid(),
        }
    assert not (tmp_path / SOCKET).exists()
    assert not is_served(tmp_path)


def test_a_certificate_that_ends_soon_is_told_with_the_status(
    line: Line, audit: Audit, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = {"client": ending_in(20.0), "server": ending_in(200.0)}
    equipment = SimpleNamespace(state=SimpleNamespace(certificates=certificates))
    parts = (line, audit, {"run": "r-1"}, None, lambda: "", lambda: 0.0)
    (told,) = Desk(*parts, lambda: certificate_doubts(equipment)).status()["certificates"]
    until = f"{certificates['client'].ends:%Y-%m-%d}"
    assert told.startswith(f"the client's certificate is valid until {until} only: twin cert new")
    _say({"mode": "ADVISORY", "certificates": [told]}, as_json=False)
    assert f"  warning: {told}\n" in capsys.readouterr().out
    equipment.state.certificates = {"server": ending_in(31.0)}
    assert "certificates" not in Desk(*parts, lambda: certificate_doubts(equipment)).status()
    assert certificate_doubts(object()) == []


def test_a_store_that_cannot_record_is_told_with_the_status(line: Line, audit: Audit) -> None:
    assert "trouble" not in desk_of(line, audit).status()
    assert desk_of(line, audit, trouble="disk full").status()["trouble"] == "disk full"


def test_what_operators_want_is_shown_beside_what_the_loop_is_in(
    line: Line, audit: Audit, capsys: pytest.CaptureFixture[str]
) -> None:
    line.loop.mode, line.loop.memory.guard.requested = Mode.SHED, Mode.CLOSED
    told = desk_of(line, audit).status()
    assert (told["mode"], told["requested"]) == ("SHED", "CLOSED")
    _say(told, as_json=False)
    assert "SHED" in capsys.readouterr().out.partition("requested: CLOSED")[0]


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
    monkeypatch.setattr(local_socket, "STATUS_S", 0.05)
    folder = tmp_path / "r-1"
    folder.mkdir()
    with bound(folder) as silent:
        silent.listen()
        code, _, err = twin("loop", *verb, "--out", tmp_path)
    assert code == 3
    assert f"error[unreachable]: the loop in {folder} does not answer: timed out\n hint: " in err


def test_who_asks_is_what_the_kernel_says() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        asks = peer_of(ours)
    assert (asks.name, asks.is_owner) == (getpass.getuser(), True)


@pytest.mark.parametrize(
    ("told", "login"), [("0", "root"), ("4294967295", ""), ("4000000000", "uid 4000000000")]
)
def test_who_has_logged_in_is_seen_through_sudo(
    told: str, login: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / str(os.getpid())).mkdir()
    (tmp_path / str(os.getpid()) / "loginuid").write_text(told)
    monkeypatch.setattr(local_socket, "PROCESSES", tmp_path)
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_of(ours).login == login
    monkeypatch.setattr(local_socket, "PROCESSES", tmp_path / "none")
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_of(ours).login == ""


async def test_the_account_and_the_person_behind_it_are_both_on_record(
    line: Line, audit: Audit
) -> None:
    anna = Peer("takttwin", is_owner=True, login="anna")
    desk = desk_of(line, audit)
    asked = asyncio.create_task(desk.answer({"verb": "open", "reason": "tea"}, anna))
    while not line.commands:  # noqa: ASYNC110  (it is put there as soon as it is heard)
        await asyncio.sleep(0)
    line.turn(desk)
    await asked
    with pytest.raises(Problem):
        await desk.answer({"verb": "nonsense"}, anna)
    with pytest.raises(Problem):
        await desk.answer({"verb": "open"}, Peer("eve", is_owner=False, login="eve"))
    assert [(row.verb, row.who) for row in audit.commands()] == [
        ("open", "takttwin (login anna)"),
        ("refused: nonsense", "takttwin (login anna)"),
        ("refused: open", "eve"),
    ]


async def test_a_stranger_is_not_heard_and_that_is_on_record(line: Line, audit: Audit) -> None:
    stranger = Peer("eve", is_owner=False)
    for verb in ("open", "status"):
        with pytest.raises(Problem, match="eve is not the owner") as caught:
            await desk_of(line, audit).answer({"verb": verb}, stranger)
        assert caught.value.code == 4
    assert [(row.verb, row.who) for row in audit.commands()] == [
        ("refused: open", "eve"),
        ("refused: status", "eve"),
    ]
    assert line.commands == []


async def limited(desk: Desk, line: Line, **request: object) -> dict[str, Any]:
    """The answer to a change of limits, with the turn that it takes."""
    change = {"verb": "limits", "reason": "trial", "mv": "line.takt_s", "version": 1}
    asking = asyncio.create_task(desk.answer(change | request, ANN))
    await asyncio.sleep(0)
    line.turn(desk)
    line.commands.clear()
    return await asking


async def test_limits_are_changed_by_whoever_has_seen_them(line: Line, audit: Audit) -> None:
    desk = desk_of(line, audit)
    before = await desk.answer({"verb": "limits?"}, ANN)
    assert before["version"] == 1
    assert before["limits"]["line.takt_s"] == {
        "unit": "s",
        "engineering": [40.0, 200.0],
        "operator": [60.0, 120.0],
        "is_changed": False,
    }
    told = await limited(desk, line, lo=70.1, hi=99.0)
    assert told["version"] == 2
    assert told["limits"]["line.takt_s"]["operator"] == [70.1, 99.0]
    assert line.loop.limited[0].operator == Limits(70.1, 99.0)
    assert desk.status()["limits_changed"] == ["line.takt_s"]
    with pytest.raises(Problem, match="at version 2, not 1: somebody changed them") as caught:
        await limited(desk, line, lo=50.0, hi=99.0)
    assert caught.value.code == 5
    assert (await limited(desk, line, lo=50.0, hi=99.0, version=2))["version"] == 3
    rows = [(row.verb, row.who, row.reason) for row in audit.commands()]
    assert rows[0] == ("limits", "ann", "line.takt_s 70.1 99.0 1 trial")
    assert rows[1][0] == "refused: limits"


async def test_of_two_who_have_seen_the_same_limits_one_is_refused(
    line: Line, audit: Audit
) -> None:
    desk = desk_of(line, audit)
    both = [asyncio.create_task(limited(desk, line, lo=lo, hi=99.0)) for lo in (61.0, 62.0)]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(one) is Problem for one in answers) == [False, True]
    assert line.loop.memory.guard.limits_version == 2


@pytest.mark.parametrize("first", [{"lo": 61.0}, {"lo": 62.0, "mv": "wash.speed_rel"}])
async def test_limits_are_not_told_as_made_if_another_change_still_waited_for_its_turn(
    first: dict[str, object], line: Line, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(TAKT, name="wash.speed_rel")
    line.loop.signals, line.loop.mvs = (TAKT, other), (TAKT.name, other.name)
    line.mvs[other.name] = other
    desk = desk_of(line, audit)
    change = {"verb": "limits", "reason": "trial", "mv": TAKT.name, "hi": 99.0, "version": 1}
    with monkeypatch.context() as patch:
        patch.setattr("twin.cli.desk.ANSWER_S", 0.0)
        with pytest.raises(Problem, match="no turn has come"):
            await desk.answer(change | first, ANN)
    with pytest.raises(Problem, match="at version 2, not 1: somebody changed them") as caught:
        await limited(desk, line, lo=62.0, hi=99.0)
    assert caught.value.code == 5
    (changed,) = line.loop.memory.guard.limits.items()
    assert changed == (first.get("mv", TAKT.name), Limits(float(str(first["lo"])), 99.0))
    assert [row.verb for row in audit.commands()][-1] == "refused: limits"


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        ({"lo": 39.0, "hi": 100.0}, 4),
        ({"lo": 60.0, "hi": 200.5}, 4),
        ({"lo": 100.0, "hi": 60.0}, 2),
        ({"lo": "nan", "hi": 100.0}, 2),
        ({"lo": 60.0, "hi": "inf"}, 2),
        ({"hi": 100.0}, 2),
        ({"lo": 60.0, "hi": 100.0, "version": None}, 2),
        ({"lo": 60.0, "hi": 100.0, "mv": "line.tact_s"}, 2),
        ({"lo": 60.0, "hi": 100.0, "reason": ""}, 2),
        ({"lo": 0.0, "hi": 1.0, "mv": "wash.standby"}, 4),
    ],
)
async def test_limits_that_cannot_be_are_refused(
    request_of: dict[str, object], code: int, line: Line, audit: Audit
) -> None:
    with pytest.raises(Problem) as caught:
        await limited(desk_of(line, audit), line, **request_of)
    assert caught.value.code == code
    assert line.loop.memory.guard.limits == {}
    assert [row.verb for row in audit.commands()] == ["refused: limits"]


def test_one_lease_for_one_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOCKS, str(tmp_path))
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
