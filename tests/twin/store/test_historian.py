"""The historian keeps every reading as it came, and says truthfully what is durable."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.store.records import SECOND_US, SIGNALS, reading
from twin.cycle import Event, Kpi, Reading
from twin.store.historian import NOTHING, Historian
from twin.store.quarantine import StoreError

NAMES = [signal.name for signal in SIGNALS]


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_acknowledged_moves_with_each_commit_and_not_before(tmp_path: Path) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS, batch=3) as historian:
        assert historian.acknowledged_us == NOTHING
        told = [historian.append(reading(k * SECOND_US), k * SECOND_US) for k in range(1, 8)]
        assert (
            told
            == [NOTHING, NOTHING, 3 * SECOND_US, 3 * SECOND_US, 3 * SECOND_US] + [6 * SECOND_US] * 2
        )
        assert historian.flush() == 7 * SECOND_US
    assert rows(tmp_path / "h.duckdb", "select count(*) from samples") == [(7 * len(SIGNALS),)]


def test_close_commits_what_waits_and_may_be_repeated(tmp_path: Path) -> None:
    historian = Historian(tmp_path / "h.duckdb", SIGNALS)
    historian.append(reading(5), 6)
    historian.close()
    historian.close()
    assert historian.acknowledged_us == 5
    with pytest.raises(StoreError, match="closed"):
        historian.series(NAMES, 0, 5)


def test_unknown_is_null_and_never_zero(tmp_path: Path) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        historian.append(reading(1, (math.nan, 0.0, -0.0, math.inf)), 2)
        historian.flush()
        got = historian.series(NAMES, 0, 2)
        assert math.isnan(got[NAMES[0]].value[0])
        assert [got[name].value.tolist() for name in NAMES[1:]] == [[0.0], [-0.0], [math.inf]]
    stored = rows(tmp_path / "h.duckdb", "select signal, value, status from samples order by 1")
    assert stored == [(0, None, 128), (1, 0.0, 0), (2, 0.0, 0), (3, math.inf, 0)]


def test_a_sample_keeps_both_times_and_its_status(tmp_path: Path) -> None:
    taken = Reading(
        100,
        0,
        np.array([1.0, 2.0, 3.0, 4.0]),
        np.array([90, 91, 92, 93], dtype=np.int64),
        np.array([0, 1, 2, 2**40], dtype=np.int64),
    )
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        historian.append(taken, 105)
    query = "select time_us, received_us, value, source_us, status from samples order by signal"
    assert rows(tmp_path / "h.duckdb", query) == [
        (100, 105, 1.0, 90, 0),
        (100, 105, 2.0, 91, 1),
        (100, 105, 3.0, 92, 2),
        (100, 105, 4.0, 93, 2**40),
    ]


@pytest.mark.parametrize("time_us", [20, 19, 0])
def test_what_is_recorded_is_not_overwritten(tmp_path: Path, time_us: int) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        historian.append(reading(20), 20)
        with pytest.raises(ValueError, match="start a new run folder"):
            historian.append(reading(time_us), 21)
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        assert historian.acknowledged_us == 20
        with pytest.raises(ValueError, match="start a new run folder"):
            historian.append(reading(time_us), 21)
        historian.append(reading(21), 21)
    assert rows(tmp_path / "h.duckdb", "select distinct time_us from samples order by 1") == [
        (20,),
        (21,),
    ]


def test_arrays_that_do_not_fit_are_refused_at_once(tmp_path: Path) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        with pytest.raises(ValueError, match="must have 4 entries"):
            historian.append(reading(1, (1.0, 2.0)), 1)
        good = reading(1)
        texts = Reading(1, 0, good.values.astype(np.str_), good.source_us, good.status)
        with pytest.raises(ValueError, match="float64"):
            historian.append(texts, 1)
        historian.append(good, 1)


@pytest.mark.parametrize("bad", [{"batch": 0}, {"threads": 0}, {"batch": 9, "buffer_limit": 8}])
def test_settings_are_checked_before_a_file_is_made(tmp_path: Path, bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="historian"):
        Historian(tmp_path / "h.duckdb", SIGNALS, **bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"signals \(0\)"):
        Historian(tmp_path / "h.duckdb", ())
    assert list(tmp_path.iterdir()) == []


def test_events_gaps_and_kpis_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    events = (Event(7, "turning", 3, 4, 0), Event(9, "turning", 4, 3, 12))
    with Historian(path, SIGNALS) as historian:
        historian.append(reading(10, events=events), 11)
        historian.record_kpis(
            [
                Kpi("energy_per_part", 0.31, "kW.h", 0, 10),
                Kpi("scrap_ratio", math.nan, "1", 0, 10),
            ]
        )
        historian.record_gap(11, 20, "connection lost")
        assert historian.acknowledged_us == 10  # a gap is committed at once, with what waits
        historian.record_gap(30, 31, "")  # what some time-outs have to say
        with pytest.raises(ValueError, match="back to 11"):
            historian.record_gap(12, 11, "backwards")
    assert rows(path, "from events order by time_us") == [
        (7, "turning", 3, 4, 0, 10),
        (9, "turning", 4, 3, 12, 10),
    ]
    assert rows(path, "from gaps") == [
        (11, 20, "connection lost"),
        (30, 31, "no reason given"),
    ]
    assert rows(path, "from kpis order by name") == [
        ("energy_per_part", 0.31, "kW.h", 0, 10),
        ("scrap_ratio", None, "1", 0, 10),
    ]


def test_the_tag_registry_has_unit_codes_and_places_in_the_plant(tmp_path: Path) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS, line_path="acme/berlin/hall2/line1"):
        pass
    assert rows(tmp_path / "h.duckdb", "from tags order by signal") == [
        (0, NAMES[0], "kW", "PV", "acme/berlin/hall2/line1/turning", "Stations/turning/Power"),
        (1, NAMES[1], "mm", "MV", "acme/berlin/hall2/line1/turning", "Stations/turning/Feed"),
        (2, NAMES[2], "s", "MV", "acme/berlin/hall2/line1", "Line/Takt"),
        (3, NAMES[3], "{EUR}/MW.h", "DV", "acme/berlin/hall2/line1", "Environment/Price"),
    ]


def test_another_list_of_signals_needs_another_file(tmp_path: Path) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        historian.append(reading(1), 1)
    with pytest.raises(StoreError, match="new run folder"):
        Historian(tmp_path / "h.duckdb", SIGNALS[:3])
    with pytest.raises(StoreError, match=r"turning.feed_mm.*is now"):
        Historian(tmp_path / "h.duckdb", (SIGNALS[0], SIGNALS[2], SIGNALS[1], SIGNALS[3]))
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        assert historian.acknowledged_us == 1


VALUE = st.one_of(st.just(math.nan), st.floats(allow_nan=False, width=64))
ROW = st.tuples(st.integers(1, 10**6), st.tuples(VALUE, VALUE, VALUE, VALUE))


@settings(max_examples=20, deadline=None)
@given(
    steps=st.lists(ROW, min_size=1, max_size=12), batch=st.integers(1, 5), cut=st.integers(0, 11)
)
def test_all_that_went_in_comes_out_bit_for_bit(
    steps: list[tuple[int, tuple[float, float, float, float]]], batch: int, cut: int
) -> None:
    times = np.cumsum([step for step, _ in steps]).tolist()
    values = np.array([row for _, row in steps])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "h.duckdb"
        taken = [reading(at, row) for at, (_, row) in zip(times, steps, strict=True)]
        for part in (taken[:cut], taken[cut:]):  # closed and opened again in between
            with Historian(path, SIGNALS, batch=batch) as historian:
                for one in part:
                    historian.append(one, one.time_us + 3)
        with Historian(path, SIGNALS) as historian:
            assert historian.acknowledged_us == times[-1]
            traces = historian.series(NAMES, 0, times[-1] + 1)
    for column, name in enumerate(NAMES):
        assert traces[name].time_us.tolist() == times
        stored, sent = traces[name].value, values[:, column]
        known = ~np.isnan(sent)
        assert np.array_equal(np.isnan(stored), ~known)
        assert stored[known].tobytes() == sent[known].tobytes()


def test_raw_samples_by_their_time_at_the_source(tmp_path: Path) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS, batch=3) as historian:
        for n in range(1, 8):
            historian.append(reading(n * SECOND_US), n * SECOND_US)
        taken = [n * SECOND_US - 10 for n in range(1, 8)]  # a little before
        found = historian.samples(NAMES[0], taken[1], taken[5], 100)
        assert found.source_us.tolist() == taken[1:6]
        assert found.value.tolist() == [1.5] * 5
        newest = historian.samples(NAMES[0], 0, 10**9, 2, newest_first=True)
        assert newest.source_us.tolist() == taken[:-3:-1]
        with pytest.raises(StoreError, match="not recorded here"):
            historian.samples("no.such", 0, 1, 1)
