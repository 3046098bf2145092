"""No write leaves without a durable intent, and the audit proves it."""

from __future__ import annotations

import dataclasses
import json
import math
import sqlite3
from pathlib import Path

import pytest

from tests.twin.store.records import SECOND_US, UTC, accepted, cycle, decision
from twin.cycle import Acknowledgement, Cycle, Mode, Outcome, decision_record
from twin.signals import Setpoint
from twin.store import audit_chain
from twin.store.audit import Audit
from twin.store.audit_rows import Conclusion, Intent, Note, OperatorCommand
from twin.store.quarantine import StoreError


def seen_by_others(path: Path, query: str) -> list[tuple[object, ...]]:
    """What another process would find committed."""
    other = sqlite3.connect(path)
    try:
        return other.execute(query).fetchall()
    finally:
        other.close()


def test_an_intent_is_committed_when_its_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path, controller="mpc") as audit:
        audit.intend(decision(1, line__takt_s=60.5), UTC)
        assert seen_by_others(path, "select sequence from intents") == [(1,)]
        audit.conclude(accepted(1), UTC)
        audit.record_cycle(cycle(1))
        assert seen_by_others(path, "select count(*) from outcomes") == [(0,)]
        audit.intend(decision(2, line__takt_s=60.4), UTC)  # takes along what was waiting
        assert seen_by_others(path, "select sequence, outcome from outcomes") == [(1, "ACCEPTED")]
        assert seen_by_others(path, "select number from cycles") == [(1,)]
        (first, second) = audit.intents()
    assert first == Intent(
        1,
        SECOND_US,
        UTC,
        "CLOSED",
        {"line.takt_s": 60.5},
        "cheapest plan",
        (("line.takt_s", 61.5, 60.5, "rate"),),
        "mpc",
    )
    assert second.sequence == 2


def test_the_file_survives_a_loss_of_power_at_each_commit(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit.sqlite") as audit:
        (synchronous,) = audit._database.execute("pragma synchronous").fetchone()
        (journal,) = audit._database.execute("pragma journal_mode").fetchone()
    assert (synchronous, journal) == (2, "wal")  # 2 is FULL


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_setpoint_that_is_no_number_is_refused(tmp_path: Path, value: float) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path) as audit:
        with pytest.raises(ValueError, match=r"turning\.feed_mm = .* is not finite"):
            audit.intend(decision(1, turning__feed_mm=value), UTC)
        assert list(audit.intents()) == []
        audit.intend(decision(1, turning__feed_mm=0.2), UTC)  # the number is still free


def test_batches_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit.sqlite") as audit:
        audit.intend(decision(5, line__takt_s=60.0), UTC)
        for number in (5, 4):
            with pytest.raises(ValueError, match="not above the last"):
                audit.intend(decision(number, line__takt_s=60.0), UTC)
        nothing = dataclasses.replace(decision(6), batch=None)
        with pytest.raises(ValueError, match="no batch"):
            audit.intend(nothing, UTC)
        twice = decision(6, line__takt_s=60.0)
        assert twice.batch is not None
        double = dataclasses.replace(
            twice.batch, setpoints=(Setpoint("line.takt_s", 1.0), Setpoint("line.takt_s", 2.0))
        )
        with pytest.raises(ValueError, match="twice"):
            audit.intend(dataclasses.replace(twice, batch=double), UTC)
        assert audit.last_sequence == 5


