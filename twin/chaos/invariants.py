"""The invariants I1 to I10, checked on what the server received against what the loops meant.

I1 finite and valid; I2 within the rate from the value read back; I3 only while CLOSED, and what is
switched on; I4 on good and fresh inputs; I5 known MVs alone; I6 nothing sent twice, and after an
unknown outcome a reading first; I7 one durable intent before each write; I8 authority by an operator
alone; I9 one loop at a time; I10 nothing older than its deadline.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from twin.act.modes import MV_COMMANDS
from twin.chaos.evidence import IN_FORCE, Evidence, Received, Record
from twin.chaos.rig import seconds
from twin.chaos.timeline import offsets_us
from twin.signals import FUTURE_US, UNUSABLE, Role, Signal
from twin.store.audit_rows import Intent

CLOCK_S = 0.005
"""Times in records are whole milliseconds."""
NOTED_S = 0.02
"""So much later than it was put in force may a write be noted; and the one before it not."""
SCAN_S = 0.1
"""A PLC's own time stands still between two scans; wall time."""
REMOTE = 3.0
NEEDS = {
    ("ADVISORY", "INIT"): ("close",),
    ("SHED", "ADVISORY"): ("ack", "open"),
    ("OFF", "ADVISORY"): ("start",),
}
BY_ITSELF = {("INIT", "CLOSED"), ("HOLD", "CLOSED")}
RANK = {"OFF": 0, "SHED": 1, "ADVISORY": 2, "INIT": 3, "HOLD": 4, "CLOSED": 5}


@dataclass(frozen=True, slots=True)
class _Meant:
    """A batch as a loop meant it, the turn in which it was decided, and how the times differ.

    ``switches`` are all that operators said to that loop of single MVs: when, off or on, and which.
    """

    record: Record
    intent: Intent
    cycle: Mapping[str, Any] | None
    offsets_us: Mapping[int, int]
    switches: Sequence[tuple[float, str, str]]

    @property
    def off(self) -> set[str]:
        """What operators had switched off by then. What was under way when they said so is not called back."""
        off: set[str] = set()
        for at_s, verb, name in self.switches:
            if at_s < seconds(self.intent.utc):
                off = off | {name} if verb == "mv_off" else off - {name}
        return off


def broken(evidence: Evidence) -> Iterator[str]:
    """All that is broken, each with the number of its invariant first."""
    meant: dict[int, list[_Meant]] = {}
    for record in evidence.records:
        cycles = {
            c["decision"]["batch"]["sequence"]: c
            for c in record.cycles
            if c["decision"]["batch"] and c["decision"]["batch"]["setpoints"]
        }
        shifts, switches = offsets_us(record, evidence.shown), _switches(record)
        for intent in record.intents:
            cycle = cycles.get(intent.sequence)
            its = _Meant(record, intent, cycle, shifts, switches)
            meant.setdefault(intent.sequence, []).append(its)
        yield from _of_record(record)
    yield from _of_values(evidence)
    yield from _of_writes(evidence, meant)
    yield from _of_owner(evidence, meant)


def _switches(record: Record) -> list[tuple[float, str, str]]:
    return [
        (seconds(one.utc), one.verb, next(iter(one.reason.split()), ""))
        for one in record.commands
        if one.verb in MV_COMMANDS
    ]


def _of_values(evidence: Evidence) -> Iterator[str]:
    """I1 and I5: whatever came, whether it was put in force or not."""
    mvs = {signal.name: signal for signal in evidence.signals if signal.role is Role.MV}
    for one in evidence.received:
        signal = mvs.get(one.signal)
        if signal is None or signal.validity is None:
            yield f"I5: {one.signal} is no manipulated variable"
        elif not math.isfinite(one.value) or not signal.validity.holds(one.value):
            yield f"I1: {one.signal} = {one.value} is outside {signal.validity}"


def _whose(meant: Mapping[int, list[_Meant]], one: Received) -> _Meant | None:
    """The batch that arrived: the newest of its number by then.

    Loops that follow each other share a number where the PLC did not take the first one's batch.
    """
    found = sorted(meant.get(one.sequence, ()), key=lambda its: its.intent.utc)
    before = [its for its in found if seconds(its.intent.utc) <= one.at_s + CLOCK_S]
    return before[-1] if before else next(iter(found), None)


