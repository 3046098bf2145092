"""People, failures, upkeep and sleep: courses worked out by hand, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.twin.line.element_courses import course, plant
from tests.twin.line.small_lines import changed
from twin.config import load_plant
from twin.kernels.draws import PLANT, REPAIR, STRIKE, STRIKE_REPAIR, exponential
from twin.line import schema as s
from twin.line.model import Line, build_line
from twin.line.scenario import build_table

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


# --- who is served, and by whom ------------------------------------------------------------------


def test_nobody_is_kept_by_a_station_while_another_has_waited_longer() -> None:
    line = build_line(
        plant(
            [10.0],
            [],
            crews=({"name": "crew", "people": 1, "on_duty_h": ()},),
            stations__0__servers=2,
            stations__0__service={"every_parts": 1, "service_s": 5.0},
            stations__0__needs={"work": ("crew",), "service": ("crew",)},
        )
    )
    run = course(line, 45.0)
    # m0_2 has a part from the beginning and waits; at 10 it is served, and not the service of m0_1.
    # That has waited since 10 and comes at 20, the one of m0_2 at 25; then m0_1 has waited since 25.
    stays = {name: run.of(name) for name in ("m0_1", "m0_2")}
    assert stays["m0_1"][:5] == [
        (0.0, "processing"),
        (10.0, "waiting"),
        (20.0, "service"),
        (25.0, "waiting"),
        (30.0, "processing"),
    ]
    assert [(round(at, 3), state) for at, state in stays["m0_2"]][-5:] == [
        (10.0, "processing"),
        (20.0, "waiting"),
        (25.0, "service"),
        (30.0, "waiting"),
        (40.0, "processing"),
    ]


def test_who_is_named_first_is_asked_first_also_when_all_come_at_once() -> None:
    duty = ((6.0 + 60.0 / 3600.0, 14.0),)
    crews = tuple({"name": name, "people": 1, "on_duty_h": duty} for name in ("ann", "bob"))
    needs = {"work": ("bob", "ann")}
    line = build_line(
        plant([10.0, 10.0], [5], crews=crews, stations__0__needs=needs, stations__1__needs=needs)
    )
    run = course(line, 65.0)
    assert run.of("m0")[-1] == (60.0, "processing")
    assert run.counter("m0", s.HELD) == line.element("bob")
    # From 70 on there is work for both, and nobody waits.
    run = course(line, 200.0)
    held = {run.counter(name, s.HELD) for name in ("m0", "m1")}
    assert held == {line.element("ann"), line.element("bob")}
    assert "waiting" not in run.time_in("m1")


def test_one_fitter_repairs_in_the_order_of_the_failures() -> None:
    way = {"mean_between_s": 40.0, "mean_repair_s": 30.0, "repair_law": "exponential"}
    line = build_line(
        plant(
            [10.0],
            [],
            crews=({"name": "fitters", "people": 1, "on_duty_h": ()},),
            stations__0__servers=3,
            stations__0__failures={"stop": way},
            stations__0__needs={"repair": ("fitters",)},
        )
    )
    run = course(line, 3000.0)
    # Independent: a queue with one server. The n-th repair of a machine takes its n-th draw.
    counts = {element.name: 0 for element in line.stations}
    free_s, ends = 0.0, []
    for at, name, _, after in run.moves:
        if after == "down":
            taken_s = exponential(1, PLANT, line.element(name), REPAIR, 2 * counts[name], 30.0)
            counts[name] += 1
            free_s = max(at, free_s) + taken_s
            ends.append((free_s, name))
    told = [(at, name) for at, name, before, _ in run.moves if before == "down"]
    assert len(told) > 60
    assert told == ends[: len(told)]


def cutting(**changes: Any) -> Line:
    """The machining line, its lathe's edges lasting for a few parts only."""
    base = {"stations.0.tool.end_of_life_mm": 0.05, "stations.0.tool.life_cv": 0.0}
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    return build_line(changed(load_plant("machining_line"), {**base, **paths}))


def test_a_change_of_tool_waits_for_somebody_and_a_service_follows_at_once() -> None:
    duty = ((10.0, 11.0),)  # plant time 4 h to 5 h
    line = cutting(
        crews=({"name": "setters", "people": 1, "on_duty_h": duty},),
        stations__0__needs={"tool_change": ("setters",)},
        stations__0__service={"every_parts": 2, "service_s": 100.0},
    )
    name = line.stations[0].name
    table = build_table(line.plant, seed=1, world=PLANT, hours=5.0)
    run = course(line, 5 * 3600.0, table)
    changes = [move for move in run.moves if move[1] == name and move[3] == "tool_change"]
    assert changes[0][0] == 4 * 3600.0
    assert changes[0][2] == "waiting"
    assert all(4 * 3600.0 <= move[0] < 5 * 3600.0 for move in changes)
    after = {move[3] for move in run.moves if move[1:3] == (name, "tool_change")}
    assert "service" in after


# --- strikes -------------------------------------------------------------------------------------


def test_a_station_struck_asleep_sleeps_on() -> None:
    line = struck(source__takt_s__start=500.0, stations__0__standby_after_s__start=30.0)
    run = course(line, 20_000.0)
    own = [move for move in run.moves if move[1] == "m0"]
    asleep = [n for n, move in enumerate(own) if move[2:] == ("standby", "down")]
    assert len(asleep) > 20
    assert {own[n + 1][3] for n in asleep[:-1]} == {"standby"}
    # There is no way from asleep to work but through a warm-up.
    slept = False
    for move in own:
        assert not (move[3] == "processing" and slept)
        slept = move[3] == "standby" or (slept and move[3] != "warm_up")


def test_the_next_strike_counts_from_the_end_of_the_repair() -> None:
    duty = ((6.0 + 1000.0 / 3600.0, 14.0),)
    crew = {"name": "fitters", "people": 1, "on_duty_h": duty}
    run = course(struck(crews=(crew,), stations__0__needs={"repair": ("fitters",)}), 3000.0)
    down = run.times("m0", "processing", "down")
    up = [move[0] for move in run.moves if move[2] == "down"]
    assert down[0] == exponential(1, PLANT, 1, STRIKE, 0, 60.0)
    assert up[0] == 1000.0 + exponential(1, PLANT, 1, STRIKE_REPAIR, 0, 20.0)
    for n in range(5):
        assert down[n + 1] == up[n] + exponential(1, PLANT, 1, STRIKE, n + 1, 60.0)


def test_strikes_wait_for_the_end_of_setups_services_and_warm_ups() -> None:
    line = struck(
        source__takt_s__start=200.0,
        stations__0__standby_after_s__start=30.0,
        stations__0__service={"every_parts": 2, "service_s": 90.0},
    )
    run = course(line, 20_000.0)
    assert {move[2] for move in run.moves if move[3] == "down"} == {
        "processing",
        "idle",
        "standby",
    }
    assert run.time_in("m0")["service"] > 100.0
    # Down, in service and idle it draws what an idle station does; at work what the model says.
    times = run.time_in("m0")
    kw = {"processing": 0.7, "standby": 0.1, "warm_up": 0.5}
    a = line.element("m0") * s.E_FLOATS
    energy = sum(run.state.floats[a + s.ENERGY_KWH : a + s.ENERGY_KWH + s.N_STATES])
    energy += run.amount("m0", s.POWER_KW) * (run.state.now_s - run.amount("m0", s.BOOKED_S)) / 3600
    assert energy == pytest.approx(
        sum(time_s * kw.get(state, 0.4) / 3600.0 for state, time_s in times.items())
    )
