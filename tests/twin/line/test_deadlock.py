"""A line that has locked itself is told with the circle of its waits; others are not."""

from __future__ import annotations

import pytest

from tests.twin.line.small_lines import Run, changed, fixed, line_of
from twin.cli.offline import refuse_deadlock
from twin.cli.problems import Problem
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
