"""The audit's tables as records, and how they are read back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

TABLES = """
create table if not exists intents (
    sequence integer primary key, time_us integer not null, utc text not null, mode text not null,
    setpoints text not null, why text not null, clips text not null, controller text not null);
create table if not exists outcomes (
    sequence integer primary key, outcome text not null, detail text not null,
    active text not null, utc text not null);
create table if not exists cycles (number integer primary key, record text not null);
create table if not exists commands (
    id integer primary key, utc text not null, verb text not null, who text not null,
    reason text not null);
create table if not exists notes (
    id integer primary key, utc text not null, time_us integer not null, mode text not null,
    reasons text not null);
"""
NAMES = ("intents", "outcomes", "cycles", "commands", "notes")


@dataclass(frozen=True, slots=True)
class Intent:
    """A write that was about to leave: what was to be set, why, and what the guard had changed.

    ``clips`` are (signal, asked, granted or None, reason).
    """

    sequence: int
    time_us: int
    utc: str
    mode: str
    setpoints: Mapping[str, float]
    why: str
    clips: tuple[tuple[str, float, float | None, str], ...]
    controller: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What became of a write; ``active`` is what was read back, None where that is unknown."""

    sequence: int
    outcome: str
    detail: str
    active: Mapping[str, float | None]
    utc: str


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """Who asked the loop for what, and why."""

    utc: str
    verb: str
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """A change of mode, or the reasons why nothing was written."""

    utc: str
    time_us: int
    mode: str
    reasons: tuple[str, ...]


def read_intents(database: sqlite3.Connection) -> Iterator[Intent]:
    """All intents in the order of their numbers."""
    for row in database.execute(
        "select sequence, time_us, utc, mode, setpoints, why, clips, controller from intents "
        "order by sequence"
    ):
        sequence, time_us, utc, mode, setpoints, why, clips, controller = row
        yield Intent(
            sequence,
            time_us,
            utc,
            mode,
            json.loads(setpoints),
            why,
            tuple(tuple(clip) for clip in json.loads(clips)),
            controller,
        )


def read_outcomes(database: sqlite3.Connection) -> Iterator[Conclusion]:
    """All outcomes in the order of the intents' numbers."""
    for sequence, outcome, detail, active, utc in database.execute(
        "select sequence, outcome, detail, active, utc from outcomes order by sequence"
    ):
        yield Conclusion(sequence, outcome, detail, json.loads(active), utc)


def read_cycles(database: sqlite3.Connection) -> Iterator[str]:
    """All turns of the loop in order, each as the text that ``Cycle.to_json`` gave."""
    for (record,) in database.execute("select record from cycles order by number"):
        yield record


def read_commands(database: sqlite3.Connection) -> Iterator[OperatorCommand]:
    """All operator commands in the order in which they came."""
    for row in database.execute("select utc, verb, who, reason from commands order by id"):
        yield OperatorCommand(*row)


def read_notes(database: sqlite3.Connection) -> Iterator[Note]:
    """All notes in the order in which they were made."""
    for utc, time_us, mode, reasons in database.execute(
        "select utc, time_us, mode, reasons from notes order by id"
    ):
        yield Note(utc, time_us, mode, tuple(json.loads(reasons)))


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is on record, as people read it: when, who, what and why.

    ``link`` is its number in the chain, 0 for a row from before there was one.
    """

    link: int
    name: str
    utc: str
    who: str
    what: str
    why: str


def read_rows(database: sqlite3.Connection) -> Iterator[Row]:
    """Everything but the turns of the loop, in the order in which it was written."""
    has_chain = database.execute("select count(*) from sqlite_master where name = 'chain'")
    links: dict[tuple[str, int], int] = {}
    if has_chain.fetchone()[0]:
        known = database.execute("select kind, key, number from chain where kind != 'cycles'")
        links = {(kind, key): number for kind, key, number in known}
    rows = [
        Row(links.get((table, key), 0), f"{table.removesuffix('s')} {key}", *told)
        for table, key, *told in (
            *_told_commands(database),
            *_told_notes(database),
            *_told_intents(database),
            *_told_outcomes(database),
        )
    ]
    yield from sorted(rows, key=lambda row: (row.link, row.utc))


_Told = tuple[str, int, str, str, str, str]


def _told_commands(database: sqlite3.Connection) -> Iterator[_Told]:
    for key, utc, verb, who, reason in database.execute(
        "select id, utc, verb, who, reason from commands"
    ):
        yield "commands", key, utc, who, verb, reason


def _told_notes(database: sqlite3.Connection) -> Iterator[_Told]:
    for key, utc, mode, reasons in database.execute("select id, utc, mode, reasons from notes"):
        yield "notes", key, utc, "loop", mode, "; ".join(json.loads(reasons))


def _told_intents(database: sqlite3.Connection) -> Iterator[_Told]:
    for one in read_intents(database):
        what = ", ".join(f"{name} = {value:g}" for name, value in one.setpoints.items())
        why = "; ".join((one.why, *(f"{name}: {reason}" for name, _, _, reason in one.clips)))
        yield "intents", one.sequence, one.utc, one.controller, f"write {what}", why


def _told_outcomes(database: sqlite3.Connection) -> Iterator[_Told]:
    for one in read_outcomes(database):
        yield "outcomes", one.sequence, one.utc, "line", one.outcome, one.detail
