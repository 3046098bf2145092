"""Each oracle finds nothing in sound evidence, and finds what was done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.twin.chaos.doctored import (
    CASE,
    EPOCH_S,
    PROBE,
    STEPS,
    T_US,
    TURNS,
    ZONE,
    alarm,
    cycle,
    sound,
    utc,
    with_readings,
    with_record,
    with_write,
)
from twin.chaos.evidence import Evidence, Record
from twin.chaos.oracles import judged
from twin.chaos.rig import Fault, Footprint, Story
from twin.store.audit_rows import Note, OperatorCommand

Doctor = Callable[[Evidence], Evidence]


def findings(evidence: Evidence) -> dict[str, list[str]]:
    return {name: texts for name, texts in judged(CASE, evidence)[0].items() if texts}


def record_of(evidence: Evidence) -> Record:
    (record,) = evidence.records
    return record


def without_intent(evidence: Evidence) -> Evidence:
    return with_record(evidence, intents=record_of(evidence).intents[1:])


def from_another_mode(evidence: Evidence) -> Evidence:
    first, *rest = record_of(evidence).intents
    return with_record(evidence, intents=[replace(first, mode="HOLD"), *rest])


def intended_afterwards(evidence: Evidence) -> Evidence:
    first, *rest = record_of(evidence).intents
    return with_record(evidence, intents=[replace(first, utc=utc(2.5)), *rest])


def on_bad_inputs(evidence: Evidence) -> Evidence:
    first, *rest = record_of(evidence).cycles
    bad = {**first, "status": [2] * len(first["status"])}
    return with_record(evidence, cycles=[bad, *rest])


def on_stale_inputs(evidence: Evidence) -> Evidence:
    """Of good status, and older than the plant allows."""
    first, *rest = record_of(evidence).cycles
    age_us = round(evidence.control.stale_after_s * 1e6) + 1
    old = {**first, "source_us": [first["time_us"] - age_us] * len(first["source_us"])}
    return with_record(evidence, cycles=[old, *rest])


def too_soon(evidence: Evidence) -> Evidence:
    """By the wall and by the PLC's own clock."""
    before = evidence.received[1]
    return with_write(evidence, 2, at_s=before.at_s + 0.1, time_us=before.time_us + 500_000)


def switched(evidence: Evidence, *verbs: tuple[float, str, str]) -> Evidence:
    """The same where an operator had switched MVs off or on: at which turn, how, which and why."""
    told = [OperatorCommand(utc(turn), verb, "ada", why) for turn, verb, why in verbs]
    return with_record(evidence, commands=[*record_of(evidence).commands, *told])


def sent_again(evidence: Evidence) -> Evidence:
    return replace(evidence, received=[*evidence.received, evidence.received[-1]])


def blind(evidence: Evidence) -> Evidence:
    late = replace(evidence.received[-1], at_s=EPOCH_S + 12.0)
    return replace(evidence, received=[*evidence.received[:-1], late])


def risen_by_itself(evidence: Evidence) -> Evidence:
    return with_record(evidence, commands=record_of(evidence).commands[:1])


def not_read_after_unknown(evidence: Evidence) -> Evidence:
    record = record_of(evidence)
    outcomes = [replace(record.outcomes[0], outcome="UNKNOWN"), *record.outcomes[1:]]
    told = {**cycle(9, 9), "acknowledged": {"sequence": 1, "outcome": "UNKNOWN"}}
    return with_record(evidence, outcomes=outcomes, cycles=[*record.cycles, told])


def of_two_loops(evidence: Evidence) -> Evidence:
    """Every other write is another loop's."""
    record = record_of(evidence)
    one = replace(record, intents=record.intents[::2])
    other = replace(record, name="runs-002", intents=record.intents[1::2])
    return replace(evidence, records=[one, other])


