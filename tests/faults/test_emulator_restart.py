"""The PLC dies under a paced loop and comes back: within the hold time, and too late."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Collection
from contextlib import contextmanager
from pathlib import Path
from shutil import copy
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.twin.cli.shell import begin, only_run, twin, until
from twin.config import find_plant

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEED, HOLD_S = 15, 600
"""The hold time is forty seconds for whoever waits; a busy machine needs some of them to start a server."""


def patient_line(folder: Path) -> Path:
    """The machining line with a longer hold time, so that its turns pass quickly and the hold does not."""
    given, own = find_plant("machining_line"), folder / "patient.yaml"
    copy(given.with_suffix(".truth.yaml"), own.with_suffix(".truth.yaml"))
    text = given.read_text("utf-8")
    assert text.count("hold_s: 120\n") == 1
    own.write_text(text.replace("hold_s: 120\n", f"hold_s: {HOLD_S}\n"), "utf-8")
    return own


@contextmanager
def emulator(folder: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    arguments = ("--port", str(port), "--speed", str(SPEED), "--json")
    with begin("emulate", "patient.yaml", *arguments, folder=folder) as process:
        assert process.stdout is not None
        endpoint = json.loads(process.stdout.readline())["endpoint"]
        yield process, int(endpoint.rpartition(":")[2].partition("/")[0])
        process.kill()
        process.communicate()


class Watched:
    """A paced loop and what its status says."""

    def __init__(self, process: subprocess.Popen[str], runs: Path) -> None:
        self.process, self.runs = process, runs
        self.seen: list[tuple[str, str]] = []

    def ask(self, *words: str) -> int:
        return twin("loop", *words, "--out", self.runs)[0]

    def until(self, modes: Collection[str]) -> str:
        """Wait for one of these modes; the reason it gives. Notes what was seen on the way."""

        def reason() -> str | None:
            code, out, _ = twin("loop", "status", "--json", "--out", self.runs)
            status = json.loads(out) if code == 0 else {}
            if "reasons" not in status:
                return None
            why = "; ".join(status["reasons"])
            if not self.seen or self.seen[-1][0] != status["mode"]:
                self.seen.append((status["mode"], why))
            return why if status["mode"] in modes else None

        return until(self.process, reason)


@pytest.mark.slow
def test_a_loop_lives_through_restarts_of_its_plc(tmp_path: Path) -> None:
    runs, own = tmp_path / "runs", patient_line(tmp_path)
    with emulator(tmp_path) as (first, port):
        arguments = ["--endpoint", f"opc.tcp://127.0.0.1:{port}/takttwin", "--controller", "rules"]
        run = ["run", "--plant", str(own), *arguments]
        with begin(*run, folder=tmp_path) as process:
            loop = Watched(process, runs)
            loop.until({"ADVISORY"})
            assert loop.ask("close", "--reason", "trial") == 0
            loop.until({"CLOSED"})

            first.kill()
            loop.until({"HOLD"})
            with emulator(tmp_path, port) as (second, _):
                assert loop.until({"CLOSED", "SHED"}) == "inputs good again"

                second.kill()
                assert loop.until({"SHED"}).startswith(f"hold time of {HOLD_S} s over: no reading")
            assert loop.ask("ack", "--reason", "too early") == 4
            with emulator(tmp_path, port):
                until(process, lambda: loop.ask("ack", "--reason", "looked at") == 0 or None)
                loop.until({"ADVISORY"})
                assert loop.ask("close", "--reason", "again") == 0
                loop.until({"CLOSED"})
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=60)
    modes = [mode for mode, _ in loop.seen]
    assert [m for m in modes if m != "INIT"] == [
        *("ADVISORY", "CLOSED", "HOLD", "CLOSED"),
        *("HOLD", "SHED", "ADVISORY", "CLOSED"),
    ]
    _look_back(only_run(runs))


def _look_back(folder: Path) -> None:
    """Two gaps are on record, with how they began, and the decisions can be computed again."""
    with duckdb.connect(str(folder / "rules" / "historian.duckdb"), read_only=True) as store:
        gaps = store.execute("select from_us, until_us, reason from gaps order by 1").fetchall()
    assert len(gaps) == 2
    for from_us, until_us, reason in gaps:
        assert until_us > from_us
        assert "no OPC UA server" not in reason  # how it began, not what came of it
        assert reason
    assert twin("replay", folder)[0] == 0
