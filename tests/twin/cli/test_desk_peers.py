"""Who is heard at the socket of a running loop, and that one loop alone has a line."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import stat
from pathlib import Path

import pytest

from tests.twin.cli.desks import Line, asked, desk_of
from tests.twin.cli.shell import twin
from twin.cli import local_socket
from twin.cli.lease import LOCKS, Lease
from twin.cli.local_socket import SOCKET, Peer, bound, is_served, peer_of
from twin.cli.problems import Problem
from twin.store.audit import Audit


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
