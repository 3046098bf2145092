"""A row that was changed, taken out or put in is found and named; a file without a chain says so."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from tests.twin.store.records import UTC, accepted, cycle, decision
from twin.cycle import Mode
from twin.store.audit import Audit
from twin.store.audit_chain import Chain
from twin.store.audit_head import head_file, heads


def record(path: Path, first: int = 1, last: int = 4) -> Chain:
    """An audit with a row of every kind for each number."""
    with Audit(path) as audit:
        for k in range(first, last + 1):
            audit.command("close", "anna", f"trial {k}", UTC)
            audit.intend(decision(k, line__takt_s=60.0), UTC)
            audit.conclude(accepted(k), UTC)
            audit.record_cycle(cycle(k, accepted(k)))
            audit.note(k, Mode.CLOSED, ["because"], UTC)
        return audit.chain()


def tampered(path: Path, *statements: str) -> None:
    other = sqlite3.connect(path)
    for statement in statements:
        other.execute(statement)
    other.commit()
    other.close()


def wrong(path: Path, expected: str = "") -> list[tuple[str, str]]:
    with Audit(path, read_only=True) as audit:
        return [(one.where, one.text) for one in audit.verify(expected)]


def test_an_untouched_audit_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    chain = record(path)
    assert (chain.links, chain.loose) == (20, 0)
    assert wrong(path) == []
    assert wrong(path, chain.head) == []
    assert record(path, 5, 6).links == 30  # after a restart it goes on
    assert wrong(path, chain.head) == []


CHANGED = [
    ("update intents set why = 'x' where sequence = 2", "intent 2", "changed"),
    (
        "update intents set setpoints = '{\"line.takt_s\":61.0}' where sequence = 2",
        "intent 2",
        "changed",
    ),
    ("update outcomes set active = '{}' where sequence = 3", "outcome 3", "changed"),
    ("update cycles set record = record || ' ' where number = 1", "cycle 1", "changed"),
    ("update commands set who = 'nobody' where id = 4", "command 4", "changed"),
    ("update commands set reason = '' where id = 1", "command 1", "changed"),
    ("update notes set mode = 'OFF' where id = 2", "note 2", "changed"),
    ("update notes set utc = '2020' where id = 4", "note 4", "changed"),
    ("delete from commands where id = 3", "command 3", "removed: link 11"),
    ("delete from cycles where number = 4", "cycle 4", "removed"),
    ("delete from notes where id = 4", "note 4", "removed"),
    ("insert into commands values (9, 'u', 'open', 'eve', '')", "command 9", "inserted"),
    ("insert into notes values (0, 'u', 0, 'OFF', '[]')", "note 0", "inserted"),
    ("insert into commands values (-3, 'u', 'open', 'eve', '')", "command -3", "inserted"),
    ("insert into cycles values (-1, '{}')", "cycle -1", "inserted"),
    ("update chain set hash = 'f' where number = 7", "intent 2", "changed"),
    ("update chain set kind = '{}' where number = 0", "link 0", "changed"),
]


@pytest.mark.parametrize(("statement", "where", "text"), CHANGED, ids=[c[0][:48] for c in CHANGED])
def test_what_was_done_to_a_row_is_found_and_named(
    tmp_path: Path, statement: str, where: str, text: str
) -> None:
    path = tmp_path / "audit.sqlite"
    record(path)
    tampered(path, statement)
    found = wrong(path)
    assert found[0][0] == where
    assert found[0][1].startswith(text)


def test_one_row_that_was_changed_is_one_finding(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    record(path)
    tampered(path, "update commands set reason = 'another' where id = 2")
    assert wrong(path) == [("command 2", "changed: link 6 was made of something else")]


def test_a_row_that_was_removed_with_its_link_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    record(path)
    tampered(
        path,
        "delete from commands where id = 2",
        "delete from chain where kind = 'commands' and key = 2",
    )
    assert wrong(path) == [
        ("link 6", "removed with what they held: after note 1, before intent 2"),
        ("command 2", "missing: no such row is left"),
    ]


def test_a_row_that_was_forged_with_a_link_of_its_own_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    record(path)
    tampered(
        path,
        "insert into commands values (5, 'u', 'open', 'eve', '')",
        "insert into chain values (21, 'commands', 5, 'abc')",
    )
    assert wrong(path) == [("command 5", "changed: link 21 was made of something else")]


CUT = ("delete from notes where id = 4", "delete from chain where number = 20")


def test_the_end_that_was_cut_off_is_missed_by_the_head_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    head = record(path).head
    tampered(path, *CUT)
    lost = ("chain", f"the head {head} that was expected is not in it")
    assert wrong(path) == [lost]
    with Audit(path) as audit:  # and to go on does not hide it
        assert "rows are gone" in audit.warning
    record(path, 5, 6)
    record(path, 7, 8)
    assert wrong(path) == [lost]
    tampered(path, "delete from notes where id = 7", "delete from chain where number = 39")
    assert [where for where, _ in wrong(path)] == ["chain", "chain"]


def test_without_the_head_beside_it_whoever_has_noted_one_finds_out(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    head = record(path).head
    head_file(path).unlink()
    tampered(path, *CUT)
    assert wrong(path) == []  # a chain cannot know how long it was
    assert wrong(path, head) == [("chain", f"the head {head} that was expected is not in it")]


def test_an_older_copy_in_the_place_of_the_audit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    record(path, 1, 2)
    older = path.read_bytes()
    record(path, 3, 4)
    path.write_bytes(older)
    assert [where for where, _ in wrong(path)] == ["chain"]


@pytest.mark.parametrize("how", ["drop table chain", "delete from chain"])
def test_a_chain_that_was_removed_as_a_whole_is_missed(tmp_path: Path, how: str) -> None:
    path = tmp_path / "audit.sqlite"
    record(path)
    head_file(path).unlink()  # the file's own word is enough
    tampered(path, how)
    assert wrong(path)[0][0] == "chain"
    assert wrong(path)[0][1].startswith(("removed as a whole", "emptied"))
    record(path, 5, 6)
    assert wrong(path) == [("link 0", "a chain that was there before was removed as a whole")]


def test_a_row_that_is_in_no_chain_leaves_a_hole_in_the_numbers(tmp_path: Path) -> None:
    """Somebody removes rows, and has a whole new chain computed over the rest."""
    path = tmp_path / "audit.sqlite"
    record(path, 1, 3)
    head_file(path).unlink()
    tampered(
        path, "delete from commands where id < 3", "drop table chain", "pragma user_version = 0"
    )
    record(path, 4, 4)
    assert wrong(path) == [("command 1 to 2", "missing: no such row is left")]


def test_the_head_is_kept_up_by_all_who_write_and_never_leads(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path) as one, Audit(path) as other:
        for k in range(10):
            (one, other)[k % 2].command("session", "anna", str(k), UTC)
            (noted,) = heads(path)
            assert noted == one.chain().head
    assert wrong(path) == []
    assert stat.S_IMODE(head_file(path).stat().st_mode) == 0o600


def test_a_head_that_was_garbled_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    record(path)
    head_file(path).write_text("nonsense\n")
    assert wrong(path) == [("chain", "the head nonsense that was expected is not in it")]


def test_a_disk_that_cannot_keep_the_head_keeps_nothing_from_the_audit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audit.sqlite"
    head_file(path).mkdir()
    with Audit(path) as audit:
        audit.command("close", "anna", "trial", UTC)
        audit.command("open", "anna", "", UTC)
        assert [row.what for row in audit.rows()] == ["close", "open"]
    told = [record.message.split(": ")[1] for record in caplog.records]
    assert told == ["cannot be read", "cannot be written"]


def test_a_whole_new_chain_is_told_from_the_one_that_was_noted(tmp_path: Path) -> None:
    first = record(tmp_path / "one.sqlite").head
    with Audit(tmp_path / "two.sqlite") as audit:
        audit.command("close", "eve", "trial 1", UTC)
    record(tmp_path / "two.sqlite")
    assert wrong(tmp_path / "two.sqlite") == []
    assert wrong(tmp_path / "two.sqlite", first)


def without_chain(path: Path) -> None:
    """As an older version has left it."""
    tampered(path, "drop table chain", "pragma user_version = 0")
    head_file(path).unlink()


def test_a_file_of_an_older_version_says_that_it_has_no_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    record(path)
    without_chain(path)
    with Audit(path, read_only=True) as audit:
        assert audit.verify() == []
        assert audit.chain() == Chain(0, "", 20)
        assert audit.chain().head == ""
        assert [row.link for row in audit.rows()] == [0] * 16
    assert wrong(path, "20:abc") == [("chain", "there is none, and a head was expected")]


def test_an_older_file_that_goes_on_has_a_chain_from_there(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    record(path, 1, 2)
    without_chain(path)
    chain = record(path, 3, 4)
    assert (chain.links, chain.loose) == (10, 10)
    assert wrong(path) == []
    tampered(path, "insert into commands values (9, 'u', 'open', 'eve', '')")
    assert wrong(path) == [("command 9", "inserted: no link knows it")]


def test_two_who_write_to_one_file_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path) as one, Audit(path) as other:
        for k in range(10):
            (one, other)[k % 2].command("session", "anna", str(k), UTC)
        assert one.chain().links == 10
        assert [row.why for row in other.rows()] == [str(k) for k in range(10)]
    assert wrong(path) == []


def test_it_can_be_verified_while_a_loop_is_writing(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with Audit(path) as audit:
        audit.command("close", "anna", "trial", UTC)
        for k in range(1, 20):
            audit.intend(decision(k, line__takt_s=60.0), UTC)
            audit.conclude(accepted(k), UTC)
            assert wrong(path) == []


def test_rows_are_told_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    record(path, 1, 2)
    with Audit(path, read_only=True) as audit:
        told = [(row.name, row.who, row.what, row.why) for row in audit.rows()]
    assert told[:4] == [
        ("command 1", "anna", "close", "trial 1"),
        ("intent 1", "", "write line.takt_s = 60", "cheapest plan; line.takt_s: rate"),
        ("outcome 1", "line", "ACCEPTED", ""),
        ("note 1", "loop", "CLOSED", "because"),
    ]
    assert [name for name, *_ in told[4:6]] == ["command 2", "intent 2"]
