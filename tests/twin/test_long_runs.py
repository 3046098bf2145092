"""What a process that runs for months keeps in memory, and that it does not grow with what has passed."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import duckdb
import numpy as np
import pytest
from asyncua import Client

from tests.twin.equipment.lines import batch, plc
from tests.twin.store.records import UTC, accepted, decision
from twin.cycle import Acknowledgement, Outcome, Reading
from twin.equipment import plc as plc_module
from twin.equipment.emulator import Emulated
from twin.equipment.write_log import WriteLog
from twin.signals import Limits, Role, Signal
from twin.store.audit import Audit
from twin.store.historian import Historian

TAGS = 200


def cached_bytes(historian: Historian) -> int:
    query = "select sum(memory_usage_bytes) from duckdb_memory() where tag = 'BASE_TABLE'"
    (found,) = historian._database().execute(query).fetchone() or (0,)
    return int(found or 0)


def test_a_segment_that_is_closed_ends_the_memory_of_what_is_in_it(tmp_path: Path) -> None:
    """The engine would keep a day of samples beside the file that has them."""
    limits = Limits(0.0, 1.0)
    signals = [
        Signal(f"a.b{n}", "1", Role.DV, f"A/B{n}", limits, limits, limits) for n in range(TAGS)
    ]
    luck, kept = np.random.default_rng(1), []
    with Historian(tmp_path / "historian.duckdb", signals, batch=100) as historian:
        for second in range(1, 1501):
            us = second * 1_000_000
            source_us = np.full(TAGS, us, np.int64)
            none = np.zeros(TAGS, np.int64)
            historian.append(Reading(us, second, luck.random(TAGS), source_us, none), us)
            if second % 500 == 0:
                before = cached_bytes(historian)
                historian.export_parquet(tmp_path / "segments")
                kept.append((before, cached_bytes(historian)))
        (limit,) = historian._database().execute(
            "select current_setting('memory_limit')"
        ).fetchone() or ("",)
        assert limit.startswith("953")  # MiB: what it may take while it works is as before
        (count,) = historian._database().execute("select count(*) from samples").fetchone() or (0,)
    assert count == 1500 * TAGS
    assert kept[0][0] > 1_500_000
    assert all(after < 1_000_000 for _, after in kept)


def test_what_the_engine_has_in_use_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twin.store.database import let_go

    told: list[str] = []

    class Busy:
        def execute(self, statement: str) -> None:
            told.append(statement)
            if "'1MB'" in statement:
                raise duckdb.OutOfMemoryException("in use")

    let_go(Busy())  # type: ignore[arg-type]
    assert told == ["set memory_limit = '1MB'", "set memory_limit = '1GB'"]


def test_the_audit_remembers_no_outcome_that_the_file_has(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit.sqlite", batch=4) as audit:
        for k in range(1, 41):
            audit.intend(decision(k, line__takt_s=60.0), UTC)
            audit.conclude(accepted(k), UTC)
        unsent = Acknowledgement(50, Outcome.SKIPPED, {}, "late")
        audit.conclude(unsent, UTC)
        for _ in range(2):  # on its way to the disk, and there
            with pytest.raises(ValueError, match="no intent waits"):
                audit.conclude(unsent, UTC)
            audit.flush()
        assert len(audit._open_intents) == 0
        with pytest.raises(ValueError, match="no intent waits"):
            audit.conclude(Acknowledgement(7, Outcome.SKIPPED, {}, "late"), UTC)
    with Audit(tmp_path / "audit.sqlite") as audit:
        assert len(audit._open_intents) == 0


def test_a_plc_keeps_the_end_of_its_log_and_the_file_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plc_module, "KEPT_WRITTEN", 10)
    served = plc()
    log = WriteLog(tmp_path / "written.jsonl", served)
    for k in range(1, 101):
        served.apply(batch(k, 0, line__takt_s=60.0 + k))
        assert len(served.written) < 20
        if k % 3 == 0:
            log.update()
    log.update()
    log.close()
    rows = [json.loads(line) for line in (tmp_path / "written.jsonl").read_text().splitlines()]
    assert [row["sequence"] for row in rows] == list(range(1, 101))
    assert served.received == 100


async def test_a_server_keeps_nothing_of_subscriptions_that_have_ended() -> None:
    async with Emulated(plc(), lockstep=True, insecure=True) as line:
        for _ in range(3):
            async with Client(line.endpoint) as client:
                for _ in range(3):
                    await client.create_subscription(1000.0)
        service = line._server.iserver.subscription_service
        assert service.subscriptions == {}
    made = "asyncua.server.monitored_item_service."
    assert [name for name in logging.root.manager.loggerDict if name.startswith(made)] == []
