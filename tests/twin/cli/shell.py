"""The command line as tests call it: in this process, or as a user would."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from typer.testing import CliRunner

from twin.cli.app import app

Answer = TypeVar("Answer")
ASKED_EVERY_S = 0.1
REPOSITORY = Path(__file__).resolve().parents[3]
DATA = REPOSITORY.parent / "shared" / "data"
LIVELINE = DATA / "liveline" / "liveline_first70.parquet"
STEEL = DATA / "steel_energy" / "steel_jan_sep.parquet"


def twin(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command run in this process."""
    done = CliRunner().invoke(app, [str(a) for a in arguments], prog_name="twin")
    return done.exit_code, done.stdout, done.stderr


@contextmanager
def begin(*arguments: object, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The same as a process of its own, in a folder; it does not outlive the block."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "TAKTTWIN_LOCKS": str(folder)}
    environment["TAKTTWIN_KEYS"] = str(folder / "keys")
    command = [sys.executable, "-m", "twin.cli", *(str(a) for a in arguments)]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[str], what: Callable[[], Answer | None]) -> Answer:
    """Ask now and then until there is an answer that is not None; fails as soon as the process has ended."""
    while (found := what()) is None:
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(
                f"ended with {process.wait(ASKED_EVERY_S)}: {process.communicate()}"
            )
    return found


def only_run(root: Path) -> Path:
    """The folder of the one run under a root."""
    (found,) = (path.parent for path in root.glob("*/manifest.json"))
    return found


def until_turns(process: subprocess.Popen[str], audit: Path, more_than: int) -> None:
    """Wait until more than so many turns are recorded in the audit of a run."""

    def count() -> int | None:
        if not audit.is_file():
            return None
        rows = sqlite3.connect(f"{audit.as_uri()}?mode=ro", uri=True)
        try:
            found = int(rows.execute("select count(*) from cycles").fetchone()[0])
        except sqlite3.OperationalError:
            return None
        finally:
            rows.close()
        return found if found > more_than else None

    until(process, count)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def emulator_of(pid: int) -> int:
    """The emulator among the processes that a run has started."""
    found = [c for c in children(pid) if b"emulate" in Path(f"/proc/{c}/cmdline").read_bytes()]
    (emulator,) = found
    return emulator
