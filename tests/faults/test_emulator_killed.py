"""The emulator of a run dies under it: the run owns it, and has no line any more."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.twin.cli.shell import begin, emulator_of, only_run, twin, until_turns


@pytest.mark.slow
@pytest.mark.parametrize("pace", [("--lockstep",), ("--speed", "100")], ids=["lockstep", "paced"])
def test_a_run_ends_with_its_emulator(tmp_path: Path, pace: tuple[str, ...]) -> None:
    arguments = ("--emulate", *pace, "--shift", "90d", "--controller", "rules", "--json")
    with begin("run", "--plant", "machining_line", *arguments, folder=tmp_path) as process:
        assert process.stderr is not None
        assert any(line.startswith("run ") for line in process.stderr)
        folder = only_run(tmp_path / "runs")
        until_turns(process, folder / "rules" / "audit.sqlite", 3)
        child = emulator_of(process.pid)
        os.kill(child, signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "error[unreachable]: the emulator of this run ended (exit code -9)\n" in err
    assert "(exit code -9)" in out
    assert twin("report", folder)[0] == 0
    assert twin("replay", folder)[0] == 0
