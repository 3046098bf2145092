"""``twin evaluate`` from the shell."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.twin.cli.shell import twin

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
    least = told["rows"].pop()
    assert least["controller"] == "bound"
    for row in told["rows"]:
        assert row["kpi"]["objective_eur"]["mean"] > least["kpi"]["objective_eur"]["mean"]
        assert row["shifts"] == 2
        assert row["kpi"]["energy_kwh"]["mean"] > row["kpi"]["energy_kwh"]["half_width"] * 0.0
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


def test_a_shift_can_be_run_again_by_the_command_in_its_line(evaluated: tuple[Path, str]) -> None:
    lines = (evaluated[0] / "episodes.jsonl").read_text().splitlines()
    one = next(json.loads(line) for line in lines if '"full_pace"' in line)
    code, out, err = twin(*shlex.split(one["command"])[1:])
    assert code == 0, err
    assert json.loads(out)["controllers"]["full_pace"] == one["kpi"]


def test_called_again_it_goes_on(evaluated: tuple[Path, str], tmp_path: Path) -> None:
    lines = (evaluated[0] / "episodes.jsonl").read_text().splitlines(keepends=True)
    path = tmp_path / "episodes.jsonl"
    path.write_text("".join(lines[:3]) + lines[3][:40])  # stopped in the middle of a line
    code, out, err = twin(
        "evaluate", "machining_line", "--controllers", "fixed,full_pace,oracle", *SHORT,
        "--out", tmp_path,
    )  # fmt: skip
    assert code == 0, err
    assert "3 of 10 shifts are there" in err
    told, before = json.loads(out), json.loads(evaluated[1])
    for report in (told, before):
        for row in report["rows"]:
            del row["decision_ms"], row["deadlines_missed"]
        for row in report["leaderboard"]["rows"]:
            del row["timing"]
    assert told == before
    assert len(path.read_text().splitlines()) == 10


def test_what_is_wrong_is_told(evaluated: tuple[Path, str], tmp_path: Path) -> None:
    def told(*given: object) -> tuple[int, str]:
        code, _, err = twin("evaluate", "machining_line", *given, "--out", tmp_path)
        return code, err

    for given, word in (
        (("--controllers", "best"), "no controller 'best'"),
        (("--controllers", "mpc,mpc"), "something twice"),
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
