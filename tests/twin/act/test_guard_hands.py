"""Whoever takes the PLC or moves its setpoints keeps them, and is told from what is no hand."""

from __future__ import annotations

import math

import pytest

from tests.twin.act.guards import GUARD, Turns, written
from tests.twin.act.observations import TAKT, lost, observation
from twin.act.guard import ADVICE
from twin.cycle import Action, Mode, Observation, Outcome


@pytest.mark.parametrize("mode", [0.0, 1.0])
def test_nobody_takes_a_plc_back_that_is_run_by_hand(mode: float) -> None:
    turns = Turns()
    assert turns.grant({}, lost(600.0)).mode is Mode.HOLD
    by_hand = turns.grant({TAKT: 80.0}, observation(630.0, control__mode=mode))
    assert (by_hand.mode, by_hand.command) == (Mode.SHED, "")
    assert by_hand.reasons == ("the PLC is run by hand, or off",)


def test_a_setpoint_that_somebody_moves_at_the_plc_is_his() -> None:
    turns = Turns()
    turns.grant({TAKT: 80.0}, observation(600.0))
    assert turns.grant({}, observation(630.0, line__takt_s=80.0)).mode is Mode.CLOSED
    assert turns.grant({}, observation(660.0, line__takt_s=80.001)).mode is Mode.CLOSED
    moved = turns.grant({TAKT: 90.0}, observation(690.0, line__takt_s=85.0))
    assert (moved.mode, moved.batch, moved.command) == (Mode.SHED, None, "ReleaseRemote")
    assert moved.reasons == ("line.takt_s was moved at the PLC",)
    assert turns.grant({}, observation(720.0, line__takt_s=85.0), "ack").mode is Mode.ADVISORY


def test_who_moved_a_setpoint_cannot_be_told_without_an_echo() -> None:
    """The loop waits, and does not go on from what it wrote while nobody looks for hands."""
    turns = Turns()
    turns.grant({TAKT: 80.0}, observation(600.0))
    accepted = {"answer": Outcome.ACCEPTED, "active": {TAKT: 80.0}}
    mute = observation(630.0, line__takt_s=80.0, control__echo_seq=math.nan)
    waits = turns.grant({TAKT: 90.0}, mute, **accepted)
    assert (waits.mode, written(waits)) == (Mode.HOLD, {})
    assert waits.reasons == ("it is not known which batch the PLC has taken last",)
    still = observation(660.0, line__takt_s=85.0, control__echo_seq=math.nan)
    assert written(turns.grant({TAKT: 90.0}, still)) == {}
    heard = observation(690.0, line__takt_s=85.0, control__echo_seq=1.0)
    back = turns.grant({TAKT: 240.0}, heard)
    assert (back.mode, written(back)) == (Mode.CLOSED, {TAKT: 205.0})  # 4/s from what is in force


@pytest.mark.parametrize("closed_anew", [False, True])
def test_a_hand_is_seen_on_a_plc_that_was_started_again(closed_anew: bool) -> None:
    """It counts batches from zero, and may never come to the number that was answered last."""
    turns = Turns()
    turns.grant({TAKT: 80.0}, observation(600.0))
    accepted = {"answer": Outcome.ACCEPTED, "active": {TAKT: 80.0}}
    if closed_anew:
        turns.grant({}, observation(630.0, line__takt_s=80.0), "open", **accepted)
        turns.grant({}, observation(660.0), "close")
    else:
        turns.grant({}, observation(630.0, line__takt_s=80.0), "gap: restarted", **accepted)
        turns.grant({}, observation(660.0))
    assert turns.grant({}, observation(690.0)).mode is Mode.CLOSED
    assert turns.grant({}, observation(720.0)).mode is Mode.CLOSED
    moved = turns.grant({TAKT: 90.0}, observation(750.0, line__takt_s=85.0))
    assert moved.mode is Mode.SHED
    assert moved.reasons == ("line.takt_s was moved at the PLC",)


def test_a_plc_whose_numbers_are_coarser_than_ours_is_nobodys_hand() -> None:
    def shown(time_s: float, takt_s: float) -> Observation:
        return observation(time_s, line__takt_s=takt_s, control__echo_seq=1.0)

    turns = Turns()
    turns.grant({TAKT: 83.0}, observation(600.0))
    rounded = {"answer": Outcome.ACCEPTED, "active": {TAKT: 85.0}}
    assert turns.grant({}, shown(630.0, 85.0), **rounded).mode is Mode.CLOSED
    assert turns.grant({}, shown(660.0, 85.0)).mode is Mode.CLOSED
    assert turns.grant({}, shown(690.0, 87.0)).mode is Mode.SHED


