"""Keys, certificates, users and the record of them, from the command line."""

from __future__ import annotations

import io
import json
import sqlite3
import stat
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.twin.cli.shell import twin
from tests.twin.driven import driven
from tests.twin.store.records import UTC, accepted, cycle, decision
from twin.cli.app import app
from twin.cli.screen import line_view
from twin.cli.trust import OPEN, Trust, client_security, home, pki_of
from twin.equipment.pki import Pki
from twin.store.audit import Audit
from twin.store.audit_head import head_file


def certificates(*options: object) -> list[tuple[str, str]]:
    code, out, err = twin("cert", "list", "--json", *options)
    assert code == 0, err
    return [(one["side"], one["place"]) for one in json.loads(out)]


def test_keys_are_made_listed_and_replaced() -> None:
    assert certificates() == []
    code, out, _ = twin("cert", "new", "--json")
    assert code == 0
    first = {one["side"]: one for one in json.loads(out)}
    assert set(first) == {"client", "server"}
    assert certificates() == [("client", "own"), ("server", "own")]
    for side, one in first.items():
        assert one["uri"].endswith(f":takttwin:{side}")
        assert one["doubt"] == ""
        key = home() / side / "own" / "key.pem"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    code, out, err = twin("cert", "new", "--side", "client", "--days", 20)
    assert code == 0
    assert first["client"]["thumbprint"][:16] not in out
    assert "valid until" in out  # soon it will not be
    assert "next: have the other side trust it" in err


def test_a_stranger_is_trusted_by_thumbprint_and_no_longer(tmp_path: Path) -> None:
    server, stranger = pki_of("server"), Pki(tmp_path / "stranger", "client").own()
    server.own()
    server.reject(stranger.der)
    assert certificates() == [("server", "own"), ("server", "rejected")]
    code, out, err = twin("cert", "trust", stranger.thumbprint[:16].upper())
    assert (code, out.split()[1]) == (0, "trusted"), err
    assert certificates() == [("server", "own"), ("server", "trusted")]
    assert server.trusts(stranger.der)
    code, out, _ = twin("cert", "remove", stranger.thumbprint[:8])
    assert code == 0
    assert not server.trusts(stranger.der)
    code, _, err = twin("cert", "trust", stranger.thumbprint[:16])
    assert (code, "there is no such certificate" in err) == (2, True)


def test_a_file_is_trusted_on_the_side_that_is_named(tmp_path: Path) -> None:
    file = Pki(tmp_path / "plc", "server").own().path
    code, _, err = twin("cert", "trust", file)
    assert code == 2
    assert "whose trust?" in err
    assert twin("cert", "trust", file, "--side", "client")[0] == 0
    assert certificates() == [("client", "trusted")]
    code, _, err = twin("cert", "trust", tmp_path, "--side", "client")
    assert code == 2
    junk = tmp_path / "junk"
    junk.write_text("no certificate")
    code, _, err = twin("cert", "trust", junk, "--side", "client")
    assert (code, err.splitlines()[0]) == (2, f"error[certificate]: {junk} is no certificate")
    assert twin("cert", "remove", file)[0] == 0
    assert certificates() == []


def test_a_folder_of_its_own_says_which_side_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "line1"
    code, _, err = twin("cert", "list", "--pki", folder)
    assert code == 2
    assert "say what it is for" in err
    assert twin("cert", "new", "--pki", folder, "--side", "server")[0] == 0
    assert certificates("--pki", folder) == [("server", "own")]


def said(password: str, *arguments: object) -> tuple[int, str]:
    words = [str(word) for word in arguments]
    done = CliRunner().invoke(app, words, prog_name="twin", input=password)
    return done.exit_code, done.output


def test_users_come_and_go() -> None:
    assert said("correct horse\n", "user", "add", "anna", "--role", "operator")[0] == 0
    assert said("correct horse\n", "user", "add", "ben") == (0, "ben is added: viewer\n")
    assert said("battery staple\n", "user", "add", "ben", "--role", "engineer")[1].startswith(
        "ben is changed"
    )
    assert json.loads(twin("user", "list", "--json")[1]) == {"anna": "operator", "ben": "engineer"}
    assert "anna             operator\n" in twin("user", "list")[1]
    assert twin("user", "remove", "anna")[0] == 0
    code, _, err = twin("user", "remove", "anna")
    assert (code, "there is no user 'anna'" in err) == (5, True)
    for wrong, told in (
        (("short\n", "user", "add", "eve"), "8 to 1024 characters"),
        (("", "user", "add", "eve"), "8 to 1024 characters"),
        (
            ("correct horse\n", "user", "add", "eve", "--role", "king"),
            "hint: there are: viewer, operator, engineer",
        ),
        (("correct horse\n", "user", "add", "e:ve"), "is no user's name"),
    ):
        code, output = said(*wrong)
        assert code == 2
        assert told in output
    text = (home() / "server" / "users").read_text()
    assert text.startswith("ben:engineer:scrypt$")
    assert "staple" not in text


