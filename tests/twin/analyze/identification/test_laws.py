"""Laws of times: intervals cover what the times were drawn from, and unknown is not zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.analyze.identification.laws import (
    between_failures,
    cv_of,
    exponential_mean,
    lognormal_cv,
    lognormal_mean,
    sigma_of,
    time_law,
)

NONE = np.array([])


def lognormal(rng: np.random.Generator, mean: float, cv: float, n: int) -> np.ndarray:
    sigma = sigma_of(cv)
    return np.exp(math.log(mean) - 0.5 * sigma**2 + sigma * rng.standard_normal(n))


@pytest.mark.parametrize("cv", [None, 0.8])
def test_intervals_of_lognormal_means_cover_as_often_as_they_say(cv: float | None) -> None:
    rng, hits = np.random.default_rng(5), 0
    for _ in range(60):
        found = lognormal_mean(lognormal(rng, 120.0, 0.8, 8), NONE, cv)
        hits += found.lo <= 120.0 <= found.hi
    assert hits >= 52


def test_times_that_were_not_over_are_no_short_times() -> None:
    rng, hits = np.random.default_rng(7), 0
    for _ in range(30):
        times = lognormal(rng, 100.0, 0.8, 60)
        over = times < 120.0
        censored_s = np.full(int((~over).sum()), 120.0)
        found = lognormal_mean(times[over], censored_s, None)
        hits += found.lo <= 100.0 <= found.hi
        assert lognormal_mean(times[over], NONE, None).estimate < found.estimate
    assert hits >= 26
    censored = exponential_mean(np.array([10.0, 20.0]), np.array([100.0]))
    assert censored.estimate == 65.0


@given(count=st.integers(1, 400), hours=st.floats(0.1, 1e4))
def test_a_rate_lies_in_its_interval_which_narrows_with_the_count(count: int, hours: float) -> None:
    found = between_failures(count, 3600.0 * hours)
    assert found.lo < found.estimate < found.hi
    more = between_failures(4 * count, 4 * 3600.0 * hours)
    assert more.hi / more.lo < found.hi / found.lo


def test_no_failure_bounds_the_time_between_them_from_below_alone() -> None:
    found = between_failures(0, 3600.0)
    assert math.isnan(found.estimate)
    assert 0.0 < found.lo < 3600.0
    assert math.isinf(found.hi)
    assert not found.is_closed
    assert not between_failures(3, 0.0).is_closed


@settings(max_examples=25)
@given(cv=st.floats(0.05, 2.0))
def test_scatter_and_its_logarithm_are_one_and_the_same(cv: float) -> None:
    assert cv_of(sigma_of(cv)) == pytest.approx(cv)


def test_the_law_is_the_declared_one_unless_the_times_speak_against_it() -> None:
    rng = np.random.default_rng(11)
    few = time_law(lognormal(rng, 100.0, 1.0, 5), NONE, "lognormal", 1.0)
    assert (few.law, few.cv_used) == ("lognormal", 1.0)
    many = time_law(rng.exponential(100.0, 400), NONE, "lognormal", 1.0)
    assert many.law == "exponential"
    assert time_law(lognormal(rng, 100.0, 0.3, 100), NONE, "exponential", 1.0).law == "lognormal"
    assert time_law(np.full(5, 90.0), NONE, "lognormal", 1.0).law == "fixed"
    narrow = time_law(lognormal(rng, 100.0, 0.2, 60), NONE, "lognormal", 1.0)
    assert math.isnan(narrow.cv_used)
    assert narrow.cv.hi < 0.5


def test_a_single_time_tells_no_scatter() -> None:
    assert not lognormal_cv(np.array([5.0])).is_closed
    assert not lognormal_mean(np.array([5.0]), NONE, None).is_closed
    assert not exponential_mean(NONE, NONE).is_closed
