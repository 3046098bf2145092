"""What the guard does when inputs or answers are in doubt: it holds, goes on, or sheds."""

from __future__ import annotations

import pytest

from tests.twin.act.guards import GUARD, Turns, written
from tests.twin.act.observations import CONTROL, STATE, TAKT, TEMP, lost, observation
from twin.act.guard import MISMATCHES_ALLOWED
from twin.cycle import REFUSED_IN_PART, Acknowledgement, Action, Mode, Outcome
from twin.signals import Quality


def test_a_write_that_came_too_late_is_no_reason_to_shed() -> None:
    turns = Turns()
    turns.grant({TAKT: 80.0}, observation(600.0))
    late = Acknowledgement(1, Outcome.REJECTED, {}, "LATE", 600_000_000)
    decision = GUARD.grant(Action({TAKT: 80.0}), observation(630.0), (), late, turns.memory)
    assert (decision.mode, written(decision)) == (Mode.HOLD, {})
    assert "too late" in decision.reasons[0]
    assert turns.grant({}, observation(660.0)).mode is Mode.CLOSED


def test_the_heartbeat_goes_on_while_the_loop_waits() -> None:
    turns = Turns()
    first = turns.grant({}, observation(600.0))
    second = turns.grant({}, observation(630.0, [STATE]))
    third = turns.grant({}, observation(660.0, [STATE]))
    assert [d.mode for d in (first, second, third)] == [Mode.CLOSED, Mode.HOLD, Mode.HOLD]
    beats = [d.batch.heartbeat for d in (first, second, third) if d.batch is not None]
    assert beats == [1, 2, 3]


@pytest.mark.parametrize(
    "mark",
    [
        Quality.BAD,
        Quality.UNCERTAIN,
        Quality.STALE,
        Quality.FROZEN,
        Quality.FUTURE,
        Quality.OUT_OF_RANGE,
        Quality.MISSING,
    ],
)
def test_a_doubtful_critical_input_holds_and_then_sheds(mark: Quality) -> None:
    turns = Turns()
    bad = [turns.grant({TAKT: 80.0}, observation(600.0 + 30 * n, [TEMP], mark)) for n in range(4)]
    assert [d.mode for d in bad] == [Mode.HOLD, Mode.HOLD, Mode.SHED, Mode.SHED]
    assert bad[0].reasons == ("critical input press.temp_c is not usable",)
    assert bad[2].reasons == ("critical input press.temp_c is not usable for 3 readings",)
    assert all(d.batch is None or not d.batch.setpoints for d in bad)


@pytest.mark.parametrize("mark", [Quality.BAD, Quality.STALE, Quality.MISSING])
def test_critical_inputs_that_are_all_bad_are_no_line_out_of_sight(mark: Quality) -> None:
    turns = Turns()
    seen = [observation(600.0 + 30 * n, [STATE, TEMP], mark) for n in range(3)]
    bad = [turns.grant({TAKT: 80.0}, each) for each in seen]
    assert [d.mode for d in bad] == [Mode.HOLD, Mode.HOLD, Mode.SHED]
    assert bad[2].reasons == (f"critical input {STATE} is not usable for 3 readings",)
    assert not turns.memory.was_lost
    by_hand = Turns()  # and so whoever takes the PLC meanwhile is not asked to give it back
    by_hand.grant({}, seen[0])
    taken = observation(630.0, [STATE, TEMP], mark, control__mode=2.0)
    assert (by_hand.grant({}, taken).mode, by_hand.memory.mode) == (Mode.SHED, Mode.SHED)


def test_a_replaced_jump_of_a_critical_input_is_no_reason_to_hold() -> None:
    seen = observation(600.0)
    seen.quality[seen.index[TEMP]] = int(Quality.JUMP)
    assert Turns().grant({TAKT: 80.0}, seen).mode is Mode.CLOSED


def test_a_lost_line_is_waited_for_as_long_as_the_hold_time() -> None:
    turns = Turns()
    modes = [turns.grant({}, lost(600.0 + 30.0 * n)).mode for n in range(7)]
    assert modes == [Mode.HOLD] * 5 + [Mode.SHED] * 2
    (reason,) = turns.memory.reasons
    assert reason.startswith("hold time of 120 s over: no reading of the line")


def test_a_line_that_comes_back_within_the_hold_time_goes_on() -> None:
    turns = Turns()
    assert turns.grant({}, lost(600.0)).mode is Mode.HOLD
    back = turns.grant({TAKT: 80.0}, observation(720.0))
    assert (back.mode, back.reasons) == (Mode.CLOSED, ("inputs good again",))
    assert written(back) == {TAKT: 80.0}