def test_a_setpoint_that_we_never_sent_is_watched_too() -> None:
    turns = Turns()
    turns.grant({}, observation(600.0))
    assert turns.grant({}, observation(630.0, press__speed_m_per_s=6.0)).mode is Mode.SHED


def test_what_is_on_its_way_or_shown_late_is_nobodys_hand() -> None:
    turns = Turns()
    turns.grant({TAKT: 80.0}, observation(600.0))
    for n, value in enumerate(
        (72.0, 74.0, 78.0, 78.0)
    ):  # it approaches, and stops at its own limit
        assert turns.grant({}, observation(602.0 + n, line__takt_s=value)).mode is Mode.CLOSED
    assert written(turns.grant({TAKT: 75.0}, observation(630.0, line__takt_s=78.0)))
    late = turns.grant({}, observation(631.0, line__takt_s=80.0))  # of the write before
    assert late.mode is Mode.CLOSED
    assert turns.grant({}, observation(632.0, line__takt_s=75.0)).mode is Mode.CLOSED
    assert turns.grant({}, observation(633.0, line__takt_s=78.0)).mode is Mode.SHED


@pytest.mark.parametrize("words", [(f"mv_off: {TAKT}",), ("gap: the PLC was started again",)])
def test_what_a_person_was_given_or_nobody_saw_is_nobodys_override(words: tuple[str, ...]) -> None:
    turns = Turns()
    turns.grant({}, observation(600.0))
    moved = turns.grant({}, observation(630.0, line__takt_s=85.0), *words)
    assert moved.mode is (Mode.HOLD if "gap" in words[0] else Mode.CLOSED)
    assert turns.grant({}, observation(660.0, line__takt_s=85.0)).mode is Mode.CLOSED


def test_what_a_person_does_on_advice_is_no_override() -> None:
    turns = Turns()
    turns.grant({}, observation(600.0))
    advice = Action({TAKT: 85.0}, "try this", ADVICE)
    for n in range(2):
        seen = observation(630.0 + 30.0 * n, line__takt_s=80.0 + n)
        assert GUARD.grant(advice, seen, (), None, turns.memory).mode is Mode.CLOSED
    assert turns.grant({}, observation(690.0, line__takt_s=83.0)).mode is Mode.CLOSED


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"control__permit_remote": 0.0}, "the PLC does not permit remote control"),
        ({"control__shed": 2.0}, "the PLC has shed and waits for a reset"),
    ],
)
def test_a_plc_that_takes_control_back_gets_it(told: dict[str, float], why: str) -> None:
    decision = Turns().grant({TAKT: 80.0}, observation(600.0, **told))
    assert (decision.mode, decision.reasons, decision.batch) == (Mode.SHED, (why,), None)


def test_who_takes_the_plc_by_hand_keeps_it() -> None:
    turns = Turns()
    taken = turns.grant({TAKT: 80.0}, observation(600.0, control__mode=2.0))
    assert (taken.mode, taken.command, taken.batch) == (Mode.SHED, "", None)
    assert taken.reasons == ("the PLC is no longer in remote control",)


def test_a_plc_that_was_out_of_sight_is_asked_again() -> None:
    turns = Turns()
    unseen = turns.grant({TAKT: 80.0}, observation(600.0, control__mode=2.0), "gap: restarted")
    assert (unseen.mode, unseen.command) == (Mode.HOLD, "RequestRemote")
    again = turns.grant({TAKT: 80.0}, observation(630.0, control__mode=3.0))
    assert (again.mode, written(again)) == (Mode.CLOSED, {TAKT: 80.0})


def test_a_plc_that_still_obeys_after_a_cut_is_asked_again_too() -> None:
    """Whom it obeys may be the session that was cut off, not the one that came after it."""
    turns = Turns()
    cut = turns.grant({TAKT: 80.0}, observation(600.0), "gap: connection lost, new session")
    assert (cut.mode, cut.command) == (Mode.HOLD, "RequestRemote")
    again = turns.grant({TAKT: 80.0}, observation(630.0))
    assert (again.mode, again.command, written(again)) == (Mode.CLOSED, "", {TAKT: 80.0})


def test_a_plc_that_obeys_another_after_a_cut_is_not_taken_back() -> None:
    turns = Turns()
    turns.grant({}, observation(600.0), "gap: connection lost, new session")
    for n in range(1, 5):
        held = turns.grant({TAKT: 80.0}, observation(600.0 + 30.0 * n), "refused: another's")
        assert (held.mode, held.command) == (Mode.HOLD, "RequestRemote")
        assert written(held) == {}
    assert turns.grant({}, observation(750.0), "refused: another's").mode is Mode.SHED
