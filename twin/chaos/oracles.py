"""The five oracles. Each reads what was left behind, and says in words what is wrong: nothing, if all is well.

The server's own log of what it received and the server's own log of what it showed are the judges;
the loop's audit and historian are what is judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from twin.chaos.case import Case
from twin.chaos.evidence import Evidence, Record
from twin.chaos.invariants import broken
from twin.chaos.rig import Fault, seconds
from twin.chaos.timeline import offsets_us
from twin.store.audit_rows import Note

HOLE_PERIODS = 3.0
"""Readings further apart than this are a hole, which a gap on record has to account for."""
GROWTH, MORE_FILES = 0.05, 4
AWAY = ("HOLD", "SHED")

Event = tuple[int, str, int, int, int]


@dataclass(slots=True)
class Counts:
    """What the score adds up."""

    writes: int = 0
    out_of_range: int = 0
    unlogged: int = 0
    lost: int = 0
    shed_s: list[float] = field(default_factory=list)
    recover_s: list[float] = field(default_factory=list)


def judged(case: Case, evidence: Evidence) -> tuple[Mapping[str, list[str]], Counts]:
    """What each oracle has to say of a case, and its counts."""
    counts = Counts()
    found = {
        "O1": invariants(case, evidence, counts),
        "O2": nothing_lost(evidence, counts),
        "O3": [*right_mode(evidence, counts), *case.proof(evidence)],
        "O4": one_alarm(case, evidence),
        "O5": recovered(evidence, counts),
    }
    return found, counts


# --- O1 ----------------------------------------------------------------------------------------


def invariants(case: Case, evidence: Evidence, counts: Counts) -> list[str]:
    """No invariant I1 to I10 is broken in the server's log of what it received."""
    counts.writes = len(evidence.received)
    found = list(broken(evidence))
    counts.out_of_range = sum(text.startswith("I1:") for text in found)
    counts.unlogged = sum(text.startswith("I7: unlogged") for text in found)
    if case.is_blind:
        found += _while_blind(evidence)
    return found


def _while_blind(evidence: Evidence) -> Iterator[str]:
    for fault in (one for one in evidence.story.faults if one.steps):
        grace_s = fault.steps[0].limit_s(evidence.period_s)
        for one in evidence.received:
            if fault.from_s + grace_s < one.at_s < fault.until_s:
                after_s = one.at_s - fault.from_s
                yield f"I4: {one.signal} was written {after_s:.1f} s after its inputs were lost"
                return


# --- O2 ----------------------------------------------------------------------------------------


def nothing_lost(evidence: Evidence, counts: Counts) -> list[str]:
    """What the server showed is in the historian, or lies in a gap with bounds."""
    found: list[str] = []
    for record in evidence.records:
        found += [f"{record.name}: {text}" for text in _lost_of(record, evidence)]
    counts.lost = len(found)
    return found


def _lost_of(record: Record, evidence: Evidence) -> Iterator[str]:
    period_us = round(evidence.control.period_s * 1e6)
    times = [time_us for time_us, _ in record.readings]
    if not times:
        yield "nothing was recorded at all"
        return
    gaps = [(low - period_us, high + period_us) for low, high, _ in record.gaps]
    for before, after in pairwise(times):
        if after - before > HOLE_PERIODS * period_us and not _covered(before, after, gaps):
            yield f"no reading from {before / 1e6:.1f} to {after / 1e6:.1f} s, and no gap on record"
    known = Counter(record.events)
    for life, offset_us in offsets_us(record, evidence.shown).items():
        for scan in evidence.shown:
            for what in scan.events if scan.life == life else ():
                at_us = what[0] + offset_us
                if not times[0] < at_us <= times[-1] - period_us:
                    continue
                if any(low <= at_us <= high for low, high in gaps):
                    continue
                if not _has(known, at_us, what):
                    yield f"{what[1]} {what[2]}→{what[3]} at {at_us / 1e6:.3f} s is not on record"


def _has(known: Counter[Event], at_us: int, what: Event) -> bool:
    """Whether an event is on record; times of two clocks differ by what rounding makes of them."""
    for shift in (0, -1, 1):
        key = (at_us + shift, *what[1:])
        if known[key] > 0:
            known[key] -= 1
            return True
    return False


def _covered(before: int, after: int, gaps: Sequence[tuple[int, int]]) -> bool:
    """Whether gaps that touch each other lead from one reading to the next."""
    reached = before
    for low, high in sorted(gaps):
        if low <= reached:
            reached = max(reached, high)
    return reached >= after


