"""Each thing that the guard may do to what is asked, with the reason that it gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twin.act.observations import (
    CONTROL,
    SIGNALS,
    SPEED,
    STANDBY,
    STATE,
    TAKT,
    TEMP,
    lost,
    observation,
)
from twin.act.asked import stand_in
from twin.act.guard import ADVICE, MISMATCHES_ALLOWED, Guard
from twin.act.limit_change import LimitChange
from twin.act.memory import GuardMemory
from twin.cycle import Acknowledgement, Action, Clip, Decision, Mode, Observation, Outcome
from twin.signals import Limits, Quality

GUARD = Guard(SIGNALS, CONTROL)


class Turns:
    """A guard under way; starts CLOSED, long after its last write."""

    def __init__(self, mode: Mode = Mode.CLOSED) -> None:
        self.memory = GuardMemory(mode=mode, has_asked=mode in (Mode.CLOSED, Mode.HOLD))

    def grant(
        self,
        asked: dict[str, float],
        seen: Observation,
        *commands: str,
        answer: Outcome | None = None,
        active: Mapping[str, float] = MappingProxyType({}),
    ) -> Decision:
        told = dict(active)
        acknowledged = answer and Acknowledgement(self.memory.sequence, answer, told, "as it said")
        return GUARD.grant(Action(asked, "a test"), seen, commands, acknowledged, self.memory)


def written(decision: Decision) -> dict[str, float]:
    assert decision.batch is not None
    return {setpoint.signal: setpoint.value for setpoint in decision.batch.setpoints}


def granted(asked: dict[str, float], **seen: float) -> tuple[dict[str, float], tuple[Clip, ...]]:
    decision = Turns().grant(asked, observation(600.0, **seen))
    return written(decision), decision.clips


def test_what_is_allowed_passes_as_it_is() -> None:
    assert granted({TAKT: 100.0, SPEED: 6.5, STANDBY: 1.0}) == (
        {TAKT: 100.0, SPEED: 6.5, STANDBY: 1.0},
        (),
    )


def test_what_already_stands_there_is_not_written() -> None:
    decision = Turns().grant({TAKT: 72.0, STANDBY: 0.2}, observation(600.0))
    assert written(decision) == {}
    assert decision.batch is not None
    assert decision.batch.heartbeat == 1


@pytest.mark.parametrize(
    ("asked", "seen", "value", "reason"),
    [
        ({TAKT: 10.0}, {}, 50.0, "operator limits [50, 240]"),
        ({TAKT: 241.0}, {"line__takt_s": 230.0}, 240.0, "operator limits [50, 240]"),
        ({TAKT: 1e300}, {}, 192.0, "operator limits [50, 240]"),
        ({TAKT: 200.0}, {}, 192.0, "rate limit 4/s"),
        ({SPEED: 3.0}, {"press__speed_m_per_s": 9.0}, 7.125, "rate limit 0.0625/s"),
        ({STANDBY: 7.0}, {}, 1.0, "operator limits [0, 1]"),
        # Limits that were narrowed over the present value are approached at the rate.
        ({SPEED: 6.0}, {"press__speed_m_per_s": 19.5}, 17.625, "rate limit 0.0625/s"),
    ],
)
def test_clips_name_their_limit(
    asked: dict[str, float], seen: dict[str, float], value: float, reason: str
) -> None:
    values, clips = granted(asked, **seen)
    ((name, wanted),) = asked.items()
    assert values == {name: value}
    assert clips == (Clip(name, wanted, value, reason),)


@pytest.mark.parametrize("asked", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_dropped_and_stays_out_of_the_record(asked: float) -> None:
    for name in (TAKT, STANDBY, "no.such_signal"):
        decision = Turns().grant({name: asked, SPEED: 6.0}, observation(600.0))
        assert written(decision) == {SPEED: 6.0}
        assert decision.clips == (Clip(name, 0.0, None, "not a finite number"),)
        assert decision.asked.setpoints == {SPEED: 6.0}


@pytest.mark.parametrize("name", [STATE, TEMP, "control.mode", "press.speed", ""])
def test_nothing_but_manipulated_variables_is_written(name: str) -> None:
    values, clips = granted({name: 5.0})
    assert values == {}
    assert clips == (Clip(name, 5.0, None, "not a manipulated variable of this plant"),)


def test_a_setpoint_that_is_not_read_back_is_not_moved() -> None:
    decision = Turns().grant({TAKT: 100.0, SPEED: 6.0}, observation(600.0, [TAKT]))
    assert written(decision) == {SPEED: 6.0}
    assert decision.clips == (Clip(TAKT, 100.0, None, "its active value is not known"),)


def test_the_rate_counts_from_the_last_write_and_over_one_period_at_most() -> None:
    turns = Turns()
    assert written(turns.grant({TAKT: 240.0}, observation(600.0))) == {TAKT: 192.0}
    soon = observation(602.5, line__takt_s=192.0)
    assert written(turns.grant({TAKT: 240.0}, soon)) == {TAKT: 202.0}
    at_once = observation(602.5, line__takt_s=202.0)
    assert written(turns.grant({TAKT: 240.0}, at_once)) == {}
    turns.memory.bands.clear()  # whoever moved it: here the rate alone counts
    late = observation(9000.0, line__takt_s=60.0)
    assert written(turns.grant({TAKT: 240.0}, late)) == {TAKT: 180.0}
    before = observation(8000.0, line__takt_s=60.0)
    assert written(turns.grant({TAKT: 240.0}, before)) == {}


def test_the_rate_counts_from_the_moment_at_which_a_write_was_answered() -> None:
    turns = Turns()
    turns.grant({TAKT: 240.0}, observation(600.0))
    answer = Acknowledgement(1, Outcome.ACCEPTED, {TAKT: 192.0}, "", 603_500_000)
    seen = observation(605.0, line__takt_s=192.0)
    decision = GUARD.grant(Action({TAKT: 240.0}, ""), seen, (), answer, turns.memory)
    assert written(decision) == {TAKT: 198.0}  # 4/s for 1.5 s, not for 5


def test_a_reading_from_before_the_write_is_not_what_the_rate_starts_from() -> None:
    turns = Turns()
    turns.grant({TAKT: 100.0}, observation(600.0))
    answer = Acknowledgement(1, Outcome.ACCEPTED, {TAKT: 100.0}, "", 600_000_000)
    old = observation(601.0, control__echo_seq=0.0)  # still shows 72
    decision = GUARD.grant(Action({TAKT: 50.0}, ""), old, (), answer, turns.memory)
    assert written(decision) == {TAKT: 96.0}
    new = observation(602.0, line__takt_s=90.0, control__echo_seq=9.0)  # shows what came after
    assert written(turns.grant({TAKT: 50.0}, new)) == {TAKT: 86.0}


def test_what_another_plc_said_before_a_gap_counts_no_longer() -> None:
    """A server that was started again stands at its recipe, and counts its batches from zero."""
    turns = Turns()
    turns.grant({TAKT: 100.0}, observation(600.0))
    answer = Acknowledgement(1, Outcome.ACCEPTED, {TAKT: 100.0}, "", 600_000_000)
    GUARD.grant(Action({}), observation(601.0), ("gap: restarted",), answer, turns.memory)
    assert turns.memory.mode is Mode.HOLD
    fresh = observation(631.0, line__takt_s=72.0, control__echo_seq=0.0)
    # From where it stands now, and not from 100, as fast as the rate allows.
    assert written(turns.grant({TAKT: 240.0}, fresh)) == {TAKT: 192.0}


def test_a_write_that_came_too_late_is_no_reason_to_shed() -> None:
    turns = Turns()
    turns.grant({TAKT: 80.0}, observation(600.0))
    late = Acknowledgement(1, Outcome.REJECTED, {}, "LATE", 600_000_000)
    decision = GUARD.grant(Action({TAKT: 80.0}), observation(630.0), (), late, turns.memory)
    assert (decision.mode, written(decision)) == (Mode.HOLD, {})
    assert "too late" in decision.reasons[0]
    assert turns.grant({}, observation(660.0)).mode is Mode.CLOSED


def test_the_rate_of_a_write_without_an_answer_counts_from_the_reading_that_shows_it() -> None:
    """It may have come into force at any moment before that."""
    turns = Turns()
    turns.grant({TAKT: 80.0}, observation(600.0))
    unknown = Acknowledgement(1, Outcome.UNKNOWN, {}, "", 604_000_000)
    GUARD.grant(Action({}), lost(630.0), (), unknown, turns.memory)
    seen = observation(660.0, line__takt_s=80.0, control__echo_seq=1.0)
    back = turns.grant({TAKT: 90.0}, seen)
    assert (back.mode, written(back)) == (Mode.CLOSED, {})
    assert written(turns.grant({TAKT: 90.0}, observation(661.0, line__takt_s=80.0))) == {TAKT: 84.0}


def test_an_mv_that_an_operator_has_switched_off_is_left_alone() -> None:
    turns = Turns()
    decision = turns.grant({TAKT: 80.0, STANDBY: 1.0}, observation(600.0), f"mv_off: {TAKT} trial")
    assert written(decision) == {STANDBY: 1.0}
    assert decision.clips == (Clip(TAKT, 80.0, None, "switched off by the operator"),)
    assert written(turns.grant({TAKT: 80.0}, observation(630.0))) == {}
    assert written(turns.grant({TAKT: 80.0}, observation(660.0), f"mv_on: {TAKT}")) == {TAKT: 80.0}


@pytest.mark.parametrize("word", ["mv_off", "mv_off:", "mv_off: turning.state", "mv_off: no such"])
def test_a_word_on_no_mv_of_the_plant_switches_nothing(word: str) -> None:
    turns = Turns()
    assert written(turns.grant({TAKT: 80.0}, observation(600.0), word)) == {TAKT: 80.0}
    assert turns.memory.off_mvs == set()


def test_a_setpoint_beyond_its_operator_limits_is_brought_back_at_the_rate() -> None:
    turns, beyond = Turns(), observation(600.0, line__takt_s=500.0)
    decision = turns.grant({TAKT: 400.0}, beyond)
    assert written(decision) == {TAKT: 380.0}  # 240 at most, 4/s for one period of 30 s
    assert decision.clips[0].reason == "operator limits [50, 240]"


@pytest.mark.parametrize("mode", [0.0, 1.0])
def test_nobody_takes_a_plc_back_that_is_run_by_hand(mode: float) -> None:
    turns = Turns()
    assert turns.grant({}, lost(600.0)).mode is Mode.HOLD
    by_hand = turns.grant({TAKT: 80.0}, observation(630.0, control__mode=mode))
    assert (by_hand.mode, by_hand.command) == (Mode.SHED, "")
    assert by_hand.reasons == ("the PLC is run by hand, or off",)


@pytest.mark.parametrize("value", [650.0, 19.0])
def test_a_setpoint_outside_its_validity_sheds(value: float) -> None:
    turns = Turns()
    decision = turns.grant({TAKT: 100.0}, observation(600.0, line__takt_s=value))
    assert (decision.mode, decision.batch) == (Mode.SHED, None)
    assert decision.reasons == ("line.takt_s stands outside its validity",)
    turns = Turns()
    hidden = observation(600.0, [TAKT], Quality.OUT_OF_RANGE)
    assert turns.grant({TAKT: 100.0}, hidden).mode is Mode.SHED
    turns = Turns(Mode.ADVISORY)
    refused = turns.grant({}, hidden, "close")
    assert refused.mode is Mode.ADVISORY
    assert refused.reasons == ("close refused: line.takt_s stands outside its validity",)


@pytest.mark.parametrize("mode", [m for m in Mode if m is not Mode.CLOSED])
def test_setpoints_leave_in_closed_alone(mode: Mode) -> None:
    seen = observation(600.0, [STATE])  # so that no mode becomes CLOSED by itself
    decision = Turns(mode).grant({TAKT: 100.0}, seen)
    assert decision.batch is None or decision.batch.setpoints == ()
    assert decision.clips == ()


@pytest.mark.parametrize("status", [ADVICE, f"{ADVICE}: fallback: ok"])
def test_advice_is_shown_and_never_written(status: str) -> None:
    """Whatever the mode: the heartbeat goes on, and so does the line as it is."""
    action, memory = Action({TAKT: 100.0}, "try this", status), GuardMemory(mode=Mode.CLOSED)
    decision = GUARD.grant(action, observation(600.0), (), None, memory)
    assert decision.asked == action
    assert written(decision) == {}
    for mode, command in ((Mode.ADVISORY, "close"), (Mode.INIT, "")):
        memory = GuardMemory(mode=mode)
        refused = GUARD.grant(action, observation(600.0), (command,), None, memory)
        assert refused.mode is Mode.ADVISORY
        assert "the controller only advises: try this" in refused.reasons[0]


def test_the_heartbeat_goes_on_while_the_loop_waits() -> None:
    turns = Turns()
    first = turns.grant({}, observation(600.0))
    second = turns.grant({}, observation(630.0, [STATE]))
    third = turns.grant({}, observation(660.0, [STATE]))
    assert [d.mode for d in (first, second, third)] == [Mode.CLOSED, Mode.HOLD, Mode.HOLD]
    beats = [d.batch.heartbeat for d in (first, second, third) if d.batch is not None]
    assert beats == [1, 2, 3]


def test_batches_are_numbered_on_from_what_the_plc_has_taken() -> None:
    turns = Turns()
    first = turns.grant({TAKT: 80.0}, observation(600.0, control__echo_seq=41.0))
    assert first.batch is not None
    assert first.batch.sequence == 42
    assert first.batch.deadline_us == 610_000_000
    second = turns.grant({TAKT: 90.0}, observation(630.0, control__echo_seq=-1.0))
    assert second.batch is not None
    assert second.batch.sequence == 43


def test_close_needs_the_handshake_of_the_plc() -> None:
    turns = Turns(Mode.ADVISORY)
    asked = {TAKT: 80.0}
    local = {"control__mode": 2.0}
    first = turns.grant(asked, observation(30.0, **local), "close: new shift")
    assert (first.mode, first.command) == (Mode.INIT, "RequestRemote")
    assert first.reasons == ("operator: close (new shift)",)
    assert written(first) == {}
    second = turns.grant(asked, observation(60.0))
    assert (second.mode, second.reasons) == (Mode.CLOSED, ("handshake complete",))
    assert written(second) == asked
    third = turns.grant(asked, observation(90.0), "open")
    assert (third.mode, third.command, third.batch) == (Mode.ADVISORY, "ReleaseRemote", None)


def test_remote_control_that_we_have_not_asked_for_is_not_ours() -> None:
    """The PLC may be another master's: it is asked all the same, and its refusal is heeded."""
    turns = Turns(Mode.ADVISORY)
    first = turns.grant({TAKT: 80.0}, observation(30.0), "close")
    assert (first.mode, first.command) == (Mode.INIT, "RequestRemote")
    denied = turns.grant({TAKT: 80.0}, observation(60.0), "refused: BadUserAccessDenied")
    assert (denied.mode, denied.command) == (Mode.INIT, "RequestRemote")
    assert written(denied) == {}
    closed = turns.grant({TAKT: 80.0}, observation(90.0))
    assert (closed.mode, closed.command) == (Mode.CLOSED, "")
    turns.grant({}, observation(120.0), "open")
    anew = turns.grant({}, observation(150.0), "close")  # an old word does not count
    assert (anew.mode, anew.command) == (Mode.INIT, "RequestRemote")


