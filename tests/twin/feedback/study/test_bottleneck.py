from __future__ import annotations

import pytest

from benchmarks.anchor_lines import Machine
from tests.twin.feedback.study.shifts import course_of
from tests.twin.line.small_lines import fixed
from twin.cli.offline import Offline
from twin.cli.shift import Shift
from twin.feedback.study import activities, shifting_bottleneck
from twin.feedback.study.bottleneck import active_periods
from twin.line import schema as s


def test_a_bottleneck_that_shifts_and_comes_back() -> None:
    """At 10 the longest under way is B's, at 18 A's second; where they overlap nobody is alone."""
    sole, shifting = shifting_bottleneck({"a": [(0, 10), (12, 20)], "b": [(5, 18)]})
    assert sole == {"a": [(0, 5), (18, 20)], "b": [(10, 12)]}
    assert shifting == {"a": [(5, 10), (12, 18)], "b": [(5, 10), (12, 18)]}


def test_a_short_period_inside_a_long_one_is_no_bottleneck() -> None:
    sole, shifting = shifting_bottleneck({"a": [(0, 100)], "b": [(20, 30), (90, 99)]})
    assert sole == {"a": [(0, 100)], "b": []}
    assert shifting == {"a": [], "b": []}


def test_where_nobody_is_active_nothing_limits() -> None:
    sole, shifting = shifting_bottleneck({"a": [(2, 4)], "b": [(6, 9)]})
    assert sole == {"a": [(2, 4)], "b": [(6, 9)]}
    assert shifting == {"a": [], "b": []}
    assert shifting_bottleneck({"a": []}) == ({"a": []}, {"a": []})


def test_three_in_a_row_leave_nothing_to_the_one_in_the_middle() -> None:
    sole, shifting = shifting_bottleneck({"a": [(0, 10)], "b": [(4, 15)], "c": [(9, 30)]})
    # At 10 c is the longest under way: b never takes over.
    assert sole == {"a": [(0, 9)], "b": [], "c": [(10, 30)]}
    assert shifting == {"a": [(9, 10)], "b": [], "c": [(9, 10)]}


def test_of_equal_periods_the_station_named_first_counts() -> None:
    sole, _ = shifting_bottleneck({"a": [(0, 10)], "b": [(0, 10)]})
    assert sole == {"a": [(0, 10)], "b": []}


def test_a_stay_of_no_length_breaks_no_active_period() -> None:
    rows = [
        (10.0, 1, s.IDLE, s.PROCESSING, 1),
        (20.0, 1, s.PROCESSING, s.IDLE, 0),
        (20.0, 1, s.IDLE, s.PROCESSING, 2),
        (25.0, 1, s.PROCESSING, s.DOWN, 2),
        (31.0, 1, s.DOWN, s.PROCESSING, 2),
        (36.0, 1, s.PROCESSING, s.BLOCKED, 2),
        (40.0, 1, s.BLOCKED, s.IDLE, 0),
        (50.0, 1, s.IDLE, s.PROCESSING, 3),
    ]
    assert active_periods(rows, 55.0) == [(10.0, 36.0), (50.0, 55.0)]
    assert active_periods([], 55.0) == []


@pytest.mark.parametrize("slow", [0, 1, 2])
def test_the_slowest_machine_of_a_steady_line(slow: int) -> None:
    """Once full, the slow machine never waits and each other one waits in every cycle."""
    cycles_s = [10.0] * 3
    cycles_s[slow] = 20.0
    found = activities(course_of(fixed(*cycles_s), [4, 4], minutes=120), from_s=1800.0)
    for n, activity in enumerate(found.values()):
        assert activity.active_share == pytest.approx(1.0 if n == slow else 0.5, abs=0.01)
        assert activity.sole_share == (1.0 if n == slow else 0.0)
        assert activity.bottleneck_share == activity.sole_share
        if n != slow:
            assert activity.mean_active_s == pytest.approx(10.0, abs=0.1)


def test_the_slowest_of_machines_that_scatter_and_fail() -> None:
    machines = [
        Machine(10.0),
        Machine(10.0),
        Machine(13.0),
        Machine(10.0, between_s=500.0, repair_s=50.0),
    ]
    found = activities(course_of(machines, [5, 5, 5], minutes=2000), from_s=3600.0)
    share = {name: activity.bottleneck_share for name, activity in found.items()}
    assert max(share, key=lambda name: share[name]) == "m2"
    assert share["m2"] > 0.5
    longest = max(found, key=lambda name: found[name].mean_active_s or 0.0)
    assert longest == "m2"  # the average active period says the same


def test_sole_shares_and_half_the_shifting_ones_fill_the_time() -> None:
    """Somebody is always active, and two share an overlap."""
    found = activities(course_of([Machine(10.0)] * 3, [3, 3], minutes=1000)).values()
    sole = sum(activity.sole_share for activity in found)
    shifting = sum(activity.shifting_share for activity in found)
    # Three in a chain may overlap at one instant; that is rare.
    assert sole + shifting / 2.0 == pytest.approx(1.0, abs=0.02)


def test_an_oven_is_the_bottleneck_when_carriers_queue_before_it_and_only_then() -> None:
    pushed = Offline(Shift("paint_cure_line"), saturated=True, truth=False, choice="simpy")
    found = activities(pushed.course(1, 4.0), from_s=3600.0)
    assert found["oven"].bottleneck_share > 0.8
    assert found["booth"].bottleneck_share < 0.3
    calm = Offline(
        Shift("paint_cure_line", utilisation=0.3), saturated=False, truth=False, choice="simpy"
    )
    waiting = activities(calm.course(1, 8.0), from_s=6.0 * 3600.0)  # the orders are worked off
    assert waiting["oven"].active_share < 0.1
