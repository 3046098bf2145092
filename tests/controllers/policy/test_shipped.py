"""The bundles that ship: drafts, each for its plant file as it is, made within minutes and judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controllers.policy.loader import Loaded, load
from controllers.policy.manifest import Approval
from twin.config import find_plant, load_plant, plant_names
from twin.line.model import build_line

MOST_CPU_H = 2 * 10 / 60
"""Ten minutes of two cores."""
MOST_KB = 200


def shipped(plant: str) -> Path:
    file = find_plant(plant)
    return file.with_name(f"{file.stem}.residual.policy")


@pytest.fixture(params=plant_names())
def policy(request: pytest.FixtureRequest) -> Loaded:
    return load(shipped(request.param), build_line(load_plant(request.param)))


def test_it_is_a_small_draft_that_adds_to_the_tuned_constants(policy: Loaded) -> None:
    manifest = policy.bundle.manifest
    assert manifest.state is Approval.DRAFT
    assert (manifest.role.base, manifest.role.stand_in) == ("fixed", "fixed")
    assert shipped(manifest.plant).stat().st_size < MOST_KB * 1024


def test_its_manifest_says_what_it_took_and_what_came_of_it(policy: Loaded) -> None:
    manifest = policy.bundle.manifest
    assert len(manifest.training.git_commit) >= 7
    assert {"numpy", "stable-baselines3", "torch"} <= manifest.training.versions.keys()
    told = manifest.evaluation
    assert 0.0 < told["training_cpu_h"] <= MOST_CPU_H
    assert np.isfinite([told["saved_eur_per_shift"], told["saved_eur_half_width"]]).all()