def test_a_plc_that_obeys_another_master_is_not_closed_on() -> None:
    turns = Turns(Mode.ADVISORY)
    turns.grant({}, observation(0.0), "close")
    modes = [
        turns.grant({TAKT: 80.0}, observation(30.0 * n), "refused: it is another's").mode
        for n in range(1, 8)
    ]
    assert modes == [Mode.INIT] * 5 + [Mode.ADVISORY] * 2


def test_a_plc_that_does_not_answer_ends_the_handshake() -> None:
    turns = Turns(Mode.ADVISORY)
    modes = [
        turns.grant({}, observation(30.0 * n, control__mode=2.0), *(["close"] if n == 0 else []))
        for n in range(8)
    ]
    assert [d.mode for d in modes] == [Mode.INIT] * 6 + [Mode.ADVISORY] * 2
    assert modes[6].reasons == ("not closed: the PLC did not grant remote control",)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (observation(0.0, [STATE]), "critical input press.state is not usable"),
        (lost(0.0), "no reading of the line"),
        (observation(0.0, control__permit_remote=0.0), "the PLC does not permit remote control"),
        (observation(0.0, control__permit_remote=math.nan), "it is not known whether the PLC"),
        (observation(0.0, control__shed=1.0), "the PLC has shed and waits for a reset"),
        (observation(0.0, control__shed=math.nan), "it is not known whether the PLC has shed"),
        (observation(0.0, control__echo_seq=math.nan), "it is not known which batch the PLC"),
    ],
)
def test_close_is_refused_with_the_reason(seen: Observation, why: str) -> None:
    decision = Turns(Mode.ADVISORY).grant({TAKT: 80.0}, seen, "close")
    assert decision.mode is Mode.ADVISORY
    assert decision.reasons[0].startswith(f"close refused: {why}")


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


