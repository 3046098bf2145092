"""Closed segments hold what is committed, once, and another process can read them meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.twin.store.records import SECOND_US, SIGNALS, reading
from twin.cycle import Event
from twin.store.historian import Historian
from twin.store.quarantine import StoreError
from twin.store.segments import Segments

NAMES = [signal.name for signal in SIGNALS]


def test_segments_join_to_what_the_historian_has(tmp_path: Path) -> None:
    folder = tmp_path / "segments"
    with Historian(tmp_path / "h.duckdb", SIGNALS, batch=2) as historian:
        for k in range(1, 6):
            events = (Event(k * SECOND_US - 1, "turning", 3, 4, k),)
            historian.append(reading(k * SECOND_US, (float(k), 0.0, 1.0, 2.0), events), 0)
            historian.export_parquet(folder)
        historian.flush()
        historian.record_gap(7, 8, "test")
        historian.export_parquet(folder)
        with Segments(folder) as segments:
            assert segments.names == tuple(NAMES)
            theirs = segments.series(NAMES, 0, 10 * SECOND_US)
            ours = historian.series(NAMES, 0, 10 * SECOND_US)
            for name in NAMES:
                assert theirs[name].time_us.tolist() == ours[name].time_us.tolist()
                assert theirs[name].value.tolist() == ours[name].value.tolist()
            assert ours[NAMES[0]].value.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
            assert segments.series(NAMES, 0, 10 * SECOND_US, 2)[NAMES[0]].value.tolist() == [
                1.0,
                5.0,
            ]
            events_kept = segments._connection.execute("select part from events order by 1")
            assert events_kept.fetchall() == [(1,), (2,), (3,), (4,), (5,)]
            assert segments._connection.execute("from gaps").fetchall() == [(7, 8, "test")]
    names = sorted(path.name for path in folder.iterdir())
    assert len([name for name in names if name.startswith("samples-")]) == 3
    assert not [name for name in names if name.startswith(".")]


def test_a_folder_with_a_star_in_its_name_is_read_alone(tmp_path: Path) -> None:
    folders = [tmp_path / "run*[1]", tmp_path / "run2[1]"]
    for k, folder in enumerate(folders, 1):
        with Historian(tmp_path / f"{k}.duckdb", SIGNALS) as historian:
            historian.append(reading(k, (float(k), 0.0, 1.0, 2.0)), k)
            historian.flush()
            historian.export_parquet(folder)
    with Segments(folders[0]) as segments:
        assert segments.series(NAMES[:1], 0, 10)[NAMES[0]].value.tolist() == [1.0]


def test_a_closed_segment_never_changes(tmp_path: Path) -> None:
    folder = tmp_path / "segments"
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        historian.append(reading(1), 1)
        historian.flush()
        first = historian.export_parquet(folder)[-1]
        before = first.read_bytes(), first.stat().st_ino
        assert len(historian.export_parquet(folder)) == 3  # tags, gaps, kpis: nothing new
        historian.append(reading(2), 2)
        historian.flush()
        second = historian.export_parquet(folder)[-1]
    assert (first.read_bytes(), first.stat().st_ino) == before
    assert first.name == f"samples-{0:020d}-{2:020d}.parquet"
    assert second.name == f"samples-{2:020d}-{3:020d}.parquet"


def test_a_folder_name_with_a_quote_is_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "o'brien; drop table samples"
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        historian.append(reading(1), 1)
        historian.flush()
        historian.export_parquet(folder)
    with Segments(folder) as segments:
        assert segments.series(NAMES[:1], 0, 10)[NAMES[0]].value.tolist() == [1.5]


def test_an_empty_or_broken_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no closed segments"):
        Segments(tmp_path)
    for name in ("samples-0-1", "events-0-1", "tags", "gaps", "kpis"):
        (tmp_path / f"{name}.parquet").write_bytes(b"not parquet")
    with pytest.raises(StoreError, match="cannot be read"):
        Segments(tmp_path)
