"""Closed Parquet segments: what other processes read while the historian's file is in use."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

import duckdb

from twin.store.quarantine import RESTORE, StoreError, cause_of, sync_folder
from twin.store.trends import Trace, newest_us, read_series

if TYPE_CHECKING:
    from collections.abc import Sequence


def export_segment(
    connection: duckdb.DuckDBPyConnection, folder: Path, until_us: int
) -> tuple[Path, ...]:
    """Write the readings since the last segment up to, not including, ``until_us``; the new files.

    A segment ``samples-<from>-<until>.parquet`` (plant time, microseconds, half-open) is complete
    when its name is there, and never changes. ``events-…`` hold what these readings brought with
    them; ``tags``, ``gaps`` and ``kpis`` are small and replaced as a whole. Nothing new: no files
    but those three.
    """
    folder.mkdir(parents=True, exist_ok=True)
    from_us = max((_until(path) for path in folder.glob("samples-*.parquet")), default=0)
    written = [
        _copy(connection, f"from {table}", folder / f"{table}.parquet")
        for table in ("tags", "gaps", "kpis")
    ]
    if from_us < until_us:
        name = f"{from_us:020d}-{until_us:020d}.parquet"
        # Samples come last: their name is what says that the segment is whole.
        for table, time in (("events", "reading_us"), ("samples", "time_us")):
            query = (
                f"from {table} where {time} >= {from_us} and {time} < {until_us} order by {time}"
            )
            written.append(_copy(connection, query, folder / f"{table}-{name}"))
    sync_folder(folder)
    return tuple(written)


def old_segments(folder: Path, before_us: int) -> tuple[Path, ...]:
    """The sample files that hold nothing as late as an instant, oldest first."""
    return tuple(p for p in sorted(folder.glob("samples-*.parquet")) if _until(p) <= before_us)


def span_of(samples: Sequence[Path]) -> tuple[int, int]:
    """From when to when segments reach, as their names say: plant time, microseconds, half-open."""
    return min(_from(path) for path in samples), max(_until(path) for path in samples)


def remove_segment(samples: Path) -> None:
    """Delete a segment. Its samples go first: without them nobody takes it for one."""
    samples.unlink(missing_ok=True)
    samples.with_name(samples.name.replace("samples-", "events-", 1)).unlink(missing_ok=True)


class Segments:
    """A folder of closed segments, opened for reading by any process."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        if not any(folder.glob("samples-*.parquet")) or not (folder / "tags.parquet").is_file():
            msg = f"{folder}: holds no closed segments yet; a running loop writes one now and then"
            raise StoreError(msg)
        self._connection = duckdb.connect(
            config={"threads": threads, "autoload_known_extensions": "false"}
        )
        self._index: dict[str, int] = {}
        self.newest_us: int | None = None
        """Plant time of the last reading; None if there is none."""
        try:
            self._open(folder)
        except duckdb.Error as error:
            self._connection.close()
            msg = f"{folder}: segments cannot be read: {cause_of(error)[0]}"
            raise StoreError(msg, RESTORE) from error

    def _open(self, folder: Path) -> None:
        # A folder may be called runs[1]: only the pattern's own star stands for anything.
        literal = re.sub(r"([*?[])", r"[\1]", str(folder))
        for view, pattern in (
            ("samples", "samples-*.parquet"),
            ("events", "events-*.parquet"),
            ("tags", "tags.parquet"),
            ("gaps", "gaps.parquet"),
            ("kpis", "kpis.parquet"),
        ):
            place = f"{literal}/{pattern}".replace("'", "''")
            self._connection.execute(f"create view {view} as from read_parquet('{place}')")
        rows = self._connection.execute("select name, signal from tags").fetchall()
        self._index = {str(name): int(signal) for name, signal in rows}
        self.newest_us = newest_us(self._connection)

    @property
    def names(self) -> tuple[str, ...]:
        """All signals, in the plant's order."""
        return tuple(sorted(self._index, key=self._index.__getitem__))

    def series(
        self, names: Sequence[str], from_us: int, until_us: int, points: int | None = None
    ) -> dict[str, Trace]:
        """Courses of signals in ``[from_us, until_us)``; see ``trends``."""
        window = (from_us, until_us)
        return read_series(self._connection, self._index, names, window, points, stretches=False)

    def gaps(self) -> list[tuple[int, int, str]]:
        """From when to when nothing was recorded, and why; microseconds."""
        query = "select from_us, until_us, reason from gaps order by from_us, until_us"
        rows = self._connection.execute(query).fetchall()
        return [(int(from_us), int(until_us), str(why)) for from_us, until_us, why in rows]

    def close(self) -> None:
        """Let the files go."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> Path:
    """Write a query's rows to a file that appears whole or not at all."""
    arriving = path.with_name(f".{path.name}.tmp")
    place = str(arriving).replace("'", "''")
    try:
        connection.execute(f"copy ({query}) to '{place}' (format parquet, compression zstd)")
        handle = os.open(arriving, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        arriving.replace(path)
    except (duckdb.Error, OSError) as error:
        arriving.unlink(missing_ok=True)
        reason, remedy = cause_of(error)
        hint = remedy or "check the folder, then export again"
        raise StoreError(f"{path}: not exported: {reason}", hint) from error
    return path


def _from(path: Path) -> int:
    return int(path.stem.split("-")[1])


def _until(path: Path) -> int:
    return int(path.stem.rsplit("-", 1)[1])
