from __future__ import annotations

import csv
import errno
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import controllers.rule_tuning as rule_search
import controllers.tuning as search
from controllers.rule_tuning import RULES
from controllers.shift_cost import Outcome
from controllers.trials import Trial
from tests.twin.cli.shell import twin
from twin.cli import tune
from twin.cli.problems import Problem
from twin.cli.tuned import baseline
from twin.config import load_plant, load_tuned, load_tuned_rules, untuned

TRIAL = Trial({}, (Outcome(1.5, 0.25, True, 1.0, 0.2, 0.02, 1.5),))


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    assert twin("init", folder)[0] == 0
    for kind in ("fixed", "rules"):
        (folder / f"plant.{kind}.json").unlink(missing_ok=True)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A search that takes no time: it finds what it is asked about."""
    calls: list[tuple[Any, ...]] = []

    def tune(place: str, utilisation: float, variant: str, **given: Any) -> Any:
        calls.append((utilisation, variant, given["evaluations"], len(given["seeds"])))
        # As a search has them: NumPy's numbers among ours.
        trial = Trial({"line.takt_s": np.float64(60.0 + utilisation)}, TRIAL.outcomes)
        given["progress"](1, 1.5)
        return trial, [trial, trial]

    monkeypatch.setattr(search, "tune", tune)
    return calls


def test_what_was_tuned_is_what_a_run_takes(demo: Path, quick: list[tuple[Any, ...]]) -> None:
    code, out, err = twin("tune", demo, "--evaluations", 7, "--shifts", 2)
    assert (code, out) == (0, "")
    assert str(demo / "plant.fixed.json") in err
    assert quick == [(u, "nominal", 7, 2) for u in (0.6, 0.7, 0.8, 0.9)]
    plant = load_plant(str(demo))
    load_tuned(str(demo), plant)
    with (demo / "plant.fixed.csv").open() as log:
        tried = list(csv.DictReader(log))
    assert [row["utilisation"] for row in tried] == ["0.6"] * 2 + ["0.7"] * 2 + ["0.8"] * 2 + [
        "0.9"
    ] * 2
    assert tried[-1]["line.takt_s"] == "60.9"
    assert tried[-1]["energy_eur_per_part"] == "0.2"
    assert all(math.isfinite(float(value)) for row in tried for value in row.values())
    found = baseline(str(demo), plant, 0.71, "nominal")
    assert found.point.setpoints == {"line.takt_s": 60.7}
    assert "with 7 points on 2 shifts alone" in found.doubt
    assert sorted(p.name for p in demo.iterdir() if p.name.startswith(".")) == []


def test_tuning_goes_on_where_it_ended(demo: Path, quick: list[tuple[Any, ...]]) -> None:
    twin("tune", demo, "--utilisation", 0.8)
    twin("tune", demo, "--utilisation", 0.6)
    assert set(load_tuned(str(demo), load_plant(str(demo))).points) == {"0.6", "0.8"}
    log = demo / "plant.fixed.csv"
    assert len(log.read_text().splitlines()) == 1 + 4
    before = (demo / "plant.fixed.json").read_bytes()
    code, _, err = twin("tune", demo, "--utilisation", 0.7, "--shifts", 3)
    assert (code, "600 points on 20 shifts for utilisation 0.6, 0.8" in err) == (5, True), err
    assert (demo / "plant.fixed.json").read_bytes() == before
    _, _, err = twin("tune", demo, "--utilisation", 0.7, "--shifts", 3, "--anew")
    assert "will be replaced" in err
    doubt = baseline(str(demo), load_plant(str(demo)), 0.7, "nominal").doubt
    assert "with 600 points on 3 shifts alone" in doubt
    assert len(log.read_text().splitlines()) == 1 + 2
    assert set(load_tuned(str(demo), load_plant(str(demo))).points) == {"0.7"}
    others = (demo / "plant.fixed.json").read_bytes()
    code, _, err = twin("tune", "molding_cell", "--to", demo / "plant.fixed.json")
    assert (code, "holds another search: " in err) == (5, True), err
    assert (demo / "plant.fixed.json").read_bytes() == others


def test_where_no_search_could_be_kept_none_begins(
    demo: Path, quick: list[tuple[Any, ...]]
) -> None:
    code, _, err = twin("tune", demo, "--to", demo / "found.csv")
    assert (code, "where the log would go" in err) == (2, True), err
    (demo / "plant.fixed.json").mkdir()
    code, _, err = twin("tune", demo)
    assert (code, "plant.fixed.json is a folder" in err) == (2, True), err
    assert quick == []


def test_a_new_search_looks_at_what_another_has_found(
    demo: Path, quick: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[list[Any]] = []
    before = search.tune

    def tune(*about: Any, **given: Any) -> Any:
        begun.append(list(given["begins"]))
        return before(*about, **given)

    monkeypatch.setattr(search, "tune", tune)
    twin("tune", demo, "--utilisation", 0.8, "--shifts", 3)
    twin("tune", demo, "--utilisation", 0.6, "--anew")
    plant_file = demo / "plant.yaml"
    plant_file.write_text(plant_file.read_text().replace("shift_h: 8", "shift_h: 7"))
    twin(
        "tune", demo, "--utilisation", 0.6, "--anew"
    )  # another plant: what was found for it is none
    assert begun == [[], [{"line.takt_s": 60.8}], []]


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A search that finds what follows from all that it begins with, and is stopped at these utilisations."""
    stops: list[float] = []

    def tune(place: str, utilisation: float, variant: str, **given: Any) -> Any:
        if utilisation in stops:
            raise KeyboardInterrupt
        takt_s = 60.0 + utilisation
        for begin in given["begins"]:
            takt_s = 0.5 * takt_s + begin["line.takt_s"]
        trial = Trial({"line.takt_s": takt_s}, TRIAL.outcomes)
        return trial, [trial, trial]

    monkeypatch.setattr(search, "tune", tune)
    return stops