# --- O3 ----------------------------------------------------------------------------------------


def right_mode(evidence: Evidence, counts: Counts) -> list[str]:
    """The modes that are expected come in their order, in time, and for the reason expected."""
    found = list(evidence.story.notes)
    notes = all_notes(evidence)
    for fault in evidence.story.faults:
        found += _steps_after(notes, fault, evidence.period_s)
        sheds = [s for s, note in notes if note.mode == "SHED" and fault.from_s <= s]
        if sheds and "SHED" in {step.mode for step in fault.steps}:
            counts.shed_s.append(sheds[0] - fault.from_s)
    return found


def _steps_after(
    notes: Sequence[tuple[float, Note]], fault: Fault, period_s: float
) -> Iterator[str]:
    at = 0
    while at < len(notes) and notes[at][0] < fault.from_s:
        at += 1
    for step in (one for one in fault.steps if one.mode):
        limit_s = step.limit_s(period_s)
        while at < len(notes) and notes[at][1].mode != step.mode:
            at += 1
        if at == len(notes):
            yield f"{step.mode} never came"
            return
        at_s, note = notes[at]
        why, took_s = "; ".join(note.reasons), at_s - fault.from_s
        if took_s > limit_s:
            yield f"{step.mode} after {took_s:.1f} s, not within {limit_s:.1f} s"
        if not re.search(step.why, why):
            yield f"{step.mode} because {why!r}, not {step.why!r}"
        at += 1


# --- O4 ----------------------------------------------------------------------------------------


def one_alarm(case: Case, evidence: Evidence) -> list[str]:
    """What is shown to an operator is raised once and cleared once; a loop that stays, stays silent."""
    faults = evidence.story.faults
    if not faults:
        return []
    found = []
    from_s = faults[0].from_s
    notes = [(at_s, note) for at_s, note in all_notes(evidence) if at_s >= from_s]
    count = Counter(note.mode for _, note in notes)
    felt = sum(bool(fault.steps) for fault in faults)
    holds, sheds = case.holds * felt, case.sheds * felt
    if count["HOLD"] > holds:
        found.append(f"held {count['HOLD']} times, not {holds} at most")
    if count["SHED"] > sheds:
        found.append(f"shed {count['SHED']} times, not {sheds} at most")
    if notes and notes[-1][1].mode in AWAY:
        found.append(f"the last word on record is {notes[-1][1].mode}: never cleared")
    for record in evidence.records:
        found += _pairs(record)
    return found


def _pairs(record: Record) -> Iterator[str]:
    """Warnings that begin and end: each has its end, and does not begin again before."""
    for begins, ends in (
        (": cannot record", ": recording again"),
        (" at plant time ", ": back at "),
    ):
        standing = 0
        for line in record.log:
            text = str(line.get("message", ""))
            if begins in text and line.get("level") == "warning":
                standing += 1
            elif ends in text:
                standing -= 1
            if standing > 2 or standing < 0:  # two stores, or one link
                yield f"raised again before it was cleared: {text[:100]}"
                return


# --- O5 ----------------------------------------------------------------------------------------


def recovered(evidence: Evidence, counts: Counts) -> list[str]:
    """The same process is closed again after the fault, and holds no more than before."""
    story = evidence.story
    found = []
    felt = [bool(fault.steps) for fault in story.faults]
    pairs = zip(felt, story.recovered_s, strict=False)
    counts.recover_s += [took_s for was_felt, took_s in pairs if was_felt]
    if len(story.recovered_s) < len(felt):
        found.append("the loop was not closed again")
    if story.before is None or story.after is None:
        return found
    growth = story.after.memory_kb / story.before.memory_kb - 1.0
    if growth >= GROWTH:
        found.append(
            f"memory grew by {100.0 * growth:.1f} % to {story.after.memory_kb / 1e3:.0f} MB"
        )
    more = story.after.files - story.before.files
    if more > MORE_FILES:
        found.append(f"{more} files more are open than before")
    return found


def all_notes(evidence: Evidence) -> list[tuple[float, Note]]:
    """The changes of mode of the first loop, with the calendar time of each, seconds."""
    records = evidence.records[:1]
    return sorted(
        ((seconds(note.utc), note) for record in records for note in record.notes if note.utc),
        key=lambda one: one[0],
    )
