"""A historian's file that nobody writes any more: opened for reading alone, and left as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import duckdb

from twin.store.database import WHOLE
from twin.store.quarantine import RESTORE, StoreError, cause_of
from twin.store.trends import Trace, newest_us, read_series


class ClosedHistorian:
    """What a run recorded. Unlike its owner this makes no file, and sets none aside.

    Opening it reads every block once, so that damage is told now and not where it is met. Raises
    :class:`StoreError` for a file that is missing, empty, damaged, or still owned by a loop.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        if not path.is_file():
            raise StoreError(f"{path}: there is no historian", RESTORE)
        if not path.stat().st_size:
            raise StoreError(f"{path}: damaged: the file is empty", RESTORE)
        try:
            self._connection = duckdb.connect(
                str(path),
                read_only=True,
                config={"threads": threads, "autoload_known_extensions": "false"},
            )
        except duckdb.Error as error:
            reason, hint = cause_of(error)
            if "Could not set lock" in reason:
                msg = f"{path}: in use by a loop that runs"
                raise StoreError(msg, "wait until the loop has ended") from error
            raise StoreError(f"{path}: damaged: {reason}", hint or RESTORE) from error
        try:
            self._connection.execute(WHOLE)
            rows = self._connection.execute("select name, signal from tags").fetchall()
            self.newest_us = newest_us(self._connection)
            """Plant time of the last reading; None if there is none."""
        except duckdb.Error as error:
            self._connection.close()
            raise StoreError(f"{path}: damaged: {cause_of(error)[0]}", RESTORE) from error
        self._index = {str(name): int(signal) for name, signal in rows}

    def series(
        self, names: Sequence[str], from_us: int, until_us: int, points: int | None = None
    ) -> dict[str, Trace]:
        """Courses of signals in ``[from_us, until_us)``; see ``trends``."""
        window = (from_us, until_us)
        return read_series(self._connection, self._index, names, window, points, stretches=True)

    def gaps(self) -> list[tuple[int, int, str]]:
        """All stretches without readings, from and until in plant time (us), and why."""
        return self._connection.execute("select * from gaps order by from_us").fetchall()

    def events(self) -> list[tuple[int, str, int, int, int]]:
        """All transitions: time (us), entity, state before and after, part."""
        query = "select time_us, entity, before, after, part from events order by time_us"
        return self._connection.execute(query).fetchall()

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
