"""One server, one loop that may close it, however its address is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from twin.cli.lease import LOCKS, Lease
from twin.cli.problems import Problem


@pytest.mark.parametrize(
    "other",
    ["opc.tcp://localhost:4840", "opc.tcp://127.0.0.1:4840/takttwin", "opc.tcp://127.0.0.1:4840"],
)
def test_another_spelling_is_the_same_server(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCKS, str(tmp_path))
    held = Lease("opc.tcp://127.0.0.1:4840")
    held.take()
    with pytest.raises(Problem, match="another process holds"):
        Lease(other).take()
    Lease("opc.tcp://127.0.0.1:4841").take()
    held.give_back()
    Lease(other).take()


def test_the_lock_is_one_that_every_account_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the account's own folders and mask: who finds the file may lock it by looking at it."""
    monkeypatch.setenv(LOCKS, str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "ours"))
    before, first = os.umask(0o077), Lease("opc.tcp://127.0.0.1:4840")
    try:
        first.take()
    finally:
        os.umask(before)
    first.give_back()
    (lock,) = tmp_path.iterdir()
    assert stat.S_IMODE(lock.stat().st_mode) == 0o444
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "theirs"))
    held = Lease("opc.tcp://127.0.0.1:4840")
    held.take()
    with pytest.raises(Problem, match="another process holds"):
        Lease("opc.tcp://127.0.0.1:4840").take()
    held.give_back()


def test_a_lock_that_only_this_account_sees_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(LOCKS, str(tmp_path / "missing"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    held = Lease("opc.tcp://127.0.0.1:4840")
    held.take()
    assert "of this account alone, not from those of others" in caplog.text
    with pytest.raises(Problem, match="another process holds"):
        Lease("opc.tcp://127.0.0.1:4840").take()
    held.give_back()


def test_a_link_in_the_place_of_a_lock_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(LOCKS, str(tmp_path / "locks"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "locks").mkdir()
    Lease("opc.tcp://127.0.0.1:4840").take()
    (lock,) = (tmp_path / "locks").iterdir()
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    Lease("opc.tcp://127.0.0.1:4840").take()
    assert not (tmp_path / "elsewhere").exists()
    assert "of this account alone" in caplog.text
