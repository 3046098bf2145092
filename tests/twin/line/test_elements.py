"""Courses of single line elements, worked out by hand; each is taken by both engines."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.anchor_lines import serial_plant
from tests.twin.line.small_lines import Run, changed, fixed, table_of
from twin.config import Plant
from twin.line import schema as s
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.model import Line, build_line

MIX = {
    "unit": "kg",
    "kind": "mix",
    "mean": 1.0,
    "choices": (1.0, 2.0),
    "hours": (1.0, 1.0),
    "validity": (0.0, 9.0),
}


def plant(cycles_s: list[float], room: list[int], **changes: Any) -> Plant:
    """A serial plant with changes: keys with double underscores are paths."""
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    return changed(serial_plant(fixed(*cycles_s), room), paths)


def course(line: Line, until_s: float, table: list[float] | None = None) -> Run:
    """The line's course on SimPy, after the compiled engine has taken the very same."""
    run = Run(line, table).to(until_s)
    state = initial_state(line, 1, 1)
    compiled = engine(line, table or table_of(), "compiled")
    happened = compiled.advance(state, {}, until_s).rows
    assert [(r[0], s.STATES[r[2]], s.STATES[r[3]], r[4]) for r in happened] == [
        (move[0], *move[2:], part) for move, part in zip(run.moves, run.parts, strict=True)
    ]
    assert state == run.state
    check_mass(line, run)
    return run


def check_mass(line: Line, run: Run) -> None:
    """Material that came in has left as parts, as scrap, or is still inside."""
    f, i, k = run.state.floats, run.state.ints, line.k
    at = k[s.K_LINE_F]
    inside = sum(
        f[k[s.K_PART_F] + slot * s.P_FLOATS + s.PART_MATERIAL_KG]
        for slot in range(k[s.K_SLOTS])
        if i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
    )
    out_kg = f[at + s.LINE_OUT_KG] + f[at + s.LINE_SCRAP_KG]
    assert f[at + s.LINE_MATERIAL_KG] == pytest.approx(out_kg + inside, abs=1e-9)


def mixed(products: list[float], orders: int = 10**9) -> list[float]:
    """A table with one disturbance, the product, that changes from minute to minute."""
    return [number for product in products for number in (product, float(orders), 1.0)]


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


# --- setups --------------------------------------------------------------------------------------


def setting_up(picks: str = "fifo", **more: Any) -> Line:
    return build_line(
        plant(
            [5.0, 20.0],
            [9],
            disturbances={"size": MIX},
            source__mixed_by="size",
            source__takt_s__start=30.0,
            stations__1__setup={
                "default_s": 7.0,
                "changes": ({"before": 1.0, "after": 2.0, "setup_s": 11.0},),
            },
            stations__1__picks=picks,
            **more,
        )
    )


def test_another_product_takes_a_setup() -> None:
    # Blanks at 0, 30, 60, ...: two of product 1, two of product 2, two of 1 again.
    run = course(setting_up(), 165.0, mixed([1.0, 2.0, 1.0]))
    assert [move for move in run.of("m1") if move[1] == "setup"] == [
        (65.0, "setup"),
        (125.0, "setup"),
    ]
    # 1 to 2 is named: 11 s; 2 to 1 is not: 7 s. The first part of all needs none.
    assert run.times("m1", "setup", "processing") == [76.0, 132.0]
    assert run.time_in("m1")["setup"] == 18.0


@pytest.mark.parametrize(
    ("picks", "order"),
    [("fifo", [1, 2, 3, 4, 5]), ("lifo", [1, 4, 5, 6, 7]), ("same_product", [1, 4, 5, 2, 3])],
)
def test_which_part_is_taken_next(picks: str, order: list[int]) -> None:
    line = build_line(
        plant(
            [5.0, 100.0],
            [9],
            disturbances={"size": MIX},
            source__mixed_by="size",
            source__takt_s__start=25.0,
            stations__1__setup={"default_s": 0.0, "changes": ()},
            stations__1__picks=picks,
        )
    )
    # Parts 1 to 3 enter in the first minute: 1 of product 1 ... the table changes by the minute.
    run = course(line, 520.0, mixed([1.0, 2.0, 1.0]) if picks != "fifo" else mixed([1.0]))
    begun = [
        part
        for move, part in zip(run.moves, run.parts, strict=True)
        if move[1] == "m1" and move[3] == "processing"
    ]
    if picks == "same_product":
        # 1, 2, 3 are product 1 (at 0, 25, 50 s), 4 and 5 product 2 (75, 100), the rest product 1.
        order = [1, 2, 3, 6, 7]
    elif picks == "lifo":
        # At 105 the newest is 5, at 205 it is 9; at 305 the nine places are full, 13 still stands in m0.
        order = [1, 5, 9, 12, 13]
    assert begun[:5] == order


