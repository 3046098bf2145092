"""Stations that sleep, by command or by their time-out: courses of small lines, worked out by hand."""

from __future__ import annotations

import pytest

from tests.twin.line.small_courses import slow
from tests.twin.line.small_lines import Run, fixed, line_of
from twin.line import schema as s


def test_standby_by_command_lasts_until_it_is_taken_back() -> None:
    run = Run(line_of(fixed(5.0), [], **slow(10.0)))
    run.to(7.0).to(32.0, m0__standby=1.0).to(70.0, m0__standby=0.0)
    assert run.of("m0") == [
        (0.0, "processing"),
        (5.0, "idle"),
        (7.0, "standby"),  # the part that comes at 10 waits
        (32.0, "warm_up"),
        (52.0, "processing"),  # the parts of 10, 52 and 62, without a gap
        (67.0, "idle"),
    ]
    assert run.time_in("m0") == {
        "standby": 25.0,
        "warm_up": 20.0,
        "idle": 2.0 + 3.0,
        "processing": 5.0 + 15.0,
    }
    assert run.amount("m0", s.ENERGY_KWH + s.STANDBY) == pytest.approx(0.1 * 25.0 / 3600.0)
    assert run.amount("m0", s.ENERGY_KWH + s.WARM_UP) == pytest.approx(0.5 * 20.0 / 3600.0)


def test_a_station_asked_to_sleep_finishes_its_part_first() -> None:
    run = Run(line_of(fixed(5.0), [])).to(2.0).to(20.0, m0__standby=1.0)
    assert run.of("m0") == [(0.0, "processing"), (5.0, "standby")]
    assert run.count(s.GOOD) == 1


def test_a_station_asked_to_sleep_during_warm_up_finishes_it_first() -> None:
    run = Run(line_of(fixed(5.0), [], **slow(100.0))).to(7.0)
    run.to(10.0, m0__standby=1.0).to(15.0, m0__standby=0.0).to(60.0, m0__standby=1.0)
    assert run.of("m0")[2:] == [(7.0, "standby"), (10.0, "warm_up"), (30.0, "standby")]


def test_a_blocked_station_may_sleep_with_its_part_inside() -> None:
    run = Run(line_of(fixed(5.0, 60.0), [1])).to(20.0).to(30.0, m0__standby=1.0)
    assert run.of("m0")[-2:] == [(15.0, "blocked"), (20.0, "standby")]
    assert run.counter("m0", s.SLOT) >= 0
    # The second machine takes the next part at 65: there is room again while m0 is warming up.
    run.to(100.0, m0__standby=0.0)
    assert run.of("m0")[-4:] == [
        (30.0, "warm_up"),
        (50.0, "blocked"),
        (65.0, "processing"),
        (70.0, "blocked"),
    ]


def test_its_own_time_out_sends_a_station_to_sleep_and_work_wakes_it() -> None:
    line = line_of(fixed(5.0), [], **slow(100.0), stations__0__standby_after_s__start=30.0)
    run = Run(line).to(160.0)
    assert run.of("m0") == [
        (0.0, "processing"),
        (5.0, "idle"),
        (35.0, "standby"),
        (100.0, "warm_up"),
        (120.0, "processing"),
        (125.0, "idle"),
        (155.0, "standby"),
    ]


def test_a_time_out_with_a_finished_part_inside_ends_with_room_behind() -> None:
    line = line_of(fixed(5.0, 100.0), [1], stations__0__standby_after_s__start=30.0)
    run = Run(line).to(150.0)
    assert run.of("m0") == [
        (0.0, "processing"),
        (15.0, "blocked"),
        (45.0, "standby"),
        (105.0, "warm_up"),
        (125.0, "processing"),
        (130.0, "blocked"),
    ]


def test_a_new_time_out_counts_from_when_the_station_fell_idle() -> None:
    line = line_of(fixed(5.0), [], **slow(500.0))
    late = Run(line).to(50.0).to(100.0, m0__standby_after_s=60.0)
    assert late.of("m0")[-1] == (65.0, "standby")
    overdue = Run(line).to(50.0).to(100.0, m0__standby_after_s=30.0)
    assert overdue.of("m0")[-1] == (50.0, "standby")
    put_off = (
        Run(line).to(50.0).to(60.0, m0__standby_after_s=60.0).to(300.0, m0__standby_after_s=200.0)
    )
    assert put_off.of("m0")[-1] == (205.0, "standby")
    never = Run(line).to(50.0).to(60.0, m0__standby_after_s=60.0).to(300.0, m0__standby_after_s=1e6)
    assert never.of("m0")[-1] == (5.0, "idle")


def test_a_new_time_out_of_a_blocked_station_counts_from_when_it_was_blocked() -> None:
    run = Run(line_of(fixed(5.0, 200.0), [1])).to(50.0).to(100.0, m0__standby_after_s=60.0)
    assert run.of("m0")[-2:] == [(15.0, "blocked"), (75.0, "standby")]


def test_a_time_out_comes_before_a_part_of_the_same_instant() -> None:
    line = line_of(fixed(5.0), [], **slow(35.0), stations__0__standby_after_s__start=30.0)
    run = Run(line).to(40.0)
    assert run.moves[-2:] == [
        (35.0, "m0", "idle", "standby"),
        (35.0, "m0", "standby", "warm_up"),
    ]


def test_a_station_that_cannot_sleep_stays_awake() -> None:
    line = line_of(fixed(5.0), [], **slow(500.0), stations__0__standby=False)
    run = Run(line).to(50.0).to(400.0, m0__standby_after_s=30.0)
    assert run.of("m0") == [(0.0, "processing"), (5.0, "idle")]


def test_a_part_given_to_a_sleeping_station_without_places_wakes_it() -> None:
    line = line_of(fixed(5.0, 5.0), [0], **slow(100.0), stations__1__standby_after_s__start=30.0)
    run = Run(line).to(140.0)
    assert run.of("m1") == [
        (5.0, "processing"),
        (10.0, "idle"),
        (40.0, "standby"),
        (105.0, "warm_up"),
        (125.0, "processing"),
        (130.0, "idle"),
    ]
    assert run.of("m0")[-1] == (105.0, "idle")


def test_a_station_that_was_sent_to_sleep_takes_no_part_from_hand_to_hand() -> None:
    run = Run(line_of(fixed(5.0, 5.0), [0], **slow(20.0))).to(12.0).to(60.0, m1__standby=1.0)
    assert run.of("m1")[-1] == (12.0, "standby")
    assert run.of("m0")[-1] == (25.0, "blocked")
    run.to(90.0, m1__standby=0.0)
    assert run.times("m0", "blocked", "idle")[0] == 80.0