def test_who_a_loop_is_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAKTTWIN_USER", raising=False)
    monkeypatch.delenv("TAKTTWIN_PASSWORD", raising=False)
    assert client_security(Trust(insecure=True)) is None
    security = client_security(Trust())
    assert security is not None
    assert (security.pki.folder, security.user, security.server) == (home() / "client", "", None)
    monkeypatch.setenv("TAKTTWIN_USER", "anna")
    with pytest.raises(Exception, match="alone is no login"):
        client_security(Trust())
    monkeypatch.setenv("TAKTTWIN_PASSWORD", "correct horse")
    named = client_security(Trust(Path("pki"), Path("plc.der")))
    assert named is not None
    assert (named.user, named.password, named.server) == ("anna", "correct horse", Path("plc.der"))


def an_audit(path: Path) -> str:
    with Audit(path, controller="mpc") as audit:
        audit.command("close", "anna", "trial", UTC)
        audit.intend(decision(1, line__takt_s=60.0), "2026-03-02T06:00:00.000+00:00")
        audit.conclude(accepted(1), "2026-03-02T06:00:01.000+00:00")
        audit.record_cycle(cycle(1, accepted(1)))
        audit.command("refused: close", "ben", "the loop is closed already", "2026-03-03T06:00")
        return audit.chain().head


def test_an_audit_is_shown_as_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    an_audit(path)
    code, out, _ = twin("audit", "show", path)
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 4
    assert lines[0] == f"{UTC}  command 1    anna: close  (trial)"
    assert lines[3].endswith("ben: refused: close  (the loop is closed already)")
    for options, names in (
        (["--kind", "command"], ["command 1", "command 2"]),
        (["--who", "ANN"], ["command 1"]),
        (["--since", "2026-03-02T06:00:01"], ["outcome 1", "command 2"]),
        (["--until", "2026-03-02"], ["command 1", "intent 1", "outcome 1"]),
        (["--last", 1], ["command 2"]),
        (["--kind", "note"], []),
    ):
        (told,) = json.loads(twin("audit", "show", path, "--json", *options)[1])
        assert [row["name"] for row in told["rows"]] == names, options
    code, _, err = twin("audit", "show", path, "--kind", "turn")
    assert (code, "there is no kind 'turn'" in err) == (2, True)
    code, _, err = twin("audit", "show", tmp_path / "nothing")
    assert code == 2


def test_an_audit_is_verified_and_what_was_done_to_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    head = an_audit(path)
    code, out, err = twin("audit", "verify", path)
    assert (code, out, err) == (0, f"{path}: nothing wrong, head {head}\n", "")
    assert twin("audit", "verify", path, "--expect", head)[0] == 0
    assert twin("audit", "verify", path, "--expect", f"9{head}")[0] == 6
    other = sqlite3.connect(path)
    other.execute("update commands set who = 'eve' where id = 1")
    other.commit()
    code, out, _ = twin("audit", "verify", path)
    assert code == 6
    assert "  command 1: changed: link 1 was made of something else\n" in out
    (told,) = json.loads(twin("audit", "verify", path, "--json")[1])
    assert told["findings"][0]["where"] == "command 1"
    other.execute("drop table chain")
    other.commit()
    code, out, _ = twin("audit", "verify", path)
    assert code == 6
    assert "  chain: removed as a whole: the file says that it had one\n" in out
    other.execute("pragma user_version = 0")  # as an older version has left it
    other.commit()
    other.close()
    head_file(path).unlink()
    code, out, err = twin("audit", "verify", path)
    assert (code, out) == (0, f"{path}: nothing wrong, head none\n")
    assert (
        err == "note: written before there was a chain of hashes: only its content can be checked\n"
    )


def test_without_a_head_the_end_of_an_audit_is_not_proven(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    head = an_audit(path)
    head_file(path).unlink()
    code, out, err = twin("audit", "verify", path)
    doubt = f"{path}.head is missing: nothing tells whether rows were cut off the end"
    assert (code, out, err) == (1, f"{path}: not proven, head {head}\n", f"note: {doubt}\n")
    code, out, _ = twin("audit", "verify", path, "--json")
    assert (code, json.loads(out)[0]["doubt"]) == (1, doubt)
    code, out, err = twin("audit", "verify", path, "--expect", head)
    assert (code, out, err) == (0, f"{path}: nothing wrong, head {head}\n", "")


async def test_an_open_link_stands_above_the_line_on_every_screen() -> None:
    runtime, _, _ = driven()
    cycle = await runtime.turn(0)
    for warning in (f"LINK: {OPEN}", ""):
        shown = io.StringIO()
        view = line_view("rules", runtime.loop, cycle, [warning] if warning else [])
        Console(file=shown, width=120).print(view)
        first = shown.getvalue().splitlines()[0]
        assert first.startswith(warning or "rules")
