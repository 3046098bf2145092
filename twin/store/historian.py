"""The historian: every reading of the line, durable in one DuckDB file and never overwritten."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import duckdb
import numpy as np

from twin.store.columns import event_columns, insert, sample_columns
from twin.store.database import let_go, open_database, register_tags
from twin.store.extents import READINGS, extent_columns
from twin.store.quarantine import StoreError, cause_of
from twin.store.segments import export_segment, old_segments, remove_segment, span_of
from twin.store.trends import Samples, Trace, read_samples, read_series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from twin.cycle import Kpi, Reading
    from twin.signals import Signal

log = logging.getLogger(__name__)

NOTHING = -1
"""``acknowledged_us`` while nothing is committed: plant time starts at 0."""
HOT_US = 86_400_000_000
"""How long a retiring historian keeps in its own file what a closed segment holds too: a day."""
RELEASE = (
    "delete from samples where time_us < ?",
    "delete from events where reading_us < ?",
    "delete from extents where until_us < ?",
)


class Historian:
    """Collects readings and commits them in batches; the owner of its file while it lives.

    A reading is *acknowledged* once ``acknowledged_us`` has reached its time: then it is committed
    and survives the end of the process and a loss of power. When the disk fails, readings wait in
    memory, ``trouble`` says why, and each further batch tries again; beyond ``buffer_limit``
    readings the oldest are given up and a gap with their bounds is recorded. Not for several
    threads at once.

    Every sample is stored, changed or not: leaving out unchanged ones was measured to save a tenth
    of the CPU time of a reading where half of them are unchanged, and a quarter where three in four
    are; every query would have to carry values forward for it.
    """

    def __init__(
        self,
        path: Path,
        signals: Sequence[Signal],
        *,
        batch: int = 60,
        threads: int = 1,
        line_path: str = "",
        buffer_limit: int = 10_000,
    ) -> None:
        if not signals or batch < 1 or threads < 1 or buffer_limit < batch:
            msg = (
                f"historian {path}: needs signals ({len(signals)}), batch ({batch}) and threads "
                f"({threads}) of at least 1, and buffer_limit ({buffer_limit}) not below batch"
            )
            raise ValueError(msg)
        self._path = path
        self._signals = tuple(signals)
        self._index = {signal.name: number for number, signal in enumerate(signals)}
        self._batch = batch
        self._threads = threads
        self._line_path = line_path
        self._buffer_limit = buffer_limit
        self._pending: deque[tuple[Reading, int]] = deque()
        self._gaps: list[tuple[int, int, str]] = []
        self._kpis: list[Kpi] = []
        self._given_up: tuple[int, int] | None = None
        self._since_attempt = 0
        self._stretch: list[tuple[int, NDArray[np.float64]]] = []
        self.trouble = ""
        """Why nothing can be committed at present; empty when all is well."""
        self._remedy = ""
        self.warning = ""
        """What was wrong with the file when it was opened; for the operator."""
        self.acknowledged_us = NOTHING
        """Plant time up to which everything is durably committed; -1: nothing yet."""
        self._connection: duckdb.DuckDBPyConnection | None = self._open()
        self._newest_us = self.acknowledged_us

    def append(self, reading: Reading, received_us: int) -> int:
        """Take in a reading, received at ``received_us`` (same clock as its time).

        Commits when ``batch`` readings have come together; returns ``acknowledged_us``. Raises
        ``ValueError`` for arrays of another length than the list of signals, and for a time not
        later than the last one: what is recorded is not overwritten.
        """
        self._check(reading)
        if reading.time_us <= self._newest_us:
            msg = (
                f"reading at {reading.time_us} us is not later than the last recorded one "
                f"({self._newest_us} us) in {self._path}; plant time only goes forward within one "
                "run: start a new run folder"
            )
            raise ValueError(msg)
        self._newest_us = reading.time_us
        self._pending.append((reading, received_us))
        self._since_attempt += 1
        if self._since_attempt >= self._batch:
            self._commit()
        return self.acknowledged_us

    def record_gap(self, from_us: int, until_us: int, reason: str) -> None:
        """Say that no samples exist between two instants, and why; committed at once."""
        if from_us > until_us:
            msg = f"a gap cannot go from {from_us} back to {until_us} us"
            raise ValueError(msg)
        self._gaps.append((from_us, until_us, reason or "no reason given"))
        self._commit()

    def record_kpis(self, kpis: Iterable[Kpi]) -> None:
        """Keep KPIs with the next commit; one that is not known (NaN) is stored as NULL."""
        self._kpis.extend(kpis)

    def flush(self) -> int:
        """Commit all that waits; returns ``acknowledged_us``, or raises :class:`StoreError`."""
        self._commit()
        if self.trouble:
            raise StoreError(self.trouble, self._remedy)
        return self.acknowledged_us

    def series(
        self,
        names: Sequence[str],
        from_us: int,
        until_us: int,
        points: int | None = None,
    ) -> dict[str, Trace]:
        """Courses of signals in ``[from_us, until_us)`` from what is committed; see ``trends``."""
        window = (from_us, until_us)
        return read_series(self._database(), self._index, names, window, points, stretches=True)

    def samples(
        self, name: str, from_us: int, until_us: int, limit: int, *, newest_first: bool = False
    ) -> Samples:
        """Raw samples of a signal by their times at the source, both ends included, ``limit`` at most.

        What waits is committed before. Raises :class:`StoreError` for a name that is not recorded.
        """
        if name not in self._index:
            raise StoreError(f"{name} is not recorded here")
        self._commit()
        window, at = (from_us, until_us), self._index[name]
        return read_samples(self._database(), at, window, limit, newest_first=newest_first)

    def export_parquet(self, folder: Path) -> tuple[Path, ...]:
        """Write what was committed since the last export as closed segments; see ``segments``."""
        written = export_segment(self._database(), folder, self.acknowledged_us + 1)
        let_go(self._database())
        return written

    def retire(self, folder: Path, keep_us: int) -> None:
        """Let go of samples that are older than ``keep_us``, and keep the live file small.

        What a closed segment of ``folder`` holds leaves the live file after ``HOT_US``; segments
        that are wholly older than ``keep_us`` are deleted, and a gap on record says so before they
        are. The decisions in the audit are kept: this is about samples.
        """
        newest_us = self.acknowledged_us
        if old := old_segments(folder, newest_us - keep_us):
            self.record_gap(*span_of(old), f"retired: kept for {keep_us / 8.64e10:g} days")
            if self.trouble:
                raise StoreError(self.trouble, self._remedy)
            for samples in old:
                remove_segment(samples)
        if closed := old_segments(folder, newest_us - min(HOT_US, keep_us)):
            self._release(span_of(closed)[1])

    def _release(self, before_us: int) -> None:
        """Take what closed segments hold out of the live file."""
        connection = self._database()
        try:
            connection.execute("begin")
            for statement in RELEASE:
                connection.execute(statement, [before_us])
            connection.execute("commit")
        except duckdb.Error as error:
            self._failed(error)
            raise StoreError(self.trouble, self._remedy) from error

    @property
    def waiting(self) -> int:
        """Readings that are in memory alone."""
        return len(self._pending)

    def close(self) -> None:
        """Commit all that waits and give the file back; raises if something stays unwritten."""
        if self._connection is None and not self.trouble:
            return
        self._commit()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self.trouble:
            msg = f"{self.trouble}; {len(self._pending)} readings were not recorded"
            self.trouble = ""
            raise StoreError(msg, self._remedy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, reading: Reading) -> None:
        """Refuse a reading that the file could not hold, before it joins others in a batch."""
        shape = (len(self._signals),)
        for array, dtype in (
            (reading.values, np.float64),
            (reading.source_us, np.int64),
            (reading.status, np.int64),
        ):
            if array.shape != shape or array.dtype != dtype:
                msg = (
                    f"reading at {reading.time_us} us: values (float64), source_us and status "
                    f"(int64) must have {shape[0]} entries, not {array.shape} of {array.dtype}"
                )
                raise ValueError(msg)

    def _database(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            msg = f"{self._path}: closed" + (f" ({self.trouble})" if self.trouble else "")
            raise StoreError(msg)
        return self._connection

    def _open(self) -> duckdb.DuckDBPyConnection:
        """Open the file and take up where it ends."""
        connection, warning = open_database(self._path, self._threads)
        if warning:
            self.warning = warning
            log.warning("%s", warning)
        try:
            register_tags(connection, self._path, self._signals, self._line_path)
            self._take_up(connection)
        except (duckdb.Error, StoreError):
            connection.close()
            raise
        return connection

    def _take_up(self, connection: duckdb.DuckDBPyConnection) -> None:
        """What the file already holds: up to when, and the stretch that is not yet complete."""
        newest = _number(connection, "select max(time_us) from samples")
        self.acknowledged_us = max(self.acknowledged_us, newest)
        covered = _number(connection, "select max(until_us) from extents")
        loose = connection.execute(
            "select time_us, coalesce(value, 'nan'::double) as value from samples "
            "where time_us > ? order by time_us, signal",
            [covered],
        ).fetchnumpy()
        width = len(self._signals)
        times = loose["time_us"][::width].tolist()
        self._stretch = list(zip(times, loose["value"].reshape(-1, width), strict=True))

    def _commit(self) -> None:
        """One transaction with all that waits; on failure it goes on waiting."""
        self._since_attempt = 0
        if not (self._pending or self._gaps or self._kpis):
            return
        try:
            if self._connection is None:
                self._connection = self._open()
            self._drop_landed()
            readings = [reading for reading, _ in self._pending]
            stretch = self._stretch + [(r.time_us, r.values) for r in readings]
            self._write(self._connection, readings, stretch)
        except (duckdb.Error, StoreError, OSError) as error:
            self._failed(error)
            return
        if readings:
            self.acknowledged_us = readings[-1].time_us
        self._stretch = [] if len(stretch) >= READINGS else stretch
        self._pending.clear()
        self._gaps.clear()
        self._kpis.clear()
        self._given_up = None
        if self.trouble:
            log.warning("%s: recording again, up to %d us", self._path, self.acknowledged_us)
            self.trouble = ""

    def _drop_landed(self) -> None:
        """Drop from the waiting list what is in the file after all.

        A commit that reported an error may still have landed; opening the file anew has told.
        """
        while self._pending and self._pending[0][0].time_us <= self.acknowledged_us:
            self._pending.popleft()

    def _failed(self, error: Exception) -> None:
        """Keep what waits, within the limit, and say so once."""
        reason, self._remedy = cause_of(error)
        if not self.trouble:
            log.warning("%s: cannot record: %s", self._path, reason)
        held = "nothing is recorded yet"
        if self.acknowledged_us != NOTHING:
            held = f"recorded up to {self.acknowledged_us / 1e6:g} s"
        self.trouble = f"{self._path}: cannot record: {reason}; {held}"
        if self._connection is not None:
            # The connection may be unusable after a failed write; the next attempt opens anew.
            self._connection.close()
            self._connection = None
        while len(self._pending) > self._buffer_limit:
            lost_us = self._pending.popleft()[0].time_us
            begin_us = lost_us if self._given_up is None else self._given_up[0]
            self._given_up = (begin_us, lost_us)

    def _write(
        self,
        connection: duckdb.DuckDBPyConnection,
        readings: list[Reading],
        stretch: list[tuple[int, NDArray[np.float64]]],
    ) -> None:
        connection.execute("begin")
        if readings:
            received_us = [received for _, received in self._pending]
            insert(connection, "samples", sample_columns(readings, received_us))
        events = [(event, r.time_us) for r in readings for event in r.events]
        if events:
            insert(connection, "events", event_columns(events))
        if len(stretch) >= READINGS:
            time_us = np.array([time for time, _ in stretch], dtype=np.int64)
            insert(
                connection,
                "extents",
                extent_columns(time_us, np.stack([values for _, values in stretch])),
            )
        gaps = list(self._gaps)
        if self._given_up is not None:
            gaps.append((*self._given_up, "not recorded: store failed, memory full"))
        for gap in gaps:
            connection.execute(
                "insert into gaps select $1, $2, $3 where not exists (select 1 from gaps "
                "where from_us = $1 and until_us = $2 and reason = $3)",
                gap,
            )
        for kpi in self._kpis:
            connection.execute(
                "insert into kpis select $1, nullif($2, 'nan'::double), $3, $4, $5 where not "
                "exists (select 1 from kpis where name = $1 and unit = $3 and from_us = $4 and "
                "until_us = $5 and value is not distinct from nullif($2, 'nan'::double))",
                (kpi.name, kpi.value, kpi.unit, kpi.from_us, kpi.until_us),
            )
        connection.execute("commit")


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """A single integer; ``NOTHING`` for NULL."""
    row = connection.execute(query).fetchone()
    return NOTHING if row is None or row[0] is None else int(row[0])
