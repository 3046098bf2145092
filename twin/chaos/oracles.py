"""The five oracles. Each reads what was left behind, and says in words what is wrong: nothing, if all is well.

The server's own log of what it received and the server's own log of what it showed are the judges;
the loop's audit and historian are what is judged.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from twin.chaos.case import Case
from twin.chaos.evidence import Evidence, Record, Shown
from twin.chaos.invariants import broken
from twin.chaos.rig import Fault, seconds
from twin.chaos.timeline import offsets_us
from twin.feedback.alarms import OVER
from twin.store.audit_rows import Note

HOLE_PERIODS = 2.5
"""Further apart than this no two turns are without a gap on record: so the loop promises."""
GROWTH, MORE_FILES = 0.05, 4
AWAY = ("HOLD", "SHED")
MOST_ALARMS = 3
"""One fault may raise so many: of more nobody finds the cause (EEMUA 191: over ten in ten minutes are a flood)."""

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
    """What the server showed is in the historian as it was shown, or lies in a gap with bounds."""
    found: list[str] = []
    for record in evidence.records:
        found += [f"{record.name}: {text}" for text in _lost_of(record, evidence)]
    counts.lost = len(found)
    return found


def _lost_of(record: Record, evidence: Evidence) -> Iterator[str]:
    if not record.readings:
        yield "nothing was recorded at all"
        return
    period_us = round(evidence.control.period_s * 1e6)
    yield from _not_kept(record, period_us)
    yield from _never_shown(record, evidence.shown)
    yield from _not_told(record, evidence.shown, period_us)


def _not_kept(record: Record, period_us: int) -> Iterator[str]:
    """Turns of the loop without a reading, and periods without a turn, of which no gap speaks."""
    kept = {time_us for time_us, _ in record.readings}
    turns = {cycle["time_us"] for cycle in record.cycles}
    due = sorted(turns - kept)
    for before, after in pairwise(sorted(turns | kept)):
        if after - before > HOLE_PERIODS * period_us:
            count = round((after - before) / period_us)
            due += [before + n * period_us for n in range(1, count)]
    for at_us in due:
        if not any(low <= at_us <= high for low, high, _ in record.gaps):
            yield f"no reading at {at_us / 1e6:.1f} s, and no gap on record"


def _never_shown(record: Record, shown: Sequence[Shown]) -> Iterator[str]:
    """Values on record that the server did not show at any time; an unknown one says nothing."""
    for name, values in record.values.items():
        known = {scan.values.get(name) for scan in shown}
        for (time_us, _), value in zip(record.readings, values, strict=True):
            if math.isfinite(value) and value not in known:
                at_s = time_us / 1e6
                yield f"{name} = {value:g} at {at_s:.1f} s is on record, and was never shown"


def _not_told(record: Record, shown: Sequence[Shown], period_us: int) -> Iterator[str]:
    """Transitions that the server told, and of which nothing is on record, nor a gap."""
    first_us, last_us = record.readings[0][0], record.readings[-1][0]
    gaps = [(low - period_us, high + period_us) for low, high, _ in record.gaps]
    known = Counter(record.events)
    for life, offset_us in offsets_us(record, shown).items():
        for scan in shown:
            for what in scan.events if scan.life == life else ():
                at_us = what[0] + offset_us
                if not first_us < at_us <= last_us - period_us:
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
    if evidence.records:
        found += _alarms(faults, evidence.records[0])
    return found


def _alarms(faults: Sequence[Fault], record: Record) -> Iterator[str]:
    """Each fault raises the alarms that it has to, each once, and not many; what was raised is cleared."""
    told = [
        (seconds(line["utc"]), str(line["alarm"]), str(line["message"]).startswith(OVER))
        for line in record.log
        if "alarm" in line
    ]
    ends_s = [*(fault.from_s for fault in faults[1:]), math.inf]
    for fault, end_s in zip(faults, ends_s, strict=True):
        raised = Counter(n for at_s, n, over in told if fault.from_s <= at_s < end_s and not over)
        for name in sorted(_due(fault) - raised.keys()):
            yield f"alarm {name} was not raised"
        for name, count in raised.items():
            if count > 1:
                yield f"alarm {name} was raised {count} times for one fault"
        if len(raised) > MOST_ALARMS:
            yield f"{len(raised)} alarms were raised for one fault: {', '.join(raised)}"
    standing = Counter[str]()
    for _, name, over in told:
        standing[name] += -1 if over else 1
    for name in sorted(+standing):
        yield f"alarm {name} was never cleared"


def _due(fault: Fault) -> set[str]:
    """The alarms that a fault has to raise."""
    own = {"loop" for step in fault.steps if step.mode == "SHED"}
    return own | {name for step in fault.steps for name in step.alarms}


def _pairs(record: Record) -> Iterator[str]:
    """Warnings that begin and end: each has its end, and does not begin again before."""
    for begins, ends in (
        (": cannot record", ": recording again"),
        (" at plant time ", ": back at "),
    ):
        standing = 0
        for line in record.log:
            text = "" if "alarm" in line else str(line.get("message", ""))
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
