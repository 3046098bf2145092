"""One server, one loop that may close it, however its address is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from twin.cli.lease import LOCKS, Lease
from twin.cli.problems import Problem

SERVER = "opc.tcp://127.0.0.1:4840"


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that everybody sees; this account's own one is beside it."""
    folder = tmp_path / "locks"
    folder.mkdir()
    monkeypatch.setenv(LOCKS, str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "ours"))
    return folder


def taken(endpoint: str = SERVER) -> Lease:
    lease = Lease(endpoint)
    lease.take()
    return lease


def assert_held(endpoint: str = SERVER) -> None:
    with pytest.raises(Problem, match="another process holds"):
        taken(endpoint)


@pytest.mark.parametrize(
    "other", ["opc.tcp://localhost:4840", "opc.tcp://127.0.0.1:4840/takttwin", SERVER]
)
def test_another_spelling_is_the_same_server(other: str) -> None:
    held = taken()
    assert_held(other)
    taken("opc.tcp://127.0.0.1:4841")
    held.give_back()
    taken(other)


def test_the_lock_is_one_that_every_account_may_hold(
    locks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the account's own folders and mask: who finds the file may lock it by looking at it."""
    before = os.umask(0o077)
    try:
        taken().give_back()
    finally:
        os.umask(before)
    (lock,) = locks.iterdir()
    assert stat.S_IMODE(lock.stat().st_mode) == 0o444
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "theirs"))
    held = taken()
    assert_held()
    held.give_back()


def test_a_lock_that_only_this_account_sees_says_so(
    locks: Path, caplog: pytest.LogCaptureFixture
) -> None:
    locks.rmdir()
    held = taken()
    assert "of this account alone, not from those of others" in caplog.text
    assert_held()
    held.give_back()


def test_a_link_in_the_place_of_a_lock_is_not_followed(
    locks: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taken()
    (lock,) = locks.iterdir()
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    taken()
    assert not (tmp_path / "elsewhere").exists()
    assert "of this account alone" in caplog.text
