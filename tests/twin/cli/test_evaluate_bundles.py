"""Bundles as they are exported, in ``twin evaluate``: played, replayed, and told from each other by all that they do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controllers.policy.bundle import read_bundle
from controllers.policy.manifest import Approval
from tests.controllers.policy.bundles import PLANT, bundle, widened
from tests.twin.cli.policies import evaluate, evaluated, line_of, replay
from twin.cli.contenders import policy_of
from twin.cli.episode import Episode, play
from twin.cli.shift import Shift
from twin.config import behaviour_sha256
from twin.cycle import Action, Situation

CONFLICT, HOURS = 5, 0.25


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policies")
    for seed in (1, 2):
        widened(bundle(PLANT, seed=seed)).write(folder / f"{seed}.policy")
    return folder


@pytest.fixture(scope="module")
def evaluation(policies: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    return evaluated(PLANT, policies, tmp_path_factory.mktemp("evaluation"), HOURS)


def test_each_bundle_of_a_folder_is_played(evaluation: tuple[Path, Any]) -> None:
    out, _ = evaluation
    lines = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    told = {one["controller"]: one for one in lines}
    assert set(told) == {"fixed", "rl:1", "rl:2"}
    for seed in (1, 2):
        one, manifest = told[f"rl:{seed}"], widened(bundle(PLANT, seed=seed)).manifest
        assert one["policy"]["sha256"] == manifest.model_sha256
        assert one["policy"]["behaviour_sha256"] == manifest.behaviour
        assert one["decisions"]["fallbacks"] == one["stood_in"] == 0  # the policy itself was heard
    assert told["fixed"]["stood_in"] is None
    energies = {one["kpi"]["kpis"]["energy_kwh"]["value"] for one in lines}
    assert len(energies) == len(lines) == 6


class Struggling:
    """A base whose solver has nothing new to say at any turn."""

    def __init__(self, *_: object) -> None: ...

    def decide(self, situation: Situation) -> Action:
        return Action(dict(situation.active), "as before", "fallback: last plan followed")


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_policy_that_was_not_heard_is_told_from_a_base_that_fell_back(
    is_heard: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controllers.policy.controller.find_controller", lambda _: Struggling)
    found = bundle(PLANT, base="struggling")
    ranges = found.manifest.training_range.model_copy(update={"distance_limit": 1e-9})
    narrow = found.manifest.model_copy(update={"training_range": ranges})
    file = tmp_path / "it.policy"
    (widened(found) if is_heard else replace(found, manifest=narrow)).write(file)
    one = play(Episode(Shift(PLANT, 1, HOURS, engine="auto"), "residual:1", policy_of(file)))
    made, stood_in = one["decisions"]["made"], one["stood_in"]
    assert one["decisions"]["fallbacks"] == made
    # It is first asked when a decision period has passed; a stretch without known setpoints apart.
    assert stood_in == 0 if is_heard else 0.8 * made < stood_in < made


def test_its_row_is_played_again_bit_for_bit(evaluation: tuple[Path, Any]) -> None:
    out, report = evaluation
    number = next(row["row"] for row in report["leaderboard"]["rows"] if row["controller"] == "rl")
    code, said, err = replay(out, "--row", number)
    assert code == 0, err
    assert f"row {number}, rl: 4 shifts played again, all equal, bit for bit" in said


def test_the_same_network_in_another_role_is_another_policy(
    evaluation: tuple[Path, Any], policies: Path
) -> None:
    """Neither mixed with the shifts that are there, nor replayed in place of the one of then."""
    out, path = evaluation[0], policies / "2.policy"
    found = read_bundle(path)
    role = found.manifest.role.model_copy(update={"return_after": 99})
    replace(found, manifest=found.manifest.model_copy(update={"role": role})).write(path)
    try:
        code, _, err = evaluate(PLANT, policies, out, HOURS)
        assert code == CONFLICT
        assert "rl:2 has driven seed 1 with another policy" in err
        number = line_of((out / "episodes.jsonl").read_text(), "rl:2")
        code, _, err = replay(out, "--episode", number)
        assert code == CONFLICT
        assert "in another role" in err
    finally:
        found.write(path)


def test_approval_and_evaluation_make_no_other_policy(tmp_path: Path) -> None:
    found = bundle(PLANT)
    judged = found.manifest.model_copy(update={"evaluation": {"score": 1.0}})
    of = []
    for other in (found, bundle(PLANT, Approval.CLOSED), replace(found, manifest=judged)):
        other.write(tmp_path / "it.policy")
        of.append(policy_of(tmp_path / "it.policy").behaviour_sha256)
        assert of[-1] == other.manifest.behaviour
    assert len(set(of)) == 1
    ranges = found.manifest.training_range.model_copy(update={"distance_limit": 1.0})
    changed = found.manifest.model_copy(update={"training_range": ranges})
    assert changed.behaviour != of[0]
    assert behaviour_sha256(json.loads(changed.text())) == changed.behaviour


def test_lines_that_do_not_say_what_a_policy_does_are_replayed_and_not_mixed(
    evaluation: tuple[Path, Any], policies: Path, tmp_path: Path
) -> None:
    """Those of evaluations from before it was noted."""
    lines = (evaluation[0] / "episodes.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    for one in told:
        if one["policy"] is not None:
            del one["policy"]["behaviour_sha256"]
    text = "".join(json.dumps(one, sort_keys=True) + "\n" for one in told)
    (tmp_path / "episodes.jsonl").write_text(text)
    code, _, err = replay(tmp_path, "--episode", line_of(text, "rl:1"))
    assert code == 0, err
    code, _, err = evaluate(PLANT, policies, tmp_path, HOURS)
    assert code == CONFLICT
    assert "rl:1 has driven seed 1 with another policy" in err
