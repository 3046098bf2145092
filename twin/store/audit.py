"""The audit: what the loop meant to write, what became of it, and each turn of the loop."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from twin.act.modes import GIVING_UP
from twin.store import audit_chain, audit_rows
from twin.store.audit_chain import Chain
from twin.store.audit_check import NOTHING_LEFT, Finding, audit_findings
from twin.store.audit_head import SUFFIX, HeadFile, head_file, heads
from twin.store.audit_text import as_json, cleaned, encodable, known
from twin.store.quarantine import RESTORE, StoreError, cause_of, set_aside

if TYPE_CHECKING:
    from twin.cycle import Acknowledgement, Cycle, Decision
    from twin.store.audit_rows import Conclusion, Intent, Note, OperatorCommand

log = logging.getLogger(__name__)

INSERT_INTENT = "insert into intents values (?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_OUTCOME = "insert into outcomes values (?, ?, ?, ?, ?)"
OPEN_INTENTS = "select sequence from intents where sequence not in (select sequence from outcomes)"
INSERT_CYCLE = "insert into cycles values (?, ?)"
INSERT_COMMAND = "insert into commands (utc, verb, who, reason) values (?, ?, ?, ?)"
INSERT_NOTE = "insert into notes (utc, time_us, mode, reasons) values (?, ?, ?, ?)"


class Audit:
    """One SQLite file in WAL mode with ``synchronous=FULL``: a commit survives a loss of power.

    Intents and operator commands are committed before their call returns, together with all that
    was waiting; outcomes, cycles and notes wait for the next such commit, but for no more than
    ``batch`` rows. So after the end of the process in any instant the file holds every write that
    left, and only the last one may lack its outcome. Calendar times come in as text. A chain of hashes
    runs through all rows: see ``audit_chain``.

    Calls may come from several threads, but only one at a time.
    """

    def __init__(
        self,
        path: Path,
        *,
        controller: str = "",
        batch: int = 32,
        waiting_limit: int = 10_000,
        read_only: bool = False,
    ) -> None:
        if batch < 1 or waiting_limit < batch:
            msg = f"audit {path}: batch ({batch}) must be in 1 to waiting_limit ({waiting_limit})"
            raise ValueError(msg)
        self._path = path
        self._controller = controller
        self._batch = batch
        self._waiting_limit = waiting_limit
        self._waiting: list[tuple[str, tuple[object, ...]]] = []
        self._dropped = 0
        self.trouble = ""
        """Why waiting rows cannot be committed at present; empty when all is well."""
        self.warning = ""
        """What was wrong with the file when it was opened; for the operator."""
        if read_only:
            self._database = _open_for_reading(path)
            self._head = None
        else:
            self._database, self.warning = _open(path)
            self._head = HeadFile(path, lambda head: audit_chain.holds(self._database, head))
            if not self.warning and self._head.missing:
                self.warning = (
                    f"{path}: rows are gone: its chain lacks the head {self._head.missing}"
                )
        if self.warning:
            log.warning("%s", self.warning)
        self.last_sequence = self._newest("select max(sequence) from intents")
        """Number of the last intent, 0 before the first; numbering goes on from here."""
        self.last_cycle = self._newest("select max(number) from cycles")
        """Number of the last recorded cycle, 0 before the first; numbering goes on from here."""
        self._open_intents = {int(sequence) for (sequence,) in self._database.execute(OPEN_INTENTS)}

    def intend(self, decision: Decision, utc: str) -> None:
        """Record that the decision's batch is about to be written; returns after the commit.

        Raises ``ValueError`` for a batch that must not leave (none, a number not above the last, a
        signal twice, a value that is not finite) and :class:`StoreError` if the intent could not
        be committed: then the write must not leave either.
        """
        batch = decision.batch
        if batch is None:
            msg = f"decision at {decision.time_us} us has no batch: nothing can be intended"
            raise ValueError(msg)
        if batch.sequence <= self.last_sequence:
            msg = (
                f"intent {batch.sequence} is not above the last one ({self.last_sequence}); "
                "number batches on from last_sequence"
            )
            raise ValueError(msg)
        setpoints: dict[str, float] = {}
        for setpoint in batch.setpoints:
            if not math.isfinite(setpoint.value):
                msg = f"intent {batch.sequence}: {setpoint.signal} = {setpoint.value} is not finite"
                raise ValueError(msg)
            if setpoint.signal in setpoints:
                msg = f"intent {batch.sequence}: {setpoint.signal} is there twice"
                raise ValueError(msg)
            setpoints[setpoint.signal] = float(setpoint.value)
        clips = [[c.signal, known(c.asked), c.granted, c.reason] for c in decision.clips]
        row = (
            batch.sequence,
            decision.time_us,
            utc,
            str(decision.mode),
            as_json(setpoints),
            decision.asked.in_words,
            as_json(clips),
            self._controller,
        )
        try:
            self._commit((INSERT_INTENT, row))
        except sqlite3.Error as error:
            self._fail(error)
            reason, remedy = cause_of(error)
            msg = f"{self._path}: intent {batch.sequence} is not durable ({reason}): do not write"
            raise StoreError(msg, remedy) from error
        self.last_sequence = batch.sequence
        self._open_intents.add(batch.sequence)

    def conclude(self, acknowledgement: Acknowledgement, utc: str) -> None:
        """Record what became of an intended write, once; durable with the next commit.

        A batch that was numbered and then not sent (``SKIPPED``, ``NONE``) needs no intent.
        Raises ``ValueError`` for any other number that is not waiting for its outcome.
        """
        sequence = acknowledgement.sequence
        if sequence not in self._open_intents and (
            acknowledgement.outcome not in NOTHING_LEFT or self._is_concluded(sequence)
        ):
            msg = f"outcome {acknowledgement.outcome} of batch {sequence}: no intent waits for it"
            raise ValueError(msg)
        active = {name: known(value) for name, value in acknowledgement.active.items()}
        row = (sequence, str(acknowledgement.outcome), acknowledgement.detail, as_json(active), utc)
        self._open_intents.discard(sequence)
        self._wait(INSERT_OUTCOME, row)

    def record_cycle(self, cycle: Cycle) -> None:
        """Keep one turn of the loop for replay; durable with the next commit.

        Numbers go up from ``last_cycle``; ``ValueError`` otherwise.
        """
        if cycle.number <= self.last_cycle:
            msg = f"cycle {cycle.number} is not above the last one ({self.last_cycle})"
            raise ValueError(msg)
        self._wait(INSERT_CYCLE, (cycle.number, cleaned(cycle.to_json())))
        self.last_cycle = cycle.number

    def command(self, verb: str, who: str, reason: str, utc: str) -> None:
        """Record an operator command; committed on return, or :class:`StoreError`.

        One that gives authority up is carried out all the same: its row waits for the next commit.
        """
        row = (INSERT_COMMAND, (utc, verb, who, reason))
        try:
            self._commit(row)
        except sqlite3.Error as error:
            if verb in GIVING_UP:
                self._waiting.append(row)
                self._fail(error)
            cause, remedy = cause_of(error)
            msg = f"{self._path}: command {verb} of {who} is not durable ({cause})"
            raise StoreError(msg, remedy) from error

    def note(self, time_us: int, mode: str, reasons: Sequence[str], utc: str) -> None:
        """Record a change of mode, or why nothing was written; durable with the next commit."""
        self._wait(INSERT_NOTE, (utc, time_us, str(mode), as_json(list(reasons))))

    def flush(self) -> None:
        """Commit all that waits, or raise :class:`StoreError`."""
        try:
            self._commit()
        except sqlite3.Error as error:
            reason, remedy = cause_of(error)
            msg = f"{self._path}: {len(self._waiting)} rows cannot be committed: {reason}"
            raise StoreError(msg, remedy) from error

    def close(self) -> None:
        """Commit all that waits and close; the file is closed even if the commit fails."""
        try:
            if self._waiting:
                self.flush()
        finally:
            self._database.close()
            if self._head is not None:
                self._head.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cycles(self) -> Iterator[str]:
        """All turns of the loop in order, as JSON text."""
        return audit_rows.read_cycles(self._settled())

    def intents(self) -> Iterator[Intent]:
        """All intents in order."""
        return audit_rows.read_intents(self._settled())

    def outcomes(self) -> Iterator[Conclusion]:
        """All outcomes, in the order of their intents."""
        return audit_rows.read_outcomes(self._settled())

    def commands(self) -> Iterator[OperatorCommand]:
        """All operator commands in order."""
        return audit_rows.read_commands(self._settled())

    def notes(self) -> Iterator[Note]:
        """All notes in order."""
        return audit_rows.read_notes(self._settled())

    def verify(self, expected: str = "") -> list[Finding]:
        """All that is wrong with the audit; see ``audit_check`` and ``audit_chain``.

        ``expected`` is a head of the chain that was noted earlier, elsewhere. Others may write meanwhile: what is
        looked at is the audit at one instant.
        """
        database = self._settled()
        awaited = [*heads(self._path), expected]  # before the rows: the chain may only be longer
        database.execute("begin")
        try:
            broken = audit_chain.breaks(database, awaited)
            return [Finding(one.where, one.text) for one in broken] + audit_findings(database)
        finally:
            database.execute("rollback")

    def chain(self) -> Chain:
        """How far the chain of hashes reaches; a file of an older version has none."""
        return audit_chain.chain_of(self._settled())

    @property
    def doubt(self) -> str:
        """That nobody can tell whether rows were cut off the end, since the head beside the file is gone; else empty."""
        missing = head_file(self._path)
        if not self.chain().links or missing.exists():
            return ""
        return f"{missing} is missing: nothing tells whether rows were cut off the end"

    def rows(self) -> Iterator[audit_rows.Row]:
        """Everything but the turns of the loop, in the order in which it was written."""
        return audit_rows.read_rows(self._settled())

    def _is_concluded(self, sequence: int) -> bool:
        """Whether a number has its outcome: in the file, or in a row that waits to get there."""
        if any(made == INSERT_OUTCOME and row[0] == sequence for made, row in self._waiting):
            return True
        try:
            found = self._database.execute("select 1 from outcomes where sequence = ?", (sequence,))
            return found.fetchone() is not None
        except sqlite3.Error as error:  # as with waiting rows: a failing disk stops no turn
            log.warning("%s: cannot be asked: %s", self._path, cause_of(error)[0])
            return False

    def _settled(self) -> sqlite3.Connection:
        if self._waiting:
            self.flush()
        return self._database

    def _wait(self, statement: str, row: tuple[object, ...]) -> None:
        """Put a row on the waiting list; a failing disk is remembered in ``trouble``, not raised.

        Beyond ``waiting_limit`` rows cycles are given up, oldest first, and a note says how many.
        """
        self._waiting.append((statement, row))
        if len(self._waiting) % self._batch:
            return
        try:
            self._commit()
        except sqlite3.Error as error:
            self._fail(error)

    def _fail(self, error: sqlite3.Error) -> None:
        """Remember why waiting rows cannot be committed, and keep no more of them than may wait."""
        cause, _ = cause_of(error)
        if not self.trouble:
            log.warning("%s: cannot record: %s", self._path, cause)
        self.trouble = f"{self._path}: cannot record: {cause}"
        surplus = len(self._waiting) - self._waiting_limit
        kept = []
        for statement, row in self._waiting:
            if surplus > 0 and statement == INSERT_CYCLE:
                surplus -= 1
                self._dropped += 1
            else:
                kept.append((statement, row))
        self._waiting = kept

    def _commit(self, last: tuple[str, tuple[object, ...]] | None = None) -> None:
        """One transaction with all that waits and the row that cannot wait."""
        database = self._database
        database.execute("begin immediate")
        try:
            for statement, row in self._waiting:
                _insert(database, statement, row)
            if self._dropped:
                lost = f"{self._dropped} cycles not recorded: store failed, memory full"
                _insert(database, INSERT_NOTE, ("", 0, "", as_json([lost])))
            if last is not None:
                _insert(database, *last)
            database.execute("commit")
        except BaseException:  # whatever it is, the next commit must find no transaction open
            if database.in_transaction:
                database.execute("rollback")
            raise
        if self._head is not None:
            self._head.note(*audit_chain.newest(database))
        self._waiting.clear()
        self._dropped = 0
        if self.trouble:
            log.warning("%s: recording again", self._path)
            self.trouble = ""

    def _newest(self, query: str) -> int:
        (number,) = self._database.execute(query).fetchone()
        return 0 if number is None else int(number)


def _open(path: Path) -> tuple[sqlite3.Connection, str]:
    """Open or create the file; a damaged one is set aside first."""
    try:
        return _connect(path), ""
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and not _malformed(error):
            msg = f"{path}: cannot be opened: {error}"
            raise StoreError(msg) from error
        warning = set_aside(path, ("-wal", "-shm", SUFFIX), str(error))
        return _connect(path), warning


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        database.execute("pragma journal_mode=wal")
        database.execute("pragma synchronous=full")
        (state,) = database.execute("pragma quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)
        database.executescript(f"begin immediate; {audit_rows.TABLES}{audit_chain.TABLE}")
        audit_chain.begin(database)
        database.execute("commit")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _insert(database: sqlite3.Connection, statement: str, row: tuple[object, ...]) -> None:
    """Write a row and its link of the chain. A row's key is its id in every table.

    All text comes in here, and is made encodable; its link is made of what is then stored.
    """
    kept = [encodable(value) if isinstance(value, str) else value for value in row]
    key = database.execute(statement, kept).lastrowid
    audit_chain.extend(database, statement.split()[2], int(key or 0))


def _malformed(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def uri_for_reading(path: Path) -> str:
    """How to open a file for reading alone; where nobody writes, that leaves no side files behind."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    return uri if path.with_name(f"{path.name}-wal").exists() else f"{uri}&immutable=1"


def _open_for_reading(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise StoreError(f"{path}: there is no audit", "give the folder of a run")
    database = sqlite3.connect(
        uri_for_reading(path), uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        held = {str(name) for (name,) in database.execute("select name from sqlite_master")}
    except sqlite3.Error as error:
        database.close()
        raise StoreError(f"{path}: cannot be read: {error}", RESTORE) from error
    missing = [name for name in audit_rows.NAMES if name not in held]
    if missing:
        database.close()
        why = f"it lacks {', '.join(missing)}" if held else "nothing is in it"
        raise StoreError(f"{path}: damaged: {why}", RESTORE)
    return database