def test_a_rejected_write_sheds_at_once() -> None:
    decision = Turns().grant({TAKT: 80.0}, observation(600.0), answer=Outcome.REJECTED)
    assert (decision.mode, decision.command) == (Mode.SHED, "ReleaseRemote")
    assert decision.reasons == ("write 0 rejected: as it said",)


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


def test_a_shed_loop_comes_back_by_acknowledgement_and_close() -> None:
    turns = Turns(Mode.SHED)
    assert turns.grant({}, observation(0.0), "close").mode is Mode.SHED
    assert turns.grant({}, observation(30.0, [STATE]), "ack").mode is Mode.SHED
    back = turns.grant({}, observation(60.0, control__shed=1.0, control__mode=2.0), "ack")
    assert (back.mode, back.command) == (Mode.ADVISORY, "ResetShed")
    assert turns.grant({}, observation(90.0), "close").mode is Mode.INIT


def test_a_plc_that_has_shed_is_reset_on_an_operators_word_only() -> None:
    turns = Turns(Mode.ADVISORY)
    shed = observation(0.0, control__shed=1.0, control__mode=2.0)
    assert turns.grant({}, shed).command == ""
    refused = turns.grant({}, shed, "close")
    assert (refused.mode, refused.command) == (Mode.ADVISORY, "")
    assert turns.grant({}, shed, "ack").command == "ResetShed"
    assert turns.grant({}, shed).command == "ResetShed"  # until it is seen
    assert turns.grant({}, observation(90.0, control__mode=2.0)).command == ""
    assert turns.grant({}, shed).command == ""  # a new one waits for a new word


