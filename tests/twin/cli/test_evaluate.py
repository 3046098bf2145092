"""``twin evaluate`` from the shell."""

from __future__ import annotations

import errno
import fcntl
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.twin.cli.shell import twin
from twin.cli.episodes_file import alone_in
from twin.cli.problems import Problem
from twin.config import load_plant

SHORT = ("--hours", "0.5", "--shifts", "2", "--workers", "1", "--json")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("evaluation")
    code, out, err = twin(
        "evaluate", "machining_line", "--controllers", "fixed,full_pace,oracle", *SHORT,
        "--out", folder,
    )  # fmt: skip
    assert code == 0, err
    return folder, out


def test_rows_have_means_and_differences_with_intervals(evaluated: tuple[Path, str]) -> None:
    told = json.loads(evaluated[1])
    assert {row["controller"] for row in told["rows"]} == {"fixed", "full_pace", "oracle", "bound"}
    doubts = " ".join(told["doubts"])
    assert "count all orders of each 8 h shift" in doubts
    assert "too sure of itself with 2 shifts" in doubts
    least = told["rows"].pop()
    assert least["controller"] == "bound"
    for row in told["rows"]:
        assert row["kpi"]["objective_eur"]["mean"] > least["kpi"]["objective_eur"]["mean"]
        assert row["shifts"] == 2
        drawn = row["kpi"]["energy_kwh"]
        assert 5.0 < drawn["mean"] < 20.0  # half an hour at 10 to 40 kW
        assert 0.0 < drawn["half_width"] < drawn["mean"] * 12.71  # Student's t for two shifts
        for versus in row["versus"].values():
            figure = versus["figures"]["energy_kwh"]
            assert figure["lo_pct"] <= figure["diff_pct"] <= figure["hi_pct"]
            assert figure["verdict"] in {"better", "worse", "equal", "inconclusive"}
    assert json.loads((evaluated[0] / "evaluation.json").read_text())["rows"] == [
        *told["rows"],
        least,
    ]
    assert (evaluated[0] / "report.md").read_text().startswith("# Evaluation of machining_line")
    assert "<svg" in (evaluated[0] / "report.html").read_text()


def test_the_cost_of_all_is_that_of_energy_expected_scrap_and_edges(
    evaluated: tuple[Path, str],
) -> None:
    source, costs = load_plant("machining_line").source, []
    lost_eur_per_kg = float(source.blank_eur_per_kg) - float(source.scrap_return_eur_per_kg)
    for line in (evaluated[0] / "episodes.jsonl").read_text().splitlines():
        one = json.loads(line)
        if "expected_cost_eur_per_good_part" not in one.get("truth", {}):
            continue
        truth, share = one["truth"], one["truth"]["expected_scrap_share"]
        energy_eur = one["kpi"]["kpis"]["energy_cost_settled_eur_per_good_part"]["value"]
        scrap_eur = share / (1.0 - share) * float(source.blank_kg) * lost_eur_per_kg
        costs.append(energy_eur + scrap_eur + truth["expected_tool_cost_eur_per_good_part"])
        assert truth["expected_cost_eur_per_good_part"] == pytest.approx(costs[-1])
    assert len(costs) >= 4
    assert 0.2 < min(costs) < max(costs) < 2.0


def test_a_shift_can_be_run_again_by_the_command_in_its_line(evaluated: tuple[Path, str]) -> None:
    lines = (evaluated[0] / "episodes.jsonl").read_text().splitlines()
    one = next(json.loads(line) for line in lines if '"full_pace"' in line)
    code, out, err = twin(*shlex.split(one["command"])[1:])
    assert code == 0, err
    assert json.loads(out)["controllers"]["full_pace"] == one["kpi"]


def test_the_controllers_own_time_is_told_apart_from_the_turns(
    evaluated: tuple[Path, str],
) -> None:
    text = (evaluated[0] / "episodes.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    driven = [one["timing"] for one in lines if one["controller"] == "fixed"]
    for taken in driven:
        assert 0.0 < taken["controller_median_s"] < 0.1 * taken["decision_median_s"]
        assert taken["controller_longest_s"] <= taken["decision_longest_s"]
    row = next(one for one in json.loads(evaluated[1])["rows"] if one["controller"] == "fixed")
    assert row["controller_ms"]["median"] < 0.1 * row["decision_ms"]["median"]


def test_called_again_it_goes_on(evaluated: tuple[Path, str], tmp_path: Path) -> None:
    lines = (evaluated[0] / "episodes.jsonl").read_text().splitlines(keepends=True)
    path = tmp_path / "episodes.jsonl"
    path.write_text("".join(lines[:3]) + lines[3][:40])  # stopped in the middle of a line
    code, out, err = twin(
        "evaluate", "machining_line", "--controllers", "fixed,full_pace,oracle", *SHORT,
        "--out", tmp_path,
    )  # fmt: skip
    assert code == 0, err
    assert "note: one shift was cut off and is played again\n3 of 10 shifts are there" in err
    told, before = json.loads(out), json.loads(evaluated[1])
    for report in (told, before):
        for row in report["rows"]:
            del row["decision_ms"], row["controller_ms"], row["deadlines_missed"]
        for row in report["leaderboard"]["rows"]:
            del row["timing"]
    assert told == before
    assert len(path.read_text().splitlines()) == 10


def test_two_evaluations_do_not_write_in_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new"
    with alone_in(out):
        code, _, err = twin(
            "evaluate", "machining_line", "--controllers", "fixed,full_pace", "--hours", 0.5,
            "--shifts", 2, "--out", out,
        )  # fmt: skip
        assert (code, "another evaluation is at work" in err) == (5, True), err
    assert not out.exists()
    # Who is refused takes nothing away, and a folder that was taken away meanwhile is no folder to be alone in.
    with alone_in(out):
        with pytest.raises(Problem, match="at work"), alone_in(out):
            pass
        assert out.is_dir()
    real = fcntl.flock

    def taken_away(handle: int, how: int) -> None:
        real(handle, how)
        out.rmdir()

    monkeypatch.setattr(fcntl, "flock", taken_away)
    with pytest.raises(Problem, match="at work"), alone_in(out):
        pass


def test_where_nothing_can_be_locked_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_handle: int, _how: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refused)
    with alone_in(tmp_path / "share"):
        pass
    assert "cannot be locked (Bad file descriptor)" in capsys.readouterr().err


