"""Every fault of a plant file or its truth is one error with file, line and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twin.config import Plant, PlantError, load_plant, load_truth, plant_folder
from twin.line.model import build_line

MACHINING, PAINT, MOLDING = "machining_line", "paint_cure_line", "molding_cell"


def text_of(name: str, kind: str = "") -> str:
    return (plant_folder() / f"{name}{kind}.yaml").read_text(encoding="utf-8")


def changed(name: str, old: str, new: str, kind: str = "") -> str:
    text = text_of(name, kind)
    assert old in text, f"{old!r} is not in the shipped file: adapt the test"
    return text.replace(old, new, 1)


def refusal(path: Path) -> PlantError:
    """What a user gets who loads and builds this plant."""
    with pytest.raises(PlantError) as refused:
        build_line(load_plant(str(path)))
    return refused.value


def assert_says(error: PlantError, path: Path, message: str, line: str) -> None:
    """The file, the line that holds this text, the message, and a hint."""
    assert error.file == str(path)
    assert message in error.message
    assert error.hint
    assert error.line > 0
    assert path.read_text(encoding="utf-8").splitlines()[error.line - 1].strip().startswith(line)
    assert error.text.strip().startswith(line)
    assert f"{path}:{error.line}" in str(error)


TAKT = "takt_s: {start: 90, validity: [30, 900], engineering: [50, 450], operator: [60, 360]"
#   name, old text, new text, message, how the line begins
FAULTS: list[tuple[str, str, str, str, str]] = [
    ("unknown key", "shift_h: 8", "shift_h: 8\nshift_hours: 8", "unknown key 'shift_hours'", "shift_hours"),
    ("unknown key in a list", "    inspects: true", "    inspect: true", "unknown key 'inspect'", "inspect:"),
    ("unknown key in a mapping of names", "kind: mix", "sort: mix", "unknown key 'sort'", "sort: mix"),
    ("unknown key of a number", "capacity: {value: 6,", "capacity: {valeu: 6,", "unknown key 'valeu'", "- {name: coated"),
    ("missing key", "    warm_up_s: {value: 900, class: A}\n", "", "the key 'warm_up_s' is missing", "- name: oven"),
    ("missing section", "sink: cured\n", "", "the key 'sink' is missing", "schema_version"),
    ("range upside down", "range: [3, 12]", "range: [12, 3]", "the low end 12 lies above the high end 3", "- {name: coated"),
    ("value outside its range", "{value: 6, range: [3, 12]", "{value: 16, range: [3, 12]", "outside its own range", "- {name: coated"),
    ("validity upside down", "validity: [30, 110]", "validity: [110, 30]", "the low end 110 lies above", "validity: [110, 30]"),
    ("band upside down", "band: [10, 24]", "band: [24, 10]", "the low end 24 lies above", "exit_cured_min"),
    ("band without width", "band: [10, 24]", "band: [24, 24]", "has no width", "exit_cured_min"),
    ("band nobody can measure", "band: [10, 24]", "band: [-10, 24]", "reaches outside its validity", "exit_cured_min"),
    ("known after the shift", "exit_cured_min: {", "exit_cured_min: {delay_s: 30000, ", "30000 s late, after the shift", "exit_cured_min"),
    ("limits not nested", "engineering: [50, 450]", "engineering: [20, 450]", "limits are not nested", "takt_s"),
    ("start outside", TAKT, TAKT.replace("start: 90", "start: 50"), "start 50.0 lies outside the operator limits", "takt_s"),
    ("not positive", "shift_h: 8", "shift_h: 0", "greater than 0", "shift_h"),
    ("a shift of a year", "shift_h: 8", "shift_h: 8760", "less than or equal to 24", "shift_h"),
    ("a period of nothing", "period_s: 5", "period_s: 0.000000001", "greater than or equal to 0.1", "period_s"),
    ("plans out of step", "line_period_s: 300", "line_period_s: 301", "must be a whole number of periods", "line_period_s"),
    ("no entry in a list", "path: [acme, ulm, coating, line2]", "path: []", "path must hold at least 4, not 0", "path"),
    ("a text for a list", "choices: [40, 60, 90]", "choices: 40", "choices must be a list", "choices"),
    ("a number for a mapping", "  material_shift: {", "  rush: 3\n  material_shift: {", "rush must be a mapping of keys", "rush"),
    ("a batch that outlives its turn", "deadline_s: 4", "deadline_s: 100", "longer than a turn of the loop (period_s = 5)", "deadline_s"),
    ("a mean that cannot be", "mean: {value: 60, range: [40, 90]", "mean: {value: 60, range: [20, 90]", "mean of 'part_mass_kg' reaches 20, outside its validity", "mean"),
    ("a choice that cannot be", "choices: [40, 60, 90]", "choices: [40, 60, 190]", "choices of 'part_mass_kg' reaches 190, outside its validity", "choices"),
    ("more parts than blanks", "{value: 33.0, class: D", "{value: 100000000.0, class: D", "more than blanks can enter the line", "capacity_good_parts_per_h"),
    ("no part at all", "{value: 33.0, class: D", "{value: 0, class: D", "capacity_good_parts_per_h must be greater than 0", "capacity_good_parts_per_h"),
    ("a range below zero", "idle_kw: {value: 6.0, range: [4.5, 7.5]", "idle_kw: {value: 6.0, range: [-4.5, 7.5]", "idle_kw must be at least 0, and its range reaches -4.5", "idle_kw"),
    ("a step of nothing", "step_s: 5", "step_s: 0.000001", "greater than or equal to 0.1", "step_s"),
    ("lots without end", "    hours: [0.5, 2]", "    hours: [0.000001, 3]", "greater than or equal to 0.01", "hours"),
    ("failures without end", "failure_rate_factor: 3", "failure_rate_factor: 300", "less than or equal to 100", "failure_burst"),
    ("a scale beyond all units", "scale: 4", "scale: 1.0e+300", "less than or equal to 1000000000000", "recorded"),
    ("room for a town", "capacity: {value: 6, range: [3, 12], class: A}", "capacity: 10001", "capacity must be at most 10000", "- {name: coated"),
    ("room below zero", "capacity: {value: 6, range: [3, 12], class: A}", "capacity: -1", "no whole number", "- {name: coated"),
    ("half a place", "capacity: {value: 6, range: [3, 12], class: A}", "capacity: 6.5", "no whole number", "- {name: coated"),
    ("a title that moves the cursor", "title: Paint and cure line, booth and four-zone oven", 'title: "\\e[2J"', "without control characters", "title"),
    ("unknown unit", "unit: kg", "unit: furlong", "'furlong' is no unit known here", "unit: furlong"),
    ("unit of another kind", "unit: Cel", "unit: K", "oven takes ambient_c in Cel, not in K", "ambient_c"),
    ("unit of the price", "unit: EUR/MW.h", "unit: EUR", "takes price_eur_per_mwh in EUR/MW.h, not in EUR", "price_eur_per_mwh"),
    ("text for a number", "shift_h: 8", "shift_h: eight", "valid number", "shift_h"),
    ("number with an exponent", "backlog_eur_per_part: {value: 200.0", "backlog_eur_per_part: {value: 2e2", "valid number", "backlog_eur_per_part"),
    ("minutes and seconds", "shift_h: 8", "shift_h: 8:00", "number of another base", "shift_h"),
    ("leading zero", "shift_h: 8", "shift_h: 010", "number of another base", "shift_h"),
    ("yes for a number", "deadline_s: 4", "deadline_s: yes", "valid number", "deadline_s"),
    ("unknown kind", "kind: mix", "kind: mixed", "'mix'", "kind: mixed"),
    ("a mix of nothing", "    choices: [40, 60, 90]\n", "", "a mix needs its choices", "part_mass_kg"),
    ("a value that is no name", "name: coated", "name: Coated-1", "'Coated-1' cannot be a name", "- {name: Coated-1"),
    ("a name with capitals", "  part_mass_kg:\n", "  Part_mass:\n", "'Part_mass' cannot be a name", "Part_mass"),
    ("tariff of 23 hours", "    flat_day: [80, ", "    flat_day: [", "24 hourly prices, this one 23", "flat_day"),
    ("unknown tariff", "  tariff: time_of_use", "  tariff: night", "there is no tariff 'night'", "tariff: night"),
    ("unknown buffer before", "takes_from: coated", "takes_from: painted", "there is no buffer 'painted'", "takes_from: painted"),
    ("unknown buffer behind", "gives_to: cured", "gives_to: shipped", "there is no buffer 'shipped'", "gives_to: shipped"),
    ("unknown buffer of the source", "gives_to: hung", "gives_to: hang", "there is no buffer 'hang'", "gives_to: hang"),
    ("cyclic routing", "    takes_from: hung\n", "    takes_from: coated\n", "its routing is cyclic", "takes_from: coated"),
    ("a buffer that nothing empties", "stations:\n", "  - {name: shelf, capacity: 3}\n\nstations:\n", "nothing takes parts from buffer 'shelf'", "- {name: shelf"),
    ("a name twice", "  - name: oven", "  - name: booth", "the name 'booth' is taken", "- name: booth"),
    ("unknown mix", "mixed_by: part_mass_kg", "mixed_by: colour", "there is no disturbance 'colour'", "mixed_by"),
    ("unknown disturbance in a scenario", "shift: {part_mass_kg: 15}", "shift: {mass: 15}", "there is no disturbance 'mass'", "material_shift"),
    ("no nominal variant", "  nominal: {title: as described}", "  normal: {title: as described}", "must hold one named nominal", "variants:"),
    ("unknown model", "model: oven", "model: furnace", "no process model 'furnace'", "model: furnace"),
    ("unknown variant of a model", "model: fixed_cycle", "model: fixed_cycle.painting", "has no variant 'painting'", "model: fixed_cycle.painting"),
    ("unknown parameter", "      hanger_mass_kg:", "      hook_mass_kg:", "unknown parameter 'hook_mass_kg'", "hook_mass_kg"),
    ("parameter beyond its model", "burner_efficiency: {value: 0.9, range: [0.85, 0.93]", "burner_efficiency: {value: 1.1, range: [0.9, 1.2]", "burner_efficiency = 1.1 1 is out of range", "burner_efficiency"),
    ("unknown setpoint", "      fan_speed_rel: {start", "      fan_speed: {start", "has no setpoint 'fan_speed_rel'", "setpoints:"),
    ("one setpoint too many", "      setback: {start", "      damper: {start: 0, validity: [0, 1], engineering: [0, 1], operator: [0, 1], rate_per_s: 1}\n      setback: {start", "unknown setpoint 'damper'", "damper"),
    ("setpoint beyond its model", "fan_speed_rel: {start: 1.0, validity: [0.5, 1.0]", "fan_speed_rel: {start: 1.0, validity: [0.2, 1.0]", "reaches beyond its process model", "fan_speed_rel"),
    ("unknown sensor", "      exit_c: {noise", "      entry_c: {noise", "nothing to measure as 'entry_c'", "entry_c"),
    ("no grid", "    step_s: 5\n", "", "is continuous and needs step_s", "- name: oven"),
    ("grid too coarse", "    step_s: 5\n", "    step_s: 60\n", "too long for oven", "step_s: 60"),
    ("places that the model has not", "places: 20", "places: 12", "oven has 20 places, not 12", "places: 12"),
    ("a grid for single parts", "    gives_to: coated\n", "    gives_to: coated\n    step_s: 5\n", "has no step_s", "step_s: 5"),
    ("a conveyor without a place before it", "capacity: {value: 6, range: [3, 12], class: A}", "capacity: 0", "needs a place to wait", "- {name: coated"),
    ("unknown parameter of a variant", "oven.fan_power_kw: 0.8", "oven.fan_kw: 0.8", "there is no parameter 'oven.fan_kw'", "parameter_factors"),
    ("unknown parameter of a scenario", "model_mismatch: {oven.wall", "model_mismatch: {kiln.wall", "there is no parameter 'kiln.wall_loss_w_per_m2_k'", "mismatch:"),
    ("an anchor", "shift_h: 8", "shift_h: &hours 8", "anchor or alias is not allowed", "shift_h"),
    ("an alias", "sink: cured", "sink: *cured", "anchor or alias is not allowed", "sink"),
    ("a tag", "shift_h: 8", "shift_h: !!python/object:os.system 8", "the tag tag:yaml.org,2002:python/object:os.system", "shift_h"),
    ("a key twice", "shift_h: 8", "shift_h: 8\nshift_h: 7", "the key 'shift_h' stands here twice", "shift_h: 7"),
    ("not a number", "shift_h: 8", "shift_h: .nan", "the number is not finite", "shift_h"),
    ("infinite", "shift_h: 8", "shift_h: -.inf", "the number is not finite", "shift_h"),
    ("a number of five thousand digits", "shift_h: 8", f"shift_h: {'9' * 5000}", "cannot be read", "shift_h"),
    ("a list for a key", "shift_h: 8", "? [shift, h]\n: 8", "a key must be a single word", "? [shift, h]"),
    ("a second plant", "shift_h: 8", "shift_h: 8\n---\nname: other", "a second document begins here", "---"),
    ("a bracket left open", "choices: [40, 60, 90]", "choices: [40, 60, 90", "not valid YAML", "hours"),
    ("a control character", "title: Powder booth", "title: Powder \x07booth", "U+0007 may not stand in it", "title: Powder"),
    ("too deep", "shift_h: 8", f"shift_h: {'[' * 13}8{']' * 13}", "nested deeper than 12 levels", "shift_h"),
    ("far too deep", "shift_h: 8", f"shift_h: {'[' * 20000}8{']' * 20000}", "nested deeper than 12 levels", "shift_h"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message", "line"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_a_fault_is_told_with_its_line_and_a_hint(
    tmp_path: Path, old: str, new: str, message: str, line: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(changed(PAINT, old, new), encoding="utf-8")
    assert_says(refusal(path), path, message, line)


#   a number of the machining line, what it is set to, and the least that it can be
IMPOSSIBLE: list[tuple[str, str, str]] = [
    *((f"{state}_kw", "-5", "at least 0") for state in ("off", "standby", "idle", "warm_up")),
    ("warm_up_s", "-60", "at least 0"),
    ("change_s", "-90", "at least 0"),
    ("life_cv", "-1", "at least 0"),
    ("end_of_life_mm", "0", "greater than 0"),
    ("edge_cost_eur", "-5", "at least 0"),
    ("mean_between_s", "0", "at least 1"),
    ("mean_between_s", "0.000001", "at least 1"),
    ("mean_repair_s", "0", "at least 1"),
    ("mean_repair_s", "-120", "at least 1"),
    ("blank_kg", "-3", "at least 0"),
    ("blank_eur_per_kg", "-3", "at least 0"),
    ("backlog_eur_per_part", "-20", "at least 0"),
    ("wip_eur_per_part", "-1", "at least 0"),
    ("adders_eur_per_mwh", "-1", "at least 0"),
    ("demand_charge_eur_per_kw_year", "-1", "at least 0"),
    ("gas_eur_per_mwh", "-1", "at least 0"),
    ("electricity_co2_kg_per_kwh", "-1", "at least 0"),
    ("gas_co2_kg_per_kwh", "-1", "at least 0"),
    ("budget_eur_per_part", "-1", "at least 0"),
]


@pytest.mark.parametrize(("key", "number", "least"), IMPOSSIBLE)
def test_no_number_is_taken_that_no_plant_can_have(
    tmp_path: Path, key: str, number: str, least: str
) -> None:
    path = tmp_path / "mine.yaml"
    text = re.sub(
        rf"\b{key}: ({{[^}}]*}}|[^,\s}}]+)", f"{key}: {number}", text_of(MACHINING), count=1
    )
    path.write_text(text, encoding="utf-8")
    error = refusal(path)
    assert f"{key} must be {least}" in error.message
    assert f"{key}: {number}" in error.text
    assert error.hint == f"given: {float(number) if '.' in number else int(number)}"


def test_prices_of_energy_and_of_scrap_may_be_below_zero(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = changed(MACHINING, "flat_day: [80,", "flat_day: [-80,")
    path.write_text(
        text.replace(
            "scrap_return_eur_per_kg: {value: 0.25, range: [0.1",
            "scrap_return_eur_per_kg: {value: -0.1, range: [-0.2",
        )
    )
    plant = load_plant(str(path))
    assert plant.energy.tariffs_eur_per_mwh["flat_day"][0] == -80.0
    assert float(plant.source.scrap_return_eur_per_kg) == -0.1


@pytest.mark.parametrize("indent", ["\t", "  \t"])
def test_a_tab_in_the_indent_is_shown_as_one(tmp_path: Path, indent: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(changed(PAINT, "  deadline_s:", f"{indent}deadline_s:"), encoding="utf-8")
    error = refusal(path)
    assert "a tab stands where only spaces may" in error.message
    assert error.text.startswith(f"{indent.replace(chr(9), '<tab>')}deadline_s")
    assert "<tab>" in error.hint


def test_a_line_without_stations_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    head, _, _ = text_of(PAINT).partition("stations:\n")
    path.write_text(f"{head}stations: []\nsink: cured\n", encoding="utf-8")
    error = refusal(path)
    assert error.message == "stations must hold at least 1, not 0"
    assert error.text == "stations: []"


def test_an_empty_truth_is_told_how_a_truth_begins(tmp_path: Path) -> None:
    plant, _ = with_truth(tmp_path, "")
    with pytest.raises(PlantError, match="no mapping of keys") as refused:
        load_truth(str(tmp_path / f"{PAINT}.yaml"), plant)
    assert "plant: NAME" in refused.value.hint


def test_hints_name_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for old, new, hint in (
        ("kind: mix", "kindd: mix", "did you mean 'kind'? known here: choices, hours, kind, mean"),
        ("    inspects: true", "    inspect: true", "did you mean 'inspects'?"),
        ("value: 6, range", "valeu: 6, range", "known here: class, range, source, value"),
        ("takes_from: coated", "takes_from: painted", "known: hung, coated"),
        ("value: 200.0", "value: 2e2", "write 200.0"),
        (
            "capacity: {value: 6, range: [3, 12], class: A}",
            "capacity: 1e12",
            "write 1000000000000.0",
        ),
        ("shift_h: 8", "shift_h: 1e20", "write 1.0e+20"),
        (
            "idle_kw: {value: 6.0, range: [4.5",
            "idle_kw: {value: 6.0, range: [-4",
            "range [-4, 7.5]",
        ),
    ):
        path.write_text(changed(PAINT, old, new), encoding="utf-8")
        assert hint in refusal(path).hint


def test_one_error_stands_for_all_and_says_how_many_more(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = changed(PAINT, "shift_h: 8", "shift_h: -8").replace("deadline_s: 4", "deadline_s: no")
    path.write_text(text, encoding="utf-8")
    assert "(and 1 more)" in refusal(path).message


def test_a_file_that_is_not_there_is_told_with_the_shipped_plants(tmp_path: Path) -> None:
    error = refusal(tmp_path / "none.yaml")
    assert error.file == str(tmp_path / "none.yaml")
    assert "there is no plant" in error.message
    assert "machining_line, molding_cell, paint_cure_line" in error.hint


def test_a_file_that_is_not_text_is_told_with_its_first_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"schema_version: 1\nname: latin\ntitle: 60 \xb0C\n")
    error = refusal(path)
    assert (error.file, error.line) == (str(path), 3)
    assert "not UTF-8" in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no mapping"), ("- 1\n- 2\n", "no mapping"), ("#" * 600_000, "larger than 512 KiB")],
    ids=["empty", "a list", "too large"],
)
def test_a_file_that_is_no_plant_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    error = refusal(path)
    assert message in error.message
    assert error.file == str(path)
    assert error.hint


def test_a_folder_stands_for_the_plant_in_it(tmp_path: Path) -> None:
    (tmp_path / "plant.yaml").write_text(text_of(MOLDING), encoding="utf-8")
    (tmp_path / "plant.truth.yaml").write_text(text_of(MOLDING, ".truth"), encoding="utf-8")
    plant = load_plant(str(tmp_path))
    assert plant.name == MOLDING
    assert load_truth(str(tmp_path), plant).plant == MOLDING


def test_an_unknown_variant_is_told_with_the_known_ones() -> None:
    plant = load_plant(PAINT)
    with pytest.raises(PlantError, match="there is no variant 'medium'") as refused:
        build_line(plant, variant="medium")
    assert refused.value.text == "variants:"
    assert refused.value.hint == "known: low, nominal, high"


def test_an_unknown_parameter_asked_for_by_hand_is_refused() -> None:
    with pytest.raises(PlantError, match=r"there is no parameter 'oven.size'") as refused:
        build_line(load_plant(PAINT), mismatch={"oven.size": 0.1})
    assert "oven.wall_area_m2" in refused.value.hint


TRUE_FAULTS: list[tuple[str, str, str, str, str]] = [
    ("of another plant", "plant: paint_cure_line", "plant: bakery", "this is the truth of 'bakery'", "plant: bakery"),
    ("a station that is not there", "  booth:\n", "  tent:\n", "the plant has no station 'tent'", "tent:"),
    ("a station without an effect", "      door_loss_rel", "    # door_loss_rel", "effects must be a mapping of keys", "effects"),
    ("an unknown failure", "mean_repair_s: {conveyor_stop", "mean_repair_s: {belt_stop", "'oven' has no failure 'belt_stop'", "mean_repair_s"),
    ("an unknown parameter", "hanger_mass_kg", "hook_mass_kg", "unknown parameter 'hook_mass_kg'", "hook_mass_kg"),
    ("an unknown effect", "door_loss_rel", "roof_loss_rel", "unknown parameter 'roof_loss_rel'", "roof_loss_rel"),
    ("an unknown drift", "drift_per_h: {burner_efficiency", "drift_per_h: {burner_age", "unknown parameter 'burner_age'", "drift_per_h"),
    ("a parameter beyond its model", "burner_efficiency: 0.8", "burner_efficiency: 1.8", "is out of range", "burner_efficiency"),
    ("a power below zero", "standby_kw: ", "standby_kw: -", "standby_kw must be at least 0", "standby_kw"),
    ("failures without end", "mean_repair_s: {conveyor_stop: ", "mean_repair_s: {conveyor_stop: -", "conveyor_stop must be at least 1", "mean_repair_s"),
    ("an unknown key", "drawn_with_seed", "seed", "unknown key 'seed'", "seed"),
]  # fmt: skip


def with_truth(folder: Path, truth: str) -> tuple[Plant, Path]:
    path = folder / f"{PAINT}.yaml"
    path.write_text(text_of(PAINT), encoding="utf-8")
    truth_path = folder / f"{PAINT}.truth.yaml"
    truth_path.write_text(truth, encoding="utf-8")
    return load_plant(str(path)), truth_path


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [row[1:] for row in TRUE_FAULTS],
    ids=[row[0] for row in TRUE_FAULTS],
)
def test_a_fault_of_the_truth_is_told_with_its_line_and_a_hint(
    tmp_path: Path, old: str, new: str, message: str, line: str
) -> None:
    plant, path = with_truth(tmp_path, changed(PAINT, old, new, ".truth"))
    with pytest.raises(PlantError) as refused:
        build_line(plant, load_truth(str(tmp_path / f"{PAINT}.yaml"), plant))
    assert_says(refused.value, path, message, line)


def test_a_station_that_the_truth_leaves_out_is_told(tmp_path: Path) -> None:
    text = text_of(PAINT, ".truth")
    begin, end = text.index("  booth:\n"), text.index("  oven:\n")
    plant, path = with_truth(tmp_path, text[:begin] + text[end:])
    with pytest.raises(PlantError) as refused:
        load_truth(str(tmp_path / f"{PAINT}.yaml"), plant)
    assert_says(refused.value, path, "the truth about station 'booth' is missing", "stations:")


def test_a_truth_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text_of(PAINT), encoding="utf-8")
    plant = load_plant(str(path))
    with pytest.raises(PlantError, match="cannot read the file") as refused:
        load_truth(str(path), plant)
    assert refused.value.file == str(tmp_path / "mine.truth.yaml")


def test_a_truth_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "plants", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    plant, truth_path = with_truth(inside, text_of(PAINT, ".truth"))
    truth_path.rename(outside / "truth.yaml")
    truth_path.symlink_to(outside / "truth.yaml")
    with pytest.raises(PlantError, match="leads outside the folder") as refused:
        load_truth(str(inside / f"{PAINT}.yaml"), plant)
    assert refused.value.file == str(truth_path)
    assert refused.value.hint


def test_a_plant_reached_through_a_link_keeps_the_truth_beside_the_link(tmp_path: Path) -> None:
    inside, outside = tmp_path / "plants", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    plant, _ = with_truth(inside, text_of(PAINT, ".truth"))
    (inside / f"{PAINT}.yaml").rename(outside / "plant.yaml")
    (inside / f"{PAINT}.yaml").symlink_to(outside / "plant.yaml")
    assert load_truth(str(inside / f"{PAINT}.yaml"), plant).plant == PAINT
