"""``twin whatif`` from the shell."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.twin.cli.shell import begin, only_run, twin


def test_a_longer_takt_makes_fewer_parts(tmp_path: Path) -> None:
    saved, picture = tmp_path / "state.json", tmp_path / "parts.svg"
    code, out, _ = twin(
        "whatif", "machining_line", "--at", "1h", "--set", "line.takt_s=120", "--worlds", "20",
        "--plot", str(picture), "--save", str(saved), "--json",
    )  # fmt: skip
    assert code == 0
    told = json.loads(out)
    parts = told["figures"]["good_parts"]
    assert parts["changed"] < parts["base"]
    assert parts["difference"] == pytest.approx(parts["changed"] - parts["base"])
    assert abs(parts["difference"]) > parts["half_width"] > 0.0
    assert picture.read_text("utf-8").startswith("<?xml")
    _, again, _ = twin(
        "whatif", "machining_line", "--from", str(saved), "--set", "line.takt_s=120",
        "--worlds", "20", "--json",
    )  # fmt: skip
    assert json.loads(again)["figures"] == told["figures"]


def test_the_table_names_its_worlds() -> None:
    code, out, err = twin(
        "whatif", "molding_cell", "--at", "30m", "--fail", "assembly@5m:20m", "--worlds", "10"
    )
    assert code == 0, err
    assert "10 worlds, same luck for both courses" in out + err


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ((), "where to begin?"),
        (("--at", "1h", "--set", "line.takt_s"), "no setpoint with a number"),
        (("--at", "1h", "--set", "line.takt_s=1"), "outside"),
        (("--at", "1h", "--fail", "milling"), "is no failure"),
        (("--at", "1h", "--fail", "milling@-3m:20m"), "Invalid value for --fail: '-3m'"),
        (("--at", "1h", "--order", "20@-1h"), "Invalid value for --order: '-1h'"),
        (("--at", "1h", "--order", "many@1h"), "is no rush order"),
        (("--at", "1h", "--plot", "x.bmp"), "end it in .svg"),
        (("--at", "1h", "--plot", "nowhere/x.svg"), "there is no folder"),
        (("--at", "1h", "--save", "nowhere/x.json"), "there is no folder"),
        (("--at", "1h", "--set", "line.takt_s=60", "--set", "line.takt_s=70"), "given twice"),
        (("--at", "1h"), "nothing changes"),
        (("--at", "1h", "--fail", "milling@3h:20m"), "beyond the 1 h that are looked at"),
        (("--at", "1h", "--order", "20@5h"), "beyond the 1 h that are looked at"),
        (("--live", "--set", "line.takt_s=60", "--utilisation", "0.9"), "brings its orders along"),
    ],
)
def test_what_is_wrong_is_told(given: tuple[str, ...], word: str) -> None:
    code, out, err = twin("whatif", "machining_line", *given)
    assert code == 2
    assert word in out + err


def test_what_is_no_snapshot_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    path = str(tmp_path / "state.json")
    code, out, err = twin("whatif", "machining_line", "--from", path, "--set", "line.takt_s=60")
    assert code == 6
    assert "not a snapshot" in out + err


@pytest.mark.slow
def test_a_running_loop_is_asked_and_goes_on(tmp_path: Path) -> None:
    arguments = ["--emulate", "--speed", "20", "--shift", "2h", "--controller", "rules"]
    with begin("run", "--plant", "machining_line", *arguments, folder=tmp_path) as process:
        runs = tmp_path / "runs"
        while "turns" not in twin("loop", "status", "--out", runs)[1]:
            assert process.poll() is None
        given = ("--set", "line.takt_s=120", "--worlds", "20", "--out", runs, "--json")
        code, out, err = twin("whatif", "--live", *given)
        assert code == 0, err
        told = json.loads(out)
        assert told["plant"] == "machining_line"
        assert told["from_s"] > 0.0
        assert told["figures"]["good_parts"]["difference"] < 0.0
        code, _, err = twin("whatif", "molding_cell", "--live", *given)
        assert code == 5
        assert "the loop does not run molding_cell" in err
        assert twin("loop", "status", "--out", runs)[0] == 0
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert twin("replay", only_run(runs))[0] == 0  # every decision again, to the last bit


def test_nobody_to_ask_is_told(tmp_path: Path) -> None:
    code, _, err = twin("whatif", "--live", "--set", "line.takt_s=60", "--out", tmp_path)
    assert code == 3
    assert "no loop that takes commands runs" in err
