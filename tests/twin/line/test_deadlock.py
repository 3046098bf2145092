"""A line that has locked itself is told with the circle of its waits; others are not."""

from __future__ import annotations

import pytest

from tests.twin.line.small_lines import Run, changed, fixed, line_of
from twin.cli.locked import refuse_deadlock
from twin.cli.problems import Problem
from twin.line import schema as s
from twin.line.deadlock import deadlock
from twin.line.model import Line, build_line


def reworking(rework_to: str, room: int = 1) -> Line:
    """Two stations; the second takes every part for bad and sends it back, again and again."""
    line = line_of(fixed(5.0, 6.0), [room])
    inspection = {"false_alarms": 1.0, "rework_to": rework_to, "rework_passes": 100}
    changes = {"stations.1.inspects": True, "stations.1.inspection": inspection}
    return build_line(changed(line.plant, changes))


def test_a_full_rework_loop_locks_itself() -> None:
    line = reworking("infeed")
    run = Run(line).to(500.0)
    # m0 holds a part for b0, which is full; m1 holds one for infeed, which is full too.
    assert run.of("m0")[-1][1] == run.of("m1")[-1][1] == "blocked"
    assert deadlock(line, run.state) in (("m0", "b0", "m1", "infeed"), ("m1", "infeed", "m0", "b0"))
    moved = len(run.moves)
    assert len(run.to(50_000.0).moves) == moved


def test_simulating_such_a_line_ends_with_its_circle() -> None:
    line = reworking("infeed")
    state = Run(line).to(500.0).state
    with pytest.raises(Problem, match=r"m0 waits for b0 waits for m1|m1 waits for infeed"):
        refuse_deadlock(line, state)


def test_a_blocked_line_that_goes_on_is_none() -> None:
    line = line_of(fixed(5.0, 50.0), [1])
    run = Run(line).to(40.0)
    assert run.of("m0")[-1][1] == "blocked"
    assert deadlock(line, run.state) == ()


def test_a_line_without_orders_is_none() -> None:
    line = line_of(fixed(5.0, 5.0), [1])
    run = Run(line, [2.0, 1.0]).to(100.0)
    assert deadlock(line, run.state) == ()


def test_who_sleeps_in_such_a_circle_is_locked_as_well() -> None:
    line = reworking("infeed")
    asleep = changed(line.plant, {"stations.1.standby_after_s.start": 30.0})
    run = Run(build_line(asleep)).to(500.0)
    assert run.of("m1")[-1][1] == "standby"
    assert set(deadlock(run.line, run.state)) == {"m0", "b0", "m1", "infeed"}


def test_an_assembly_whose_components_lie_behind_its_own_part() -> None:
    # One core comes off each part, and the assembly needs two; the second part has no room before it.
    base = line_of(fixed(5.0, 6.0), [1]).plant
    changes = {
        "buffers": (*base.buffers, {"name": "b_cores", "capacity": 4.0}),
        "stations.0.also_gives": ({"gives_to": "b_cores", "parts": 1},),
        "stations.1.also_takes": ({"takes_from": "b_cores", "parts": 2},),
    }
    line = build_line(changed(base, changes))
    run = Run(line).to(100.0)
    assert (run.of("m0")[-1], run.of("m1")) == ((10.0, "blocked"), [])
    assert deadlock(line, run.state) == ("m0", "b0", "m1", "b_cores")


def test_batches_that_a_limit_of_parts_never_fills() -> None:
    # Two blanks, one to either side, where each side works on two at once.
    base = line_of(fixed(5.0, 5.0, 5.0, 5.0), [2, 2, 2]).plant
    changes = {
        "source.wip_limit": 2,
        "stations.0.gives_to": "b0",
        "stations.1.takes_from": "infeed",
        "stations.1.gives_to": "b1",
        "stations.2.takes_from": "b0",
        "stations.2.gives_to": "out",
        "stations.3.takes_from": "b1",
        "stations.2.batch": {"parts": 2},
        "stations.3.batch": {"parts": 2},
        "buffers": base.buffers[:3],
    }
    line = build_line(changed(base, changes))
    run = Run(line).to(100.0)
    assert run.count(s.GOOD) == 0
    assert deadlock(line, run.state) == ("blanks", "wip_limit", "m2", "b0", "m0", "infeed")


def test_a_line_that_waits_for_people_or_for_a_belt_is_none() -> None:
    base = line_of(fixed(5.0, 6.0), [1], buffers__1__transit_s=50.0).plant
    crew = {"name": "crew", "people": 1, "on_duty_h": ((8.0, 9.0),)}
    line = build_line(changed(base, {"crews": (crew,), "stations.1.needs": {"work": ("crew",)}}))
    run = Run(line).to(30.0)
    assert run.of("m0")[-1][1] == "blocked"  # the belt is full, its part on the way
    assert deadlock(line, run.state) == ()
    run.to(1000.0)
    assert run.of("m1")[-1][1] == "waiting"  # for somebody, until 8 h
    assert deadlock(line, run.state) == ()
    assert run.to(8000.0).count(s.GOOD) > 0
