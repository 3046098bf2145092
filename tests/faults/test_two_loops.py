"""Two processes want the same line: one owns the loop, and its end in any way frees it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.twin.cli.desks import ANN, Line, desk_of
from twin.cli.lease import LOCKS, Lease
from twin.cli.problems import CONFLICT, Problem
from twin.cycle import Mode
from twin.store.audit import Audit

REPOSITORY = Path(__file__).parents[2]
URL = "opc.tcp://127.0.0.1:4840"
OWNER = (
    "import sys; from twin.cli.lease import Lease\n"
    "lease = Lease(sys.argv[1]); lease.take(); print('taken', flush=True)\n"
    "for line in sys.stdin:\n"
    "    lease.give_back(); print('given back', flush=True)\n"
)


@contextmanager
def owner(folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | {LOCKS: str(folder), "XDG_RUNTIME_DIR": "/nowhere", "HOME": "/nowhere"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_process_stays_advisory_until_the_first_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCKS, str(tmp_path))
    with owner(tmp_path, "opc.tcp://localhost:4840/takttwin") as first:
        mine = Lease(URL)
        refused(mine)
        Lease("opc.tcp://127.0.0.1:4841").take()  # another line is another loop
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write("\n")
        first.stdin.flush()
        assert first.stdout.readline() == "given back\n"
        mine.take()
        refused(Lease(URL))  # and now it is ours, against everybody
        mine.give_back()


async def test_a_loop_that_does_not_get_the_line_passes_nothing_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCKS, str(tmp_path))
    line, request = Line(), {"verb": "close", "reason": "trial"}
    with Audit(tmp_path / "audit.sqlite") as audit, owner(tmp_path, URL) as first:
        desk = desk_of(line, audit, Lease(URL))
        with pytest.raises(Problem, match="stays advisory") as told:
            await desk.answer(request, ANN)
        assert told.value.code == CONFLICT
        assert (line.commands, desk.status()["mode"]) == ([], "ADVISORY")
        first.kill()
        first.wait()
        line.next = Mode.INIT
        asked = asyncio.create_task(desk.answer(request, ANN))
        async with asyncio.timeout(30.0):
            while not line.commands:  # noqa: ASYNC110  (it is put there as soon as it is heard)
                await asyncio.sleep(0)
        line.turn(desk)
        assert (await asked)["mode"] == "INIT"
        refused(Lease(URL))
        line.next = Mode.ADVISORY
        line.turn(desk, commands=())
        Lease(URL).take()  # whoever opens the loop gives the line free
        assert [row.verb for row in audit.commands()] == ["refused: close", "close"]


def refused(lease: Lease) -> None:
    with pytest.raises(Problem, match="this one stays advisory") as told:
        lease.take()
    assert told.value.code == CONFLICT


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_owner_that_dies_leaves_nothing_locked(
    how: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCKS, str(tmp_path))
    with owner(tmp_path, URL) as first:
        mine = Lease(URL)
        refused(mine)
        first.send_signal(how)
        first.wait()
        mine.take()
        refused(Lease(URL))
        mine.give_back()


def test_an_owner_that_stands_still_still_owns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may go on at any time: its PLC sheds by the missing heartbeat, and nobody else steps in."""
    monkeypatch.setenv(LOCKS, str(tmp_path))
    with owner(tmp_path, URL) as first:
        first.send_signal(signal.SIGSTOP)
        _, how = os.waitpid(first.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(how)
        refused(Lease(URL))
        first.send_signal(signal.SIGCONT)
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write("\n")
        first.stdin.flush()
        assert first.stdout.readline() == "given back\n"
        Lease(URL).take()
