"""A trend cut to few points shows real samples, among them the lowest and the highest."""

from __future__ import annotations

import math
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.store.records import SIGNALS, reading
from twin.store import historian as historian_module
from twin.store.extents import extent_columns
from twin.store.historian import Historian
from twin.store.quarantine import StoreError

NAME = SIGNALS[0].name
OTHER = SIGNALS[3].name


def record(path: Path, values: list[float], batch: int = 60) -> Historian:
    historian = Historian(path, SIGNALS, batch=batch)
    for k, value in enumerate(values):
        historian.append(reading(k * 10, (value, 0.0, 1.0, -value)), k * 10)
    historian.flush()
    return historian


def test_the_window_is_half_open(tmp_path: Path) -> None:
    with record(tmp_path / "h.duckdb", [0.0, 1.0, 2.0, 3.0]) as historian:
        got = historian.series([NAME, OTHER], 10, 30)
        assert got[NAME].time_us.tolist() == [10, 20]
        assert got[OTHER].value.tolist() == [-1.0, -2.0]
        assert historian.series([], 0, 10) == {}
        assert historian.series([NAME], 31, 90)[NAME].time_us.size == 0


def test_nothing_recorded_gives_empty_courses(tmp_path: Path) -> None:
    with Historian(tmp_path / "h.duckdb", SIGNALS) as historian:
        assert historian.series([NAME], 0, 10)[NAME].value.size == 0
        assert historian.series([NAME], 0, 10, 100)[NAME].value.size == 0


def test_bad_questions_are_refused(tmp_path: Path) -> None:
    with record(tmp_path / "h.duckdb", [0.0]) as historian:
        with pytest.raises(StoreError, match="milling"):
            historian.series(["milling.power_kw"], 0, 10)
        with pytest.raises(ValueError, match="window"):
            historian.series([NAME], 10, 10)
        with pytest.raises(ValueError, match="points"):
            historian.series([NAME], 0, 10, 1)


def test_few_samples_come_whole(tmp_path: Path) -> None:
    with record(tmp_path / "h.duckdb", [5.0, 5.0, 5.0, math.nan]) as historian:
        got = historian.series([NAME], 0, 100, 4)[NAME]
    assert got.time_us.tolist() == [0, 10, 20, 30]
    assert np.array_equal(got.value, [5.0, 5.0, 5.0, math.nan], equal_nan=True)


@pytest.mark.parametrize("batch", [60, 7])
def test_a_hole_is_seen_and_a_spike_survives(tmp_path: Path, batch: int) -> None:
    values = [20.0 + k % 3 for k in range(2000)]
    values[1234] = 999.0
    values[800:1100] = [math.nan] * 300
    with record(tmp_path / "h.duckdb", values, batch) as historian:
        got = historian.series([NAME], 0, 10**6, 40)[NAME]
    assert got.time_us.size <= 40
    assert got.value[got.time_us == 12340].tolist() == [999.0]
    assert np.isnan(got.value).any()
    assert np.all(np.diff(got.time_us) > 0)


@pytest.mark.parametrize("spike", [5, 20, 100, 195, 198])
def test_a_spike_beside_the_whole_stretches_counts_if_it_is_in_the_window(
    tmp_path: Path, spike: int
) -> None:
    values = [20.0 + k % 3 for k in range(200)]
    values[spike] = 999.0
    with record(tmp_path / "h.duckdb", values, 7) as historian:
        got = historian.series([NAME], 10 * 10, 197 * 10, 4)[NAME]
    assert got.time_us.size <= 4
    assert (999.0 in got.value.tolist()) == (10 <= spike < 197)


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.just(math.nan), st.floats(-1e6, 1e6), st.just(math.inf)),
        min_size=1,
        max_size=60,
    ),
    batch=st.integers(1, 9),
    stretch=st.integers(1, 6),
    window=st.tuples(st.integers(-20, 400), st.integers(1, 700)),
    points=st.integers(2, 30),
)
def test_a_cut_trend_is_made_of_samples_and_keeps_the_extremes(
    values: list[float], batch: int, stretch: int, window: tuple[int, int], points: int
) -> None:
    from_us, until_us = window[0], window[0] + window[1]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(historian_module, "READINGS", stretch)
        with record(Path(folder) / "h.duckdb", values, batch) as historian:
            whole = historian.series([NAME], from_us, until_us)[NAME]
            both = historian.series([OTHER, NAME], from_us, until_us, points)
    for name, sign in ((NAME, 1.0), (OTHER, -1.0)):
        got = both[name]
        assert got.time_us.size <= max(points, 0)
        assert np.all(np.diff(got.time_us) > 0)
        place = np.searchsorted(whole.time_us, got.time_us)
        assert np.array_equal(whole.time_us[place], got.time_us)
        assert np.array_equal(sign * whole.value[place], got.value, equal_nan=True)
        known = whole.value[~np.isnan(whole.value)]
        if known.size:
            assert np.nanmin(got.value) == (sign * known).min()
            assert np.nanmax(got.value) == (sign * known).max()
        assert (got.time_us.size == 0) == (whole.time_us.size == 0)


def test_stretches_continue_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    values = [math.sin(k / 9.0) for k in range(400)]
    record(path, values[:100], 7).close()
    with Historian(path, SIGNALS, batch=11) as historian:
        for k in range(100, 400):
            historian.append(reading(k * 10, (values[k], 0.0, 1.0, 0.0)), 0)
        historian.flush()
        stretches = historian._database().execute(
            "select from_us, until_us from extents where signal = 0 order by from_us"
        )
        rows = stretches.fetchall()
    assert rows[0][0] == 0
    for before, after in pairwise(rows):
        assert after[0] == before[1] + 10  # no reading between two stretches, none in both


def test_extremes_of_a_stretch_skip_the_unknown() -> None:
    values = np.array(
        [
            [math.nan, math.nan, math.inf, 1.0],
            [2.0, math.nan, math.nan, 1.0],
            [3.0, math.nan, math.nan, 1.0],
        ]
    )
    got = extent_columns(np.array([10, 20, 30]), values)
    assert got["low_us"].tolist()[:1] + got["high_us"].tolist()[:1] == [20, 30]
    assert np.array_equal(got["low"], [2.0, math.nan, math.inf, 1.0], equal_nan=True)
    assert np.array_equal(got["high"], [3.0, math.nan, math.inf, 1.0], equal_nan=True)
    assert got["low_us"].tolist()[2:] == [10, 10]
    assert set(got["until_us"].tolist()) == {30}
