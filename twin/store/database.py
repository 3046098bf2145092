"""The historian's file: its tables, how it is opened, and what is done when it is damaged."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from twin.store.quarantine import StoreError, cause_of, set_aside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twin.signals import Signal

TABLES = """
create table if not exists tags (
    signal smallint, name varchar, unit varchar, role varchar, isa95_path varchar, node varchar);
create table if not exists samples (
    time_us bigint, signal smallint, value double, source_us bigint, received_us bigint,
    status bigint);
create table if not exists extents (
    from_us bigint, until_us bigint, signal smallint, low double, low_us bigint, high double,
    high_us bigint);
create table if not exists events (
    time_us bigint, entity varchar, before integer, after integer, part bigint, reading_us bigint);
create table if not exists gaps (from_us bigint, until_us bigint, reason varchar);
create table if not exists kpis (
    name varchar, value double, unit varchar, from_us bigint, until_us bigint);
"""

# Reads every block of every table, so that its checksum is looked at now and not in a month.
WHOLE = """
select (select bit_xor(hash(s)) from samples s), (select bit_xor(hash(x)) from extents x),
       (select bit_xor(hash(e)) from events e), (select bit_xor(hash(g)) from gaps g),
       (select bit_xor(hash(k)) from kpis k), (select bit_xor(hash(t)) from tags t)
"""

FAILING = ("No space left", "File too large", "Could not fsync", "Could not write")
"""Signs of a disk that does not take what is written: the file itself is as whole as before."""


MEMORY = "1GB"
"""What the engine may take while it works."""


def open_database(path: Path, threads: int) -> tuple[duckdb.DuckDBPyConnection, str]:
    """Open or create the file; the connection, and a warning if a damaged one was set aside.

    Raises :class:`StoreError` when another process owns the file, when it was written by another
    release of DuckDB, or when the folder cannot be written: those files are whole and stay.
    """
    if path.is_file() and not path.stat().st_size:  # the engine would take it for a new one
        warning = set_aside(path, (".wal",), "the file was empty")
        return _open(path, threads), warning
    try:
        return _open(path, threads), ""
    except duckdb.Error as error:
        reason = " ".join(str(error).split())
        if not _is_damage(path, error, reason):
            told, remedy = cause_of(error)
            raise StoreError(f"{path}: cannot be opened: {told}", remedy) from error
        warning = set_aside(path, (".wal",), reason)
        return _open(path, threads), warning


def _open(path: Path, threads: int) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        str(path),
        config={
            "threads": threads,
            "memory_limit": MEMORY,
            # Small checkpoints: the default of 16 MB holds an append up three times as long.
            "checkpoint_threshold": "4MB",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    try:
        connection.execute(TABLES)
        connection.execute(WHOLE)
    except duckdb.Error:
        connection.close()
        raise
    return connection


def let_go(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of what the engine keeps of the file in memory.

    It keeps all that it has written or read until it reaches its limit, and so a process that records for
    weeks would grow by as much; what is asked again comes from the file.
    """
    try:
        # What is in use now cannot go, and is no reason to fail.
        with suppress(duckdb.OutOfMemoryException):
            connection.execute("set memory_limit = '1MB'")
    finally:
        connection.execute(f"set memory_limit = '{MEMORY}'")


def _is_damage(path: Path, error: duckdb.Error, reason: str) -> bool:
    """Whether the file itself is broken, rather than in use, too new, or out of reach."""
    if not path.is_file() or "Could not set lock" in reason or "version number" in reason:
        return False
    if isinstance(error, duckdb.OutOfMemoryException):
        return False
    try:
        with path.open("r+b"):
            pass
    except OSError:
        return False
    return not any(sign in reason for sign in FAILING)


def register_tags(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    signals: Sequence[Signal],
    line_path: str,
) -> None:
    """Write the tag registry once, or check that the file holds this very list of signals.

    Samples are stored by position in the plant's tuple of signals, so another list needs another
    file; :class:`StoreError` says so.
    """
    rows = [
        (
            number,
            signal.name,
            _ucum(signal.unit),
            str(signal.role),
            _isa95_path(line_path, signal.name),
            signal.node,
        )
        for number, signal in enumerate(signals)
    ]
    held = connection.execute(
        "select signal, name, unit, role, isa95_path, node from tags order by signal"
    ).fetchall()
    if not held:
        connection.execute("begin")
        connection.executemany("insert into tags values (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("commit")
    elif held != rows:
        changed = next(
            (f"{old} is now {new}" for old, new in zip(held, rows, strict=False) if old != new),
            f"{len(held)} signals are now {len(rows)}",
        )
        msg = f"{path}: recorded for another list of signals ({changed}); start a new run folder"
        raise StoreError(msg)


def _ucum(unit: str) -> str:
    """The unit as a code of the Unified Code for Units of Measure (ucum.org).

    The plant's own units are such codes but for currencies, which UCUM does not have: they become
    annotations, ``EUR/MW.h`` → ``{EUR}/MW.h``.
    """
    return re.sub(r"(?<![{A-Za-z])[A-Z]{3}(?![A-Za-z}])", r"{\g<0>}", unit) or "1"


def _isa95_path(line_path: str, name: str) -> str:
    """Where a signal's work unit stands in the equipment hierarchy of ISA-95 (IEC 62264-1)."""
    entity = name.partition(".")[0]
    levels = line_path.strip("/").split("/") if line_path.strip("/") else []
    return "/".join([*levels, *(() if entity in {"line", "env", "control"} else (entity,))])