INVARIANTS: dict[str, tuple[str, Doctor]] = {
    "out of range": ("I1", lambda e: with_write(e, 2, value=230.0)),
    "not finite": ("I1", lambda e: with_write(e, 2, value=float("nan"))),
    "too far": ("I2", lambda e: with_write(e, 2, active_before=144.0)),
    "too soon": ("I2", too_soon),
    "not closed": ("I3", from_another_mode),
    "switched off": ("I3", lambda e: switched(e, (4.5, "mv_off", f"{ZONE} calibration"))),
    "switched on late": (
        "I3",
        lambda e: switched(e, (1.5, "mv_off", ZONE), (4.5, "mv_on", ZONE)),
    ),
    "bad inputs": ("I4", on_bad_inputs),
    "stale inputs": ("I4", on_stale_inputs),
    "blind": ("I4", blind),
    "no MV": ("I5", lambda e: with_write(e, 0, signal="sis.burner_interlock")),
    "sent again": ("I6", sent_again),
    "not read": ("I6", not_read_after_unknown),
    "no intent": ("I7: unlogged", without_intent),
    "another value": ("I7: unlogged", lambda e: with_write(e, 0, value=145.05)),
    "intended afterwards": ("I7", intended_afterwards),
    "broken audit": ("I7", lambda e: with_record(e, findings=["intent 3: removed"])),
    "risen by itself": ("I8", risen_by_itself),
    "two loops": ("I9", of_two_loops),
    "too late": ("I10", lambda e: with_write(e, 2, time_us=e.received[2].time_us + T_US)),
}


def test_sound_evidence_is_sound() -> None:
    found, counts = judged(CASE, sound())
    assert not any(found.values()), found
    assert (counts.writes, counts.out_of_range, counts.unlogged, counts.lost) == (7, 0, 0, 0)
    assert (counts.shed_s, counts.recover_s) == ([3.5], [1.0])


@pytest.mark.parametrize("name", INVARIANTS)
def test_a_doctored_log_breaks_its_invariant(name: str) -> None:
    number, doctor = INVARIANTS[name]
    found = findings(doctor(sound()))
    assert any(text.startswith(number) for text in found.get("O1", [])), found


def test_who_opens_a_loop_that_has_shed_has_answered() -> None:
    """As a run does that is ended then."""
    record = record_of(sound())
    commands = [replace(one, verb="open") if one.verb == "ack" else one for one in record.commands]
    assert "O1" not in findings(with_record(sound(), commands=commands))


def test_a_scan_that_was_late_is_not_the_loops_fault() -> None:
    """A PLC that is behind by its own clock, and makes up for it: the loop goes by that clock."""
    late = sound().received[1].at_s + 0.7
    assert "O1" not in findings(with_write(sound(), 1, at_s=late))


def test_a_write_to_an_mv_that_is_on_breaks_nothing() -> None:
    """On again before it, off after it, another one off."""
    for verbs in (
        ((1.2, "mv_off", ZONE), (1.4, "mv_on", ZONE)),
        ((8.5, "mv_off", ZONE),),
        ((1.5, "mv_off", f"{ZONE}_2 {ZONE}"),),
    ):
        assert "O1" not in findings(switched(sound(), *verbs))


def test_what_is_out_of_range_and_unlogged_is_counted() -> None:
    _, counts = judged(CASE, with_write(without_intent(sound()), 0, value=230.0))
    assert (counts.out_of_range, counts.unlogged) == (1, 1)


def test_a_lost_event_and_a_hole_are_lost_unless_a_gap_says_so() -> None:
    no_event = with_record(sound(), events=())
    assert "booth 3→4" in findings(no_event)["O2"][0]
    hole = {*range(6), *range(9, TURNS)}
    assert "no gap on record" in findings(with_readings(sound(), hole))["O2"][0]
    accounted = with_readings(sound(), hole, events=(), gaps=[(5 * T_US, 9 * T_US, "lost")])
    assert "O2" not in findings(accounted)
    short = with_record(accounted, gaps=[(5 * T_US, 6 * T_US, "lost")])
    assert "O2" in findings(short)
    assert "nothing was recorded" in findings(with_readings(sound(), ()))["O2"][0]


def test_each_turn_and_each_period_without_a_reading_is_lost() -> None:
    """A loop that keeps every third reading has no hole that is wider than three periods."""

    def lost(evidence: Evidence) -> int:
        return judged(CASE, evidence)[1].lost

    assert lost(with_readings(sound(), {*range(TURNS)} - {4})) == 1
    third = range(0, TURNS, 3)
    assert lost(with_readings(sound(), third)) == 5 + 6
    assert lost(with_readings(sound(), third, cycles=())) == 2 * (len(third) - 1)
    assert lost(with_readings(sound(), third, gaps=[(0, TURNS * T_US, "lost")])) == 0


def test_a_value_on_record_is_one_that_was_shown() -> None:
    kept = list(record_of(sound()).values[PROBE])
    kept[5] += 0.01
    changed = with_record(sound(), values={PROBE: kept})
    assert findings(changed)["O2"] == [
        f"runs-001: {PROBE} = 155.01 at 25.0 s is on record, and was never shown"
    ]
    unknown = with_record(sound(), values={PROBE: [float("nan")] * TURNS})
    assert "O2" not in findings(unknown)


