"""What the processes of a case have left behind: the server's own logs, and the records of the loops."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from twin.chaos.rig import Story, seconds
from twin.config.plant import ControlSpec
from twin.signals import Signal
from twin.store.audit import Audit
from twin.store.audit_rows import Conclusion, Intent, Note, OperatorCommand
from twin.store.closed import ClosedHistorian
from twin.store.quarantine import StoreError

FOREVER_US = 2**62
ALIVE = "control.plc_alive"
"""The PLC's counter, which a reading always has: it stands for the reading."""
IN_FORCE = ("OK", "CLAMPED")
"""Results by which a setpoint has changed the line."""


@dataclass(frozen=True, slots=True)
class Received:
    """One setpoint as the server received it. ``life`` counts the starts of the server."""

    life: int
    time_us: int
    at_s: float
    sequence: int
    signal: str
    value: float
    active_before: float | None
    result: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One scan as the server showed it: its counter, what happened in it, what critical instruments showed."""

    life: int
    time_us: int
    at_s: float
    alive: int
    events: tuple[tuple[int, str, int, int, int], ...]
    values: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """What one loop kept: its audit, and its historian.

    ``readings`` are (plant time, the PLC's counter) as the loop has them, ``values`` what critical
    instruments showed in each of them, ``findings`` what its own audit has to say against itself.
    """

    name: str
    intents: Sequence[Intent] = ()
    outcomes: Sequence[Conclusion] = ()
    commands: Sequence[OperatorCommand] = ()
    notes: Sequence[Note] = ()
    cycles: Sequence[Mapping[str, Any]] = ()
    findings: Sequence[str] = ()
    readings: Sequence[tuple[int, float]] = ()
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    gaps: Sequence[tuple[int, int, str]] = ()
    events: Sequence[tuple[int, str, int, int, int]] = ()
    log: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it, with what was done and the plant's own rules."""

    signals: Sequence[Signal]
    control: ControlSpec
    speed: float
    received: Sequence[Received]
    shown: Sequence[Shown]
    records: Sequence[Record]
    story: Story = field(default_factory=Story)

    @property
    def period_s(self) -> float:
        """One turn, seconds of the wall."""
        return self.control.period_s / self.speed


def gather(
    folder: Path, signals: Sequence[Signal], control: ControlSpec, speed: float, story: Story
) -> Evidence:
    """Read it all, once the processes have ended."""
    shown = [_shown(life, row) for life, row in _rows(folder, "shown")]
    names = sorted({name for scan in shown for name in scan.values})
    return Evidence(
        signals,
        control,
        speed,
        [_received(life, row) for life, row in _rows(folder, "received")],
        shown,
        [record_of(path, names) for path in sorted(folder.glob("runs-*/*/*/audit.sqlite"))],
        story,
    )


def record_of(path: Path, names: Sequence[str]) -> Record:
    """What one loop kept, by its audit's path, with the values of some signals.

    A historian that cannot be read is empty.
    """
    with Audit(path, read_only=True) as audit:
        found = Record(
            str(path.parent.parent.parent.name),
            tuple(audit.intents()),
            tuple(audit.outcomes()),
            tuple(audit.commands()),
            tuple(audit.notes()),
            tuple(json.loads(text) for text in audit.cycles()),
            tuple(f"{one.where}: {one.text}" for one in audit.verify()),
            log=tuple(_lines(path.with_name("log.jsonl"))),
        )
    return _with_samples(found, path.parent, names)


def _with_samples(record: Record, folder: Path, names: Sequence[str]) -> Record:
    try:
        with ClosedHistorian(folder / "historian.duckdb") as past:
            traces = past.series([ALIVE, *names], 0, FOREVER_US)
            counter = traces.pop(ALIVE)
            return replace(
                record,
                readings=tuple(zip(counter.time_us.tolist(), counter.value.tolist(), strict=True)),
                values={name: tuple(trace.value.tolist()) for name, trace in traces.items()},
                gaps=tuple(past.gaps()),
                events=tuple(past.events()),
            )
    except StoreError:
        return record  # without a reading: the oracle says so


def _rows(folder: Path, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    paths = {int(path.stem.rpartition("-")[2]): path for path in folder.glob(f"{name}-*.jsonl")}
    for life, path in sorted(paths.items()):
        for row in _lines(path):
            yield life, row


def _lines(path: Path) -> Iterable[Mapping[str, Any]]:
    """The lines of a file of JSON; the last one may have been cut off by a kill."""
    texts = path.read_text("utf-8").splitlines() if path.is_file() else []
    for number, text in enumerate(texts, 1):
        try:
            yield json.loads(text)
        except ValueError:
            if number < len(texts):
                raise


def _received(life: int, row: Mapping[str, Any]) -> Received:
    return Received(
        life,
        row["time_us"],
        seconds(row["utc"]),
        row["sequence"],
        row["signal"],
        float(row["value"]),
        row["active_before"],
        row["result"],
    )


def _shown(life: int, row: Mapping[str, Any]) -> Shown:
    events = tuple((e[0], e[1], e[2], e[3], e[4]) for e in row["events"])
    at_s = seconds(row["utc"])
    return Shown(life, row["time_us"], at_s, row["alive"], events, row["values"])
