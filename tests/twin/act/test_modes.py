"""The table of modes as data: every way through it, and what the guard makes of its events."""

from __future__ import annotations

import math
from itertools import chain, combinations, product

import pytest

from tests.twin.act.observations import CONTROL, SIGNALS, STATE, TAKT, lost, observation
from twin.act.guard import Guard
from twin.act.memory import GuardMemory
from twin.act.modes import EVENTS, OPERATOR_EVENTS, TABLE, next_mode
from twin.cycle import Acknowledgement, Action, Mode, Outcome

CONDITIONS = ("inputs", "permit", "plc_not_shed", "limits", "audit", "authority", "model")
OF_EACH_KIND = ("inputs", "audit", "permit", "model")
"""All that an acknowledgement needs, and two of those that closing alone needs: every step in seconds."""
CLOSED_BY_OPERATOR = (Mode.INIT, Mode.CLOSED, Mode.HOLD)
AUTHORITY = {Mode.OFF: 0, Mode.SHED: 0, Mode.ADVISORY: 1} | dict.fromkeys(CLOSED_BY_OPERATOR, 2)


def subsets(names):
    return chain.from_iterable(combinations(names, n) for n in range(len(names) + 1))


def every_step():
    for mode, happened, missing in product(Mode, subsets(EVENTS), subsets(OF_EACH_KIND)):
        events = dict.fromkeys(happened, "")
        after, _ = next_mode(mode, events, {name: name for name in missing})
        yield mode, set(happened), set(missing), after


def test_authority_rises_by_an_operators_event_only() -> None:
    steps = 0
    for mode, happened, missing, after in every_step():
        steps += 1
        if AUTHORITY[after] > AUTHORITY[mode]:
            assert happened & {"start", "close", "ack", "open"}
            if after is Mode.INIT:
                assert mode is Mode.ADVISORY
                assert not missing
        if after is Mode.CLOSED and mode is not Mode.CLOSED:
            came_by = {Mode.INIT: "confirmed", Mode.HOLD: "recovered"}
            assert came_by[mode] in happened
        if "freeze" in happened:
            assert after is not Mode.CLOSED
            assert after is not Mode.INIT
        if mode is Mode.SHED and after is not Mode.SHED:
            assert happened & {"ack", "open", "off"}
            assert after in (Mode.ADVISORY, Mode.OFF)
        # Giving up authority is never refused, whatever else happens.
        if "off" in happened or (mode is Mode.OFF and "open" in happened):
            assert after is Mode.OFF, mode
        elif "open" in happened:
            assert after is Mode.ADVISORY, mode
    assert steps == len(Mode) * 2 ** len(EVENTS) * 2 ** len(OF_EACH_KIND)


@pytest.mark.parametrize("mode", Mode)
def test_off_is_one_event_away_from_everywhere(mode: Mode) -> None:
    assert next_mode(mode, {"off": "operator"}, dict.fromkeys(CONDITIONS, "no"))[0] is Mode.OFF


def test_every_mode_can_be_reached_and_every_row_can_be_taken() -> None:
    reached = {Mode.OFF}
    for _ in Mode:
        reached |= {row.target for row in TABLE if row.source in reached}
    assert reached == set(Mode)
    for row in TABLE:
        assert next_mode(row.source, {row.event: "why"}, {})[0] is row.target
        assert set(row.needs) <= set(CONDITIONS)
        for need in row.needs:
            mode, why = next_mode(row.source, {row.event: ""}, {need: "it is broken"})
            assert (mode, why) == (row.source, f"{row.event} refused: it is broken")


def test_a_row_that_is_not_there_changes_nothing() -> None:
    ways = {(row.source, row.event) for row in TABLE}
    assert len(ways) == len(TABLE)
    for mode, event in set(product(Mode, EVENTS)) - ways:
        assert next_mode(mode, {event: ""}, {}) == (mode, "")


ANSWERS = (None, *(Acknowledgement(7, outcome) for outcome in Outcome))
COMMANDS = (
    (),
    *((verb,) for verb in OPERATOR_EVENTS),
    ("fault: disk full",),
    ("confirmed",),
    ("recovered",),
    ("hard",),
    ("close", "open"),
)
UNKNOWN = math.nan


def test_the_guard_keeps_the_table_whatever_the_line_shows() -> None:
    """All modes, readings, PLC modes, answers and commands together: some 90,000 turns."""
    guard = Guard(SIGNALS, CONTROL)
    action = Action({TAKT: 100.0})
    seen = {
        (what, permit, shed, plc, waited_s): (
            lost(1000.0)
            if what == "lost"
            else observation(
                1000.0,
                [STATE] if what == "bad" else [],
                control__permit_remote=permit,
                control__shed=shed,
                control__mode=plc,
            )
        )
        for what, permit, shed, plc, waited_s in product(
            ("good", "bad", "lost"),
            (1.0, 0.0, UNKNOWN),
            (0.0, 1.0, UNKNOWN),
            (3.0, 2.0, UNKNOWN),
            (0.0, 121.0),
        )
    }
    left = set()
    for (key, view), answer, commands, mode in product(seen.items(), ANSWERS, COMMANDS, Mode):
        what, permit, shed, plc, waited_s = key
        since_us = round((1000.0 - waited_s) * 1e6)
        memory = GuardMemory(mode=mode, since_us=since_us, has_asked=True)
        decision = guard.grant(action, view, commands, answer, memory)
        after = decision.mode
        assert after is memory.mode
        case = (key, answer, commands, mode, after)
        good = what == "good" and (permit, shed, plc) == (1.0, 0.0, 3.0)
        if AUTHORITY[after] > AUTHORITY[mode]:
            assert set(commands) & set(OPERATOR_EVENTS), case
        if after is Mode.CLOSED and mode is not Mode.CLOSED:
            assert good, case
            assert mode in (Mode.INIT, Mode.HOLD), case
            assert mode is Mode.INIT or waited_s <= CONTROL.hold_s, case
        if mode is Mode.SHED and after is not Mode.SHED:
            assert set(commands) & {"ack", "open", "off"}, case
        if {"open", "off"} & set(commands):
            assert after in (Mode.OFF, Mode.ADVISORY), case
        if decision.batch is not None and decision.batch.setpoints:
            assert after is Mode.CLOSED, case
            assert good, case
            unknown = answer is not None and answer.outcome is Outcome.UNKNOWN
            assert not unknown or mode is Mode.INIT, case
        if after is not mode:
            assert decision.reasons[0], case
            left.add((mode, after))
    assert left == {(row.source, row.target) for row in TABLE if row.source is not row.target}
