"""Resampling against SciPy, against loops written out, and against luck of known size."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import stats

from twin.feedback.compare import student_t
from twin.feedback.study.resampling import (
    OURS,
    SHIFTS,
    THEIRS,
    TIMES,
    crossed,
    drawn,
    interquartile_mean,
    mean_of,
    optimality_gap,
    percentiles,
    profile,
    redrawn,
    shares,
    tail_mean,
)

SKEWED = np.random.default_rng(7).lognormal(0.0, 0.8, 30)


@pytest.mark.parametrize("n", [1, 3, 4, 7, 30])
def test_the_interquartile_mean_is_scipys_trimmed_mean(n: int) -> None:
    values = np.random.default_rng(n).normal(size=(5, n))
    expected = stats.trim_mean(values, 0.25, axis=1)
    assert interquartile_mean(values) == pytest.approx(expected, rel=1e-12)


def test_the_tail_is_the_mean_of_the_lowest_tenth() -> None:
    values = np.arange(20.0)
    assert tail_mean(values) == pytest.approx(0.5)  # 0 and 1
    assert tail_mean(values, 0.125) == pytest.approx((0.0 + 1.0 + 0.5 * 2.0) / 2.5)
    assert tail_mean(np.array([3.0, 1.0, 2.0])) == 1.0  # less than one value: its own
    assert tail_mean(values, 1.0) == pytest.approx(values.mean())


def test_gap_and_profile_by_hand() -> None:
    scores = np.array([-0.5, 0.5, 1.0, 3.0])
    assert optimality_gap(scores) == pytest.approx((1.5 + 0.5 + 0.0 + 0.0) / 4.0)
    assert profile(scores, (-1.0, 0.0, 1.0, 2.0)) == [1.0, 0.75, 0.5, 0.25]


def test_bca_is_that_of_scipy() -> None:
    found = mean_of(SKEWED, (SHIFTS,))
    theirs = stats.bootstrap(
        (SKEWED,), np.mean, n_resamples=TIMES, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    plain = percentiles(found.value, redrawn(SKEWED, (SHIFTS,)))
    width = theirs.high - theirs.low
    assert found.value == pytest.approx(SKEWED.mean())
    assert found.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.03 * width)
    # Skewed to the right: the corrected interval lies further right than the percentiles do.
    assert found.low > plain.low
    assert found.high > plain.high + 0.03 * width


def test_values_that_are_all_the_same_have_no_width() -> None:
    found = mean_of(np.full((1, 1, 7), 0.1), (OURS, THEIRS, SHIFTS))
    assert found.low == found.value == found.high == pytest.approx(0.1)


def test_axes_are_drawn_each_on_its_own() -> None:
    values = np.random.default_rng(3).normal(size=(3, 2, 5))
    found = redrawn(values, (OURS, THEIRS, SHIFTS))
    for b in (0, 17, TIMES - 1):
        chosen = np.ix_(drawn(3, OURS)[b], drawn(2, THEIRS)[b], drawn(5, SHIFTS)[b])
        assert found[b] == pytest.approx(values[chosen].mean(), rel=1e-12)
    assert not np.array_equal(drawn(3, OURS), drawn(3, THEIRS))
    with pytest.raises(ValueError, match="1 axes are named, the table has 3"):
        mean_of(values, (SHIFTS,))


def test_draws_are_fair_and_always_the_same() -> None:
    rows = drawn(7, SHIFTS)
    counts = np.bincount(rows.ravel(), minlength=7)
    assert rows.shape == (TIMES, 7)
    assert stats.chisquare(counts).pvalue > 1e-3
    assert shares(7, SHIFTS).sum(axis=1) == pytest.approx(1.0)
    digest = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16]
    assert digest == "0a940007c355dfe4"


def test_the_error_of_one_axis_is_the_usual_one() -> None:
    found = crossed(SKEWED[None, None])
    assert found.mean == pytest.approx(SKEWED.mean())
    assert found.error == pytest.approx(stats.sem(SKEWED))
    assert found.freedom == 29
    with pytest.raises(ValueError, match="two shifts or more"):
        crossed(np.ones((1, 1, 1)))


def test_the_interval_of_crossed_seeds_holds_the_truth_and_that_of_shifts_alone_does_not() -> None:
    """Training seeds and shifts both scatter; a study that forgets the first is far too sure."""
    luck, studies = np.random.default_rng(11), 1000
    held = {"crossed": 0, "shifts": 0}
    for _ in range(studies):
        trained, shifts = luck.normal(size=(6, 1)), luck.normal(size=(1, 30))
        values = trained + shifts + luck.normal(size=(6, 30))
        for name, found in (("crossed", crossed(values)), ("shifts", crossed(values.mean(axis=0)))):
            held[name] += abs(found.mean) <= student_t(found.freedom) * found.error
    assert held["crossed"] / studies > 0.93
    assert held["shifts"] / studies < 0.75
