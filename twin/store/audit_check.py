"""Whether an audit is complete: no write without its intent, no intent without its outcome."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from twin.cycle import Mode, Outcome
from twin.store.audit_rows import Intent, read_cycles, read_intents, read_outcomes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

WRITING = frozenset({Mode.CLOSED})
"""Modes in which setpoints may leave."""

NOTHING_LEFT = frozenset({Outcome.SKIPPED, Outcome.NONE})
"""Outcomes of batches that were numbered and then not sent."""

ECHO_AT = -3
"""Where the PLC's echo stands among the values of a turn: ``control.echo_seq``, whatever the line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the audit; ``where`` names the row."""

    where: str
    text: str


def audit_findings(database: sqlite3.Connection) -> list[Finding]:
    """All that is wrong; an empty list is the proof of a complete audit.

    Checked: the file's own integrity; intents number upwards by one, except for numbers that a
    batch without setpoints, one that was not sent or another loop has taken; plant time does not go back;
    setpoints are finite and left in a mode that may write; each intent but the last has an
    outcome; no outcome, and no answer in a recorded turn of the loop, is without its intent.
    """
    (state,) = database.execute("pragma integrity_check(1)").fetchone()
    findings = [] if state == "ok" else [Finding("file", str(state))]
    try:
        return findings + _of_rows(database)
    except (ValueError, KeyError, TypeError) as error:
        return [*findings, Finding("file", f"a row is not as it was written: {error!r}")]


def _of_rows(database: sqlite3.Connection) -> list[Finding]:
    outcomes = {conclusion.sequence: conclusion.outcome for conclusion in read_outcomes(database)}
    intents = list(read_intents(database))
    known = {intent.sequence for intent in intents}
    unsent = {number for number, outcome in outcomes.items() if outcome in NOTHING_LEFT}
    told = _of_cycles(read_cycles(database))
    findings = _of_numbers(intents, unsent | told.excused, told.jumps)
    findings += _of_intents(intents, outcomes)
    findings += [
        Finding(f"outcome {number}", f"{outcome} without an intent")
        for number, outcome in outcomes.items()
        if number not in known and number not in unsent
    ]
    findings += [
        Finding(f"cycle {cycle}", f"batch {number} was answered {outcome} without an intent")
        for cycle, number, outcome in told.answered
        if number not in known and number not in told.excused
    ]
    return findings


def _of_numbers(
    intents: list[Intent], excused: set[int], jumps: Mapping[int, int]
) -> list[Finding]:
    findings = []
    for before, after in pairwise(intents):
        number = before.sequence + 1
        while number < after.sequence and (number in excused or number in jumps):
            number = jumps.get(number, number + 1)
        if number < after.sequence:
            text = f"number {number} is missing after intent {before.sequence}"
            findings.append(Finding(f"intent {after.sequence}", text))
    return findings


def _of_intents(intents: list[Intent], outcomes: Mapping[int, str]) -> list[Finding]:
    findings = []
    for before, after in pairwise(intents):
        if after.time_us < before.time_us:
            text = f"plant time went back from {before.time_us} to {after.time_us} us"
            findings.append(Finding(f"intent {after.sequence}", text))
        if before.sequence not in outcomes:
            findings.append(Finding(f"intent {before.sequence}", "has no outcome"))
    for intent in intents:
        where = f"intent {intent.sequence}"
        if not all(math.isfinite(value) for value in intent.setpoints.values()):
            findings.append(Finding(where, "a setpoint is not finite"))
        if intent.setpoints and intent.mode not in WRITING:
            findings.append(Finding(where, f"setpoints left in mode {intent.mode}"))
    return findings


@dataclass(slots=True)
class _Told:
    """What the recorded turns say of numbers.

    ``excused`` need no intent: those of batches without setpoints, or that were not sent after all.
    ``jumps`` lead over those that another loop has used, from the first of them to the next of ours.
    ``answered`` are all answers of the line as (cycle, number, outcome).
    """

    excused: set[int] = field(default_factory=set)
    jumps: dict[int, int] = field(default_factory=dict)
    answered: list[tuple[int, int, str]] = field(default_factory=list)


def _of_cycles(records: Iterable[str]) -> _Told:
    told = _Told()
    before: dict[str, Any] | None = None
    for record in records:
        cycle: dict[str, Any] = json.loads(record)
        answer = cycle["acknowledged"]
        if answer is not None and answer["outcome"] in NOTHING_LEFT:
            told.excused.add(answer["sequence"])
        elif answer is not None:
            told.answered.append((cycle["number"], answer["sequence"], answer["outcome"]))
        batch = cycle["decision"]["batch"]
        if batch is not None and not batch["setpoints"]:
            told.excused.add(batch["sequence"])
        if before is not None:
            told.jumps |= _jump(before, cycle)
        before = cycle
    return told


def _jump(before: Mapping[str, Any], cycle: Mapping[str, Any]) -> dict[int, int]:
    """The numbers that a turn has left to another loop, since the PLC's echo shows that it has taken them.

    What the last number was before stands in the turn before. Where that one is missing nothing is excused:
    a loop that is closed always sees its own last number, whatever was taken out of its record.
    """
    last, batch = before["decision"]["batch"], cycle["decision"]["batch"]
    if last is None or batch is None or cycle["number"] != before["number"] + 1:
        return {}
    first, number = last["sequence"] + 1, batch["sequence"]
    echo = cycle["values"][ECHO_AT] if len(cycle["values"]) >= -ECHO_AT else None
    is_shown = echo is not None and number - 1 <= echo < number
    return {first: number} if is_shown and first < number else {}
