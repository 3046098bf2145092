"""Elements that cannot work as described are refused at load, with file, line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.config import PlantError, load_plant, plant_folder
from twin.line.model import build_line

Edits = list[tuple[str, str]]
MACHINING, PAINT = "machining_line", "paint_cure_line"


def station(title: str, *keys: str) -> Edits:
    """More keys of a station."""
    line = f"    title: {title}\n"
    return [(line, line + "".join(f"    {key}\n" for key in keys))]


def lathe(*keys: str) -> Edits:
    return station("CNC lathe", *keys)


def mill(*keys: str) -> Edits:
    return station("Vertical machining centre", *keys)


def gauge(*keys: str) -> Edits:
    return station("Measuring station", *keys)


def ahead(section: str, *lines: str) -> Edits:
    """Lines ahead of a section."""
    return [(f"\n{section}:", "\n" + "".join(f"{line}\n" for line in lines) + f"{section}:")]


def buffers(*lines: str) -> Edits:
    return [("\nbuffers:\n", "\nbuffers:\n" + "".join(f"  - {line}\n" for line in lines))]


def source(key: str) -> Edits:
    return [("  gives_to: infeed\n", f"  gives_to: infeed\n  {key}\n")]


def another(name: str, takes_from: str, gives_to: str, more: str = "") -> Edits:
    """One more station at the end of the list."""
    return ahead(
        "sink",
        f"  - {{name: {name}, title: one more, model: fixed_cycle.inspection, warm_up_s: 1,"
        f" takes_from: {takes_from}, gives_to: {gives_to},{more}"
        " power: {off_kw: 0, standby_kw: 0, idle_kw: 0, warm_up_kw: 0},"
        " standby_after_s: {start: 60, validity: [30, 90], engineering: [30, 90],"
        " operator: [30, 90], rate_per_s: 1}}",
    )


LIDS = ahead(
    "buffers",
    "supplies:",
    "  - {name: lids, gives_to: b_lids, every_s: 5, component_kg: 0.2}",
)
B_LIDS = buffers("{name: b_lids, capacity: 4}")
CREW = ahead("buffers", "crews:", "  - {name: setters, people: 2, on_duty_h: [[6, 10]]}")
MIXED = [
    *source("mixed_by: size"),
    (
        "\ndisturbances:\n",
        "\ndisturbances:\n  size: {unit: kg, kind: mix, mean: 1, choices: [1, 2], validity: [0, 9]}\n",
    ),
]
SETUP = "setup: {default_s: 60, changes: [{before: 1, after: 2, setup_s: 90}]}"
BACK = "inspection: {rework_to: infeed}"

#   name, edits, message, how the line begins, what the hint says
FAULTS: list[tuple[str, Edits, str, str, str]] = [
    ("a station on an island", [*buffers("{name: b_x, capacity: 2}", "{name: b_y, capacity: 2}"), *another("x", "b_x", "b_y"), *another("y", "b_y", "good_parts")], "no part reaches station 'x'", "- {name: x", "missing: b_x"),
    ("an island with rework", [*buffers("{name: b_x, capacity: 2}"), *another("x", "b_x", "good_parts", " inspects: true, inspection: {rework_to: b_x},")], "no part reaches station 'x'", "- {name: x", "missing: b_x"),
    ("a loop without exit", [("    gives_to: b_milled\n", "    gives_to: infeed\n")], "no part reaches station 'drilling'", "takes_from: b_milled", "missing: b_milled"),
    ("parts that go round for ever", [*buffers("{name: b_x, capacity: 2}"), *another("x", "b_milled", "b_turned"), *another("y", "b_x", "good_parts"), *lathe("also_gives: [{gives_to: b_x, mass_share: 0.1}]")], "parts go round for ever", "takes_from: b_turned", "only rework_to may lead back"),
    ("rework that ends nowhere", [*gauge("inspection: {rework_to: b_x}"), *buffers("{name: b_x, capacity: 2}")], "never leave the line again", "inspection:", "let a station take them"),
    ("no supply of components", [*mill("also_takes: [{takes_from: b_lids}]"), *B_LIDS], "no part reaches station 'milling'", "also_takes", "missing: b_lids"),
    ("components that come off later", [*mill("also_takes: [{takes_from: b_lids}]"), *B_LIDS, *gauge("also_gives: [{gives_to: b_lids, mass_share: 0.1}]")], "no part reaches station 'milling'", "also_takes", "missing: b_lids"),
    ("a component that is an order", [*gauge("also_takes: [{takes_from: b_x}]"), *buffers("{name: b_x, capacity: 2}"), *another("x", "b_turned", "b_x")], "their orders would stay open", "also_takes", "let supplies bring"),
    ("more components than room", [*LIDS, *B_LIDS, *mill("also_takes: [{takes_from: b_lids, parts: 5}]")], "'b_lids' never holds the 5 parts", "also_takes", "capacity of at least 5"),
    ("a buffer named twice", [*LIDS, *B_LIDS, *mill("also_takes: [{takes_from: b_lids}, {takes_from: b_lids}]")], "names 'b_lids' twice", "also_takes", "a buffer of its own"),
    ("its own buffer as a component", mill("also_takes: [{takes_from: b_turned}]"), "names 'b_turned' twice", "also_takes", "a buffer of its own"),
    ("pieces to where the part goes", mill("also_gives: [{gives_to: b_milled, mass_share: 0.1}]"), "names 'b_milled' twice", "also_gives", "a buffer of its own"),
    ("pieces heavier than the whole", [*buffers("{name: b_x, capacity: 4}"), *another("x", "b_x", "good_parts"), *mill("also_gives: [{gives_to: b_x, parts: 3, mass_share: 0.4}]")], "the pieces weigh more", "also_gives", "1 at most"),
    ("more pieces than room", [*buffers("{name: b_x, capacity: 2}"), *another("x", "b_x", "good_parts"), *mill("also_gives: [{gives_to: b_x, parts: 3}]")], "'b_x' never holds the 3 parts", "also_gives", "capacity of at least 3"),
    ("a batch larger than its buffer", lathe("batch: {parts: 6}"), "'infeed' never holds the 6 parts", "batch", "capacity of at least 6"),
    ("a batch that begins with more than it holds", lathe("batch: {parts: 2, at_least: 3}"), "more than the batch holds", "batch", ""),
    ("a batch of one", lathe("batch: {parts: 1}"), "greater than or equal to 2", "batch", ""),
    ("a batch that assembles", [*LIDS, *B_LIDS, *mill("batch: {parts: 2}", "also_takes: [{takes_from: b_lids}]")], "cannot assemble", "batch", "a station of its own"),
    ("a batch beyond the limit of parts", [*source("wip_limit: 3"), *lathe("batch: {parts: 4}")], "never are so many in the line", "batch", "wip_limit: 4"),
    ("a sleeper that never wakes", lathe("wake_at_parts: 5"), "'infeed' never holds the 5 parts", "wake_at_parts", "capacity of at least 5"),
    ("a sleeper beyond the limit of parts", [*source("wip_limit: 3"), *mill("wake_at_parts: 4")], "never are so many in the line", "wake_at_parts", "wip_limit: 4"),
    ("a belt without places", [("{name: b_turned, capacity: {value: 10, range: [4, 20], class: A}}", "{name: b_turned, capacity: 0, transit_s: 5}")], "belt 'b_turned' has no place", "- {name: b_turned", "at least 1"),
    ("a name that a belt has", [("{name: b_turned, capacity", "{name: b_turned, transit_s: 5, capacity"), *ahead("buffers", "crews:", "  - {name: b_turned_belt, people: 1}")], "the name 'b_turned_belt' is taken", "- {name: b_turned", "names must differ"),
    ("a belt that runs backwards", [("{name: b_turned, capacity", "{name: b_turned, transit_s: -5, capacity")], "transit_s must be greater than or equal to 0", "- {name: b_turned", ""),
    ("a belt for ever", [("{name: b_turned, capacity", "{name: b_turned, transit_s: .inf, capacity")], "the number is not finite", "- {name: b_turned", ""),
    ("one product only", lathe(SETUP), "there is one product only", "setup", "mixed_by"),
    ("a product that nobody chooses", [*MIXED, *lathe(SETUP.replace("after: 2", "after: 3"))], "after = 3 is no product", "setup", "products: 1, 2"),
    ("a product below zero", [(old, new.replace("validity: [0, 9]", "validity: [-9, 9]")) for old, new in MIXED] + lathe(SETUP), "a product is a number from 0 on", "size", "begin at 0"),
    ("a setup of a negative time", [*MIXED, *lathe(SETUP.replace("setup_s: 90", "setup_s: -90"))], "setup_s must be greater than or equal to 0", "setup", ""),
    ("a setup that is no number", [*MIXED, *lathe(SETUP.replace("default_s: 60", "default_s: .nan"))], "the number is not finite", "setup", ""),
    ("rework without inspection", lathe(BACK), "does not inspect", "inspection", "inspects: true"),
    ("rework to where good parts go", mill("inspects: true", "inspection: {rework_to: b_milled}"), "where it sends the good ones", "inspection", "another buffer"),
    ("rework to nowhere", gauge("inspection: {rework_to: shelf}"), "there is no buffer 'shelf'", "inspection", "known: infeed"),
    ("more alarms than parts", gauge("inspection: {false_alarms: 1.5}"), "less than or equal to 1", "inspection", ""),
    ("an unknown crew", [*CREW, *lathe("needs: {work: [fitters]}")], "there is no crew 'fitters'", "needs", "known: setters"),
    ("a crew of nobody", [(old, new.replace("people: 2", "people: 0")) for old, new in CREW], "greater than or equal to 1", "- {name: setters", ""),
    ("hours upside down", [(old, new.replace("[[6, 10]]", "[[10, 6]]")) for old, new in CREW], "must lie behind the one before it", "- {name: setters", ""),
    ("hours of the next day", [(old, new.replace("[[6, 10]]", "[[30, 34]]")) for old, new in CREW], "begin within the day", "- {name: setters", ""),
    ("hours that overlap at midnight", [(old, new.replace("[[6, 10]]", "[[6, 10], [22, 31]]")) for old, new in CREW], "reaches into the first one of the next day", "- {name: setters", ""),
    ("a service that is never due", lathe("service: {service_s: 60}"), "every_parts, every_working_s or both", "service", ""),
    ("a service of no time", lathe("service: {every_parts: 5, service_s: 0}"), "greater than 0", "service", ""),
    ("components at once without end", [(old, new.replace("every_s: 5", "every_s: 0")) for old, new in LIDS] + B_LIDS, "every_s must be greater than 0", "- {name: lids", ""),
    ("two failures of the calendar", [("failures: {short_stop: {", "failures: {short_stop: {clock: calendar, "), ("breakdown: {mean", "breakdown: {clock: calendar, mean")], "one in calendar time", "- name: turning", ""),
    ("no machine at all", lathe("servers: 0"), "greater than or equal to 1", "servers", ""),
    ("a limit of no part", source("wip_limit: 0"), "greater than or equal to 1", "wip_limit", ""),
]  # fmt: skip


def refusal(folder: Path, name: str, edits: Edits) -> tuple[PlantError, Path]:
    """What a user gets who changes a shipped plant like this."""
    text = (plant_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, f"{old!r} is not in the shipped file: adapt the test"
        text = text.replace(old, new, 1)
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlantError) as refused:
        build_line(load_plant(str(path)))
    return refused.value, path


@pytest.mark.parametrize(
    ("edits", "message", "line", "hint"),
    [row[1:] for row in FAULTS],
    ids=[row[0] for row in FAULTS],
)
def test_it_is_refused_with_its_line(
    tmp_path: Path, edits: Edits, message: str, line: str, hint: str
) -> None:
    error, path = refusal(tmp_path, MACHINING, edits)
    assert message in error.message
    assert error.file == str(path)
    assert error.text.strip().startswith(line)
    assert hint in error.hint
    assert error.hint


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("batch: {parts: 2}", "has no batch"),
        ("needs: {repair: [setters]}", "has no needs"),
        ("service: {every_parts: 5, service_s: 60}", "has no service"),
        ("picks: lifo", "has no picks"),
        ("inspection: {finds: 0.9}", "has no inspection"),
        ("restart_scrap_parts: 2", "has no restart_scrap_parts"),
    ],
)
def test_a_conveyor_through_an_oven_has_no_cycles(tmp_path: Path, key: str, says: str) -> None:
    edits = [*CREW, *station("Convection oven with four gas-fired zones", key)]
    error, _ = refusal(tmp_path, PAINT, edits)
    assert says in error.message
    assert error.text.strip().startswith(key.split(":", maxsplit=1)[0])
    assert "a station before or behind 'oven'" in error.hint


def test_an_oven_fails_in_motion_only(tmp_path: Path) -> None:
    edits = [("conveyor_stop: {", "conveyor_stop: {clock: calendar, ")]
    error, _ = refusal(tmp_path, PAINT, edits)
    assert "in motion only" in error.message
    assert "conveyor_stop" in error.text


def test_elements_that_fit_are_taken(tmp_path: Path) -> None:
    edits = [
        *LIDS, *B_LIDS, *CREW, *MIXED, *source("wip_limit: 9"),
        *lathe(SETUP, "batch: {parts: 4}", "servers: 2", "wake_at_parts: 4"),
        *mill("also_takes: [{takes_from: b_lids, parts: 4}]", "needs: {work: [setters]}"),
        *gauge("inspection: {rework_to: b_drilled, rework_passes: 2}"),
    ]  # fmt: skip
    text = (plant_folder() / f"{MACHINING}.yaml").read_text(encoding="utf-8")
    for old, new in edits:
        text = text.replace(old, new, 1)
    path = tmp_path / "mine.yaml"
    text = text.replace("{turning.", "{turning_1.").replace(" turning.", " turning_1.")
    path.write_text(text, encoding="utf-8")
    assert len(build_line(load_plant(str(path))).stations) == 6
