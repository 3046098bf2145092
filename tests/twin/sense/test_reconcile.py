"""Counters and transitions: what no event tells, the counters do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.analyze.in_step import PLANTS, observed, true
from tests.twin.line.small_lines import Run
from twin.cycle import Event, Observation
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.model import Line
from twin.line.scenario import build_table
from twin.sense.reconcile import missed_transitions


def two_looks(name: str, seed: int = 3) -> tuple[Line, Observation, Observation]:
    """A shift of the true line, seen at its first hour and at its end, with all that happened between."""
    line = true(name)
    run = Run(line, build_table(line.plant, seed, PLANT, 8.0), seed)
    run.simulator.prime(run.state)
    run.to(3600.0)
    before = observed(line, run.state)
    events = tuple(run.simulator.advance(run.state, {}, 8 * 3600.0))
    return line, before, replace(observed(line, run.state), events=events)


@pytest.mark.parametrize("name", PLANTS)
def test_nothing_is_missed_where_all_is_told(name: str) -> None:
    line, before, after = two_looks(name)
    assert len(after.events) > 300
    assert missed_transitions(line, before, after) == {}


@pytest.mark.parametrize("name", PLANTS)
def test_where_nothing_is_told_all_is_missed(name: str) -> None:
    line, before, after = two_looks(name)
    missed = missed_transitions(line, before, replace(after, events=()))
    assert missed
    for counter, number in missed.items():
        assert number == after[counter] - before[counter] > 0


LINE, BEFORE, AFTER = two_looks("machining_line")


@given(st.sets(st.integers(0, len(AFTER.events) - 1), max_size=60))
@settings(deadline=None, max_examples=40)
def test_told_and_missed_make_what_is_counted(dropped: set[int]) -> None:
    kept = tuple(event for n, event in enumerate(AFTER.events) if n not in dropped)
    lost = [AFTER.events[n] for n in dropped]
    missed = missed_transitions(LINE, BEFORE, replace(AFTER, events=kept))
    assert sum(missed.values()) == sum(_counts(event) for event in lost)


def _counts(event: Event) -> int:
    processing, down, tool_change = s.PROCESSING, s.DOWN, s.TOOL_CHANGE
    leaves = event.before == processing and event.after != down
    return leaves + (event.after == down) + (event.after == tool_change)


def test_a_counter_that_begins_anew_says_nothing() -> None:
    assert missed_transitions(LINE, AFTER, replace(AFTER, events=())) == {}
    assert missed_transitions(LINE, AFTER, replace(BEFORE, events=())) == {}


def test_an_event_that_comes_before_its_counter_makes_up_for_itself() -> None:
    late = missed_transitions(LINE, BEFORE, replace(BEFORE, events=AFTER.events))
    then = missed_transitions(LINE, BEFORE, replace(AFTER, events=()))
    assert {name: late[name] + then[name] for name in then} == dict.fromkeys(then, 0)
