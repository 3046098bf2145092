"""What operators' words make of the guard's mode: closed, frozen, opened, shed, and refused."""

from __future__ import annotations

import math

import pytest

from tests.twin.act.guards import Turns, written
from tests.twin.act.observations import STATE, TAKT, lost, observation
from twin.cycle import Mode, Observation


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