def test_modes_have_to_come_in_order_in_time_and_for_their_reason() -> None:
    notes = list(record_of(sound()).notes)
    late = [replace(n, utc=utc(14.9)) if n.mode == "SHED" else n for n in notes]
    story = replace(sound().story, faults=[Fault(EPOCH_S + 4.5, STEPS, EPOCH_S + 15.0)])
    for changed, text in (
        (with_record(sound(), notes=[n for n in notes if n.mode != "SHED"]), "SHED never came"),
        (with_record(sound(), notes=[_because(n, "no idea") for n in notes]), "because 'no idea'"),
        (replace(sound(), story=story), "HOLD after 4.5 s"),
        (with_record(sound(), notes=late), "SHED after 6.4 s"),
    ):
        limits = replace(changed.story.faults[0], steps=(STEPS[0], replace(STEPS[1], periods=5)))
        tight = replace(changed, story=replace(changed.story, faults=[limits]))
        assert any(text in found for found in findings(tight)["O3"]), findings(tight)


def test_what_a_play_has_missed_is_a_finding() -> None:
    story = replace(sound().story, notes=["not closed again"])
    assert findings(replace(sound(), story=story))["O3"] == ["not closed again"]


def test_one_fault_is_one_alarm() -> None:
    record = record_of(sound())
    more = [Note(utc(16.5 + n), 90_000_000, mode, ("again",)) for n, mode in enumerate(("HOLD",))]
    assert "held 2 times" in findings(with_record(sound(), notes=[*record.notes, *more]))["O4"][0]
    silent = replace(sound().story.faults[0], steps=())
    felt = replace(sound(), story=replace(sound().story, faults=[silent]))
    assert "shed 1 times, not 0 at most" in findings(felt)["O4"][1]


def test_an_alarm_is_raised_for_a_shed_once_and_cleared() -> None:
    log = record_of(sound()).log
    cases: tuple[tuple[Sequence[Mapping[str, Any]], str], ...] = (
        ((), "alarm loop was not raised"),
        (log[:1], "alarm loop was never cleared"),
        ((*log, alarm(17.0, "loop"), log[1]), "alarm loop was raised 2 times for one fault"),
        ((*log, *both("a"), *both("b"), *both("c")), "4 alarms were raised for one fault"),
    )
    for told, text in cases:
        assert any(text in one for one in findings(with_record(sound(), log=told))["O4"]), text
    more = (*log, *both("instrument oven"))
    assert "O4" not in findings(with_record(sound(), log=more))
    steps = (STEPS[0], replace(STEPS[1], alarms=("instrument oven",)))
    story = replace(sound().story, faults=[replace(sound().story.faults[0], steps=steps)])
    due = replace(sound(), story=story)
    assert findings(due)["O4"] == ["alarm instrument oven was not raised"]
    assert "O4" not in findings(with_record(due, log=more))


def both(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return alarm(10.0, name), alarm(15.0, name, is_over=True)


def test_a_warning_that_begins_again_before_it_ended_is_chatter() -> None:
    lines = [
        {"utc": utc(n), "level": "warning", "message": f"x: connection lost at plant time {n} s"}
        for n in (1, 2, 3)
    ]
    assert "raised again" in findings(with_record(sound(), log=lines))["O4"][0]


def test_a_loop_has_to_come_back_and_to_hold_no_more_than_before() -> None:
    def told(**changes: object) -> list[str]:
        story: Story = replace(sound().story, **changes)  # type: ignore[arg-type]
        return findings(replace(sound(), story=story)).get("O5", [])

    assert told() == []
    assert "not closed again" in told(recovered_s=[])[0]
    assert "memory grew by 6.0 %" in told(after=Footprint(318_000, 40))[0]
    assert "files more" in told(after=Footprint(300_000, 60))[0]


def test_a_setpoint_that_others_have_moved_is_measured_from_what_was_read() -> None:
    """After a shed the PLC stands at its recipe: the loop begins from what it reads there."""
    evidence = with_write(sound(), 2, active_before=140.0, value=145.3)
    cycles = list(record_of(evidence).cycles)
    cycles[2] = cycle(4, 3, **{ZONE: 145.2})
    assert "O1" not in findings(with_record(evidence, cycles=cycles))


def _because(note: Note, why: str) -> Note:
    return replace(note, reasons=(why,))