@pytest.mark.parametrize("verb", ["confirmed", "recovered", "hard", "expired", "no such verb"])
def test_nobody_commands_what_only_the_line_can_show(verb: str) -> None:
    for mode in Mode:
        turns = Turns(mode)
        seen = observation(0.0, control__mode=2.0)
        # The PLC is not in remote: somebody took it.
        expected = Mode.SHED if mode in (Mode.CLOSED, Mode.HOLD) else mode
        assert turns.grant({}, seen, verb).mode is expected


def test_to_stand_still_is_to_ask_for_what_is_active() -> None:
    assert stand_in({TAKT: 72.0}, "why") == Action({TAKT: 72.0}, "why", "held")


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


def test_a_line_that_must_not_be_closed_on_is_not_closed() -> None:
    turns = Turns(Mode.ADVISORY)
    why = "the PLC would not notice if we stopped"
    refused = turns.grant({}, observation(600.0), f"unclosable: {why}", "close: trial")
    assert (refused.mode, refused.reasons) == (Mode.ADVISORY, (f"close refused: {why}",))


def test_a_frozen_loop_holds_everything_until_somebody_opens_it() -> None:
    turns = Turns()
    frozen = turns.grant({TAKT: 100.0}, observation(600.0), "freeze: a look at the mould")
    assert (frozen.mode, frozen.reasons) == (Mode.HOLD, ("operator: freeze (a look at the mould)",))
    assert written(frozen) == {}
    for k in range(1, 30):  # long after the hold time, with good inputs, and a model in doubt
        doubts = ("drift: heat",) if k == 7 else ()
        later = turns.grant({TAKT: 100.0}, observation(600.0 + 30.0 * k), *doubts)
        assert (later.mode, later.reasons) == (Mode.HOLD, frozen.reasons)
        assert later.batch is not None
        assert later.batch.setpoints == ()
        assert later.batch.heartbeat == k + 1  # so that the PLC leaves the last ones in force
    assert turns.memory.holds_us == []  # no hold that would count as flapping
    assert turns.grant({}, observation(1600.0), "close: go on").mode is Mode.HOLD
    assert turns.grant({}, observation(1630.0), "open").mode is Mode.ADVISORY
    assert turns.grant({}, observation(1660.0, control__mode=2.0), "close").mode is Mode.INIT
    assert turns.grant({TAKT: 100.0}, observation(1690.0)).mode is Mode.CLOSED


