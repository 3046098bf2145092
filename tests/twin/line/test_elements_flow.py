"""Machines side by side, batches, assembly, belts, release: courses worked out by hand, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.anchor_lines import serial_plant
from tests.twin.line.element_courses import course, plant
from tests.twin.line.small_lines import fixed, table_of
from twin.kernels.draws import DEFECT, PLANT, uniform
from twin.line import schema as s
from twin.line.model import Line, build_line

# --- servers, batches ----------------------------------------------------------------------------


def test_machines_side_by_side_share_the_buffers() -> None:
    line = build_line(plant([10.0, 5.0], [4], stations__0__servers=2))
    assert [element.name for element in line.stations] == ["m0_1", "m0_2", "m1"]
    run = course(line, 31.0)
    # Both begin at 0 (the second blank comes at once); each ends every 10 s, m1 takes 5 s a part.
    assert run.times("m0_1", "processing", "idle") == pytest.approx([10.0, 20.0, 30.0])
    assert run.times("m0_2", "processing", "idle") == pytest.approx([10.0, 20.0, 30.0], abs=1e-4)
    assert run.times("m1", "processing", "idle") == pytest.approx(
        [15.0, 20.0, 25.0, 30.0], abs=1e-4
    )


def test_a_batch_begins_when_it_is_whole_and_leaves_as_there_is_room() -> None:
    line = build_line(
        plant([5.0, 20.0, 6.0], [3, 1], stations__1__batch={"parts": 3, "at_least": None})
    )
    run = course(line, 70.0)
    # Three parts are there at 15; the batch takes 20 s. One goes on at 35 and is taken at once,
    # the second lies in the only place, the third blocks until m2 takes the second at 41.
    assert run.of("m1")[:4] == [
        (15.0, "processing"),
        (35.0, "blocked"),
        (41.0, "processing"),
        (61.0, "blocked"),
    ]
    assert run.times("m2", "processing", "idle") == [41.0, 47.0, 53.0, 67.0]
    assert run.counter("m1", s.OPS) == 6
    assert run.counter("m2", s.OPS) == 4


def test_a_batch_may_begin_with_fewer_parts() -> None:
    line = build_line(plant([5.0, 20.0], [4], stations__1__batch={"parts": 4, "at_least": 2}))
    run = course(line, 60.0)
    # Two at 10; until 30 four more have come, and a full batch begins.
    assert run.times("m1", "processing", "idle") == [30.0, 50.0]
    assert run.counter("m1", s.OPS) == 6


# --- assembly, disassembly -----------------------------------------------------------------------


def test_an_assembly_waits_for_all_that_it_needs() -> None:
    lids = {"name": "lids", "gives_to": "b_lids", "every_s": 8.0, "component_kg": 0.25}
    base = serial_plant(fixed(5.0, 6.0), [3])
    buffers = (*base.buffers, {"name": "b_lids", "capacity": {"value": 4.0}})
    line = build_line(
        plant(
            [5.0, 6.0],
            [3],
            buffers=buffers,
            supplies=(lids,),
            stations__1__also_takes=({"takes_from": "b_lids", "parts": 2},),
        )
    )
    run = course(line, 45.0)
    # Lids come at 0, 8, 16, ...: two are there at 8, 24, 40.
    assert run.of("m1") == [
        (8.0, "processing"),
        (14.0, "idle"),
        (24.0, "processing"),
        (30.0, "idle"),
        (40.0, "processing"),
    ]
    assert run.count(s.GOOD) == 2
    # What has left weighs a blank of 1 kg and two lids each; lids are no orders.
    assert run.state.floats[line.k[s.K_LINE_F] + s.LINE_OUT_KG] == pytest.approx(2 * 1.5)
    assert run.count(s.RELEASED) == run.count(s.GOOD) + 6


def test_what_comes_off_goes_its_own_way() -> None:
    base = serial_plant(fixed(5.0, 5.0, 30.0), [2, 2])
    buffers = (*base.buffers[:2], {"name": "b_cores", "capacity": {"value": 2.0}})
    line = build_line(
        plant(
            [5.0, 5.0, 30.0],
            [2, 2],
            buffers=buffers,
            stations__0__also_gives=({"gives_to": "b_cores", "parts": 1, "mass_share": 0.25},),
            stations__1__gives_to="out",
            stations__2__takes_from="b_cores",
        )
    )
    run = course(line, 26.0)
    # m2 takes 30 s a core: two more lie before it at 15; the fourth core has no room, m0 is blocked.
    assert run.of("m0")[-1] == (20.0, "blocked")
    assert run.count(s.GOOD) == 3
    out_kg = run.state.floats[line.k[s.K_LINE_F] + s.LINE_OUT_KG]
    assert out_kg == pytest.approx(3 * 0.75)  # cores are components: their mass counts, they do not


# --- belts ---------------------------------------------------------------------------------------


def test_a_part_has_to_travel_and_those_behind_close_up() -> None:
    line = build_line(plant([5.0, 12.0], [2], buffers__1__transit_s=20.0))
    run = course(line, 70.0)
    # Put on at 5 and 10: there at 25 and 30. The belt is full at 10, so m0 is blocked at 15 until
    # m1 takes the first at 25; what is put on then arrives at 45.
    assert run.of("m0")[:4] == [
        (0.0, "processing"),
        (15.0, "blocked"),
        (25.0, "processing"),
        (30.0, "blocked"),
    ]
    assert run.times("m1", "idle", "processing") == [25.0, 37.0, 49.0, 61.0]


# --- release -------------------------------------------------------------------------------------


def test_conwip_lets_one_in_for_each_that_leaves() -> None:
    line = build_line(plant([5.0, 8.0], [9], source__wip_limit=2))
    run = course(line, 60.0)
    assert run.times("m1", "processing", "idle") == [13.0, 21.0, 29.0, 37.0, 45.0, 53.0]
    inside = run.count(s.RELEASED) - run.count(s.GOOD)
    assert inside == 2
    assert ("blocked" not in {state for _, state in run.of("m0")}) is True


def test_components_keep_their_buffer_full_and_no_more() -> None:
    lids = {"name": "lids", "gives_to": "b_lids", "every_s": 2.0, "component_kg": 0.25}
    base = serial_plant(fixed(50.0, 6.0), [3])
    buffers = (*base.buffers, {"name": "b_lids", "capacity": {"value": 3.0}})
    line = build_line(
        plant(
            [50.0, 6.0],
            [3],
            buffers=buffers,
            supplies=(lids,),
            stations__1__also_takes=({"takes_from": "b_lids", "parts": 1},),
        )
    )
    run = course(line, 40.0)
    made = run.count(s.NEXT_PART) - run.count(s.RELEASED)
    assert made == 3


def test_demand_lets_blanks_in_as_orders_come() -> None:
    line = build_line(plant([5.0], []))
    # Orders so far, minute by minute: one, two, two, four.
    run = course(line, 400.0, table_of((1, 2, 2, 4)))
    assert run.times("m0", "idle", "processing") == pytest.approx([0.0, 60.0, 180.0, 185.0])
    assert run.count(s.GOOD) == 4


# --- what the elements owe each other ------------------------------------------------------------


def test_without_places_a_part_goes_to_whichever_machine_is_free() -> None:
    line = build_line(plant([5.0, 12.0], [0], stations__1__servers=2))
    run = course(line, 30.0)
    # Handed over at 5 and 10; the third is ready at 15 and waits for the first machine, free at 17.
    assert run.times("m1_1", "idle", "processing") == [5.0, 17.0, 29.0]
    assert run.times("m1_2", "idle", "processing") == [10.0, 22.0]
    assert run.of("m0")[1:3] == [(15.0, "blocked"), (17.0, "processing")]


def test_a_sleeper_that_is_woken_again_is_handed_what_has_waited_for_it() -> None:
    line = build_line(
        plant(
            [5.0, 5.0],
            [0],
            source__takt_s__start=100.0,
            stations__1__standby_after_s__start=30.0,
        )
    )
    # m1 works to 10 and falls asleep at 40. From 50 to 110 it must not wake; m0 is ready at 105.
    told = {50.0: {"m1.standby": 1.0}, 110.0: {"m1.standby": 0.0}}
    run = course(line, 140.0, told=told)
    assert run.of("m0")[-2:] == [(105.0, "blocked"), (110.0, "idle")]
    assert run.of("m1")[-3:] == [(110.0, "warm_up"), (130.0, "processing"), (135.0, "idle")]


def taking_apart(cycles_s: list[float], **more: Any) -> Line:
    """m0 takes a core off each part for m1; what is left leaves the line."""
    return build_line(
        plant(
            cycles_s,
            [2],
            buffers__1__name="b_cores",
            stations__0__also_gives=({"gives_to": "b_cores", "parts": 1, "mass_share": 0.25},),
            stations__0__gives_to="out",
            stations__1__takes_from="b_cores",
            **more,
        )
    )


def test_a_part_that_is_sent_back_or_scrapped_stays_whole() -> None:
    line = taking_apart(
        [5.0, 5.0],
        source__takt_s__start=100.0,
        stations__0__inspects=True,
        stations__0__inspection={"false_alarms": 1.0, "rework_to": "infeed", "rework_passes": 1},
    )
    run = course(line, 99.0)
    assert run.times("m0", "processing", "idle") == [5.0, 10.0]  # once more, then to scrap
    assert run.count(s.LINE_SCRAPPED) == run.count(s.NEXT_PART) == 1  # no core has come off
    assert run.state.floats[line.k[s.K_LINE_F] + s.LINE_SCRAP_KG] == 1.0


def test_who_sleeps_over_a_piece_without_room_wakes_when_that_has_room() -> None:
    line = taking_apart(
        [5.0, 200.0], buffers__1__capacity=1.0, stations__0__standby_after_s__start=30.0
    )
    # Cores at 5 (m1 takes it) and 10 (lies in the only place). The third has no room until 205.
    run = course(line, 226.0)
    assert run.of("m0")[1:] == [
        (15.0, "blocked"),
        (45.0, "standby"),
        (205.0, "warm_up"),
        (225.0, "processing"),
    ]


def test_what_comes_off_can_go_on_again() -> None:
    base = serial_plant(fixed(5.0, 6.0, 7.0), [2, 2])
    buffers = (*base.buffers, {"name": "b_cores", "capacity": {"value": 3.0}})
    line = build_line(
        plant(
            [5.0, 6.0, 7.0],
            [2, 2],
            buffers=buffers,
            stations__0__also_gives=({"gives_to": "b_cores", "parts": 2, "mass_share": 0.25},),
            stations__2__also_takes=({"takes_from": "b_cores", "parts": 2},),
        )
    )
    run = course(line, 300.0)
    assert run.count(s.GOOD) > 20
    out_kg = run.state.floats[line.k[s.K_LINE_F] + s.LINE_OUT_KG]
    assert out_kg == pytest.approx(run.count(s.GOOD) * 1.0)  # what was taken off is on again


def test_each_part_of_a_batch_has_its_own_luck() -> None:
    line = build_line(
        plant(
            [10.0],
            [],
            buffers__0__capacity=4.0,
            stations__0__batch={"parts": 4, "at_least": None},
            stations__0__parameters__defect={"value": 0.2},
        )
    )
    run = course(line, 1005.0)
    made = run.counter("m0", s.OPS)
    assert made == 400
    bad = [uniform(1, PLANT, line.element("m0"), DEFECT, n + 1) < 0.2 for n in range(made)]
    assert run.count(s.LINE_SCRAPPED) == sum(bad)
    assert sum(bad) / made == pytest.approx(0.2, abs=0.06)  # three standard deviations
