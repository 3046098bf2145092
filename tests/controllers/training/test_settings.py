from __future__ import annotations

import json
from pathlib import Path

import pytest

from controllers.training.settings import Settings, settings_of, settings_path
from twin.config import PlantError, load_plant, plant_names


def test_what_stands_beside_a_plant_replaces_the_defaults(plant: str) -> None:
    assert settings_of(plant) == Settings()
    path = settings_path(Path(plant))
    path.write_text(json.dumps({"ppo": {"epochs": 3}, "paired": False}))
    found = settings_of(plant)
    assert (found.ppo.epochs, found.paired) == (3, False)
    assert found.ppo.lines == Settings().ppo.lines


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"ppo": {"epoch": 3}}', "ppo.epoch"),
        ('{"ppo": {"gamma": 1.5}}', "ppo.gamma"),
        ('{"sac": {"learning_rate": NaN}}', "sac.learning_rate"),
        ('{"ppo": {"lines": 10, "batches": 4}}', "ppo"),
        ('{"worlds": {"scenarios": []}}', "worlds"),
        ('{"rl": {"begin": "mpc"}, "cloning": {"network": [32]}}', "rl: what begins as a clone"),
        ('{"ppo": ', "Invalid JSON"),
    ],
    ids=["unknown", "beyond", "nan", "batches", "nowhere", "shape", "cut"],
)
def test_settings_that_cannot_be_are_refused_with_their_place(
    plant: str, text: str, place: str
) -> None:
    settings_path(Path(plant)).write_text(text)
    with pytest.raises(PlantError, match=place):
        settings_of(plant)


def test_changes_are_checked_too() -> None:
    assert Settings().changed({"ppo": {"clip": 0.1}}).ppo.clip == 0.1
    with pytest.raises(ValueError, match="learning_rate"):
        Settings().changed({"sac": {"learning_rate": -1.0}})


@pytest.mark.parametrize("name", plant_names())
def test_what_ships_is_sound_and_names_scenarios_of_its_plant(name: str) -> None:
    assert set(settings_of(name).worlds.scenarios) <= set(load_plant(name).scenarios)
