from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.twin.cli.shell import REPOSITORY, twin
from twin import __version__

VERBS = (
    "init",
    "check",
    "discover",
    "simulate",
    "sweep",
    "whatif",
    "emulate",
    "run",
    "replay",
    "report",
    "tune",
    "loop",
    "limits",
    "audit",
    "cert",
    "user",
    "policy",
)
COMMANDS = (
    *(
        "loop status",
        "loop close",
        "loop open",
        "loop off",
        "loop freeze",
        "loop start",
        "loop ack",
    ),
    *("limits get", "limits set", "audit show", "audit verify"),
    *("cert new", "cert trust", "cert list", "cert remove", "user add", "user list", "user remove"),
    *("policy export", "policy inspect", "policy verify", "policy sign", "policy approve"),
    *("policy install", "policy rollback", "policy keys", "policy trust"),
)
HEAVY = ("asyncio", "asyncua", "casadi", "duckdb", "highspy", "matplotlib", "numba", "numpy")
HEAVY += ("pyarrow", "pydantic", "rich.console", "simpy", "yaml")


def test_help_names_every_verb_and_where_to_start() -> None:
    code, out, _ = twin("--help")
    assert code == 0
    assert all(f"\n  {verb} " in out for verb in VERBS)
    assert "twin init demo" in out


def test_no_arguments_is_help_and_says_that_something_is_missing() -> None:
    code, out, err = twin()
    assert code == 2
    assert "Usage: twin" in out + err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_examples(verb: str) -> None:
    for flag in ("--help", "-h"):
        code, out, _ = twin(verb, flag)
        assert code == 0
        assert "Examples:\n" in out
        assert f"twin {verb} " in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_a_group_shows_an_example(command: str) -> None:
    code, out, _ = twin(*command.split(), "--help")
    assert code == 0
    assert f"twin {command}" in out.split("Example:")[1]


def test_version() -> None:
    assert twin("--version")[:2] == (0, f"twin {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["loop", "--help"], {"pydantic"}),  # some versions of typer read options by it
        (["run", "--help"], {"pydantic"}),
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str], allowed: set[str]) -> None:
    code = (
        "import json, sys; from twin.cli.app import app\n"
        f"try: app({arguments!r}, prog_name='twin')\n"
        "except SystemExit: print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "typer" in loaded
    assert {name for name in HEAVY if name in loaded} <= allowed


@pytest.mark.parametrize("module", ["typer", "twin.cli.user"])
def test_an_interrupt_while_it_starts_ends_without_a_word(module: str) -> None:
    code = (
        "import signal, sys\n"
        # Who tests in the background of a shell has it ignored, and so have those that it starts.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from twin.cli import main\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interrupt_while_arguments_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("twin.cli.app.typer.echo", interrupted)
    assert twin("--version")[0] == 130
