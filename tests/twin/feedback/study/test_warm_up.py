from __future__ import annotations

import pytest

from benchmarks.anchor_lines import Machine
from tests.twin.feedback.study.shifts import course_of
from tests.twin.line.small_lines import fixed
from twin.feedback.study import mser5, warm_up_of
from twin.kernels.draws import normal


def test_the_truncation_that_can_be_worked_out() -> None:
    """Two batches far off, then 1 and 0 in turn: with both dropped 18 are left, squares 18 / 4.

    The statistic is squares / n²: (18 / 4) / 18² = 1 / 72; one more dropped gives more, and so does
    one less by far.
    """
    batches = [10.0, 10.0] + [1.0, 0.0] * 9
    values = [value for value in batches for _ in range(5)]
    found = mser5(values)
    assert found.dropped == 10
    assert found.statistic == pytest.approx(1.0 / 72.0, rel=1e-12)
    assert found.is_settled


def test_a_series_that_never_moves_needs_no_warm_up_and_rounding_makes_none() -> None:
    assert mser5([0.1] * 100).dropped == 0
    assert mser5([0.1 + 1e-17 * (n % 3) for n in range(100)]).dropped == 0


def test_a_rest_that_fills_no_batch_is_left_out() -> None:
    batches = [10.0, 10.0] + [1.0, 0.0] * 9
    values = [value for value in batches for _ in range(5)]
    assert mser5([*values, 999.0, 999.0]) == mser5(values)


def test_a_series_that_keeps_rising_has_not_settled() -> None:
    assert not mser5([float(n) for n in range(200)]).is_settled


def test_a_calm_end_draws_no_cut_behind_a_level_that_dips() -> None:
    """Full but for a dip now and then; the last 55 values are all the same, scatter none."""
    level = [31.0] * 400
    for at in range(20, 380, 40):
        level[at : at + 5] = [25.0] * 5
    assert mser5([0.0] * 20 + level).dropped == 20


def test_a_decaying_beginning_is_cut_where_its_bias_is_lost_in_the_scatter() -> None:
    """Bias 20 · 0.97^n under scatter 1: below a tenth of the scatter from n = 174 on."""
    cuts = [
        mser5([20.0 * 0.97**n + normal(seed, 1, 0, 0, n) for n in range(1000)]).dropped
        for seed in range(30)
    ]
    assert 60 < sum(cuts) / len(cuts) < 240
    kept = [20.0 * 0.97**n for n in range(round(sum(cuts) / len(cuts)), 1000)]
    assert sum(kept) / len(kept) < 0.1


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="49 values"):
        mser5([1.0] * 49)


def test_the_slowest_series_of_a_line_decides() -> None:
    """A slow last machine behind 60 places: output is steady in minutes, parts pile up for an hour.

    60 places fill at one part in 30 s less one in 60 s, so in an hour. Then the first machine waits,
    and only from then on draws its steady power.
    """
    pilot = [course_of(fixed(30.0, 60.0), [60], minutes=600) for _ in range(2)]
    found = warm_up_of(pilot)
    assert found is not None
    assert found.after_s["output"] <= 300.0
    assert found.after_s["parts in the line"] == pytest.approx(3600.0, abs=300.0)
    assert found.hours == max(found.after_s.values()) / 3600.0 <= 1.2
    assert found.pilot_hours == 10.0


def test_a_pilot_that_is_too_short_says_so() -> None:
    assert warm_up_of([course_of([Machine(30.0, None), Machine(60.0, None)], [60], 100)]) is None