@pytest.mark.parametrize("before", ["nothing", "one level", "another search", "the same search"])
def test_a_search_that_was_stopped_finds_what_it_would_have_found(
    before: str, demo: Path, stopping: list[float]
) -> None:
    options: dict[str, tuple[Any, ...]] = {
        "nothing": (),
        "one level": ("--utilisation", 0.8),
        "another search": ("--evaluations", 7),
        "the same search": ("--utilisation", 0.7),
    }
    anew = ("--anew",) if before.endswith("search") else ()
    left = []
    for name, levels in (("whole", []), ("stopped", [0.7, 0.9])):
        path = demo / f"{name}.json"
        if before != "nothing":
            twin("tune", demo, "--to", path, *options[before])
        also = anew
        for level in levels:
            stopping[:] = [level]
            assert twin("tune", demo, "--to", path, *also)[0] == 130
            also = ()
        stopping.clear()
        assert twin("tune", demo, "--to", path, *also)[0] == 0
        left.append((path.read_text(), path.with_suffix(".csv").read_text()))
    assert left[0] == left[1]
    assert len(left[0][1].splitlines()) == 1 + 4 * 2


def test_a_search_that_has_ended_is_not_begun_again_unless_it_is_asked_for(
    demo: Path, quick: list[tuple[Any, ...]], quick_rules: list[tuple[Any, ...]]
) -> None:
    for kind, calls in (((), quick), (("--rules",), quick_rules)):
        assert twin("tune", demo, *kind)[0] == 0
        made, path = len(calls), demo / f"plant.{'rules' if kind else 'fixed'}.json"
        code, out, err = twin("tune", demo, *kind)
        said = f"{path} holds all of this search; --anew begins it again\n"
        assert (code, out, err, len(calls)) == (0, "", said, made)
        points = set(json.loads(path.read_text())["points"])
        assert twin("tune", demo, *kind, "--anew", "--utilisation", 0.8)[0] == 0
        assert len(calls) == made + made // 4
        assert set(json.loads(path.read_text())["points"]) == points  # the others stay


