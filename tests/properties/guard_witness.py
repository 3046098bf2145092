"""What must hold of the setpoints that a PLC received, whatever was asked and whatever broke."""

from __future__ import annotations

import math

from tests.properties.hostile_line import Book, Row
from twin.cycle import Mode, Reading
from twin.signals import UNUSABLE, Role, Signal

WITH_AUTHORITY = (Mode.INIT, Mode.CLOSED, Mode.HOLD)
REPEATS = 7
"""A noisy instrument that has shown the same digits this often is frozen."""


def assert_safe(book: Book, rows: list[Row]) -> None:
    """All the invariants at once."""
    assert_limits(book, rows)
    assert_authority(book, rows)
    assert_inputs(book, rows)
    assert_order(book, rows)


def assert_limits(book: Book, rows: list[Row]) -> None:
    """Finite, an MV, inside validity, within the rate from what was read back."""
    signals = {signal.name: signal for signal in book.signals}
    granting = by_sequence(book)
    last_us: dict[str, int] = {}
    for row in rows:
        signal = signals[row.signal]
        assert signal.role is Role.MV
        assert math.isfinite(row.value)
        assert signal.validity is not None
        assert signal.validity.holds(row.value)
        decision = book.cycles[granting[row.sequence]].decision
        assert decision.batch is not None
        assert row.time_us <= decision.batch.deadline_us
        if signal.discrete:
            assert row.value == round(row.value)
            continue
        reading = book.cycles[granting[row.sequence]].reading
        since_us = reading.time_us - last_us.get(row.signal, -book.period_us)
        most = signal.rate_per_s * min(since_us, book.period_us) / 1e6
        active = value_of(book, reading, row.signal)
        assert abs(row.value - active) <= most * (1.0 + 1e-9) + 1e-12 * abs(active)
        last_us[row.signal] = reading.time_us


def assert_authority(book: Book, rows: list[Row]) -> None:
    """Setpoints in CLOSED alone, with the PLC's consent; authority by an operator's word alone.

    Of an MV that the operator has switched off nothing leaves, from the turn that takes his word.
    """
    granting = by_sequence(book)
    for row in rows:
        cycle = book.cycles[granting[row.sequence]]
        assert cycle.decision.mode is Mode.CLOSED
        assert value_of(book, cycle.reading, "control.permit_remote") == 1.0
        assert value_of(book, cycle.reading, "control.mode") == 3.0
        assert value_of(book, cycle.reading, "control.shed") == 0.0
    before, off_mvs, is_frozen = Mode.ADVISORY, set[str](), False
    for cycle in book.cycles:
        for verb, _, reason in (command.partition(": ") for command in cycle.commands):
            if verb in ("mv_off", "mv_on"):
                named = set(reason.split()[:1])
                off_mvs = off_mvs | named if verb == "mv_off" else off_mvs - named
        if cycle.decision.batch is not None:
            assert not off_mvs & {setpoint.signal for setpoint in cycle.decision.batch.setpoints}
        mode = cycle.decision.mode
        verbs = {command.partition(":")[0] for command in cycle.commands}
        if before not in WITH_AUTHORITY and mode in WITH_AUTHORITY:
            assert (before, mode) == (Mode.ADVISORY, Mode.INIT)
            assert "close" in verbs
            assert not verbs & {"open", "off", "fault"}
        if before is Mode.OFF and mode is not Mode.OFF:
            assert "start" in verbs
        if before is Mode.SHED and mode not in (Mode.SHED, Mode.OFF):
            assert verbs & {"ack", "open"}
        if is_frozen:  # out of it leads an operator's word, or what the line forces
            assert mode in (Mode.HOLD, Mode.SHED) or verbs & {"open", "off"}
        is_frozen = mode is Mode.HOLD and (is_frozen or "freeze" in verbs)
        if "freeze" in verbs:
            assert mode is not Mode.CLOSED
        if verbs & {"open", "off"}:
            assert mode not in WITH_AUTHORITY
        before = mode


def assert_inputs(book: Book, rows: list[Row]) -> None:
    """Nothing on a critical input that is bad, missing, impossible, old, of the future or frozen."""
    granting = by_sequence(book)
    critical = [(n, signal) for n, signal in enumerate(book.signals) if signal.critical]
    for at in {granting[row.sequence] for row in rows}:
        for n, signal in critical:
            assert doubt(book, at, n, signal) == ""


def doubt(book: Book, at: int, n: int, signal: Signal) -> str:
    """What is wrong with one critical input in one turn, judged from the readings alone."""
    reading = book.cycles[at].reading
    value, age_us = float(reading.values[n]), reading.time_us - int(reading.source_us[n])
    shown = {float(cycle.reading.values[n]) for cycle in book.cycles[max(0, at - 6) : at + 1]}
    is_noisy = signal.sampled_s > 0.0 and signal.noise_sd > 0.0
    ailments = {
        "marked at its source": int(reading.status[n]) & int(UNUSABLE),
        "no number": not math.isfinite(value),
        "impossible": is_impossible(book, at, n, signal) and not is_spike(book, at, n, signal),
        "of the future": age_us < -2_000_000,
        "stale": signal.sampled_s > 0.0 and age_us > book.stale_us,
        "frozen": is_noisy and at >= REPEATS and len(shown) == 1,
    }
    return next((what for what, holds in ailments.items() if holds), "")


def is_impossible(book: Book, at: int, n: int, signal: Signal) -> bool:
    """Whether a value lies beyond what the signal can show."""
    value = float(book.cycles[at].reading.values[n])
    return signal.validity is not None and not signal.validity.holds(value)


def is_spike(book: Book, at: int, n: int, signal: Signal) -> bool:
    """An impossible value after one that nobody doubts: for one reading, what was there before stands for it."""
    return (
        at > 0 and not is_impossible(book, at - 1, n, signal) and not doubt(book, at - 1, n, signal)
    )


def assert_order(book: Book, rows: list[Row]) -> None:
    """Intent before write, outcome after; a lost answer is followed by a reading and a pause."""
    intended: set[int] = set()
    sent: set[int] = set()
    is_quiet = must_read = False
    for what, number in book.log:
        if what == "turn":
            is_quiet = must_read
        elif what == "read":
            must_read = False
        elif what == "word":
            is_quiet = True
        elif what == "intent":
            assert number not in intended
            intended.add(number)
        elif what == "outcome":
            assert number in sent
        elif what == "skipped":
            assert number not in sent
        elif what == "setpoints":
            assert not must_read
            assert not is_quiet
            assert number in intended
            assert number not in sent  # nothing is sent again
            sent.add(number)
        elif what == "lost":
            must_read = number in sent
    assert {row.sequence for row in rows} <= sent


def by_sequence(book: Book) -> dict[int, int]:
    """In which turn each batch with setpoints was granted."""
    found: dict[int, int] = {}
    for at, cycle in enumerate(book.cycles):
        batch = cycle.decision.batch
        if batch is not None and batch.setpoints:
            assert batch.sequence not in found
            found[batch.sequence] = at
    return found


def value_of(book: Book, reading: Reading, name: str) -> float:
    """What the line showed."""
    return float(reading.values[[signal.name for signal in book.signals].index(name)])
