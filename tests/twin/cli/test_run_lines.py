"""``twin run`` at lines of other processes: the same bytes, paced and commanded, killed."""

from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.twin.cli.shell import STEEL, begin, children, only_run, twin, until


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [
        "machining_line",
        pytest.param("molding_cell", marks=pytest.mark.long),
        pytest.param("paint_cure_line", marks=pytest.mark.long),
    ],
)
def test_the_mpc_gives_the_same_bytes_in_every_process_on_both_engines_and_on_the_wire(
    plant: str, tmp_path: Path
) -> None:
    """Solvers are limited by iterations and nodes, never by time: so it must not matter who waits."""
    arguments = ("run", "--plant", plant, "--shift", "20m", "--controller", "mpc", "--json")
    code, here, err = twin(*arguments, "--in-process", "--out", tmp_path / "here")
    assert code == 0, err
    with begin(*arguments, "--in-process", "--out", "elsewhere", folder=tmp_path) as process:
        elsewhere, err = process.communicate()
    assert process.returncode == 0, err
    code, compiled, err = twin(
        *arguments, "--in-process", "--engine", "compiled", "--out", tmp_path / "compiled"
    )
    assert code == 0, err
    emulated = ("--emulate", "--lockstep", "--out", tmp_path / "wire")
    code, wire, err = twin(*arguments, *emulated)
    assert code == 0, err
    assert here == elsewhere == compiled == wire
    (received,) = (tmp_path / "wire").glob("*/mpc/received.jsonl")
    assert len(received.read_text().splitlines()) > 3  # the MPC has set something
    for name in ("here", "elsewhere", "compiled", "wire"):
        (kept,) = (tmp_path / name).glob("*/kpi.json")
        assert kept.read_text() == here


@pytest.mark.slow
@pytest.mark.needs_data
@pytest.mark.skipif(not STEEL.is_file(), reason="the steel data are not there")
def test_recorded_disturbances_reach_the_emulator(tmp_path: Path) -> None:
    arguments = ["--shift", "30m", "--controller", "rules", "--json", "--disturbances", STEEL]
    lines = (["--in-process"], ["--emulate", "--lockstep"])
    ours, theirs = (
        twin("run", "--plant", "machining_line", *line, *arguments, "--out", tmp_path)
        for line in lines
    )
    assert ours[0] == theirs[0] == 0
    assert ours[1] == theirs[1]
    record = json.loads(ours[1])
    assert record["recorded_disturbances"][0]["file"] == STEEL.name


@pytest.mark.slow
def test_a_paced_line_is_commanded_by_its_operator(tmp_path: Path) -> None:
    serving = ["emulate", "machining_line", "--port", "0", "--speed", "20", "--json"]
    with begin(*serving, folder=tmp_path) as emulator:
        assert emulator.stdout is not None
        endpoint = json.loads(emulator.stdout.readline())["endpoint"]
        code, out, err = twin("check", "machining_line", "--against", endpoint)
        assert code == 0, err
        assert twin("check", "molding_cell", "--against", endpoint)[0] == 1
        arguments = ["--plant", "machining_line", "--endpoint", endpoint, "--controller", "rules"]
        with begin("run", *arguments, folder=tmp_path) as process:
            _commanded(process, tmp_path / "runs")
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 143, err
        assert "good parts" in out
        record = json.loads((only_run(tmp_path / "runs") / "kpi.json").read_text())
        assert record["seed"] is record["scenario"] is None  # nobody told us
        emulator.send_signal(signal.SIGINT)
        emulator.communicate(timeout=60)
    assert emulator.returncode == 0
    folder = only_run(tmp_path / "runs")
    assert twin("replay", folder)[0] == 0
    assert twin("audit", "verify", folder)[0] == 0
    (audit,) = json.loads(twin("audit", "show", folder, "--kind", "command", "--json")[1])
    told = [(row["what"], row["who"]) for row in audit["rows"]]
    assert {who for _, who in told} == {getpass.getuser(), "twin run"}
    for what in ("close", "limits", "refused: limits", "freeze", "refused: close", "open", "off"):
        assert (what, getpass.getuser()) in told


def _commanded(process: subprocess.Popen[str], runs: Path) -> None:
    def loop(*arguments: object) -> tuple[int, str]:
        code, out, _ = twin("loop", *arguments, "--out", runs)
        return code, out.partition(" ")[0]

    while "turns" not in twin("loop", "status", "--out", runs)[1]:
        assert process.poll() is None
    assert loop("status") == (0, "ADVISORY")
    assert loop("ack", "--reason", "x") == (0, "ADVISORY")
    closing = loop("close", "--reason", "trial")
    assert closing[0] == 0
    while closing[1] != "CLOSED":
        assert closing[1] == "INIT"
        closing = loop("status")
    assert loop("close", "--reason", "again")[0] == 5
    _limited(runs)
    assert "  link: encrypted" in twin("loop", "status", "--out", runs)[1]
    assert loop("freeze", "--reason", "a look") == (0, "HOLD")
    assert loop("status") == (0, "HOLD")
    assert loop("close", "--reason", "again")[0] == 5
    assert loop("open") == (0, "ADVISORY")
    assert loop("freeze")[0] == 5
    assert loop("off") == (0, "OFF")
    assert loop("close", "--reason", "x")[0] == 4
    assert loop("start") == (0, "ADVISORY")


def _limited(runs: Path) -> None:
    def limits(*arguments: object) -> tuple[int, dict[str, Any]]:
        code, out, _ = twin("limits", *arguments, "--out", runs, "--json")
        return code, json.loads(out)

    code, told = limits("get")
    assert (code, told["version"]) == (0, 1)
    lo, hi = told["limits"]["line.takt_s"]["engineering"]
    change = ("set", "line.takt_s", lo, hi, "--reason", "trial")
    code, told = limits(*change, "--version", 1)
    assert (code, told["version"]) == (0, 2)
    assert told["limits"]["line.takt_s"]["operator"] == [lo, hi]
    assert limits(*change, "--version", 1)[0] == 5  # somebody was quicker
    assert limits("set", "line.takt_s", lo, hi + 1.0, "--version", 2, "--reason", "x")[0] == 4


@pytest.mark.slow
def test_nothing_outlives_a_run_that_was_killed(tmp_path: Path) -> None:
    arguments = ["--emulate", "--shift", "1h", "--controller", "rules"]
    with begin("run", "--plant", "machining_line", *arguments, folder=tmp_path) as process:
        until(process, lambda: next(tmp_path.glob("runs/*/loop.sock"), None))
        started = children(process.pid)  # the emulator, and the process of the controller
        assert len(started) >= 2
        process.kill()
        process.communicate()
    for child in started:
        while Path(f"/proc/{child}").exists() and "Z" not in _state(child):
            os.sched_yield()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
