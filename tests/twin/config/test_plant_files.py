"""The shipped plants: complete, sourced, reproducible, and the truth apart from them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.twin.config.true_draws import drawn, effects_of, stated
from twin.config import Value, load_plant, load_truth, plant_folder, plant_names, plant_schema
from twin.config.values import Spec
from twin.line.model import build_line
from twin.processes import load

NAMES = plant_names()


def values_in(spec: Any, path: str = "") -> list[tuple[str, Value]]:
    """Every number with a pedigree, with the way to it."""
    if isinstance(spec, Value):
        return [(path, spec)]
    found: list[tuple[str, Value]] = []
    if isinstance(spec, Spec):
        spec = {name: getattr(spec, name) for name in type(spec).model_fields}
    if isinstance(spec, dict):
        for key, item in spec.items():
            found += values_in(item, f"{path}.{key}")
    elif isinstance(spec, tuple):
        for n, item in enumerate(spec):
            found += values_in(item, f"{path}.{n}")
    return found


def test_three_plants_are_shipped() -> None:
    assert NAMES == ("machining_line", "molding_cell", "paint_cure_line")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", ["low", "nominal", "high"])
def test_every_variant_can_be_built_as_described_and_as_it_is(name: str, variant: str) -> None:
    plant = load_plant(name)
    assert not build_line(plant, variant=variant).is_truth
    assert build_line(plant, load_truth(name, plant), variant).is_truth


@pytest.mark.parametrize("name", NAMES)
def test_every_mismatch_of_a_scenario_can_be_built(name: str) -> None:
    plant = load_plant(name)
    truth = load_truth(name, plant)
    assert any(scenario.model_mismatch for scenario in plant.scenarios.values())
    for scenario in plant.scenarios.values():
        build_line(plant, truth, mismatch=scenario.model_mismatch)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_published_or_derived_names_its_source(name: str) -> None:
    for path, value in values_in(load_plant(name)):
        if value.grade != "A":
            assert value.source != "assumption", path
        assert not re.search(r"\.md\b|\bplants\b", value.source), path


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_stays_inside_the_ranges_that_are_told(name: str) -> None:
    plant = load_plant(name)
    truth = load_truth(name, plant)
    for station in plant.stations:
        true = truth.stations[station.name]
        for parameter, value in true.parameters.items():
            told = station.parameters.get(parameter)
            if told is not None and told.range is not None:
                assert told.range[0] <= float(value) <= told.range[1], parameter


@pytest.mark.parametrize("name", NAMES)
def test_every_station_has_an_effect_that_its_nominal_model_lacks(name: str) -> None:
    plant = load_plant(name)
    truth = load_truth(name, plant)
    for station in plant.stations:
        model = load(station.model.partition(".")[0])
        nominal = {q.name: q.default for q in model.parameters}
        effects = truth.stations[station.name].effects
        assert effects
        for effect, value in effects.items():
            assert nominal[effect] == 0.0
            assert effect not in station.parameters
            assert float(value) > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_is_what_its_seed_draws(name: str) -> None:
    plant = load_plant(name)
    truth = load_truth(name, plant)
    assert stated(truth) == drawn(plant, effects_of(truth), truth.drawn_with_seed)
    assert any(station.drift_per_h for station in truth.stations.values())


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_draws_another_plant(name: str) -> None:
    plant = load_plant(name)
    truth = load_truth(name, plant)
    other = drawn(plant, effects_of(truth), truth.drawn_with_seed + 1)
    assert other.keys() == stated(truth).keys()
    assert all(other[key] != value for key, value in stated(truth).items())


def test_the_hash_changes_with_a_value_and_not_with_a_comment(tmp_path: Any) -> None:
    text = (plant_folder() / "molding_cell.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    hashes = []
    for changed in (text, f"# mine\n{text}", text.replace("shift_h: 8", "shift_h: 7")):
        path.write_text(changed, encoding="utf-8")
        hashes.append(load_plant(str(path)).config_hash)
    assert hashes[0] == hashes[1] == load_plant("molding_cell").config_hash
    assert hashes[2] != hashes[0]


def test_the_schema_for_editors_is_json_and_knows_every_section() -> None:
    schema = json.loads(json.dumps(plant_schema()))
    assert set(load_plant("machining_line").model_dump()) == set(schema["properties"])


def test_prices_and_emissions_are_the_same_for_all_plants() -> None:
    first, *others = (load_plant(name).energy for name in NAMES)
    assert all(energy == first for energy in others)