# --- inspection and rework -----------------------------------------------------------------------


def reworking(passes: int, **more: Any) -> Line:
    """m0 spoils what it makes after a rest, however short; m1 inspects and sends it back to m0."""
    base = plant([10.0, 5.0], [4], source__takt_s__start=100.0)
    data = {
        "stations__0__restart_scrap_parts": 1,
        "stations__0__restart_after_s": 1.0,
        "stations__1__inspects": True,
        "stations__1__inspection": {"rework_to": "infeed", "rework_passes": passes, **more},
    }
    return build_line(changed(base, {k.replace("__", "."): v for k, v in data.items()}))


def test_a_bad_part_comes_round_as_often_as_allowed() -> None:
    run = course(reworking(passes=2), 199.0)
    # The first part meets no rest. The second comes at 100; m0 at 110, 125, 140, m1 5 s later each
    # time: twice back, then scrap; the source makes up for it at 200.
    assert run.times("m0", "processing", "idle") == [10.0, 110.0, 125.0, 140.0]
    assert run.counter("m1", s.SCRAPPED) == 1
    assert run.count(s.LINE_SCRAPPED) == 1
    assert run.count(s.GOOD) == 1


def test_an_inspection_that_finds_nothing_lets_bad_parts_go() -> None:
    run = course(reworking(passes=2, finds=0.0), 199.0)
    assert (run.count(s.GOOD), run.count(s.LINE_SCRAPPED)) == (2, 0)


def test_false_alarms_send_good_parts_back() -> None:
    line = build_line(
        plant(
            [10.0, 5.0],
            [4],
            source__takt_s__start=100.0,
            stations__1__inspects=True,
            stations__1__inspection={
                "false_alarms": 1.0,
                "rework_to": "infeed",
                "rework_passes": 1,
            },
        )
    )
    run = course(line, 99.0)
    assert run.times("m0", "processing", "idle") == [10.0, 25.0]
    assert run.count(s.LINE_SCRAPPED) == 1


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


# --- people --------------------------------------------------------------------------------------


def test_who_has_waited_longest_is_served_first() -> None:
    crew = {"name": "crew", "people": 1, "on_duty_h": ()}
    line = build_line(
        plant(
            [10.0, 10.0],
            [5],
            crews=(crew,),
            stations__0__needs={"work": ("crew",)},
            stations__1__needs={"work": ("crew",)},
        )
    )
    run = course(line, 55.0)
    # One person for both: m0 works to 10, gives its part on and waits from 10 on, as m1 does; m0 asked
    # first in the plant file's order, so they take turns.
    working = sorted((move[0], move[1]) for move in run.moves if move[3] == "processing")
    assert [round(at) for at, _ in working] == [0, 10, 20, 30, 40, 50]
    assert {name for _, name in working} == {"m0", "m1"}
    held = run.counter("m0", s.HELD) + run.counter("m1", s.HELD)
    assert held == line.element("crew")  # in one place only
    assert run.counter("crew", s.FREE) == 0


def test_a_break_ends_no_task_but_begins_none() -> None:
    # On duty for the first 25 s and from 60 s on (the day begins at 6 h).
    duty = ((6.0, 6.0 + 25.0 / 3600.0), (6.0 + 60.0 / 3600.0, 14.0))
    crew = {"name": "crew", "people": 1, "on_duty_h": duty}
    line = build_line(plant([10.0], [], crews=(crew,), stations__0__needs={"work": ("crew",)}))
    run = course(line, 75.0)
    assert run.of("m0") == [
        (0.0, "processing"),
        (30.0, "waiting"),
        (60.0, "processing"),
    ]
    assert run.times("m0", "processing", "idle") == [10.0, 20.0, 30.0, 70.0]


def failing(**more: Any) -> Line:
    """Two machines that fail after 50 s of work each on average, and one fitter for both."""
    way = {"mean_between_s": 40.0, "mean_repair_s": 30.0, "repair_law": "exponential"}
    return build_line(
        plant(
            [10.0, 10.0],
            [5],
            crews=({"name": "fitters", "people": 1, "on_duty_h": ()},),
            stations__0__failures={"stop": way},
            stations__1__failures={"stop": way},
            stations__0__needs={"repair": ("fitters",)},
            stations__1__needs={"repair": ("fitters",)},
            **more,
        )
    )


