"""``twin identify`` from the shell: a run, a log, a page, a plant file, and what is wrong with them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.twin.cli.shell import only_run, twin
from twin.config import load_plant, load_truth


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of the machining line at its recipe."""
    root = tmp_path_factory.mktemp("identify") / "runs"
    given = ("--in-process", "--lockstep", "--shift", "2h", "--controller", "always_on")
    code, out, err = twin("run", "--plant", "machining_line", *given, "--seed", "5", "--out", root)
    assert code == 0, out + err
    return root


def test_a_run_teaches_what_the_line_is(runs: Path, tmp_path: Path) -> None:
    page, fitted = tmp_path / "page.html", tmp_path / "fitted.yaml"
    given = ("--run", only_run(runs), "--worlds", "2", "--page", page, "--write", fitted, "--json")
    code, out, err = twin("identify", *given)
    assert code == 0, err
    told = json.loads(out)
    numbers = told["numbers"]
    truth = load_truth("machining_line", load_plant("machining_line"))
    for station, name, true in (
        ("turning", "turning.power.idle_kw", truth.stations["turning"].idle_kw),
        ("inspection", "inspection.power.idle_kw", truth.stations["inspection"].idle_kw),
        ("wash", "wash.parameters.power_kw", truth.stations["wash"].parameters["power_kw"]),
    ):
        assert true is not None, station
        assert numbers[name]["lo"] <= float(true) <= numbers[name]["hi"]
        assert numbers[name]["verdict"] == "learned"
    assert numbers["wash.power.off_kw"]["estimate"] is None
    energy = told["before_and_after"]["energy_kwh"]
    assert energy["recorded"] > 0.0
    assert any(test["setpoint"] == "turning.standby" for test in told["step_tests"])
    text = page.read_text("utf-8")
    assert "Before and after" in text
    assert text.count("<svg") == 3
    plant = load_plant(str(fitted))
    idle = plant.stations[0].power.idle_kw
    assert float(idle) == pytest.approx(numbers["turning.power.idle_kw"]["estimate"], rel=1e-4)
    assert idle.source.startswith("identified from run machining_line-")
    code, out, _ = twin("identify", "--out", runs, "--worlds", "0")
    assert code == 0
    assert "not informative" in out


def log(path: Path, rows: int = 100, **columns: float | str) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time_s", *(name.replace("__", ".") for name in columns)])
        for n in range(rows):
            writer.writerow([30 * n, *columns.values()])
    return path


def test_a_log_of_ones_own_teaches_too(tmp_path: Path) -> None:
    path, rng = tmp_path / "log.csv", np.random.default_rng(3)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time_s", "wash.state", "wash.power_kw", "comment"])
        for n in range(200):
            power_kw = "" if n % 5 == 0 else 6.2 + 0.05 * rng.standard_normal()
            writer.writerow([30 * n, 3, power_kw, 1])
    code, out, err = twin("identify", "machining_line", "--csv", path, "--worlds", "0", "--json")
    assert code == 0, err
    told = json.loads(out)
    idle = told["numbers"]["wash.power.idle_kw"]
    assert idle["observations"] == 160
    assert idle["lo"] <= 6.2 <= idle["hi"]
    assert told["source"].startswith("log log.csv ")
    assert any("turning" in note for note in told["notes"])


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({}, "state of no station"),
        ({"wash__state": 99}, "99, which is no state"),
        ({"wash__state": "many"}, "'many' in row 1, not a number"),
        ({"wash__state": "inf"}, "holds inf in row 1"),
    ],
)
def test_a_bad_log_is_one_clear_error(
    tmp_path: Path, columns: dict[str, float | str], word: str
) -> None:
    path = log(tmp_path / "log.csv", **columns)
    fitted = tmp_path / "fitted.yaml"
    code, out, err = twin("identify", "machining_line", "--csv", path, "--write", fitted)
    assert code == 2
    assert word in out + err
    assert "hint:" in err
    assert not fitted.exists()


@pytest.mark.parametrize(
    ("raw", "line", "word"),
    [
        (b"", "", "the file is empty"),
        (bytes(range(256)), "", "not UTF-8 text"),
        (b"wash.state\n3\n", "", "there is no column 'time_s'"),
        (b"a,b\n1,2\n", "", "there is no column 'time_s', "),
        (b"time_s,wash.state\n0,3\n30\n", ":3", "row 2 has 1 cells"),
        (b"time_s,wash.state\n0,3\n30,on\n", ":3", "holds 'on' in row 2"),
        (b"time_s,wash.state\n" + 12 * b"0,3\n", ":3", "does not grow from row 1 to row 2"),
    ],
)
def test_a_file_that_is_no_log_is_no_fault_of_the_plant(
    tmp_path: Path, raw: bytes, line: str, word: str
) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(raw)
    code, out, err = twin("identify", "machining_line", "--csv", path)
    assert (code, out) == (2, "")
    assert err.startswith("error[file]: ")
    assert word in err
    assert f"  --> {path}{line}\n" in err
    assert "disturbances" not in err
    assert "every_s" not in err
    assert len(err) < 1500


def test_values_in_another_unit_are_told(tmp_path: Path) -> None:
    told = {}
    for power in (6.2, 6200.0):
        path = log(tmp_path / "log.csv", rows=200, wash__state=3, wash__power_kw=power)
        given = ("--csv", path, "--worlds", "0", "--json")
        code, out, err = twin("identify", "machining_line", *given)
        assert code == 0, err
        told[power] = [one for one in json.loads(out)["notes"] if "another unit" in one]
    assert told[6.2] == []
    (note,) = told[6200.0]
    assert note.startswith("wash.power_kw: 200 of 200 values lie outside 0 to ")


def test_what_is_wrong_with_the_command_is_told_before_any_work(runs: Path, tmp_path: Path) -> None:
    path, there = log(tmp_path / "log.csv", wash__state=3), tmp_path / "there.yaml"
    there.write_text("mine")
    short = log(tmp_path / "short.csv", rows=3, wash__state=3)
    timeless = tmp_path / "timeless.csv"
    timeless.write_text("wash.state\n3\n")
    other = ("molding_cell", "--run", only_run(runs))
    for given, word in (
        (("--csv", path, "--run", "x"), "learn from which?"),
        (("--csv", path, "--page", "x.pdf"), "end it in .html"),
        (("--csv", path, "--page", "nowhere/x.html"), "there is no folder"),
        (("--csv", path, "--write", "x.txt"), "end it in .yaml"),
        (("--csv", path, "--write", there), "is there already"),
        (("machining_line", "--csv", short), "3 rows"),
        (("machining_line", "--csv", timeless), "no column 'time_s'"),
        (("--out", tmp_path / "none"), "there is no run"),
        ((*other,), "is one of 'machining_line'"),
        (("--run", only_run(runs), "--controller", "mpc"), "no controller of this run"),
    ):
        code, out, err = twin("identify", *given)
        assert code == 2, (given, out, err)
        assert word in out + err, given
    assert there.read_text() == "mine"
