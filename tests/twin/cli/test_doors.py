"""Options that contradict each other or name what cannot be: told at the door, with what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.twin.cli.shell import twin

RUN = ("run", "--plant", "machining_line", "--controller", "rules")


@pytest.mark.parametrize("verb", [[*RUN, "--in-process"], ["report"], ["loop", "status"]], ids=str)
def test_out_must_be_a_folder(tmp_path: Path, verb: list[str]) -> None:
    (tmp_path / "file").touch()
    code, _, err = twin(*verb, "--out", tmp_path / "file")
    assert (code, err.startswith("error[usage]: --out ")) == (2, True)
    assert "is a file; runs need a folder\n hint: " in err
    code, _, err = twin(*verb, "--out", "")
    assert (code, err.startswith("error[usage]: --out names no folder\n hint: ")) == (2, True)


@pytest.mark.parametrize("line", [["--in-process"], ["--emulate", "--lockstep"]])
def test_close_means_nothing_in_lockstep(line: list[str]) -> None:
    code, _, err = twin(*RUN, *line, "--close")
    assert code == 2
    assert "--close is for an own paced emulator" in err


@pytest.mark.parametrize("option", ["--users", "--pki", "--audit"])
def test_insecure_is_not_secure(tmp_path: Path, option: str) -> None:
    code, _, err = twin("emulate", "machining_line", "--insecure", option, tmp_path / "any")
    assert code == 2
    assert "--insecure means no encryption and no users" in err


@pytest.mark.parametrize("option", ["--pki", "--server-certificate"])
def test_a_loop_without_encryption_has_no_certificates(tmp_path: Path, option: str) -> None:
    endpoint = ["--endpoint", "opc.tcp://127.0.0.1:1", "--insecure", option, tmp_path / "any"]
    code, _, err = twin(*RUN, *endpoint)
    assert code == 2
    assert "--insecure means no encryption; " in err


@pytest.mark.parametrize("line", [["--in-process"], ["--emulate"]], ids=str)
def test_a_runs_own_emulator_needs_no_word_on_trust(line: list[str]) -> None:
    code, _, err = twin(*RUN, *line, "--insecure")
    assert code == 2
    assert "are for a line that is there already" in err


def test_a_log_that_cannot_be_written_is_named() -> None:
    arguments = ["--insecure", "--port", 0, "--write-log", "/nope/x"]
    code, _, err = twin("emulate", "machining_line", *arguments)
    assert (code, err.splitlines()[0]) == (2, "error[file]: /nope/x: No such file or directory")
    assert "--port" not in err


def test_a_port_that_is_taken_is_told_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = twin("emulate", "machining_line", "--insecure", "--port", port)
    assert code == 2
    assert f"cannot serve on 127.0.0.1:{port}: Address already in use\n" in err
    assert err.count(str(port)) == 1


def test_an_open_server_for_others_is_refused_with_advice() -> None:
    code, _, err = twin("emulate", "machining_line", "--insecure", "--host", "192.0.2.1")
    assert code == 4
    assert (
        "refusing to serve 192.0.2.1 without encryption\n hint: give certificates and users" in err
    )


def test_a_link_that_leads_nowhere_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("/nowhere")
    code, _, err = twin("init", tmp_path / "dangling")
    assert code == 5
    assert f"{tmp_path / 'dangling'} exists already" in err
    assert [path.name for path in tmp_path.iterdir()] == ["dangling"]


def test_a_name_with_a_space_is_quoted_in_what_comes_next(tmp_path: Path) -> None:
    own = tmp_path / "my plant"
    assert f"next: twin check '{own}'\n" in twin("init", own)[2]
    (own / "plant.fixed.json").unlink(missing_ok=True)
    assert f"twin tune '{own}'" in " ".join(twin("check", own)[1].split())


def test_a_run_that_is_misspelt_gets_a_suggestion(tmp_path: Path) -> None:
    assert twin(*RUN, "--in-process", "--shift", "1m", "--out", tmp_path)[0] == 0
    (run,) = tmp_path.iterdir()
    code, _, err = twin("report", run.name[:-1], "--out", tmp_path)
    assert code == 2
    assert f"did you mean {run.name!r}?" in err


def test_part_of_a_shift_is_measured_against_all_its_orders(tmp_path: Path) -> None:
    _, out, _ = twin(*RUN, "--in-process", "--shift", "6m", "--out", tmp_path)
    note = (
        "Backlog and cost per part count all orders of each 8 h shift from its start, "
        "and this ended after 0.1 h."
    )
    assert f"note: {note}\n" in out
    (run,) = tmp_path.iterdir()
    assert note in (run / "report.html").read_text()
    assert note in twin("report", run)[2]
    assert f"note: {note}\n" in twin("simulate", "machining_line", "--hours", "0.1")[1]
    assert "note: Backlog" not in twin("simulate", "machining_line", "--hours", "8")[1]
