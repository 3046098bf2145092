"""Numbers replaced in a plant file: nothing else changes, and the result holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.config import PlantError, Value, find_plant, load_plant, plant_names
from twin.config.revise import revised_plant, revised_text, write_revised

VALUE = Value.model_validate(
    {"value": 1.5, "range": (1.25, 1.75), "class": "D", "source": 'said "so"'}
)


@pytest.mark.parametrize("name", plant_names())
def test_the_text_and_the_object_say_the_same(name: str, tmp_path: Path) -> None:
    plant = load_plant(name)
    changes = {("stations", n, "power", "idle_kw"): VALUE for n in range(len(plant.stations))}
    changes["stations", 0, "failures", next(iter(plant.stations[0].failures)), "repair_cv"] = 0.5
    write_revised(find_plant(name), tmp_path / "new.yaml", changes)
    written = load_plant(str(tmp_path / "new.yaml"))
    assert written.config_hash == revised_plant(plant, changes).config_hash
    assert written.stations[0].power.idle_kw == VALUE
    before, after = find_plant(name).read_text(), (tmp_path / "new.yaml").read_text()
    assert before.count("#") == after.count("#")
    assert len(before.splitlines()) == len(after.splitlines())
    assert [path.name for path in tmp_path.iterdir()] == ["new.yaml"]


def test_what_the_file_does_not_name_is_added() -> None:
    text = "a:\n  b: 1   # one\nc: {d: 2}\n"
    changes = {("a", "e"): 1e-9, ("c", "f"): VALUE, ("a", "b"): 3.0}
    said = revised_text(text, changes)
    assert "  b: 3" in said
    assert "\n  e: 1.0e-09" in said
    assert (
        'c: {d: 2, f: {value: 1.5, range: [1.25, 1.75], class: D, source: "said \\"so\\""}}' in said
    )


def test_what_does_not_hold_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    plant = load_plant("machining_line")
    bad = {("stations", 0, "power", "idle_kw"): -1.0}
    with pytest.raises(PlantError):
        revised_plant(plant, bad)
    with pytest.raises(PlantError):
        write_revised(find_plant("machining_line"), tmp_path / "new.yaml", bad)
    with pytest.raises(PlantError, match="no mapping"):
        revised_text("a: 1\n", {("b", "c"): 1.0})
    assert not list(tmp_path.iterdir())
