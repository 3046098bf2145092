"""Products, setups, inspection and rework: courses worked out by hand, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.twin.line.element_courses import MIX, course, mixed, plant
from tests.twin.line.small_lines import changed
from twin.line import schema as s
from twin.line.model import Line, build_line

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


# --- what the elements owe each other ------------------------------------------------------------


def test_a_batch_is_filled_up_with_the_product_that_it_begins_with() -> None:
    line = build_line(
        plant(
            [5.0, 300.0],
            [9],
            disturbances={"size": MIX},
            source__mixed_by="size",
            source__takt_s__start=60.0,
            stations__1__setup={"default_s": 7.0, "changes": ()},
            stations__1__picks="same_product",
            stations__1__batch={"parts": 2, "at_least": None},
        )
    )
    # Five blanks, one a minute, of products 1, 1, 2, 3, 2. The first two are done at 365; the next
    # batch begins with part 3 (a setup of 7 s) and takes part 5, not part 4.
    run = course(line, 1000.0, mixed([1.0, 1.0, 2.0, 3.0, 2.0], orders=5))
    assert run.of("m1")[1:3] == [(365.0, "setup"), (372.0, "processing")]
    inside = [
        run.state.ints[line.k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
        for slot in range(line.k[s.K_SLOTS])
    ]
    assert [part for part in inside if part] == [4]
    assert run.count(s.GOOD) == 4


def test_a_setup_waits_for_somebody() -> None:
    # On duty from 100 s on. Product 2 comes at 65; two parts of it, then product 1 again.
    crew = {"name": "setters", "people": 1, "on_duty_h": ((6.0 + 100.0 / 3600.0, 14.0),)}
    line = setting_up(crews=(crew,), stations__1__needs={"setup": ("setters",)})
    run = course(line, 165.0, mixed([1.0, 2.0, 1.0]))
    assert run.of("m1")[-6:] == [
        (55.0, "idle"),
        (65.0, "waiting"),
        (100.0, "setup"),
        (111.0, "processing"),
        (151.0, "setup"),
        (158.0, "processing"),
    ]


def test_passes_are_counted_over_the_whole_line() -> None:
    base = plant([10.0, 5.0, 5.0], [4, 4], source__takt_s__start=200.0)
    inspection = {"false_alarms": 1.0, "rework_to": "infeed", "rework_passes": 2}
    # m1 takes every part for bad and sends it back twice; nothing is left for m2 to send back.
    data = {
        "stations.1.inspects": True,
        "stations.1.inspection": inspection,
        "stations.2.inspects": True,
        "stations.2.inspection": {**inspection, "rework_to": "b0"},
    }
    run = course(build_line(changed(base, data)), 199.0)
    assert run.times("m1", "processing", "idle") == [15.0, 30.0, 45.0]
    assert run.counter("m1", s.SCRAPPED) == run.count(s.LINE_SCRAPPED) == 1
    # Where m1 is sure and m2 is not, the part comes to m1 again after m2 has sent it back.
    data["stations.1.inspection"] = {**inspection, "false_alarms": 0.0}
    run = course(build_line(changed(base, data)), 199.0)
    assert run.times("m1", "processing", "idle") == [15.0, 25.0, 35.0]
    assert run.counter("m2", s.SCRAPPED) == run.count(s.LINE_SCRAPPED) == 1


# --- process models know the part in hand ---------------------------------------------------------


def test_a_station_works_on_the_product_in_its_hand_and_not_on_what_enters_now() -> None:
    # The product is read as a temperature here: a cold part takes more power at the second station.
    mix = MIX | {"unit": "Cel", "choices": (0.0, 20.0), "validity": (0.0, 30.0)}
    line = build_line(
        plant(
            [5.0, 50.0],
            [9],
            disturbances={"ambient_c": mix},
            source__mixed_by="ambient_c",
            source__takt_s__start=25.0,
            stations__1__parameters__cold_power_kw_per_k=0.1,
        )
    )
    # Blanks at 0, 25, 50 are cold, those from 60 on are not; the second station is 50 s behind each.
    products = mixed([0.0, 20.0, 20.0, 20.0, 20.0])
    energies = []
    for until_s in (54.0, 104.0, 154.0, 204.0, 254.0):
        run = course(line, until_s + 2.0, products)
        energies.append(run.state.floats[2 * s.E_FLOATS + s.LAST_ENERGY_KWH] * 3600.0 / 50.0)
    warm_kw = energies[-1]
    assert energies == pytest.approx([warm_kw + 2.0] * 3 + [warm_kw] * 2)