def test_an_outcome_belongs_to_one_intent_and_comes_once(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit.sqlite") as audit:
        with pytest.raises(ValueError, match="no intent waits"):
            audit.conclude(accepted(1), UTC)
        audit.intend(decision(1, line__takt_s=60.0), UTC)
        unknown = Acknowledgement(1, Outcome.UNKNOWN, {"line.takt_s": math.nan}, "no answer")
        audit.conclude(unknown, UTC)
        with pytest.raises(ValueError, match="no intent waits"):
            audit.conclude(accepted(1), UTC)
        assert list(audit.outcomes()) == [
            Conclusion(1, "UNKNOWN", "no answer", {"line.takt_s": None}, UTC)
        ]


def test_a_batch_that_was_not_sent_needs_no_intent(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit.sqlite") as audit:
        audit.intend(decision(1, line__takt_s=60.0), UTC)
        audit.conclude(accepted(1), UTC)
        audit.conclude(Acknowledgement(2, Outcome.SKIPPED, detail="past its deadline"), UTC)
        audit.intend(decision(3, line__takt_s=60.0), UTC)
        assert audit.verify() == []


def test_commands_and_notes_are_kept_in_order(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path) as audit:
        audit.note(0, Mode.ADVISORY, ["started"], UTC)
        audit.command("close", "operator", "morning shift", UTC)
        assert seen_by_others(path, "select verb, who from commands") == [("close", "operator")]
        assert seen_by_others(path, "select count(*) from notes") == [(1,)]
        audit.note(7, Mode.HOLD, ["turning.power_kw stale", "solver late"], UTC)
        assert list(audit.commands()) == [
            OperatorCommand(UTC, "close", "operator", "morning shift")
        ]
        assert list(audit.notes()) == [
            Note(UTC, 0, "ADVISORY", ("started",)),
            Note(UTC, 7, "HOLD", ("turning.power_kw stale", "solver late")),
        ]


def test_rows_do_not_wait_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path, batch=4) as audit:
        for number in range(1, 7):
            audit.record_cycle(cycle(number))
        assert seen_by_others(path, "select max(number) from cycles") == [(4,)]
        audit.flush()
        assert seen_by_others(path, "select max(number) from cycles") == [(6,)]
        with pytest.raises(ValueError, match="not above the last"):
            audit.record_cycle(cycle(6))


def test_cycles_come_back_as_they_went_in(tmp_path: Path) -> None:
    written = [cycle(k, accepted(k - 1) if k > 1 else None) for k in range(1, 40)]
    with Audit(tmp_path / "audit.sqlite") as audit:
        for one in written:
            audit.intend(one.decision, UTC)
            audit.conclude(accepted(one.number), UTC)
            audit.record_cycle(one)
        texts = list(audit.cycles())
        assert audit.verify() == []
    assert texts == [one.to_json() for one in written]
    reading, commands, answer = Cycle.inputs_from_json(texts[5])
    assert reading.values.tolist() == written[5].reading.values.tolist()
    assert commands == ()
    assert answer == accepted(5)
    assert json.loads(texts[5])["decision"] == decision_record(written[5].decision)


def test_numbering_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path) as audit:
        assert (audit.last_sequence, audit.last_cycle) == (0, 0)
        audit.intend(decision(1, line__takt_s=60.0), UTC)
        audit.record_cycle(cycle(9))
    with Audit(path) as audit:
        assert (audit.last_sequence, audit.last_cycle) == (1, 9)
        audit.conclude(Acknowledgement(1, Outcome.UNKNOWN, detail="restart"), UTC)
        audit.intend(decision(2, line__takt_s=60.0), UTC)
        assert audit.verify() == []


