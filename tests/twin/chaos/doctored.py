"""Evidence of a small, sound case, made by hand; tests doctor it and ask the oracles."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache
from typing import Any

from twin.chaos.case import Case, Step
from twin.chaos.evidence import Evidence, Received, Record, Shown
from twin.chaos.rig import Fault, Footprint, Story
from twin.config import load_plant
from twin.feedback.alarms import OVER
from twin.line.model import build_line
from twin.line.tags import line_signals
from twin.signals import Signal
from twin.store.audit_rows import Conclusion, Intent, Note, OperatorCommand

PLANT, SPEED, ZONE = "paint_cure_line", 5.0, "oven.zone_1_setpoint_c"
T_US, EPOCH_S = 5_000_000, 1_780_000_000.0
TURNS = 20
PROBE = "oven.zone_temp_2_c"
"""A critical instrument; each scan shows another value of it."""
CASE = Case(1, "sensor", "a fault", "by hand", is_blind=True)
STEPS = (Step("HOLD", "not usable", 2), Step("SHED", "not usable for", 6))


@cache
def signals() -> tuple[Signal, ...]:
    return line_signals(build_line(load_plant(PLANT)))


def utc(turn: float) -> str:
    """The calendar at a turn: one a second."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(EPOCH_S + turn, UTC).isoformat(timespec="milliseconds")


def cycle(turn: int, sequence: int, **values: float) -> dict[str, Any]:
    """A turn in which all inputs were good, and a batch was decided."""
    names = [signal.name for signal in signals()]
    read = {"control.mode": 3.0, ZONE: 145.0} | values
    return {
        "time_us": turn * T_US,
        "values": [read.get(name, 100.0) for name in names],
        "status": [0] * len(names),
        "source_us": [turn * T_US] * len(names),
        "acknowledged": None,
        "decision": {
            "batch": {"sequence": sequence, "setpoints": {ZONE: 145.0 + 0.1 * sequence}},
            "clips": [],
        },
    }


def alarm(turn: float, name: str, *, is_over: bool = False) -> dict[str, Any]:
    """The line of a log that raises an alarm, or clears it."""
    message = f"{OVER if is_over else 'alarm'}: {name}, by hand"
    return {"utc": utc(turn), "level": "warning", "message": message, "alarm": name}


def sound() -> Evidence:
    """Closed at turn 1; writes at turns 2 to 8; a fault from 8.5 to 15; closed again at 16."""
    moves = {n - 1: n for n in range(2, 9)}  # sequence: turn
    notes = (
        (0, "ADVISORY", "started"),
        (0.5, "INIT", "operator: close"),
        (1, "CLOSED", "handshake complete"),
        (9, "HOLD", "critical input x is not usable"),
        (12, "SHED", "critical input x is not usable for 4 readings"),
        (15.2, "ADVISORY", "operator: ack"),
        (15.5, "INIT", "operator: close"),
        (16, "CLOSED", "handshake complete"),
    )
    commands = ((0.4, "close"), (15.1, "ack"), (15.4, "close"))
    record = Record(
        "runs-001",
        [
            Intent(q, n * T_US, utc(n), "CLOSED", {ZONE: 145.0 + 0.1 * q}, "", (), "restless")
            for q, n in moves.items()
        ],
        [Conclusion(q, "ACCEPTED", "OK", {}, utc(n)) for q, n in moves.items()],
        [OperatorCommand(utc(n), verb, "ada", "") for n, verb in commands],
        [Note(utc(n), round(n * T_US), mode, (why,)) for n, mode, why in notes],
        [cycle(n, q) for q, n in moves.items()],
        readings=[(n * T_US, 10.0 * n) for n in range(TURNS)],
        values={PROBE: [150.0 + n for n in range(TURNS)]},
        events=[(33_000_000, "booth", 3, 4, 2)],
        log=[alarm(12.0, "loop"), alarm(15.2, "loop", is_over=True)],
    )
    received = [
        Received(
            1, n * T_US, EPOCH_S + n + 0.01, q, ZONE, 145.0 + 0.1 * q, 145.0 + 0.1 * (q - 1), "OK"
        )
        for q, n in moves.items()
    ]
    shown = [
        Shown(1, n * T_US // 10, EPOCH_S + n / 10, n, (), {PROBE: 150.0 + n / 10})
        for n in range(10 * TURNS)
    ]
    shown[66] = replace(shown[66], events=((33_000_000, "booth", 3, 4, 2),))
    story = Story(
        [Fault(EPOCH_S + 8.5, STEPS, EPOCH_S + 15.0)],
        Footprint(300_000, 40),
        Footprint(301_000, 41),
        [1.0],
    )
    control = load_plant(PLANT).control
    return Evidence(signals(), control, SPEED, received, shown, [record], story)


def with_record(evidence: Evidence, **changes: object) -> Evidence:
    """The same with something else in the record of the loop."""
    (record,) = evidence.records
    return replace(evidence, records=[replace(record, **changes)])  # type: ignore[arg-type]


def with_readings(evidence: Evidence, turns: Collection[int], **changes: object) -> Evidence:
    """The same where the readings of these turns alone were kept."""
    (record,) = evidence.records
    readings = [one for n, one in enumerate(record.readings) if n in turns]
    kept = [one for n, one in enumerate(record.values[PROBE]) if n in turns]
    return with_record(evidence, readings=readings, values={PROBE: kept}, **changes)


def with_write(evidence: Evidence, place: int, **changes: object) -> Evidence:
    """The same with one write that the server received otherwise."""
    received = list(evidence.received)
    received[place] = replace(received[place], **changes)  # type: ignore[arg-type]
    return replace(evidence, received=received)