def test_a_frozen_loop_still_sheds_and_takes_nothing_back() -> None:
    turns = Turns()
    turns.grant({}, observation(600.0), "freeze")
    assert turns.grant({}, lost(630.0)).mode is Mode.HOLD
    back = turns.grant({}, observation(660.0, control__mode=2.0))  # the PLC was started again
    assert (back.mode, back.command) == (Mode.HOLD, "")
    shed = turns.grant({}, observation(690.0, control__mode=2.0, control__shed=1.0))
    assert shed.mode is Mode.SHED
    assert not turns.memory.is_frozen


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.ADVISORY, Mode.SHED])
def test_where_nothing_is_written_there_is_nothing_to_freeze(mode: Mode) -> None:
    turns = Turns(mode)
    assert turns.grant({}, observation(600.0, control__mode=2.0), "freeze").mode is mode
    assert not turns.memory.is_frozen


def test_a_freeze_while_the_loop_is_being_closed_opens_it() -> None:
    turns = Turns(Mode.INIT)
    assert turns.grant({}, observation(600.0), "freeze").mode is Mode.ADVISORY


def change(signal: str, lo: float, hi: float, version: int = 1) -> str:
    return f"limits: {LimitChange(signal, Limits(lo, hi), version).in_words('a trial')}"


def test_an_operator_narrows_and_widens_limits() -> None:
    turns = Turns()
    narrow = turns.grant({TAKT: 190.0}, observation(600.0), change(TAKT, 60.0, 90.0))
    assert written(narrow) == {TAKT: 90.0}
    assert narrow.clips == (Clip(TAKT, 190.0, 90.0, "operator limits [60, 90]"),)
    # The present value stands outside now: it is brought back at the rate.
    turns.memory.bands.clear()
    outside = turns.grant({TAKT: 190.0}, observation(660.0, line__takt_s=230.0))
    assert written(outside) == {TAKT: 230.0 - 30.0 * 4.0}
    assert turns.memory.limits_version == 2
    wide = turns.grant(
        {TAKT: 280.0}, observation(720.0, line__takt_s=200.0), change(TAKT, 40, 300, 2)
    )
    assert written(wide) == {TAKT: 280.0}
    assert turns.memory.limits_version == 3