def test_one_fitter_repairs_one_machine_at_a_time() -> None:
    run = course(failing(), 5000.0)
    alone = course(
        build_line(changed(failing().plant, {"stations.0.needs": {}, "stations.1.needs": {}})),
        5000.0,
    )
    # The luck of repairs is the same; waiting for the fitter comes on top.
    down = {name: run.time_in(name)["down"] for name in ("m0", "m1")}
    assert sum(down.values()) > sum(alone.time_in(name)["down"] for name in ("m0", "m1"))
    both = 0.0
    since: dict[str, float] = {}
    for at, name, before, after in run.moves:
        if after == "down":
            since[name] = at
        elif before == "down":
            del since[name]
        both = max(both, len(since))
    assert both == 2  # it did happen that one had to wait


# --- failures of calendar time -------------------------------------------------------------------


def struck(**more: Any) -> Line:
    way = {
        "mean_between_s": 60.0,
        "mean_repair_s": 20.0,
        "repair_law": "exponential",
        "clock": "calendar",
    }
    return build_line(plant([10.0], [], stations__0__failures={"power": way}, **more))


def test_a_strike_comes_whether_the_station_works_or_not() -> None:
    busy = course(struck(), 20_000.0)
    resting = course(struck(source__takt_s__start=500.0), 20_000.0)
    for run in (busy, resting):
        # Renewal: up 60 s and down 20 s on average, about 250 times.
        assert run.time_in("m0")["down"] / 20_000.0 == pytest.approx(0.25, abs=0.03)
    before = {move[2] for move in resting.moves if move[3] == "down"}
    assert before >= {"idle", "processing"}


def test_the_interrupted_part_is_finished_after_a_strike() -> None:
    run = course(struck(), 2000.0)
    # Work done is a whole number of cycles and what is under way.
    done = run.counter("m0", s.OPS)
    assert 0.0 <= run.time_in("m0")["processing"] - 10.0 * done < 10.0


# --- upkeep --------------------------------------------------------------------------------------


def test_a_service_after_so_many_parts() -> None:
    line = build_line(plant([10.0], [], stations__0__service={"every_parts": 3, "service_s": 25.0}))
    run = course(line, 120.0)
    assert [move for move in run.of("m0") if move[1] == "service"] == [
        (30.0, "service"),
        (85.0, "service"),
    ]


def test_a_service_after_so_much_work() -> None:
    line = build_line(
        plant(
            [10.0],
            [],
            source__takt_s__start=20.0,
            stations__0__service={"every_working_s": 25.0, "service_s": 100.0},
        )
    )
    run = course(line, 160.0)
    # 10 s of work every 20 s: the third part ends at 50 with 30 s of work done.
    assert [move for move in run.of("m0") if move[1] == "service"] == [(50.0, "service")]


def test_a_service_waits_for_somebody() -> None:
    duty = ((6.0 + 100.0 / 3600.0, 14.0),)
    line = build_line(
        plant(
            [10.0],
            [],
            crews=({"name": "crew", "people": 1, "on_duty_h": duty},),
            stations__0__service={"every_parts": 3, "service_s": 25.0},
            stations__0__needs={"service": ("crew",)},
        )
    )
    run = course(line, 130.0)
    assert run.of("m0")[1:] == [
        (30.0, "waiting"),
        (100.0, "service"),
        (125.0, "processing"),
    ]


# --- sleeping ------------------------------------------------------------------------------------


def test_a_sleeper_wakes_when_enough_has_come_together() -> None:
    line = build_line(
        plant(
            [5.0, 5.0],
            [9],
            source__takt_s__start=50.0,
            stations__1__standby_after_s__start=30.0,
            stations__1__wake_at_parts=3,
        )
    )
    run = course(line, 250.0)
    # Parts are ready at 5, 55, 105, 155: m1 sleeps from 40 on, wakes for the third in its buffer (the
    # parts of 55, 105, 155), and has 20 s of warm-up.
    assert run.of("m1")[:5] == [
        (5.0, "processing"),
        (10.0, "idle"),
        (40.0, "standby"),
        (155.0, "warm_up"),
        (175.0, "processing"),
    ]
    # Those three are done at 190; the next, at 205, finds it awake.
    assert run.counter("m1", s.OPS) == 5
