"""What the guard does to each setpoint that is asked for, with the reason that it gives."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twin.act.guards import GUARD, Turns, written
from tests.twin.act.observations import SPEED, STANDBY, STATE, TAKT, TEMP, lost, observation
from twin.act.asked import stand_in
from twin.act.guard import ADVICE
from twin.act.limit_change import LimitChange
from twin.act.memory import GuardMemory
from twin.cycle import Acknowledgement, Action, Clip, Mode, Outcome
from twin.signals import Limits, Quality


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


def test_an_echo_that_is_shown_before_its_value_is_waited_for() -> None:
    """A PLC may report the two apart: an old value is none that a rate could start from."""
    turns = Turns()
    turns.grant({TAKT: 100.0}, observation(600.0))
    answer = Acknowledgement(1, Outcome.ACCEPTED, {TAKT: 100.0}, "", 600_000_000)
    old = observation(601.0, control__echo_seq=1.0)  # still shows 72
    early = GUARD.grant(Action({TAKT: 60.0}, ""), old, (), answer, turns.memory)
    assert written(early) == {}
    assert early.clips == (Clip(TAKT, 60.0, None, "what it was set to last is not shown yet"),)
    seen = observation(602.0, line__takt_s=100.0, control__echo_seq=1.0)
    assert written(turns.grant({TAKT: 60.0}, seen)) == {TAKT: 92.0}


def test_a_plc_that_goes_there_at_its_own_rate_is_waited_for_half_a_period() -> None:
    turns = Turns()
    turns.grant({TAKT: 100.0}, observation(600.0))
    answer = Acknowledgement(1, Outcome.ACCEPTED, {TAKT: 72.0}, "", 600_000_000)
    on_its_way = observation(616.0, line__takt_s=90.0, control__echo_seq=1.0)
    later = GUARD.grant(Action({TAKT: 240.0}, ""), on_its_way, (), answer, turns.memory)
    assert written(later) == {TAKT: 154.0}  # 4/s for 16 s


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


def test_batches_are_numbered_on_from_what_the_plc_has_taken() -> None:
    turns = Turns()
    first = turns.grant({TAKT: 80.0}, observation(600.0, control__echo_seq=41.0))
    assert first.batch is not None
    assert first.batch.sequence == 42
    assert first.batch.deadline_us == 610_000_000
    second = turns.grant({TAKT: 90.0}, observation(630.0, control__echo_seq=-1.0))
    assert second.batch is not None
    assert second.batch.sequence == 43


def test_to_stand_still_is_to_ask_for_what_is_active() -> None:
    assert stand_in({TAKT: 72.0}, "why") == Action({TAKT: 72.0}, "why", "held")


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