@pytest.mark.parametrize(
    "word",
    [
        change(TAKT, 60.0, 90.0, 2),  # of limits that were not there to be seen
        change(TAKT, 60.0, 90.0, 0),
        change(TAKT, 39.0, 90.0),  # beyond what the process was designed for
        change(TAKT, 60.0, 301.0),
        change(TEMP, 100.0, 200.0),  # nothing that is set
        "limits: line.takt_s 90 60 1",
        "limits: line.takt_s nan 60 1",
        "limits: line.takt_s 60 90",
        "limits: line.takt_s 60 90 one",
        "limits: ",
        "limits",
    ],
)
def test_limits_that_cannot_be_change_nothing(word: str) -> None:
    turns = Turns()
    decision = turns.grant({TAKT: 300.0}, observation(600.0, line__takt_s=200.0), word)
    assert written(decision) == {TAKT: 240.0}
    assert (turns.memory.limits, turns.memory.limits_version) == ({}, 1)


@given(
    st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers(0, 10**9), st.text(max_size=40)
)
def test_a_change_of_limits_comes_back_from_its_words(
    one: float, other: float, version: int, why: str
) -> None:
    limits = LimitChange(TAKT, Limits(min(one, other), max(one, other)), version)
    assert LimitChange.parse(limits.in_words(why)) == limits


