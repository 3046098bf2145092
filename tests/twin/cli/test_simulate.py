from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.twin.cli.shell import twin
from twin.cli.offline import Offline
from twin.cli.shift import Shift
from twin.cli.simulate import progress
from twin.feedback import Kpis
from twin.processes.model import ProcessModelError


def told(*arguments: object, code: int = 0) -> dict[str, Any]:
    found, out, err = twin("simulate", *arguments, "--json")
    assert found == code, err
    record: dict[str, Any] = json.loads(out)
    return record


def simulated(shift: Shift, *, saturated: bool = False, truth: bool = False) -> Kpis:
    line = Offline(shift, saturated=saturated, truth=truth, choice="simpy")
    return line.course(shift.seed, shift.hours).kpis()


def test_the_same_seed_gives_the_same_figures() -> None:
    arguments = ("simulate", "machining_line", "--hours", "2", "--json")
    code, out, err = twin(*arguments)
    assert code == 0, err
    assert twin(*arguments)[1] == out
    record = json.loads(out)
    assert record["kpis"]["good_parts"]["mean"] > 0
    assert record["kpis"]["good_parts"]["half_width"] is None
    assert record["truth"] is False


def test_replications_have_an_interval_around_their_mean() -> None:
    values = [
        simulated(Shift("machining_line", seed=n, hours=1.0))["energy_kwh"] for n in (5, 6, 7)
    ]
    mean = sum(values) / 3
    spread = (sum((v - mean) ** 2 for v in values) / 2) ** 0.5
    energy = told("machining_line", "--hours", "1h", "--reps", 3, "--seed", 5)["kpis"]["energy_kwh"]
    assert energy["mean"] == pytest.approx(mean, rel=1e-12)
    assert energy["half_width"] == pytest.approx(4.3026527 * spread / 3**0.5, rel=1e-6)
    assert energy["shifts"] == 3


def test_a_saturated_line_makes_more_than_a_demanded_one() -> None:
    shift = Shift("machining_line", hours=4.0, utilisation=0.5)
    assert simulated(shift, saturated=True)["good_parts"] > simulated(shift)["good_parts"]


def test_the_truth_differs_from_the_model() -> None:
    shift = Shift("machining_line", hours=2.0)
    assert simulated(shift, truth=True)["energy_kwh"] != simulated(shift)["energy_kwh"]


@pytest.mark.parametrize("plant", ["machining_line", "molding_cell", "paint_cure_line"])
def test_the_engines_print_the_same_bytes(plant: str) -> None:
    arguments = ("simulate", plant, "--saturated", "--warm-up", "30m", "--hours", "90m")
    printed = {
        engine: twin(*arguments, "--reps", "2", "--engine", engine, "--json")
        for engine in ("simpy", "compiled", "auto")
    }
    assert printed["simpy"][0] == 0, printed["simpy"][2]
    assert printed["simpy"][1] == printed["compiled"][1] == printed["auto"][1]


def test_shifts_go_on_until_the_interval_is_as_narrow_as_asked_for() -> None:
    record = told("machining_line", "--hours", "1", "--saturated", "--warm-up", "30m",
                  "--until-half-width", "5%", "--of", "energy_kwh")  # fmt: skip
    precision, energy = record["precision"], record["kpis"]["energy_kwh"]
    assert precision["is_reached"]
    assert precision["reached_share"] == energy["half_width"] / energy["mean"] <= 0.05
    assert record["shifts"] == energy["shifts"] >= 10
    assert record["most_shifts"] == 1000


def test_a_precision_that_is_not_reached_is_said_and_is_no_success() -> None:
    arguments = ("machining_line", "--hours", "1", "--until-half-width", "0.1%", "--reps", 4)
    record = told(*arguments, code=1)
    assert record["shifts"] == 4
    assert record["precision"]["is_reached"] is False
    assert record["precision"]["reached_share"] > 0.001
    code, out, _ = twin("simulate", *arguments)
    assert code == 1
    assert "NOT reached in 4 shifts" in out


def test_the_warm_up_is_found_and_left_out() -> None:
    record = told("machining_line", "--saturated", "--warm-up", "auto", "--hours", "1")
    warm_up = record["warm_up"]
    assert warm_up["chosen"] == "auto"
    assert 0.0 < warm_up["hours"] <= warm_up["pilot_hours"] / 2.0
    assert warm_up["hours"] * 3600.0 == pytest.approx(max(warm_up["settled_after_s"].values()))
    given = told("machining_line", "--saturated", "--warm-up", warm_up["hours"], "--hours", "1")
    assert given["kpis"] == record["kpis"]  # the pilot's luck is none of the study's


def test_a_report_stands_alone(tmp_path: Path) -> None:
    page = tmp_path / "study.html"
    code, out, err = twin(
        "simulate", "machining_line", "--hours", "2", "--reps", 2, "--report", page
    )
    assert code == 0, err
    assert f"report: {page}" in err
    text = page.read_text("utf-8")
    assert text.count("<svg") == 3  # bottlenecks, states, buffers; two shifts have no course
    assert "milling" in text
    assert "2 shifts" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--warm-up", "auto"], "add --saturated"),
        (["--warm-up", "soon"], "is no duration"),
        (["--until-half-width", "1"], "write 1% or 0.5%"),
        (["--until-half-width", "90%"], "up to 50 %"),
        (["--until-half-width", "1%", "--of", "happines"], "there is no figure 'happines'"),
        (["--saturated", "--until-half-width", "1%", "--of", "backlog_end"], "mean nothing"),
        (["--of", "energy_kwh"], "without --until-half-width"),
        (["--report", "nowhere/at/all.html"], "there is no folder 'nowhere/at'"),
        (["--engine", "steam"], "there is no engine 'steam'"),
        (["--reps", "0"], "--reps"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], said: str) -> None:
    code, out, err = twin("simulate", "machining_line", "--hours", "1", *arguments)
    assert code == 2
    assert said in " ".join((out + err).replace("│", " ").split())


def test_a_figure_that_a_shift_lacks_is_named_with_its_reason() -> None:
    code, _, err = twin("simulate", "machining_line", "--hours", "2m", "--until-half-width", "5%")
    assert code == 2
    assert "energy_kwh_per_good_part: no good part was made" in err


def test_a_model_that_cannot_be_compiled_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(model: object) -> None:
        raise ProcessModelError("process model 'cutting' cannot be compiled by numba")

    monkeypatch.setattr("twin.line.compiled.addresses", cannot)
    code, _, err = twin("simulate", "machining_line", "--hours", "1", "--engine", "compiled")
    assert code == 2
    assert "'cutting' cannot be compiled" in err
    assert "leave out --engine" in err


def test_a_line_whose_orders_arrive_evenly_can_settle(tmp_path: Path) -> None:
    assert twin("init", tmp_path / "line")[0] == 0
    plant = tmp_path / "line" / "plant.yaml"
    text = plant.read_text("utf-8")
    plant.write_text(text.replace("demand:\n", "demand:\n  arrive: evenly\n", 1), "utf-8")
    record = told(plant, "--warm-up", "auto", "--hours", "1")
    assert 0.0 < record["warm_up"]["hours"] < 8.0


def test_a_log_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as lines:
        lines.begin("shifts", 100)
        for _ in range(100):
            lines.done()
    assert capsys.readouterr().err.splitlines() == [
        f"shifts: {n} of 100" for n in range(10, 101, 10)
    ]
    with progress() as lines:
        lines.begin("pilot", 4)
        for _ in range(4):
            lines.done()
    assert capsys.readouterr().err == ""