def test_a_log_that_cannot_be_written_does_not_cost_the_point(
    demo: Path, quick: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tune, "write_log", full)
    assert twin("tune", demo)[0] != 0
    assert set(load_tuned(str(demo), load_plant(str(demo))).points) == {"0.6"}


def test_without_a_file_the_recipe_holds_and_it_is_said(demo: Path) -> None:
    plant = load_plant(str(demo))
    found = baseline(str(demo), plant, 0.8, "nominal")
    assert found.point.setpoints == untuned(plant).setpoints
    assert list(found.point.setpoints) == sorted(found.point.setpoints)
    assert "nobody has tuned" in found.doubt


def test_setpoints_of_another_plant_file_are_not_used(
    demo: Path, quick: list[tuple[Any, ...]]
) -> None:
    twin("tune", demo, "--utilisation", 0.8)
    plant_file = demo / "plant.yaml"
    plant_file.write_text(plant_file.read_text().replace("shift_h: 8", "shift_h: 7"))
    plant = load_plant(str(demo))
    found = baseline(str(demo), plant, 0.8, "nominal")
    assert found.point.setpoints == untuned(plant).setpoints
    assert "the recipe holds" in found.doubt


def test_a_scenario_that_no_search_sees_leaves_its_setpoints(
    demo: Path, quick: list[tuple[Any, ...]]
) -> None:
    twin("tune", demo, "--utilisation", 0.8)
    plant_file, before = demo / "plant.yaml", load_plant(str(demo))
    text = plant_file.read_text()
    assert "turning.base_power_kw: 0.2" in text
    plant_file.write_text(text.replace("turning.base_power_kw: 0.2", "turning.base_power_kw: 0.1"))
    plant = load_plant(str(demo))
    assert plant.config_hash != before.config_hash
    assert baseline(str(demo), plant, 0.8, "nominal").doubt == ""


def test_far_from_what_was_tuned_is_said(demo: Path, quick: list[tuple[Any, ...]]) -> None:
    twin("tune", demo, "--utilisation", 0.8)
    plant = load_plant(str(demo))
    assert "utilisation of 0.8" in baseline(str(demo), plant, 0.6, "nominal").doubt
    assert "variant nominal" in baseline(str(demo), plant, 0.8, "high").doubt


@pytest.mark.parametrize("target", ["plant.yaml", "log.json", "folder"])
def test_a_search_writes_over_nothing_that_is_none(
    target: str, demo: Path, quick: list[tuple[Any, ...]]
) -> None:
    (demo / "log.csv").write_text("time_s,turning.state\n0,3\n")  # where the search's log would go
    (demo / "folder").mkdir()
    before = {p: p.read_bytes() for p in demo.iterdir() if p.is_file()}
    for also in ((), ("--anew",)):
        code, _, err = twin("tune", demo, "--utilisation", 0.8, "--to", demo / target, *also)
        assert (code, target.partition(".")[0] in err) == (2 if target == "folder" else 5, True)
    assert {p: p.read_bytes() for p in demo.iterdir() if p.is_file()} == before
    assert not quick


def test_a_file_that_cannot_be_written_is_told_before_the_search(demo: Path) -> None:
    code, _, err = twin("tune", demo, "--utilisation", 0.8, "--to", "/proc/here.json")
    assert (code, "/proc/here.json cannot be written" in err) == (2, True), err


@pytest.mark.parametrize("change", ["{", "[]", '{"points": 3}', None])
def test_a_damaged_file_ends_with_6(
    change: str | None, demo: Path, quick: list[tuple[Any, ...]]
) -> None:
    twin("tune", demo, "--utilisation", 0.8)
    path = demo / "plant.fixed.json"
    record = json.loads(path.read_text())
    record["points"] = {}
    path.write_text(json.dumps(record) if change is None else change)
    with pytest.raises(Problem) as caught:
        baseline(str(demo), load_plant(str(demo)), 0.8, "nominal")
    assert caught.value.code == 6


