"""The chain through an audit: each row carries the hash of itself and of all rows before it.

A row that was changed, taken out or put in later no longer fits, and is named. The hash of a link is
SHA-256 over the hash before it and the row as canonical JSON. Link 0 says which rows were there before
the chain began: those of an older version, of which it knows nothing else. Whoever can write the file
can also forge a whole new chain: against that helps a head (number and hash of the newest link) that was
noted elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

NAME = "chain"
TABLE = """
create table if not exists chain (
    number integer primary key, kind text not null, key integer not null, hash text not null);
"""
KEYS = {
    "intents": "sequence",
    "outcomes": "sequence",
    "cycles": "number",
    "commands": "id",
    "notes": "id",
}
"""The tables that the chain runs through, and the column by which a row is known."""
_NEWEST = "select number, hash from chain order by number desc limit 1"
_Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """How far the chain of an audit reaches. ``loose`` rows were there before it began."""

    links: int
    hash: str
    loose: int

    @property
    def head(self) -> str:
        """The newest link, as one notes it elsewhere, ``NUMBER:HASH``; empty without a chain."""
        return f"{self.links}:{self.hash}" if self.hash else ""


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the chain does not hold; ``where`` names the row."""

    where: str
    text: str


def begin(database: sqlite3.Connection) -> None:
    """Begin a chain where there is none, within the transaction that makes the tables."""
    if database.execute("select count(*) from chain").fetchone()[0] == 0:
        before = json.dumps(_newest_keys(database), sort_keys=True)
        first = (0, before, 0, hashlib.sha256(before.encode()).hexdigest())
        database.execute("insert or ignore into chain values (?, ?, ?, ?)", first)


def extend(database: sqlite3.Connection, kind: str, key: int) -> None:
    """Put a row that was just written at the end of the chain, within the same transaction."""
    number, before = database.execute(_NEWEST).fetchone()
    row = _row(database, kind, key)
    assert row is not None
    link = (number + 1, kind, key, _hash(before, number + 1, kind, row))
    database.execute("insert into chain values (?, ?, ?, ?)", link)


def chain_of(database: sqlite3.Connection) -> Chain:
    """How far the chain reaches."""
    counts = [_one(database, f"select count(*) from {kind}") for kind in KEYS]  # noqa: S608
    if not _has_chain(database):
        return Chain(0, "", sum(counts))
    links, last = database.execute(_NEWEST).fetchone() or (0, "")
    linked = _one(database, "select count(*) from chain where number > 0")
    return Chain(int(links), str(last), max(0, sum(counts) - linked))


def breaks(database: sqlite3.Connection, expected: str = "") -> list[Break]:
    """Every place where the chain does not hold; empty where it does, or where there is none.

    ``expected`` is a head that was noted earlier: it must still be a link of the chain.
    """
    if not _has_chain(database):
        return [Break("chain", "there is none, and a head was expected")] if expected else []
    found: list[Break] = []
    last, before, said = -1, "", "the beginning"
    for number, kind, key, kept in database.execute(
        "select number, kind, key, hash from chain order by number"
    ):
        where = name_of(kind, key) if number else "link 0"
        row = _row(database, kind, key) if kind in KEYS else None
        if number != last + 1:
            lost = f"link {last + 1}" if number == last + 2 else f"links {last + 1} to {number - 1}"
            found.append(Break(lost, f"removed with what they held: after {said}, before {where}"))
        elif number == 0:
            if hashlib.sha256(kind.encode()).hexdigest() != kept:
                found.append(Break(where, "changed: it does not say what was there before"))
        elif row is not None and _hash(before, number, kind, row) != kept:
            found.append(Break(where, f"changed: link {number} was made of something else"))
        if number and row is None:
            found.append(Break(where, f"removed: link {number} remembers it"))
        if expected == f"{number}:{kept}":
            expected = ""
        last, before, said = number, kept, where
    if expected:
        found.append(Break("chain", f"the head {expected} that was expected is not in it"))
    return found + _inserted(database)


def name_of(kind: str, key: int) -> str:
    """A row as findings name it: ``intent 7``."""
    return f"{kind.removesuffix('s')} {key}"


def _inserted(database: sqlite3.Connection) -> list[Break]:
    """Rows that no link knows and that were not there before the chain began."""
    first = database.execute("select kind from chain where number = 0").fetchone()
    try:
        before = json.loads(first[0])
        known = {kind: int(before[kind]) for kind in KEYS}
    except (ValueError, KeyError, TypeError):
        return [Break("link 0", "it does not say what was there before")]
    return [
        Break(name_of(kind, key), "inserted: no link knows it")
        for kind, column in KEYS.items()
        for (key,) in database.execute(
            f"select {column} from {kind} where {column} > ? and {column} not in "  # noqa: S608
            "(select key from chain where kind = ?) order by 1",
            (known[kind], kind),
        )
    ]


def _newest_keys(database: sqlite3.Connection) -> dict[str, int]:
    return {k: _one(database, f"select coalesce(max({c}), 0) from {k}") for k, c in KEYS.items()}  # noqa: S608


def _row(database: sqlite3.Connection, kind: str, key: int) -> _Row | None:
    query = f"select * from {kind} where {KEYS[kind]} = ?"  # noqa: S608  (our own tables)
    found: _Row | None = database.execute(query, (key,)).fetchone()
    return found


def _hash(before: str, number: int, kind: str, row: _Row) -> str:
    text = json.dumps([before, number, kind, row], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _has_chain(database: sqlite3.Connection) -> bool:
    query = f"select count(*) from sqlite_master where name = '{NAME}'"  # noqa: S608
    return _one(database, query) > 0


def _one(database: sqlite3.Connection, query: str) -> int:
    return int(database.execute(query).fetchone()[0])