def _of_writes(evidence: Evidence, meant: Mapping[int, list[_Meant]]) -> Iterator[str]:
    mvs = {signal.name: signal for signal in evidence.signals if signal.role is Role.MV}
    index = {signal.name: place for place, signal in enumerate(evidence.signals)}
    seen: set[tuple[str, int, str]] = set()
    last: dict[tuple[int, str], Received] = {}
    for one in evidence.received:
        its = _whose(meant, one)
        key = ("" if its is None else its.record.name, one.sequence, one.signal)
        if key in seen:
            yield f"I6: batch {one.sequence} came a second time"
        seen.add(key)
        if its is None:
            yield f"I7: unlogged: batch {one.sequence} for {one.signal} has no intent"
            continue
        if its.intent.setpoints.get(one.signal) != one.value:
            yield f"I7: unlogged: batch {one.sequence} was not meant to set {one.signal} to {one.value}"
        if seconds(its.intent.utc) > one.at_s + CLOCK_S:
            yield f"I7: the intent of batch {one.sequence} is later than its arrival"
        if its.intent.mode != "CLOSED":
            yield f"I3: batch {one.sequence} left in {its.intent.mode}"
        if one.signal in its.off:
            yield f"I3: batch {one.sequence} sets {one.signal}, which was switched off"
        if its.cycle is not None:
            yield from _of_inputs(evidence, its.cycle, one)
            if one.result == "NOT_REMOTE" and its.cycle["values"][index["control.mode"]] != REMOTE:
                yield f"I3: batch {one.sequence} left for a PLC that was not in remote control"
        if one.result in IN_FORCE and one.signal in mvs:
            before = last.get((one.life, one.signal))
            seen_at = None if its.cycle is None else its.cycle["values"][index[one.signal]]
            yield from _of_rate(evidence, mvs[one.signal], one, before, seen_at)
            last[one.life, one.signal] = one
            yield from _of_age(evidence, its, one)


def _of_inputs(evidence: Evidence, cycle: Mapping[str, Any], one: Received) -> Iterator[str]:
    """I4: the reading on which it rests. What repeats itself is a matter of cases: see ``Case.is_blind``."""
    stale_us = evidence.control.stale_after_s * 1e6
    for place, signal in enumerate(evidence.signals):
        if not signal.critical:
            continue
        value, mark = cycle["values"][place], cycle["status"][place]
        age_us = cycle["time_us"] - cycle["source_us"][place]
        is_stale = signal.sampled_s > 0.0 and age_us > stale_us
        if value is None or mark & int(UNUSABLE) or is_stale or age_us < -FUTURE_US:
            yield f"I4: batch {one.sequence} rests on {signal.name}, which was not usable"
            return


def _of_rate(
    evidence: Evidence,
    signal: Signal,
    one: Received,
    before: Received | None,
    seen: float | None,
) -> Iterator[str]:
    """I2: from the value in force; where somebody else has moved that, from what was read."""
    if signal.discrete or one.active_before is None:
        return
    base, period_s = one.active_before, evidence.control.period_s
    moved_by_others = before is not None and before.value != base
    if moved_by_others and seen is not None:
        base = seen
    elapsed_s = period_s
    if before is not None:
        # By the wall; by the PLC's own clock where that went faster, after a scan that was late.
        by_wall_s = (one.at_s - before.at_s + NOTED_S) * evidence.speed
        elapsed_s = min(max(by_wall_s, (one.time_us - before.time_us) / 1e6), period_s)
    most = signal.rate_per_s * elapsed_s * (1.0 + 1e-6) + 1e-9
    if abs(one.value - base) > most:
        yield f"I2: {one.signal} moved by {abs(one.value - base):.4g}, and {most:.4g} is allowed"


def _of_age(evidence: Evidence, its: _Meant, one: Received) -> Iterator[str]:
    """I10: from the reading to the arrival, by plant time."""
    if one.life not in its.offsets_us:
        return
    age_s = (one.time_us + its.offsets_us[one.life] - its.intent.time_us) / 1e6
    limit_s = evidence.control.deadline_s + SCAN_S * evidence.speed
    if age_s > limit_s:
        yield f"I10: batch {one.sequence} came {age_s:.1f} s after its reading, {limit_s:.1f} allowed"


def _of_record(record: Record) -> Iterator[str]:
    """I6, I7 and I8, of what one loop has on record of itself."""
    for finding in record.findings:
        yield f"I7: {record.name}: {finding}"
    unknown = {one.sequence for one in record.outcomes if one.outcome == "UNKNOWN"}
    told = {
        c["acknowledged"]["sequence"]: c["time_us"]
        for c in record.cycles
        if c["acknowledged"] and c["acknowledged"]["outcome"] == "UNKNOWN"
    }
    for before, after in pairwise(record.intents):
        if before.sequence in unknown and after.time_us <= told.get(
            before.sequence, before.time_us
        ):
            yield f"I6: batch {after.sequence} left before anything was read after an unknown one"
    commands = [(seconds(one.utc), one.verb) for one in record.commands]
    notes = [note for note in record.notes if note.utc]
    for old, new in pairwise(notes):
        change, needed = (old.mode, new.mode), NEEDS.get((old.mode, new.mode), ())
        if RANK[new.mode] <= RANK[old.mode] or change in BY_ITSELF:
            continue
        low, high = seconds(old.utc) - 1.0, seconds(new.utc) + CLOCK_S
        if not any(v in needed and low <= at <= high for at, v in commands):
            yield f"I8: {old.mode} became {new.mode} without an operator"


def _of_owner(evidence: Evidence, meant: Mapping[int, list[_Meant]]) -> Iterator[str]:
    """I9: who has once given way does not write again."""
    order: list[str] = []
    for one in evidence.received:
        its = _whose(meant, one)
        if its is None or one.result not in IN_FORCE:
            continue
        if not order or order[-1] != its.record.name:
            if its.record.name in order:
                yield f"I9: {its.record.name} and another loop wrote in turns"
                return
            order.append(its.record.name)
