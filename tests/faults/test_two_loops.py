"""Two processes want the same line: one owns the loop, and its end in any way frees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from twin.cli.lease import Lease
from twin.cli.problems import CONFLICT, Problem

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
        env=os.environ | {"XDG_RUNTIME_DIR": str(folder)},
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
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with owner(tmp_path, "opc.tcp://localhost:4840/takttwin") as first:
        mine = Lease(URL)
        with pytest.raises(Problem, match="this one stays advisory") as refused:
            mine.take()
        assert refused.value.code == CONFLICT
        Lease("opc.tcp://127.0.0.1:4841").take()  # another line is another loop
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write("\n")
        first.stdin.flush()
        assert first.stdout.readline() == "given back\n"
        mine.take()
        mine.give_back()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_owner_that_dies_leaves_nothing_locked(
    how: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with owner(tmp_path, URL) as first:
        mine = Lease(URL)
        with pytest.raises(Problem):
            mine.take()
        first.send_signal(how)
        first.wait()
        mine.take()
        mine.give_back()


def test_an_owner_that_stands_still_still_owns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may go on at any time: its PLC sheds by the missing heartbeat, and nobody else steps in."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with owner(tmp_path, URL) as first:
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(Problem, match="stays advisory"):
            Lease(URL).take()
        first.send_signal(signal.SIGCONT)
