"""The policies that ship beside the plant files: a small draft for each, made for the plant as it is, and judged."""

from __future__ import annotations

import pytest

from controllers.policy.loader import load
from controllers.policy.manifest import Approval
from tests.twin.analyze.in_step import nominal
from twin.config import find_plant

PLANTS = ("machining_line", "molding_cell", "paint_cure_line")
LARGEST_BYTES = 200_000
MOST_CPU_H = 20.0 / 60.0
"""Ten minutes on two cores."""


@pytest.mark.parametrize("plant", PLANTS)
def test_each_plant_ships_a_small_draft_made_for_it_as_it_is(plant: str) -> None:
    path = find_plant(plant).with_name(f"{plant}.residual.policy")
    manifest = load(path, nominal(plant)).bundle.manifest  # another plant or schema is refused here
    assert (manifest.plant, manifest.role.base, manifest.state) == (plant, "fixed", Approval.DRAFT)
    assert path.stat().st_size < LARGEST_BYTES
    assert manifest.training.git_commit
    assert not manifest.training.git_commit.endswith("-dirty")


@pytest.mark.parametrize("plant", PLANTS)
def test_its_worth_is_in_it_and_its_making_took_no_more_than_ten_minutes(plant: str) -> None:
    path = find_plant(plant).with_name(f"{plant}.residual.policy")
    worth = load(path, nominal(plant)).bundle.manifest.evaluation
    assert worth["against"] == "fixed"
    assert (worth["world"], worth["shifts"]) == ("true", 240)
    assert isinstance(worth["saved_eur_half_width"], float)
    assert float(str(worth["training_cpu_h"])) <= MOST_CPU_H
