from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.twin.cli.shell import REPOSITORY, twin
from twin.cli import check
from twin.cli.problems import Problem, nearest, problem_of
from twin.config import PlantError
from twin.equipment.opcua import WrongServer
from twin.store.quarantine import StoreError


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A plant of one's own with a key that does not exist, in line 10."""
    assert twin("init", tmp_path / "own")[0] == 0
    path: Path = tmp_path / "own" / "plant.yaml"
    lines = path.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("shift_h:"))
    lines[at] = "shift_hours: 8"
    path.write_text("\n".join(lines))
    return path


def test_a_wrong_plant_file_is_shown_with_line_and_hint(broken: Path) -> None:
    code, out, err = twin("check", broken)
    number = broken.read_text().splitlines().index("shift_hours: 8") + 1
    assert (code, out) == (2, "")
    assert err.startswith("error[plant]: unknown key 'shift_hours'")
    assert f"  --> {broken}:{number}\n   |  shift_hours: 8\n hint: " in err
    assert "Traceback" not in err


def test_json_has_the_same_fields(broken: Path) -> None:
    code, out, err = twin("check", broken, "--json")
    told = json.loads(out)["error"]
    assert code == told["exit_code"] == 2
    assert told["kind"] == "plant"
    assert told["text"] == "shift_hours: 8"
    for field in ("message", "place", "hint"):
        assert told[field] in err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["--plant", "machning_line"], "machining_line"),
        (["--plant", "machining_line", "--controller", "mcp"], "mpc"),
        (["--plant", "machining_line", "--compare", "rules,alway_on"], "always_on"),
        (["--plant", "machining_line", "--scenario", "failure_brst"], "failure_burst"),
        (["--plant", "machining_line", "--variant", "hihg"], "high"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(arguments: list[str], meant: str) -> None:
    code, out, err = twin("run", "--in-process", *arguments)
    assert (code, out) == (2, "")
    assert f"did you mean {meant!r}?" in err


def test_one_line_has_to_be_chosen() -> None:
    for lines in ([], ["--emulate", "--in-process"], ["--in-process", "--endpoint", "opc.tcp://x"]):
        code, _, err = twin("run", "--plant", "machining_line", *lines)
        assert code == 2
        assert "exactly one of" in err


def test_one_that_decides_and_all_that_do_are_not_named_together(tmp_path: Path) -> None:
    for named in ("mpc,fixed", ""):
        code, out, err = twin(
            "run", "--plant", "machining_line", "--in-process", "--shift", "1m",
            "--controller", "rules", "--compare", named, "--out", tmp_path / "runs",
        )  # fmt: skip
        assert (code, out) == (2, "")
        assert "--controller names one that decides, and --compare all" in err
    assert not (tmp_path / "runs").exists()


def test_a_controller_runs_under_one_name(tmp_path: Path) -> None:
    for named, told in (
        ("rules,rules", "a controller is named twice"),
        ("rules,full_pace", "rules and full_pace are two names of one controller"),
    ):
        given = ["--in-process", "--shift", "1m", "--compare", named, "--out", tmp_path / "runs"]
        code, out, err = twin("run", "--plant", "machining_line", *given)
        assert (code, out) == (2, "")
        assert told in err
    assert not (tmp_path / "runs").exists()


def test_a_flag_never_closes_the_loop_on_a_line_that_is_not_our_own() -> None:
    url = "opc.tcp://127.0.0.1:1"
    code, out, err = twin("run", "--plant", "machining_line", "--endpoint", url, "--close")
    assert (code, out) == (4, "")
    assert "twin loop close" in err


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "127.0.0.1:4840", "opc.tcp://"])
def test_an_address_of_something_else(url: str) -> None:
    for verb in (["run", "--plant", "machining_line", "--endpoint"], ["check", "--against"]):
        code, out, err = twin(*verb, url)
        assert (code, out) == (2, "")
        assert "write opc.tcp://HOST:PORT" in err


def test_another_machine_is_not_talked_to_without_encryption(tmp_path: Path) -> None:
    arguments = ["run", "--plant", "machining_line", "--controller", "rules"]
    url = "opc.tcp://192.0.2.1:4840"
    code, out, err = twin(*arguments, "--endpoint", url, "--insecure", "--out", tmp_path / "runs")
    assert (code, out) == (4, "")
    assert "refusing to talk to 192.0.2.1 without encryption\n hint: leave out --insecure" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "line", [["--in-process"], ["--emulate", "--lockstep"], ["--endpoint", "opc.tcp://127.0.0.1:1"]]
)
def test_a_speed_that_nobody_would_heed(line: list[str]) -> None:
    code, _, err = twin("run", "--plant", "machining_line", *line, "--speed", "2")
    assert code == 2
    assert "--speed is the pace of" in err


def test_what_the_parser_refuses_is_json_too() -> None:
    code, out, err = twin("run", "--plant", "machining_line", "--seed", "one", "--json")
    assert code == 2
    assert "valid integer" in err
    told = json.loads(out)["error"]
    assert (told["kind"], told["exit_code"]) == ("usage", 2)
    assert "--seed" in told["message"]
    assert twin("run", "--plant", "machining_line", "--seed", "one")[1] == ""


