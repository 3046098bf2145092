from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.twin.cli.shell import twin
from twin.config import load_plant, plant_folder, plant_names, plant_schema


@pytest.mark.parametrize("template", plant_names())
def test_a_copied_plant_is_the_shipped_one(template: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    code, out, err = twin("init", folder, "--template", template)
    assert (code, out) == (0, "")
    assert f"twin check {folder}" in err
    shipped = {p.name.partition(".")[2] for p in plant_folder().glob(f"{template}.*")}
    shipped -= {"fixed.csv"}  # what a search has tried is no part of a plant
    shipped |= {"schema.json"}
    assert {p.name.removeprefix("plant.") for p in folder.iterdir()} == shipped
    assert load_plant(str(folder)).config_hash == load_plant(template).config_hash


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    code, _, err = twin("init", tmp_path / "demo")
    assert code == 5
    assert "exists already" in err
    assert list((tmp_path / "demo").iterdir()) == []


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copyfile

    def full(source: Path, to: Path) -> None:
        copy(source, to)
        raise OSError(28, "No space left on device", str(to))

    monkeypatch.setattr(shutil, "copyfile", full)
    code, _, err = twin("init", tmp_path / "demo")
    assert code == 2
    assert "No space left" in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named_as_it_was_given() -> None:
    code, _, err = twin("init", "/proc/demo")
    assert (code, "error[file]: /proc/demo: " in err, ".tmp" in err) == (2, True, False), err
    code, _, err = twin("init", "")
    assert (code, "no name is given" in err) == (2, True), err


def test_an_unknown_template(tmp_path: Path) -> None:
    code, _, err = twin("init", tmp_path / "demo", "--template", "machining")
    assert code == 2
    assert "did you mean 'machining_line'?" in err


@pytest.mark.parametrize("name", plant_names())
def test_shipped_plants_are_in_order(name: str) -> None:
    code, out, _ = twin("check", name, "--json")
    told = json.loads(out)
    plant = load_plant(name)
    assert code == 0
    assert told["plant_hash"] == plant.config_hash
    assert told["stations"] == len(plant.stations)
    assert told["truth"] is True


def test_the_table_names_the_stations() -> None:
    code, out, _ = twin("check", "machining_line")
    assert code == 0
    assert all(station.name in out for station in load_plant("machining_line").stations)
    assert "\x1b" not in out


def test_the_schema_is_the_one_of_the_loader() -> None:
    code, out, _ = twin("check", "--schema")
    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(plant_schema()))
    assert (plant_folder() / "plant.schema.json").read_text("utf-8") == out


def test_a_wrong_truth_is_found_too(tmp_path: Path) -> None:
    twin("init", tmp_path / "demo")
    truth = tmp_path / "demo" / "plant.truth.yaml"
    truth.write_text(truth.read_text().replace("  inspection:", "  inspecting:"))
    code, _, err = twin("check", tmp_path / "demo")
    assert code == 2
    assert f"{truth}:" in err


def test_a_machine_that_sleeps_dearer_than_it_idles_is_told(tmp_path: Path) -> None:
    assert twin("init", tmp_path / "own")[0] == 0
    path = tmp_path / "own" / "plant.yaml"
    assert "sleep" not in twin("check", path)[1]
    text = path.read_text()
    assert text.count("idle_kw: {value: 4.2, range: [2, 6], class: A}") == 1
    path.write_text(
        text.replace(
            "idle_kw: {value: 4.2, range: [2, 6], class: A}", "idle_kw: {value: 0.5, class: A}"
        )
    )
    code, out, _ = twin("check", path, "--json")
    assert code == 0
    note = "milling: standby takes 0.8 kW, and idling 0.5 kW: to sleep would cost energy"
    assert note in json.loads(out)["notes"]