def test_what_is_wrong_is_told(evaluated: tuple[Path, str], tmp_path: Path) -> None:
    def told(*given: object) -> tuple[int, str]:
        code, _, err = twin("evaluate", "machining_line", *given, "--out", tmp_path)
        return code, err

    for given, word in (
        (("--controllers", "best"), "no controller 'best'"),
        (("--controllers", "mpc,mpc"), "has mpc twice"),
        (("--scenario", "rain"), "no scenario 'rain'"),
        (("--utilisation", "80"), "at most 1.5"),
        (("--seed", "990"), "were tuned on"),
    ):
        code, err = told(*given)
        assert code == 2, given
        assert word in err, err
    assert not list(tmp_path.iterdir())
    code, _, err = twin("evaluate", "molding_cell", *SHORT, "--out", evaluated[0])
    assert code == 5
    assert "another plant file" in err
    (tmp_path / "episodes.jsonl").write_text("{}\n")
    code, err = told(*SHORT)
    assert code == 6
    assert "episodes.jsonl:1" in err


@pytest.fixture(scope="module")
def of_then(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A plant of one's own, and an evaluation of its constants."""
    folder = tmp_path_factory.mktemp("own")
    assert twin("init", folder / "plant")[0] == 0
    code, _, err = evaluate(folder / "plant", folder / "evaluation")
    assert code == 0, err
    return folder / "plant", folder / "evaluation"


def evaluate(plant: Path, out: Path, controllers: str = "fixed") -> tuple[int, str, str]:
    return twin("evaluate", plant, "--controllers", controllers, *SHORT, "--out", out)


@pytest.fixture
def own(of_then: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    plant, out = (Path(shutil.copytree(one, tmp_path / one.name)) for one in of_then)
    lines = (out / "episodes.jsonl").read_text().replace(str(of_then[0]), str(plant))
    (out / "episodes.jsonl").write_text(lines)
    return plant, out


def change_truth(plant: Path) -> None:
    path = plant / "plant.truth.yaml"
    text = path.read_text()
    path.write_text(re.sub(r"base_power_kw: [0-9.]+", "base_power_kw: 2.345", text, count=1))
    assert path.read_text() != text


def tune_again(plant: Path) -> None:
    path = plant / "plant.fixed.json"
    tuned = json.loads(path.read_text())
    for point in tuned["points"].values():
        point["setpoints"]["line.takt_s"] += 1.0
    path.write_text(json.dumps(tuned))


@pytest.mark.parametrize("change", [change_truth, tune_again])
def test_another_truth_or_tuned_point_is_not_mixed_with_the_shifts_of_then(
    change: Callable[[Path], None], own: tuple[Path, Path]
) -> None:
    plant, out = own
    change(plant)
    before = (out / "episodes.jsonl").read_bytes()
    code, _, err = evaluate(plant, out, "fixed,full_pace")
    assert (code, "with another truth, or other tuned setpoints" in err) == (5, True), err
    assert (out / "episodes.jsonl").read_bytes() == before
    code, _, err = twin("evaluate", "--replay", out, "--episode", 1, "--workers", 1)
    assert (code, "put the files of then" in err) == (5, True), err


def test_a_comment_or_a_space_is_no_other_line(own: tuple[Path, Path]) -> None:
    plant, out = own
    truth, fixed = plant / "plant.truth.yaml", plant / "plant.fixed.json"
    truth.write_text(truth.read_text() + "# seen\n")
    fixed.write_text(json.dumps(json.loads(fixed.read_text())))
    code, _, err = evaluate(plant, out)
    assert (code, "2 of 2 shifts are there" in err) == (0, True), err


def test_lines_that_do_not_say_their_inputs_are_refused_and_other_versions_are_a_doubt(
    own: tuple[Path, Path],
) -> None:
    plant, out = own
    path = out / "episodes.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["versions"] = {**lines[0]["versions"], "highspy": "0.0.1"}
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    code, told, err = evaluate(plant, out)
    assert code == 0, err
    ours = lines[1]["versions"]["highspy"]
    expected = f"shifts were played by different versions: highspy 0.0.1 and {ours}"
    assert expected in json.loads(told)["doubts"]
    for name, said in (
        ("inputs_sha256", "another truth"),
        ("code_sha256", "another version of this code"),
    ):
        other = [{**lines[0], name: "of another day"}, *lines[1:]]
        path.write_text("".join(json.dumps(one) + "\n" for one in other))
        code, _, err = evaluate(plant, out)
        assert (code, said in err) == (5, True), err
