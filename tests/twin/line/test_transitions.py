"""Courses of small lines, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.anchor_lines import Machine
from tests.twin.line.small_lines import Run, fixed, line_of, table_of
from twin.config import load_plant
from twin.kernels import draws
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.model import build_line
from twin.processes import load

SEED = 1


def slow(takt_s: float) -> dict[str, Any]:
    """A source with a takt that is felt."""
    return {"source__takt_s__start": takt_s}


# --- two stations --------------------------------------------------------------------------------


def test_a_fast_station_is_blocked_by_a_slow_one() -> None:
    # m0 takes 5, m1 takes 8, one place between them.
    run = Run(line_of(fixed(5.0, 8.0), [1])).to(30.0)
    assert run.of("m0") == [
        (0.0, "processing"),
        (20.0, "blocked"),  # part 4 is finished while part 3 still lies in the buffer
        (21.0, "processing"),
        (26.0, "blocked"),
        (29.0, "processing"),
    ]
    assert run.of("m1") == [(5.0, "processing")]
    assert run.times("m1", "processing", "idle") == [13.0, 21.0, 29.0]
    assert run.time_in("m0") == {"processing": 26.0, "blocked": 4.0}
    assert run.time_in("m1") == {"idle": 5.0, "processing": 25.0}
    assert run.count(s.GOOD) == 3
    # Energy: power of each state times its time; 0.7 kW at work, 0.4 kW otherwise.
    assert run.amount("m0", s.ENERGY_KWH + s.BLOCKED) == pytest.approx(0.4 * 4.0 / 3600.0)


def test_a_slow_station_starves_a_fast_one() -> None:
    run = Run(line_of(fixed(8.0, 5.0), [3])).to(29.0)
    assert run.of("m1") == [
        (8.0, "processing"),
        (13.0, "idle"),
        (16.0, "processing"),
        (21.0, "idle"),
        (24.0, "processing"),
    ]
    assert run.time_in("m0") == {"processing": 29.0}
    assert run.time_in("m1") == {"idle": 14.0, "processing": 15.0}


def test_parts_keep_their_numbers_from_station_to_station() -> None:
    run = Run(line_of(fixed(5.0, 8.0), [1])).to(40.0)
    for name in ("m0", "m1"):
        into_work = [
            part
            for move, part in zip(run.moves, run.parts, strict=True)
            if move[1] == name and move[3] == "processing"
        ]
        assert into_work == list(range(1, len(into_work) + 1))


def test_without_places_parts_go_from_hand_to_hand() -> None:
    run = Run(line_of(fixed(5.0, 8.0), [0])).to(30.0)
    assert run.of("m0") == [
        (0.0, "processing"),
        (10.0, "blocked"),
        (13.0, "processing"),
        (18.0, "blocked"),
        (21.0, "processing"),
        (26.0, "blocked"),
        (29.0, "processing"),
    ]
    assert run.times("m1", "processing", "idle") == [13.0, 21.0, 29.0]


def test_of_two_that_finish_together_the_first_station_goes_first() -> None:
    # At 10 the first station is done while the second still holds its part: blocked for no time.
    moves = Run(line_of(fixed(5.0, 5.0), [0])).to(10.5).moves
    assert [move for move in moves if move[0] == 10.0] == [
        (10.0, "m0", "processing", "blocked"),
        (10.0, "m1", "processing", "idle"),
        (10.0, "m0", "blocked", "idle"),
        (10.0, "m1", "idle", "processing"),
        (10.0, "m0", "idle", "processing"),
    ]


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


# --- failures ------------------------------------------------------------------------------------


def lucky(index: int, mean_s: float, purpose: int, element: int = 1) -> float:
    return draws.exponential(SEED, PLANT, element, purpose, index, mean_s)


def test_a_failure_interrupts_the_cycle_which_is_finished_after_the_repair() -> None:
    run = Run(line_of([Machine(60.0, None, 100.0, 30.0)], []), seed=SEED).to(2000.0)
    worked = 0.0
    done: list[float] = []
    now = 0.0
    to_failure, count = lucky(0, 100.0, draws.TIME_TO_FAILURE), 0
    downs = []
    while now < 2000.0:
        left = 60.0
        while to_failure < left:
            worked += to_failure
            left -= to_failure
            now += to_failure
            downs.append(now)
            now += lucky(2 * count, 30.0, draws.REPAIR)
            count += 1
            to_failure = lucky(2 * count, 100.0, draws.TIME_TO_FAILURE)
        now += left
        to_failure -= left
        done.append(now)
    assert len(downs) > 5
    assert run.times("m0", "processing", "down") == [t for t in downs if t < 2000.0]
    assert run.times("m0", "processing", "idle") == [t for t in done if t < 2000.0]


def test_two_ways_to_fail_have_clocks_of_their_own() -> None:
    ways = {
        name: {"mean_between_s": mean, "mean_repair_s": 10.0, "repair_law": "exponential"}
        for name, mean in (("short", 70.0), ("long", 150.0))
    }
    run = Run(line_of(fixed(40.0), [], stations__0__failures=ways), seed=SEED).to(3000.0)
    # In operating time each way fails on its own; each repair is one of that way's.
    failures = []
    for mode, mean in enumerate((70.0, 150.0)):
        worked = 0.0
        for n in range(60):
            worked += lucky(2 * n + mode, mean, draws.TIME_TO_FAILURE)
            failures.append((worked, lucky(2 * n + mode, 10.0, draws.REPAIR)))
    expected, repaired = [], 0.0
    for worked, repair in sorted(failures):
        expected.append(worked + repaired)
        repaired += repair
    downs = run.times("m0", "processing", "down")
    assert len(downs) > 20
    assert downs == pytest.approx(expected[: len(downs)])
    counts = [run.counter("m0", s.FAILURES + mode) for mode in (0, 1)]
    assert min(counts) > 5
    assert sum(counts) == len(downs)


def test_repairs_scatter_by_the_law_of_the_plant_file() -> None:
    machine = [Machine(60.0, None, 100.0, 30.0)]
    way = "stations__0__failures__breakdown__"
    run = Run(line_of(machine, [], **{f"{way}repair_law": "lognormal", f"{way}repair_cv": 0.5}))
    run.to(2000.0)
    downs, ups = (run.times("m0", *way) for way in (("processing", "down"), ("down", "processing")))
    repairs = [up - down for down, up in zip(downs, ups, strict=False)]
    expected = [
        draws.lognormal(SEED, PLANT, 1, draws.REPAIR, 2 * n, 30.0, 0.5) for n in range(len(repairs))
    ]
    assert repairs == pytest.approx(expected)


def test_an_idle_or_blocked_station_does_not_fail() -> None:
    machines = [Machine(5.0, None, 50.0, 30.0), Machine(60.0, None)]
    run = Run(line_of(machines, [1])).to(3000.0)
    assert run.counter("m0", s.FAILURES) > 2
    assert {before for _, name, before, after in run.moves if (name, after) == ("m0", "down")} == {
        "processing"
    }


def test_a_burst_of_failures_acts_on_the_failures_that_are_under_way() -> None:
    # The first failure would come at 100 x 60 s of work; from the second minute on 50 times as soon.
    calm = lucky(0, 6000.0, draws.TIME_TO_FAILURE)
    assert calm > 120.0
    line = line_of([Machine(40.0, None, 6000.0, 10.0)], [])
    run = Run(line, table_of(failures=(1.0, 50.0)), seed=SEED).to(7000.0)
    first = run.times("m0", "processing", "down")[0]
    assert first == pytest.approx(60.0 + (calm - 60.0) / 50.0)
    # And back: what is left when the burst ends is stretched again.
    ends = int(first // 60.0)
    table = table_of(failures=(1.0, *(50.0,) * (ends - 1), 1.0))
    run = Run(line, table, seed=SEED).to(7000.0)
    burst_s = 60.0 * (ends - 1)
    expected = 60.0 + burst_s + (calm - 60.0 - 50.0 * burst_s)
    assert run.times("m0", "processing", "down")[0] == pytest.approx(expected)


# --- standby -------------------------------------------------------------------------------------


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


# --- scrap ---------------------------------------------------------------------------------------


def defective(parts: int, element: int, probability: float = 0.2) -> list[int]:
    return [
        part
        for part in range(1, parts + 1)
        if draws.uniform(SEED, PLANT, element, draws.DEFECT, part) < probability
    ]


@pytest.mark.parametrize("inspected", [True, False])
def test_the_source_makes_up_for_scrap(inspected: bool) -> None:
    line = line_of(
        fixed(5.0, 5.0, 5.0),
        [2, 2],
        stations__0__parameters={"cycle_time_s": 5.0, "power_kw": 0.7, "defect": 0.2},
        stations__1__inspects=inspected,
    )
    run = Run(line, table_of((60,)), seed=SEED).to(1000.0)
    released = 60
    while released - len(defective(released, 1)) < 60:
        released += 1
    bad = len(defective(released, 1))
    assert bad > 2
    assert (run.count(s.RELEASED), run.count(s.GOOD), run.count(s.LINE_SCRAPPED)) == (
        released,
        60,
        bad,
    )
    # An inspection takes scrap out; without one it is found at the end of the line.
    scrapped = [run.counter(name, s.SCRAPPED) for name in ("m0", "m1", "m2")]
    assert scrapped == ([0, bad, 0] if inspected else [0, 0, bad])
    assert run.counter("m2", s.OPS) == (60 if inspected else released)
    at = line.k[s.K_LINE_F]
    assert run.state.floats[at + s.LINE_SCRAP_KG] == pytest.approx(float(bad))
    assert run.state.floats[at + s.LINE_MATERIAL_KG] == pytest.approx(float(released))
    assert run.state.ints[line.k[s.K_LINE_I] + s.FREE_SLOTS] == line.k[s.K_SLOTS]


def test_after_a_long_rest_the_first_parts_are_scrap_however_the_rest_was_spent() -> None:
    changes = {"stations__0__restart_scrap_parts": 2, "stations__0__restart_after_s": 50.0}
    idle = Run(line_of(fixed(5.0), [], **slow(100.0), **changes)).to(98.0)
    assert idle.count(s.GOOD) == 1
    idle.to(150.0, line__takt_s=10.0)  # parts at 98, 108 (scrap), 118, 128, 138
    assert (idle.count(s.GOOD), idle.count(s.LINE_SCRAPPED)) == (4, 2)
    asleep = Run(line_of(fixed(5.0), [], **slow(10.0), **changes)).to(7.0)
    asleep.to(40.0, m0__standby=1.0).to(75.0, m0__standby=0.0)
    # Awake at 60, 55 s after the last part: the parts of 60 and 65 are scrap, 70 is good.
    assert (asleep.count(s.GOOD), asleep.count(s.LINE_SCRAPPED)) == (1, 2)


# --- source --------------------------------------------------------------------------------------


def released_at(run: Run) -> list[float]:
    """When the only station took its parts: it is faster than the source."""
    return run.times("m0", "idle", "processing")


def test_the_source_keeps_its_takt() -> None:
    run = Run(line_of(fixed(5.0), [], **slow(20.0))).to(90.0)
    assert released_at(run) == [0.0, 20.0, 40.0, 60.0, 80.0]


@pytest.mark.parametrize(
    ("takt_s", "expected"),
    [
        (10.0, [0.0, 20.0, 30.0, 40.0]),
        (5.5, [0.0, 20.0, 25.5, 31.0, 36.5, 42.0]),
        (5.0, [0.0, 20.0, 25.0, 30.0, 35.0, 40.0]),
        (1.0, [0.0, 20.0, 25.0, 30.0, 35.0, 40.0]),
        (24.0, [0.0, 20.0, 44.0]),
    ],
)
def test_a_new_takt_counts_from_the_last_release(takt_s: float, expected: list[float]) -> None:
    run = Run(line_of(fixed(5.0), [], **slow(20.0))).to(25.0).to(45.0, line__takt_s=takt_s)
    assert released_at(run) == expected


def test_no_more_than_ordered_and_at_once_when_more_is_ordered() -> None:
    run = Run(line_of(fixed(5.0), [], **slow(20.0)), table_of((1, 3, 3, 4))).to(400.0)
    assert released_at(run) == [0.0, 60.0, 80.0, 180.0]
    assert run.count(s.GOOD) == run.count(s.RELEASED) == 4


def test_a_full_line_holds_the_source_back() -> None:
    run = Run(line_of(fixed(50.0), [], **slow(10.0), buffers__0__capacity={"value": 2.0})).to(60.0)
    # Station and two places: full at 20; from then on one part in for each one out.
    assert run.count(s.RELEASED) == 4
    assert run.amount("blanks", s.LAST_RELEASE_S) == 50.0


# --- tools ---------------------------------------------------------------------------------------


def test_a_worn_edge_is_changed_between_two_parts() -> None:
    shipped = load_plant("machining_line")
    turning = shipped.station("turning").model_copy(
        update={"failures": {}, "gives_to": "good_parts"}
    )
    takt = shipped.source.takt_s.model_copy(update={"start": 20.0})
    plant = shipped.model_copy(
        update={
            "stations": (turning,),
            "buffers": shipped.buffers[:1],
            "disturbances": {},
            "scenarios": {"nominal": shipped.scenarios["nominal"]},
            "variants": {"nominal": shipped.variants["nominal"]},
            "source": shipped.source.model_copy(update={"takt_s": takt}),
        }
    )
    line = build_line(plant)
    run = Run(line, seed=SEED).to(6 * 3600.0)
    assert turning.tool is not None
    model = load("cutting.turning")
    point = model.point(
        **{name: spec.start for name, spec in turning.setpoints.items()},
        **{name: float(value) for name, value in turning.parameters.items()},
    )
    cycle_s, _, _, _, wear_mm, *_ = model.numbers()(*point)
    life_cv = float(turning.tool.life_cv)
    end_mm, change_s = float(turning.tool.end_of_life_mm), float(turning.tool.change_s)
    now, tool = 0.0, 0
    expected: list[float] = []
    while now < 6 * 3600.0:
        factor = draws.lognormal(SEED, PLANT, 1, draws.TOOL_LIFE, tool, 1.0, life_cv)
        wear = 0.0
        while wear < end_mm:
            now += cycle_s
            wear += wear_mm * factor
        expected.append(now)
        now += change_s
        tool += 1
    changes = run.times("turning", "processing", "tool_change")
    assert len(changes) > 3
    assert changes == pytest.approx(expected[: len(changes)])
    assert run.counter("turning", s.TOOLS) == len(changes)
    ready = run.times("turning", "tool_change", "idle")
    assert ready == pytest.approx([t + change_s for t in expected[: len(ready)]])