def test_a_folder_without_a_plant(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    code, _, err = twin("check", tmp_path)
    assert code == 2
    assert "there is no plant.yaml in this folder" in err
    assert "mine.yaml" in err


def test_a_line_out_of_reach_ends_with_3(tmp_path: Path) -> None:
    url = "opc.tcp://127.0.0.1:1"
    arguments = ["run", "--plant", "machining_line", "--controller", "rules", "--endpoint", url]
    code, out, err = twin(*arguments, "--out", tmp_path / "runs")
    assert (code, out) == (3, "")
    assert f"error[unreachable]: no OPC UA server lets us in at {url} (Connection refused)\n" in err
    assert "hint: start the emulator, or check the address" in err
    assert not (tmp_path / "runs").exists()


def test_a_folder_of_keys_that_was_given_needs_users_first(tmp_path: Path) -> None:
    code, _, err = twin("emulate", "machining_line", "--pki", tmp_path / "line1")
    assert code == 4
    assert f"there is no user in {tmp_path / 'line1' / 'users'}" in err
    assert f"hint: twin user add NAME --pki {tmp_path / 'line1'}" in err


def test_what_nobody_foresaw_ends_with_70_and_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check, "_described", fails)
    code, _, err = twin("check", "machining_line")
    (report,) = tmp_path.glob("twin-error-*.txt")
    assert code == 70
    assert report.name in err
    assert "Traceback" not in err
    assert "in fails" in report.read_text()


def test_exit_codes_of_errors() -> None:
    assert problem_of(PlantError(("a", 1), "no")).code == 2
    assert problem_of(StoreError("no")).code == 6
    assert problem_of(ConnectionError("no")).code == 3
    assert problem_of(ConnectionRefusedError("by our own door")).code == 4
    assert problem_of(ConnectionRefusedError(111, "by the network")).code == 3
    assert problem_of(PermissionError(13, "no", "file")).code == 2
    assert problem_of(Problem("conflict", "no", code=5)).code == 5


def test_a_server_with_another_plant_is_a_conflict_and_not_out_of_reach() -> None:
    problem = problem_of(WrongServer("the server runs another plant file"))
    assert (problem.kind, problem.code) == ("conflict", 5)
    assert problem.hint == "give both the same plant file, or check the address"


def test_suggestions() -> None:
    assert nearest("mcp", ["fixed", "mpc"]) == "did you mean 'mpc'? there are: fixed, mpc"
    assert nearest("zzz", ["fixed"]) == "there are: fixed"
    assert nearest("zzz", []) == "there are: none"


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("", 0o644, "others may open it"),
        ("operator:secret\n", 0o600, ":1: expected name:role:hash"),
    ],
)
def test_a_file_of_users_that_cannot_be_used_is_told(
    tmp_path: Path, text: str, mode: int, told: str
) -> None:
    users = tmp_path / "users.txt"
    users.write_text(text)
    users.chmod(mode)
    pki = tmp_path / "pki"
    code, _, err = twin("emulate", "machining_line", "--pki", pki, "--users", users, "--port", 0)
    assert code == 2
    assert err.startswith(f"error[users]: {users}")
    assert told in err
    assert "hint: twin user add writes the file" in err


def test_without_a_truth_every_verb_refuses_in_the_same_words(tmp_path: Path) -> None:
    assert twin("init", tmp_path / "own")[0] == 0
    (tmp_path / "own" / "plant.truth.yaml").unlink()
    told = set()
    for verb in (
        ["tune", "--evaluations", 1],
        ["simulate", "--true"],
        ["emulate", "--insecure"],
        ["run", "--emulate", "--lockstep", "--plant"],
    ):
        code, _, err = twin(*verb, tmp_path / "own")
        assert code == 2
        told.add(err)
    (wording,) = told
    assert "needs its truth" in wording
    assert "docs/how-to/your-own-plant.md" in wording


def ended(words: str, out: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own, its output in a file."""
    with Path(out).open("w") if out else nullcontext(subprocess.PIPE) as file:
        return subprocess.run(
            [sys.executable, "-m", "twin.cli", *words.split()],
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
        )


@pytest.mark.parametrize("words", ["check machining_line --json", "check machining_line", "--help"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nothing_takes_is_one_error(words: str, unbuffered: str) -> None:
    done = ended(words, "/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    hint = " hint: check the disk, or the file that it goes to\n"
    told = f"error[file]: cannot write the output: No space left on device\n{hint}"
    assert done.stderr == told


def test_an_error_that_nothing_takes_keeps_its_code() -> None:
    done = ended("check nope --json", "/dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("error[plant]: there is no plant 'nope'")
    assert "Traceback" not in done.stderr


def test_a_screen_of_few_signs_shows_what_it_can() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = ended("check machining_line", **ascii_only)
    assert done.returncode == 0, done.stderr
    assert "| ?" in done.stdout
