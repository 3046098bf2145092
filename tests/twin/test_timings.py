from __future__ import annotations

from statistics import median_low

import numpy as np
import pytest

from twin.cli.results import timing_file
from twin.timings import DecisionTimes, Timings


def test_a_run_of_normal_length_has_exact_figures() -> None:
    taken = Timings()
    times = np.random.default_rng(1).exponential(0.1, 501).tolist()
    for one in times:
        taken.decisions.add(one)
    told = timing_file({"mpc": taken})["mpc"]
    assert told["decisions"] == 501
    assert told["decision_median_s"] == median_low(times)
    assert told["decision_p99_s"] == sorted(times)[495]
    assert told["decision_longest_s"] == max(times)
    assert taken.decisions.latest_s == times[-1]
    assert taken.decisions.longer_than(0.1) == sum(one > 0.1 for one in times)


def test_a_long_service_remembers_the_newest_and_the_sums_of_all() -> None:
    decisions = DecisionTimes(remembered=10)
    for n in range(100, 0, -1):
        decisions.add(float(n))
    assert len(decisions._last) == 10
    assert (decisions.count, decisions.sum_s, decisions.longest_s) == (100, 5050.0, 100.0)
    assert decisions.within(0.5) == 6.0


def test_before_the_first_decision_nothing_is_told() -> None:
    assert timing_file({"it": Timings()})["it"]["decision_longest_s"] is None
    assert DecisionTimes().within(0.5) is None
    with pytest.raises(IndexError):
        _ = DecisionTimes().latest_s
