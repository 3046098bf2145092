"""Policies in ``twin evaluate``: every training seed takes part, and rows can be played again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.twin.cli.policies import (
    evaluate,
    evaluated,
    install,
    line_of,
    replay,
    write_bundle,
)
from tests.twin.cli.shell import twin
from twin.cli.contenders import contenders
from twin.cli.problems import Problem
from twin.config import find_plant

PLANT, HOURS = "machining_line", 0.5
TAKT_S = {1: 66.0, 2: 72.0, 5: 80.0}


@pytest.fixture(scope="module", autouse=True)
def learned() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        yield


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policies")
    for seed, takt_s in TAKT_S.items():
        write_bundle(folder / f"seed{seed}.policy", seed, takt_s)
    return folder


@pytest.fixture(scope="module")
def evaluation(policies: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    return evaluated(PLANT, policies, tmp_path_factory.mktemp("evaluation"), HOURS)


@pytest.fixture
def folder(evaluation: tuple[Path, Any], tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluation[0], tmp_path / "evaluation"))


def change(folder: Path, number: int, old: str, new: str) -> None:
    path = folder / "episodes.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    path.write_text("".join(lines))


def test_every_training_seed_is_a_contender_of_its_own(evaluation: tuple[Path, Any]) -> None:
    out, report = evaluation
    assert {row["controller"] for row in report["rows"]} == {"fixed", "rl:1", "rl:2", "rl:5"}
    lines = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    told = {one["controller"]: one["policy"] for one in lines}
    assert told["fixed"] is None
    assert [told[f"rl:{seed}"]["training_seeds"] for seed in TAKT_S] == [[1], [2], [5]]
    assert len({told[f"rl:{seed}"]["sha256"] for seed in TAKT_S}) == 3
    made = {one["controller"]: one["kpi"]["kpis"]["good_parts"]["value"] for one in lines}
    assert made["rl:1"] > made["rl:5"]  # each played its own policy
    commands = [one["command"] for one in lines if one["controller"] == "rl:5"]
    assert all(" --controller rl --policy " in one and "seed5.policy" in one for one in commands)


def test_the_leaderboard_shows_them_together_and_each(evaluation: tuple[Path, Any]) -> None:
    out, report = evaluation
    rows = {row["controller"]: row for row in report["leaderboard"]["rows"]}
    assert list(rows)[2:] == ["rl:1", "rl:2", "rl:5"]
    assert rows["rl"]["contenders"] == ["rl:1", "rl:2", "rl:5"]
    assert rows["rl"]["shifts"] == 6
    page = (out / "LEADERBOARD.md").read_text()
    (doubt,) = [said for said in report["doubts"] if said.startswith("rl has 3 training seeds")]
    assert doubt in page
    assert doubt in (out / "report.md").read_text()
    for policy in rows["rl"]["policies"]:
        assert page.count(policy["sha256"][:12]) == 2
    assert "| 0.3 | 3 × 2 |" in page  # hours of training, training seeds and shifts


def test_a_row_is_played_again_bit_for_bit(evaluation: tuple[Path, Any]) -> None:
    out, report = evaluation
    number = next(row["row"] for row in report["leaderboard"]["rows"] if row["controller"] == "rl")
    code, said, err = replay(out, "--row", number)
    assert code == 0, err
    assert f"row {number}, rl: 6 shifts played again, all equal, bit for bit" in said


def test_the_last_bit_of_a_line_is_a_difference(folder: Path) -> None:
    one = json.loads((folder / "episodes.jsonl").read_text().splitlines()[1])
    kwh = one["kpi"]["kpis"]["energy_kwh"]["value"]
    change(folder, 2, f'"value": {kwh!r}', f'"value": {kwh * (1.0 + 2.3e-16)!r}')
    code, said, _ = replay(folder, "--episode", "2", "--json")
    assert code == 1
    told = json.loads(said)
    assert (told["shifts"], len(told["different"])) == (1, 1)
    assert told["different"][0]["what"] == "kpi.kpis.energy_kwh.value"
    assert told["different"][0]["computed"] == repr(kwh)
    assert replay(folder, "--episode", "3")[0] == 0


def test_how_long_it_took_is_no_difference(folder: Path) -> None:
    one = json.loads((folder / "episodes.jsonl").read_text().splitlines()[0])
    change(
        folder,
        1,
        f'"decision_longest_s": {one["timing"]["decision_longest_s"]!r}',
        '"decision_longest_s": 9.0',
    )
    code, said, err = replay(folder, "--episode", "1")
    assert code == 0, err
    assert "line 1: 1 shifts played again, all equal" in said


def test_a_row_that_its_lines_do_not_bear_out_is_refused(folder: Path) -> None:
    report = json.loads((folder / "evaluation.json").read_text())
    report["leaderboard"]["rows"][0]["objective_eur"] -= 1.0
    (folder / "evaluation.json").write_text(json.dumps(report))
    code, _, err = replay(folder, "--row", "1")
    assert code == 5
    assert "does not follow from episodes.jsonl" in err


def test_another_policy_under_the_same_name_is_refused(
    policies: Path, folder: Path, tmp_path: Path
) -> None:
    """Neither mixed with the shifts that are there, nor replayed in place of the one of then."""
    others = Path(shutil.copytree(policies, tmp_path / "policies"))
    write_bundle(others / "seed2.policy", 2, 73.0)
    code, _, err = evaluate(PLANT, others, folder, HOURS)
    assert code == 5
    assert "rl:2 has driven seed 1 with another policy" in err
    lines = (folder / "episodes.jsonl").read_text().replace(str(policies), str(others))
    (folder / "episodes.jsonl").write_text(lines)
    code, _, err = replay(folder, "--episode", line_of(lines, "rl:2"))
    assert code == 5
    assert "put the bundle of then in its place" in err


def test_what_cannot_be_replayed_is_told(evaluation: tuple[Path, Any], tmp_path: Path) -> None:
    out, _ = evaluation
    for given, code, word in (
        ((), 2, "--replay needs --row N or --episode N"),
        (("--row", "1", "--episode", "1"), 2, "one of the two"),
        (("--row", "99"), 2, "has no row 99"),
        (("--episode", "99"), 2, "has no line 99"),
    ):
        found, _, err = replay(out, *given)
        assert (found, word in err) == (code, True), err
    found, _, err = replay(tmp_path, "--row", "1")
    assert (found, "holds no evaluation" in err) == (2, True)
    found, _, err = twin("evaluate", "molding_cell", "--replay", out, "--episode", "1")
    assert (found, "the line has" in err) == (5, True)
    found, _, err = twin("evaluate", PLANT, "--row", "1")
    assert (found, "belong to --replay" in err) == (2, True)


def test_bundles_that_are_none_are_refused(tmp_path: Path) -> None:
    plant_file = find_plant(PLANT)
    with pytest.raises(Problem, match="there is no policy at") as none:
        contenders([f"rl@{tmp_path}"], plant_file)
    assert none.value.code == 2
    whole = write_bundle(tmp_path / "whole.policy", 4, 70.0).read_bytes()
    for data in (b"\x80\x04 a pickle in disguise", b"", whole[:-30], b"PK\x05\x06" + 18 * b"\xff"):
        (tmp_path / "bad.policy").write_bytes(data)
        with pytest.raises(Problem, match=r"bad\.policy is no policy bundle") as refused:
            contenders([f"rl@{tmp_path / 'bad.policy'}"], plant_file)
        assert (refused.value.kind, refused.value.code) == ("policy", 7)
    for name in ("a", "b"):
        write_bundle(tmp_path / "same" / f"{name}.policy", 4, 70.0)
    with pytest.raises(Problem, match="rl:4 is there twice"):
        contenders([f"rl@{tmp_path / 'same'}"], plant_file)
    with pytest.raises(Problem, match="no controller 'best'"):
        contenders([f"best@{tmp_path / 'same' / 'a.policy'}"], plant_file)


def test_a_name_alone_plays_the_bundle_beside_the_plant_file(tmp_path: Path) -> None:
    write_bundle(tmp_path / "plant.rl.policy", 3, 70.0)
    fixed, learned = contenders(["fixed", "rl"], tmp_path / "plant.yaml")
    assert (fixed.name, fixed.policy) == ("fixed", None)
    assert learned.name == "rl"
    assert learned.policy is not None
    assert learned.policy.training_seeds == (3,)