@pytest.fixture
def quick_rules(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A search of thresholds that takes no time."""
    calls: list[tuple[Any, ...]] = []

    def tune_rule(
        rule: str, place: str, level: float, variant: str, point: Any, **given: Any
    ) -> Any:
        calls.append((rule, level, given["evaluations"], len(given["seeds"])))
        assert point.thresholds == {}
        names = rule_search.RULES[rule].thresholds
        found = rule_search.RuleFound(dict.fromkeys(names, level), TRIAL, 0.2)
        return found, [found]

    monkeypatch.setattr(rule_search, "tune_rule", tune_rule)
    return calls


def test_thresholds_are_kept_beside_the_plant_and_given_to_the_rules(
    demo: Path, quick_rules: list[tuple[Any, ...]]
) -> None:
    plain = baseline(str(demo), load_plant(str(demo)), 0.8, "nominal")
    assert "thresholds" not in plain.record()
    code, out, err = twin("tune", demo, "--rules", "--evaluations", 7, "--shifts", 2)
    assert (code, out) == (0, "")
    assert str(demo / "plant.rules.json") in err
    assert len(quick_rules) == 4 * 7
    assert quick_rules[0] == ("always_on", 0.6, 7, 2)
    plant = load_plant(str(demo))
    assert len(load_tuned_rules(str(demo), plant).selection_seeds) == 6
    found = baseline(str(demo), plant, 0.71, "nominal")
    assert found.point.setpoints == plain.point.setpoints
    assert found.point.thresholds["pi"] == {"gain_s": 0.7, "reset_s": 0.7, "even_share": 0.7}
    assert found.record()["thresholds"] == found.point.thresholds
    assert "plant.rules.json was tuned with 7 choices on 2 shifts alone" in found.doubt
    assert "variant nominal" in baseline(str(demo), plant, 0.7, "high").doubt
    twin("tune", demo, "--rules", "--evaluations", 7, "--shifts", 2)  # all is there
    assert len(quick_rules) == 4 * 7


def test_rules_that_nobody_has_tuned_are_a_doubt_where_they_drive(
    demo: Path, quick: list[tuple[Any, ...]], quick_rules: list[tuple[Any, ...]]
) -> None:
    twin("tune", demo, "--utilisation", 0.8)
    plant = load_plant(str(demo))

    def doubt(*drivers: str) -> str:
        return baseline(str(demo), plant, 0.8, "nominal", drivers).doubt

    assert doubt() == doubt("fixed", "always_on") == ""
    assert "the thresholds of timeout, rules for this plant" in doubt("fixed", "timeout", "rules")
    twin("tune", demo, "--rules", "--utilisation", 0.8)
    assert doubt("timeout", "rules") == ""
    path = demo / "plant.rules.json"
    tuned = json.loads(path.read_text())
    del tuned["points"]["0.8"]["timeout"]
    path.write_text(json.dumps(tuned))
    assert doubt("full_pace", "pi") == ""
    assert "the thresholds of timeout for" in doubt("full_pace", "timeout")


@pytest.mark.parametrize("name", ["machining_line", "molding_cell", "paint_cure_line"])
def test_every_rule_of_every_shipped_plant_has_thresholds_for_every_level(name: str) -> None:
    plant = load_plant(name)
    points = load_tuned_rules(name, plant).points
    assert set(points) == set(load_tuned(name, plant).points)
    assert all(set(found) == set(RULES) for found in points.values())


def test_thresholds_of_another_plant_file_are_not_used(
    demo: Path, quick_rules: list[tuple[Any, ...]]
) -> None:
    twin("tune", demo, "--rules", "--utilisation", 0.8)
    plant_file = demo / "plant.yaml"
    plant_file.write_text(plant_file.read_text().replace("shift_h: 8", "shift_h: 7"))
    found = baseline(str(demo), load_plant(str(demo)), 0.8, "nominal")
    assert found.point.thresholds == {}
    assert "the rules' own thresholds hold" in found.doubt
    (demo / "plant.rules.json").write_text("{")
    with pytest.raises(Problem) as caught:
        baseline(str(demo), load_plant(str(demo)), 0.8, "nominal")
    assert caught.value.code == 6
