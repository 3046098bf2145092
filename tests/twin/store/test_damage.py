"""A damaged store is set aside whole and said; a store in use or out of reach is left alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.twin.store.records import SIGNALS, UTC, accepted, cycle, decision, reading
from twin.store import database
from twin.store.audit import Audit
from twin.store.closed import ClosedHistorian
from twin.store.historian import NOTHING, Historian
from twin.store.quarantine import StoreError, cause_of


def filled_historian(path: Path) -> bytes:
    with Historian(path, SIGNALS) as historian:
        for k in range(200):
            historian.append(reading(k, (float(k), 0.0, 1.0, 2.0)), k)
    return path.read_bytes()


def filled_audit(path: Path) -> bytes:
    with Audit(path) as audit:
        for k in range(1, 60):
            audit.intend(decision(k, line__takt_s=60.0), UTC)
            audit.conclude(accepted(k), UTC)
            audit.record_cycle(cycle(k))
    return path.read_bytes()


def damaged(whole: bytes, how: str) -> bytes:
    half = len(whole) // 2
    return {
        "empty of sense": b"this is a text, and no store at all " * 400,
        "cut to a half": whole[:half],
        "cut in the header": whole[:50],
        "overwritten at the start": bytes(4096) + whole[4096:],
        "overwritten in the second half": whole[:half] + b"\xff" * (len(whole) - half),
    }[how]


HOW = [
    "empty of sense",
    "cut to a half",
    "cut in the header",
    "overwritten at the start",
    "overwritten in the second half",
]


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_historian_is_set_aside(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "h.duckdb"
    broken = damaged(filled_historian(path), how)
    path.write_bytes(broken)
    with Historian(path, SIGNALS) as historian:
        assert "h.duckdb.damaged-1" in historian.warning
        assert historian.warning in caplog.text
        assert historian.acknowledged_us == NOTHING
        historian.append(reading(5), 5)
        assert historian.flush() == 5
    assert (tmp_path / "h.duckdb.damaged-1").read_bytes() == broken
    with Historian(path, SIGNALS) as historian:
        assert historian.warning == ""  # once, not at every start
        assert historian.acknowledged_us == 5


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_audit_is_set_aside(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audit.sqlite"
    broken = damaged(filled_audit(path), how)
    path.write_bytes(broken)
    with Audit(path) as audit:
        assert "audit.sqlite.damaged-1" in audit.warning
        assert audit.warning in caplog.text
        assert audit.last_sequence == 0
        audit.intend(decision(1, line__takt_s=60.0), UTC)
    assert (tmp_path / "audit.sqlite.damaged-1").read_bytes() == broken
    with Audit(path) as audit:
        assert audit.warning == ""
        assert audit.last_sequence == 1


def test_an_empty_historian_is_set_aside_like_any_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    path.touch()
    with Historian(path, SIGNALS) as historian:
        assert "h.duckdb.damaged-1" in historian.warning
    assert (tmp_path / "h.duckdb.damaged-1").stat().st_size == 0


@pytest.mark.parametrize("how", [*HOW, "nothing"])
def test_a_closed_historian_that_is_damaged_is_left_as_it_is(tmp_path: Path, how: str) -> None:
    path = tmp_path / "h.duckdb"
    whole = filled_historian(path)
    broken = b"" if how == "nothing" else damaged(whole, how)
    path.write_bytes(broken)
    with pytest.raises(StoreError, match=r"h.duckdb: damaged: ") as refused:
        ClosedHistorian(path)
    assert "restore" in refused.value.hint
    assert [found.name for found in tmp_path.iterdir()] == ["h.duckdb"]
    assert path.read_bytes() == broken


def test_a_closed_historian_is_read_and_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    whole = filled_historian(path)
    with ClosedHistorian(path) as closed:
        assert closed.newest_us == 199
        assert closed.series([SIGNALS[0].name], 5, 8)[SIGNALS[0].name].value.tolist() == [5, 6, 7]
    assert path.read_bytes() == whole
    with pytest.raises(StoreError, match="there is no historian"):
        ClosedHistorian(tmp_path / "other.duckdb")
    assert not (tmp_path / "other.duckdb").exists()


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        ("TransactionContext Error: Failed to commit: x: File too large", "the file may", "raise"),
        ("IO Error: could not write:\n No space left on device", "no space is left", "free space"),
        ("database or disk is full", "no space is left", "free space"),
        ("Catalog Error: Table t", "Table t", ""),
        ("disk I/O error", "disk I/O error", ""),
    ],
)
def test_a_cause_is_told_without_the_names_of_an_engine(text: str, cause: str, remedy: str) -> None:
    told, todo = cause_of(RuntimeError(text))
    assert told.startswith(cause)
    assert todo.startswith(remedy)
    assert bool(todo) is bool(remedy)


def test_earlier_copies_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    for text in (b"one " * 4000, b"two " * 4000):
        path.write_bytes(text)
        Historian(path, SIGNALS).close()
    assert (tmp_path / "h.duckdb.damaged-1").read_bytes() == b"one " * 4000
    assert (tmp_path / "h.duckdb.damaged-2").read_bytes() == b"two " * 4000


def test_a_log_that_belongs_to_a_damaged_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    whole = filled_historian(path)
    path.write_bytes(damaged(whole, "cut to a half"))
    (tmp_path / "h.duckdb.wal").write_bytes(b"changes to a file that is gone")
    Historian(path, SIGNALS).close()
    assert (tmp_path / "h.duckdb.damaged-1.wal").read_bytes() == b"changes to a file that is gone"
    with Historian(path, SIGNALS) as historian:
        assert historian.acknowledged_us == NOTHING


def test_a_historian_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    program = (
        "import sys; from tests.twin.store.records import SIGNALS\n"
        "from pathlib import Path; from twin.store.historian import Historian\n"
        "from twin.store.closed import ClosedHistorian\n"
        "from twin.store.quarantine import StoreError\n"
        "path = Path(sys.argv[1])\n"
        "for open_it in (lambda: Historian(path, SIGNALS), lambda: ClosedHistorian(path)):\n"
        "    try:\n        open_it()\n"
        "    except StoreError as error:\n        print(error, error.hint)\n"
    )
    with Historian(path, SIGNALS) as historian:
        historian.append(reading(1), 1)
        historian.flush()
        second = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert "cannot be opened" in second.stdout
        assert str(os.getpid()) in second.stdout
        assert "in use by a loop that runs wait until the loop has ended" in second.stdout
        historian.append(reading(2), 2)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["h.duckdb"]


def test_a_folder_that_is_not_there_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Historian(tmp_path / "nowhere" / "h.duckdb", SIGNALS)
    with pytest.raises(StoreError, match="cannot be opened"):
        Audit(tmp_path / "nowhere" / "audit.sqlite")


def test_a_locked_audit_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.sqlite"
    Audit(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("pragma locking_mode=exclusive")
    holder.execute("begin exclusive")
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda place, **options: connect(place, timeout=0.0, **options)
    )
    with pytest.raises(StoreError, match="locked"):
        Audit(path)
    holder.execute("rollback")
    holder.close()
    assert path.is_file()
    assert not list(tmp_path.glob("*damaged*"))


def test_samples_that_cannot_be_read_are_no_silent_hole(tmp_path: Path) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        historian.append(reading(1), 1)
        historian.flush()
        historian._database().execute("drop table samples")
        with pytest.raises(StoreError, match="cannot be read"):
            historian.series([SIGNALS[0].name], 0, 10)
        historian._database().execute("create table samples as select 1 as one")


def test_damage_found_while_running_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A commit that reports failure although it landed must not record a reading twice."""
    path = tmp_path / "h.duckdb"
    historian = Historian(path, SIGNALS, batch=1)
    real = Historian._write
    failures = iter([True, False])

    def landed_but_failed(self: Historian, *args: object) -> None:
        real(self, *args)  # type: ignore[arg-type]
        if next(failures):
            raise duckdb.IOException("the answer was lost")

    historian.append(reading(1), 1)
    monkeypatch.setattr(Historian, "_write", landed_but_failed)
    assert historian.append(reading(2), 2) == 1
    assert "answer was lost" in historian.trouble
    assert historian.append(reading(3), 3) == 3
    assert historian.trouble == ""
    assert "recording again" in caplog.text
    monkeypatch.undo()
    assert historian.series([SIGNALS[0].name], 0, 9)[SIGNALS[0].name].time_us.tolist() == [1, 2, 3]
    historian.close()


def test_a_disk_that_does_not_sync_has_damaged_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file stays where it is, readings wait, and nothing that the system says ends the loop."""
    path = tmp_path / "h.duckdb"
    text = 'IO Error: Could not fsync file "h.duckdb.wal": Invalid argument'
    with Historian(path, SIGNALS, batch=1) as historian:
        historian.append(reading(1, (1.0, 0.0, 1.0, 2.0)), 1)
        for n, error in enumerate((duckdb.IOException(text), OSError(77, "a bad state")), 2):

            def failing(*_: object, error: Exception = error) -> None:
                raise error

            with monkeypatch.context() as patched:
                patched.setattr(database, "_open", failing)
                patched.setattr(Historian, "_write", failing)
                historian.append(reading(2 * n, (1.0, 0.0, 1.0, 2.0)), 2 * n)
                historian.append(reading(2 * n + 1, (1.0, 0.0, 1.0, 2.0)), 2 * n + 1)
            assert historian.trouble
            assert not list(tmp_path.glob("*damaged*"))
        assert historian.flush() > 1
    with ClosedHistorian(path) as past:
        assert len(past.series([SIGNALS[0].name], 0, 10**12)[SIGNALS[0].name].time_us) == 5
