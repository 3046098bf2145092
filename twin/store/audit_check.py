"""Whether an audit is complete: no write without its intent, no intent without its outcome."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from twin.cycle import Mode, Outcome
from twin.store.audit_rows import Intent, read_cycles, read_intents, read_outcomes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

WRITING = frozenset({Mode.CLOSED})
"""Modes in which setpoints may leave."""

NOTHING_LEFT = frozenset({Outcome.SKIPPED, Outcome.NONE})
"""Outcomes of batches that were numbered and then not sent."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the audit; ``where`` names the row."""

    where: str
    text: str


def audit_findings(database: sqlite3.Connection) -> list[Finding]:
    """All that is wrong; an empty list is the proof of a complete audit.

    Checked: the file's own integrity; intents number upwards by one, except for numbers that a
    batch without setpoints or one that was not sent has taken; plant time does not go back;
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
    excused, answered = _of_cycles(read_cycles(database))
    findings = _of_intents(intents, outcomes, unsent | excused)
    findings += [
        Finding(f"outcome {number}", f"{outcome} without an intent")
        for number, outcome in outcomes.items()
        if number not in known and number not in unsent
    ]
    findings += [
        Finding(f"cycle {cycle}", f"batch {number} was answered {outcome} without an intent")
        for cycle, number, outcome in answered
        if number not in known and number not in excused
    ]
    return findings


def _of_intents(
    intents: list[Intent], outcomes: dict[int, str], excused: set[int]
) -> list[Finding]:
    findings = []
    for before, after in pairwise(intents):
        between = range(before.sequence + 1, after.sequence)
        missing = next((number for number in between if number not in excused), None)
        if missing is not None:
            text = f"number {missing} is missing after intent {before.sequence}"
            findings.append(Finding(f"intent {after.sequence}", text))
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


def _of_cycles(records: Iterable[str]) -> tuple[set[int], list[tuple[int, int, str]]]:
    """Numbers that need no intent, and all answers of the line as (cycle, number, outcome).

    The former are those of batches without setpoints, or that were not sent after all.
    """
    excused: set[int] = set()
    answered: list[tuple[int, int, str]] = []
    for record in records:
        cycle: dict[str, Any] = json.loads(record)
        answer = cycle["acknowledged"]
        if answer is not None and answer["outcome"] in NOTHING_LEFT:
            excused.add(answer["sequence"])
        elif answer is not None:
            answered.append((cycle["number"], answer["sequence"], answer["outcome"]))
        batch = cycle["decision"]["batch"]
        if batch is not None and not batch["setpoints"]:
            excused.add(batch["sequence"])
    return excused, answered
