"""What is kept for how long: the live file stays small, old segments go, and the record says so."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.twin.store.records import SIGNALS, reading
from twin.store.historian import HOT_US, Historian
from twin.store.quarantine import StoreError
from twin.store.segments import Segments

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def fill(historian: Historian, from_h: int, until_h: int) -> None:
    for hour in range(from_h, until_h):
        historian.append(reading(hour * HOUR_US), hour * HOUR_US)


def rows(historian: Historian) -> tuple[int, int]:
    """The oldest sample of the live file, and how many there are."""
    found = historian._database().execute("select min(time_us), count(*) from samples").fetchone()
    assert found is not None
    return found


def test_closed_segments_leave_the_live_file_after_a_day_and_the_folder_after_their_time(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "segments"
    with Historian(tmp_path / "h.duckdb", SIGNALS, batch=1) as historian:
        for day in range(1, 6):
            fill(historian, 24 * day, 24 * (day + 1))
            historian.export_parquet(folder)
            historian.retire(folder, 3 * DAY_US)
        newest_us = historian.acknowledged_us
        oldest_us, _ = rows(historian)
        assert newest_us - DAY_US - HOT_US < oldest_us <= newest_us - HOT_US + HOUR_US
        trace = historian.series(["line.takt_s"], 0, newest_us + 1)["line.takt_s"]
        assert trace.time_us[0] == oldest_us
        (gap,) = historian._database().execute("from gaps").fetchall()
        assert gap == (0, 47 * HOUR_US + 1, "retired: kept for 3 days")
        historian.export_parquet(folder)
    with Segments(folder) as closed:
        assert closed.gaps() == [gap]
        trace = closed.series(["line.takt_s"], 0, newest_us + 1)["line.takt_s"]
        assert (trace.time_us[0], trace.time_us[-1]) == (2 * DAY_US, newest_us)
        assert len(trace.time_us) == 4 * 24
    assert len(list(folder.glob("samples-*"))) == len(list(folder.glob("events-*"))) == 4


def test_a_historian_goes_on_after_a_restart_with_what_it_kept(tmp_path: Path) -> None:
    folder = tmp_path / "segments"
    for day in range(1, 4):
        with Historian(tmp_path / "h.duckdb", SIGNALS, batch=1) as historian:
            fill(historian, 24 * day, 24 * (day + 1))
            historian.export_parquet(folder)
            historian.retire(folder, 30 * DAY_US)
    with Segments(folder) as closed:
        trace = closed.series(["line.takt_s"], 0, 5 * DAY_US)["line.takt_s"]
        assert len(trace.time_us) == 3 * 24


def test_nothing_leaves_before_it_is_in_a_closed_segment(tmp_path: Path) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS, batch=1) as historian:
        fill(historian, 24, 24 * 5)
        historian.retire(tmp_path / "segments", 2 * DAY_US)
        assert rows(historian) == (DAY_US, 4 * 24 * len(SIGNALS))
        assert historian._database().execute("from gaps").fetchall() == []


def test_without_its_record_no_segment_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "segments"
    with Historian(tmp_path / "h.duckdb", SIGNALS, batch=1) as historian:
        fill(historian, 24, 30)
        historian.export_parquet(folder)
        fill(historian, 30, 24 * 5)
        before = sorted(folder.iterdir())

        def full(*_: object) -> None:
            raise duckdb.IOException("No space left on device")

        monkeypatch.setattr(historian, "_write", full)
        with pytest.raises(StoreError, match="no space is left"):
            historian.retire(folder, DAY_US)
        assert sorted(folder.iterdir()) == before
        monkeypatch.undo()
        historian.retire(folder, DAY_US)
        assert not list(folder.glob("samples-*"))