def test_a_line_that_comes_and_goes_is_shed_in_the_end() -> None:
    turns = Turns()
    modes = [
        turns.grant({}, observation(600.0 + 30.0 * n, [TEMP] if n % 2 else [])).mode
        for n in range(2 * CONTROL.holds_allowed + 2)
    ]
    assert modes == [Mode.CLOSED, Mode.HOLD] * CONTROL.holds_allowed + [Mode.CLOSED, Mode.SHED]
    (reason,) = turns.memory.reasons
    assert reason == "more than 20 holds in 1800 s: critical input press.temp_c is not usable"


def test_holds_far_apart_or_before_a_new_closing_do_not_count() -> None:
    seldom = Turns()
    for n in range(3 * CONTROL.holds_allowed):
        bad = [TEMP] if n % 2 else []
        assert seldom.grant({}, observation(600.0 + 60.0 * n, bad)).mode is not Mode.SHED
    again = Turns()
    again.memory.holds_us = [600_000_000] * CONTROL.holds_allowed
    assert again.grant({}, observation(630.0), "open").mode is Mode.ADVISORY
    assert again.grant({}, observation(660.0), "close").mode is Mode.INIT
    assert again.grant({}, observation(690.0)).mode is Mode.CLOSED
    assert again.grant({}, observation(720.0, [TEMP])).mode is Mode.HOLD


def test_after_an_unanswered_write_the_line_is_read_first() -> None:
    turns = Turns()
    assert written(turns.grant({TAKT: 80.0}, observation(600.0))) == {TAKT: 80.0}
    unsure = turns.grant({TAKT: 90.0}, observation(630.0), answer=Outcome.UNKNOWN)
    assert unsure.mode is Mode.HOLD
    assert written(unsure) == {}
    assert unsure.reasons == ("write 1 has no answer: read back first",)
    # It had landed: what comes next starts from there, under a new number.
    sure = turns.grant({TAKT: 90.0}, observation(660.0, line__takt_s=80.0))
    assert written(sure) == {TAKT: 90.0}
    assert sure.batch is not None
    assert sure.batch.sequence == 2


def test_a_rejected_write_sheds_at_once() -> None:
    decision = Turns().grant({TAKT: 80.0}, observation(600.0), answer=Outcome.REJECTED)
    assert (decision.mode, decision.command) == (Mode.SHED, "ReleaseRemote")
    assert decision.reasons == ("write 0 rejected: as it said",)


def test_a_write_that_is_refused_in_part_sheds_at_once() -> None:
    """What is refused for certain is refused, whatever else of the batch was taken."""
    turns = Turns()
    said = f"{REFUSED_IN_PART}: line.takt_s: BadUserAccessDenied"
    answer = Acknowledgement(0, Outcome.MISMATCH, {TAKT: 72.0}, said)
    decision = GUARD.grant(Action({}), observation(600.0), (), answer, turns.memory)
    assert decision.mode is Mode.SHED
    assert decision.reasons == (f"write 0 {said}",)


def test_a_plc_that_does_not_obey_sheds_in_the_end() -> None:
    turns = Turns()
    answers = [Outcome.MISMATCH] * (MISMATCHES_ALLOWED - 1)
    answers += [Outcome.ACCEPTED] + [Outcome.MISMATCH] * MISMATCHES_ALLOWED
    modes = [
        turns.grant({}, observation(30.0 * n), answer=answer).mode
        for n, answer in enumerate(answers)
    ]
    assert modes == [Mode.CLOSED] * (len(answers) - 1) + [Mode.SHED]
    assert turns.memory.reasons == ("the PLC does not obey: as it said",)


@pytest.mark.parametrize("tag", ["control.mode", "control.permit_remote", "control.shed"])
def test_a_plc_of_which_nothing_is_known_gets_no_setpoints(tag: str) -> None:
    turns = Turns()
    unsure = turns.grant({TAKT: 80.0}, observation(600.0, [tag]))
    assert unsure.mode is Mode.HOLD
    assert written(unsure) == {}
    assert turns.grant({TAKT: 80.0}, observation(630.0)).mode is Mode.CLOSED


def test_a_fault_of_the_audit_sheds_with_its_text() -> None:
    decision = Turns().grant({TAKT: 80.0}, observation(600.0), "fault: disk full")
    assert (decision.mode, decision.reasons) == (Mode.SHED, ("disk full",))