def test_others_may_read_while_the_loop_writes(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with pytest.raises(StoreError, match="no audit"):
        Audit(path, read_only=True)
    with Audit(path) as audit:
        audit.intend(decision(1, line__takt_s=60.0), UTC)
        with Audit(path, read_only=True) as reader:
            assert [intent.sequence for intent in reader.intents()] == [1]
            assert reader.verify() == []
            audit.conclude(accepted(1), UTC)
            audit.flush()
            assert [one.sequence for one in reader.outcomes()] == [1]
            with pytest.raises(StoreError, match="do not write"):
                reader.intend(decision(2, line__takt_s=60.0), UTC)
    with Audit(path, read_only=True) as reader:
        assert [intent.sequence for intent in reader.intents()] == [1]
    left = sorted(found.name for found in tmp_path.iterdir())
    assert left == ["audit.sqlite", "audit.sqlite.head"]  # and no side files of the engine's
    path.write_bytes(b"no database " * 500)
    with pytest.raises(StoreError, match="cannot be read"):
        Audit(path, read_only=True)


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch"):
        Audit(tmp_path / "audit.sqlite", batch=0)


def run_of(path: Path, count: int) -> None:
    with Audit(path) as audit:
        for k in range(1, count + 1):
            audit.intend(decision(k, line__takt_s=60.0), UTC)
            audit.conclude(accepted(k), UTC)
            audit.record_cycle(cycle(k, accepted(k)))


TAMPERED = [
    ("delete from intents where sequence = 3", "number 3 is missing"),
    ("delete from intents where sequence = 3", "ACCEPTED without an intent"),
    ("delete from intents where sequence = 3", "batch 3 was answered ACCEPTED without an intent"),
    ("delete from outcomes where sequence = 3", "has no outcome"),
    ("update intents set time_us = 1 where sequence = 3", "plant time went back"),
    ("update intents set mode = 'ADVISORY' where sequence = 3", "setpoints left in mode ADVISORY"),
    ("update intents set setpoints = '{\"a\":1e999}' where sequence = 3", "not finite"),
    ("update cycles set record = 'cut off' where number = 3", "not as it was written"),
]


@pytest.mark.parametrize(("statement", "text"), TAMPERED, ids=[text for _, text in TAMPERED])
def test_what_is_missing_or_wrong_is_found(tmp_path: Path, statement: str, text: str) -> None:
    path = tmp_path / "audit.sqlite"
    run_of(path, 5)
    other = sqlite3.connect(path)
    other.execute(statement)
    other.commit()
    other.close()
    with Audit(path) as audit:
        findings = audit.verify()
    assert any(text in finding.text for finding in findings), findings


def test_the_last_intent_may_lack_its_outcome(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    run_of(path, 3)
    with Audit(path) as audit:
        audit.intend(decision(4, line__takt_s=60.0), UTC)
        assert audit.verify() == []
        audit.intend(decision(5, line__takt_s=60.0), UTC)
        assert [finding.where for finding in audit.verify()] == ["intent 4"]


def test_a_turn_that_says_its_batch_was_skipped_excuses_its_number(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit.sqlite") as audit:
        audit.intend(decision(1, line__takt_s=60.0), UTC)
        audit.conclude(accepted(1), UTC)
        audit.intend(decision(3, line__takt_s=60.0), UTC)
        assert [finding.where for finding in audit.verify()] == ["intent 3"]
        audit.record_cycle(cycle(3, Acknowledgement(2, Outcome.SKIPPED, detail="too late")))
        assert audit.verify() == []


def test_a_heartbeat_may_take_a_number_without_an_intent(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit.sqlite") as audit:
        audit.intend(decision(1, line__takt_s=60.0), UTC)
        audit.conclude(accepted(1), UTC)
        beat = dataclasses.replace(cycle(2), decision=decision(2, Mode.HOLD))
        audit.record_cycle(beat)
        audit.record_cycle(dataclasses.replace(cycle(3), acknowledged=accepted(2)))
        audit.intend(decision(3, line__takt_s=60.0), UTC)
        assert audit.verify() == []


def test_what_was_not_sent_is_concluded_once_before_and_after_its_commit(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    skipped = Acknowledgement(1, Outcome.SKIPPED, {}, "too late")
    with Audit(path) as audit:
        audit.conclude(skipped, UTC)
        with pytest.raises(ValueError, match="no intent waits"):
            audit.conclude(skipped, UTC)
    with Audit(path) as audit, pytest.raises(ValueError, match="no intent waits"):
        audit.conclude(skipped, UTC)


def test_nothing_in_memory_grows_with_the_run(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit.sqlite") as audit:
        for number in range(1, 101):
            audit.intend(decision(number, line__takt_s=60.0), UTC)
            audit.conclude(accepted(number), UTC)
        held = [len(one) for one in vars(audit).values() if isinstance(one, list | set | dict)]
        assert held
        assert max(held) <= 32


LATIN = b"St\xf6rung".decode("utf-8", "surrogateescape")
"""What a terminal or a PLC says that writes Latin-1 where UTF-8 is read."""
KEPT = r"St\udcf6rung"


def test_text_that_is_no_utf_8_is_kept_with_its_escape(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path, controller=LATIN) as audit:
        audit.command("open", LATIN, LATIN, UTC)
        audit.note(0, Mode.ADVISORY, [f"open: {LATIN}"], UTC)
        audit.intend(decision(1, Mode.CLOSED, **{LATIN: 1.0}), UTC)
        audit.conclude(Acknowledgement(1, Outcome.REJECTED, {LATIN: 1.0}, LATIN), UTC)
        spoken = dataclasses.replace(cycle(1), commands=(f"open: {LATIN} \U0001f525",))
        audit.record_cycle(spoken)
        audit.intend(decision(2, line__takt_s=60.0), UTC)
        assert list(audit.commands()) == [OperatorCommand(UTC, "open", KEPT, KEPT)]
        assert list(audit.notes()) == [Note(UTC, 0, "ADVISORY", (f"open: {KEPT}",))]
        first = next(audit.intents())
        assert (first.controller, dict(first.setpoints)) == (KEPT, {KEPT: 1.0})
        assert first.clips[0][0] == KEPT
        assert list(audit.outcomes()) == [Conclusion(1, "REJECTED", KEPT, {KEPT: 1.0}, UTC)]
        kept = dataclasses.replace(spoken, commands=(f"open: {KEPT} \U0001f525",))
        assert list(audit.cycles()) == [kept.to_json()]
    with Audit(path, read_only=True) as audit:
        assert audit.verify() == []


def test_whatever_ends_a_commit_the_next_one_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "audit.sqlite"
    with Audit(path) as audit:
        audit.note(0, Mode.ADVISORY, ["started"], UTC)
        with monkeypatch.context() as patch:
            patch.setattr(audit_chain, "extend", interrupted)
            with pytest.raises(KeyboardInterrupt):
                audit.command("close", "anna", "trial", UTC)
        audit.command("close", "anna", "trial", UTC)
        assert len(list(audit.notes())) == len(list(audit.commands())) == 1
        assert audit.verify() == []


LATER = "2026-03-01T07:00:00.000+00:00"


@pytest.mark.parametrize("verb", ["open", "off", "freeze"])
def test_who_gives_authority_up_on_a_full_disk_is_on_record_once_there_is_room(
    tmp_path: Path, verb: str
) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path) as audit:
        audit.intend(decision(1, line__takt_s=60.0), UTC)
        audit._database.execute("pragma query_only = on")  # as a disk that takes nothing
        audit.conclude(accepted(1), UTC)
        for said, text in ((verb, "smoke"), ("close", "trial"), (verb, "more smoke")):
            with pytest.raises(StoreError, match=f"command {said} of anna is not durable"):
                audit.command(said, "anna", text, UTC)
        assert "cannot record" in audit.trouble
        audit._database.execute("pragma query_only = off")
        audit.command("ack", "anna", "emptied", LATER)
        assert audit.trouble == ""
        assert list(audit.commands()) == [
            OperatorCommand(UTC, verb, "anna", "smoke"),
            OperatorCommand(UTC, verb, "anna", "more smoke"),
            OperatorCommand(LATER, "ack", "anna", "emptied"),
        ]
        assert audit.verify() == []
