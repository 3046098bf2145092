"""The chain through an audit: each row carries the hash of itself and of all rows before it.

A row that was changed, taken out or put in later no longer fits, and is named. The hash of a link is
SHA-256 over the hash before it and the row as canonical JSON. Link 0 says which rows were there before
the chain began: those of an older version, of which it knows nothing else. That there is a chain stands in
the file's own head (SQLite's ``user_version``), so that one which was dropped is missed, and link 0 of the
one that follows says so. How long it was stands in a file beside it (``audit_head``). Whoever can write
both can also forge both: against that helps a head (number and hash of the newest link) that was noted
elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

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
NUMBERED = ("commands", "notes")
"""The tables that number their rows themselves: from 1, without a hole."""
CHAINED = 1
"""The ``user_version`` of a file that has a chain."""
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
        known: dict[str, object] = {**_newest_keys(database)}
        if had_chain(database):
            known["dropped"] = True
        before = json.dumps(known, sort_keys=True)
        first = (0, before, 0, hashlib.sha256(before.encode()).hexdigest())
        database.execute("insert or ignore into chain values (?, ?, ?, ?)", first)
    database.execute(f"pragma user_version = {CHAINED}")


def had_chain(database: sqlite3.Connection) -> bool:
    """Whether the file says that it has a chain, whether it has or not."""
    return _one(database, "pragma user_version") >= CHAINED


def holds(database: sqlite3.Connection, head: str) -> bool:
    """Whether a head that was noted (``NUMBER:HASH``) is a link of the chain."""
    number, _, digest = head.partition(":")
    query = "select count(*) from chain where number = ? and hash = ?"
    return bool(database.execute(query, (number, digest)).fetchone()[0])


def newest(database: sqlite3.Connection) -> tuple[int, str]:
    """Number and hash of the newest link."""
    number, digest = database.execute(_NEWEST).fetchone()
    return int(number), str(digest)


def extend(database: sqlite3.Connection, kind: str, key: int) -> None:
    """Put a row that was just written at the end of the chain, within the same transaction."""
    number, before = newest(database)
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


def breaks(database: sqlite3.Connection, expected: Iterable[str] = ()) -> list[Break]:
    """Every place where the chain does not hold; empty where it does, or where there never was one.

    ``expected`` are heads that were noted earlier: each must still be a link of the chain.
    """
    awaited = [head for head in dict.fromkeys(expected) if head]
    if not _has_chain(database):
        found = [Break("chain", "there is none, and a head was expected") for _ in awaited[:1]]
        if had_chain(database):
            found.append(Break("chain", "removed as a whole: the file says that it had one"))
        return found
    found = []
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
        last, before, said = number, kept, where
    if last < 0:
        found.append(Break("chain", "emptied: not even its beginning is there"))
    found += [
        Break("chain", f"the head {head[:99]} that was expected is not in it")
        for head in awaited
        if not holds(database, head)
    ]
    return found + _inserted(database) + _missing(database)


def name_of(kind: str, key: int) -> str:
    """A row as findings name it: ``intent 7``."""
    return f"{kind.removesuffix('s')} {key}"


def _inserted(database: sqlite3.Connection) -> list[Break]:
    """Rows that no link knows and that were not there before the chain began."""
    known = _before(database)
    if known is None:
        return [Break("link 0", "it does not say what was there before")]
    found = [
        Break(name_of(kind, key), "inserted: no link knows it")
        for kind, column in KEYS.items()
        for (key,) in database.execute(
            f"select {column} from {kind} where ({column} > ? or {column} <= 0) and {column} "  # noqa: S608
            "not in (select key from chain where number > 0 and kind = ?) order by 1",
            (known[kind], kind),
        )
    ]
    if known.get("dropped"):
        found.insert(0, Break("link 0", "a chain that was there before was removed as a whole"))
    return found


def _missing(database: sqlite3.Connection) -> list[Break]:
    """Numbers that neither a row nor a link has, below one that has been given."""
    known = _before(database) or {}
    found = []
    for kind in NUMBERED:
        keys = database.execute(
            "select key from chain where number > 0 and kind = ? union "  # noqa: S608
            f"select {KEYS[kind]} from {kind} where {KEYS[kind]} between 1 and ? order by 1",
            (kind, known.get(kind, 0)),
        )
        last = 0
        for (key,) in keys:
            if key > last + 1:
                lost = f" to {key - 1}" if key > last + 2 else ""
                found.append(Break(name_of(kind, last + 1) + lost, "missing: no such row is left"))
            last = max(last, key)
    return found


def _before(database: sqlite3.Connection) -> dict[str, int] | None:
    """By table, the last row before the chain began; None if link 0 does not say."""
    first = database.execute("select kind from chain where number = 0").fetchone()
    try:
        said = json.loads(first[0])
        return {kind: int(said[kind]) for kind in KEYS} | {"dropped": int(said.get("dropped", 0))}
    except (ValueError, KeyError, TypeError):
        return None


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