DOUBTED = "doubted: oven.gas_kwh the correction of oven.gas_kwh is out of all reason: 3"


def test_a_loop_is_not_closed_on_a_model_in_doubt_that_nobody_has_accepted() -> None:
    turns = Turns(Mode.ADVISORY)
    seen = observation(600.0, control__mode=2.0)
    refused = turns.grant({}, seen, "close: trial", DOUBTED)
    assert refused.mode is Mode.ADVISORY
    assert (
        "close refused: the model is in doubt: the correction of oven.gas_kwh" in refused.reasons[0]
    )
    assert turns.grant({}, seen, "ack: the meter is new", DOUBTED).mode is Mode.ADVISORY
    assert turns.grant({}, seen, "close: trial", DOUBTED).mode is Mode.INIT
    assert turns.grant({}, observation(630.0), DOUBTED).mode is Mode.CLOSED
    held = turns.grant({}, lost(660.0), DOUBTED)
    assert held.mode is Mode.HOLD
    assert turns.grant({}, observation(690.0), DOUBTED).mode is Mode.CLOSED  # accepted is accepted


def test_what_was_accepted_of_a_model_ends_with_the_next_doubt_and_with_the_doubt() -> None:
    for then in (("drift: oven.gas_kwh keeps coming out above", DOUBTED), ()):
        turns = Turns(Mode.ADVISORY)
        seen = observation(600.0, control__mode=2.0)
        turns.grant({}, seen, "ack: the meter is new", DOUBTED)
        assert turns.memory.accepted_doubts == {"oven.gas_kwh"}
        turns.grant({}, seen, *then)
        assert turns.grant({}, seen, "close: trial", DOUBTED).mode is Mode.ADVISORY


def test_an_acknowledged_shed_accepts_no_doubt() -> None:
    turns = Turns(Mode.SHED)
    seen = observation(600.0, control__mode=2.0)
    assert turns.grant({}, seen, "ack: switch replaced", DOUBTED).mode is Mode.ADVISORY
    assert turns.grant({}, seen, "close: trial", DOUBTED).mode is Mode.ADVISORY


def test_what_operators_want_is_theirs_to_change_and_nobody_elses() -> None:
    turns = Turns(Mode.ADVISORY)
    local = observation(600.0, control__mode=2.0)

    def after(seen: Observation, *commands: str) -> tuple[Mode, Mode]:
        return turns.grant({}, seen, *commands).mode, turns.memory.requested

    barred = observation(600.0, control__mode=2.0, control__permit_remote=0.0)
    assert after(barred, "close: trial") == (Mode.ADVISORY, Mode.ADVISORY)  # refused is over
    assert after(local, "close: trial") == (Mode.INIT, Mode.CLOSED)
    assert after(observation(630.0)) == (Mode.CLOSED, Mode.CLOSED)
    assert after(lost(660.0)) == (Mode.HOLD, Mode.CLOSED)
    assert after(lost(800.0)) == (Mode.SHED, Mode.CLOSED)
    assert after(observation(830.0, control__mode=2.0), "ack: seen")[1] is Mode.ADVISORY
    assert after(local, "off") == (Mode.OFF, Mode.OFF)
    assert after(local, "close: trial") == (Mode.OFF, Mode.OFF)
    assert after(local, "start") == (Mode.ADVISORY, Mode.ADVISORY)


def test_who_freezes_a_loop_that_sheds_wanted_it_to_hold() -> None:
    turns = Turns()
    shed = observation(600.0, control__mode=2.0, control__shed=1.0)
    assert turns.grant({}, shed, "freeze").mode is Mode.SHED
    assert turns.memory.requested is Mode.HOLD
