"""A run's folder: same inputs same bytes, whole files or none, and nothing outside."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.cycle import Kpi
from twin.store.quarantine import StoreError
from twin.store.run_folder import (
    RunFolder,
    create,
    is_as_written,
    open_run,
    package_versions,
    stable_json,
)


def make(root: Path, plant: str = "machining_line", seed: int = 7, stamp: str = "") -> RunFolder:
    return create(
        root,
        plant,
        plant_hash="ab12",
        seed=seed,
        command=["twin", "run", "machining_line.yaml"],
        versions={"takttwin": "0.1.0"},
        arguments={"hours": 8.0, "controller": "mpc"},
        stamp=stamp,
    )


def test_same_inputs_same_name_and_bytes_counted_on(tmp_path: Path) -> None:
    one, other = make(tmp_path / "a"), make(tmp_path / "b")
    assert one.run_id == other.run_id
    assert one.run_id.startswith("machining_line-")
    assert one.run_id.endswith("-001")
    manifest = (one.folder / "manifest.json").read_bytes()
    assert manifest == (other.folder / "manifest.json").read_bytes()
    again = make(tmp_path / "a")
    assert again.run_id == one.run_id.replace("-001", "-002")
    assert (one.folder / "manifest.json").read_bytes() == manifest
    assert make(tmp_path / "a", seed=8).run_id[:-4] != one.run_id[:-4]
    assert make(tmp_path / "a", stamp="20260301").run_id.startswith("20260301-machining_line-")
    assert not list((tmp_path / "a").glob(".*"))


def test_the_manifest_says_what_went_in(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert run.read_json("manifest.json") == {
        "id": run.run_id,
        "plant": "machining_line",
        "plant_hash": "ab12",
        "seed": 7,
        "command": ["twin", "run", "machining_line.yaml"],
        "versions": {"takttwin": "0.1.0"},
        "arguments": {"hours": 8.0, "controller": "mpc"},
    }
    assert run.historian.parent == run.audit.parent == run.segments.parent == run.folder


def test_what_went_in_cannot_be_changed_unnoticed(tmp_path: Path) -> None:
    for run in (make(tmp_path), make(tmp_path), make(tmp_path, stamp="20260301")):
        manifest: Any = run.read_json("manifest.json")
        assert is_as_written(manifest)
        assert not is_as_written({**manifest, "seed": 8})
        assert not is_as_written({**manifest, "arguments": {"hours": 8.5, "controller": "mpc"}})
        assert not is_as_written({**manifest, "id": "mine"})


def test_a_name_taken_in_between_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(tmp_path)
    real = Path.exists
    monkeypatch.setattr(
        Path, "exists", lambda path: False if path == first.folder and not calls else real(path)
    )
    calls: list[Path] = []
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        calls.append(target)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    second = make(tmp_path)
    assert second.run_id.endswith("-002")
    assert calls[0] == first.folder


@pytest.mark.parametrize("plant", ["../evil", "a/b", "", ".hidden", "a\x00b", "nl\n"])
def test_a_plant_name_is_a_plain_name(tmp_path: Path, plant: str) -> None:
    with pytest.raises(StoreError, match="cannot be part of a run's name"):
        make(tmp_path / "runs", plant=plant)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "name", ["../kpi.json", "/etc/passwd", "a//b", "", "a/../../b", ".kpi", "a/./b", "x\n"]
)
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    run = make(tmp_path)
    with pytest.raises(StoreError, match="no place in run"):
        run.write_text(name, "text")


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    run = make(tmp_path / "runs")
    outside = tmp_path / "outside"
    outside.mkdir()
    (run.folder / "figures").symlink_to(outside)
    (run.folder / "kpi.json").symlink_to(outside / "kpi.json")
    for name in ("figures/a.svg", "kpi.json"):
        with pytest.raises(StoreError, match="leads outside"):
            run.write_text(name, "text")
    assert list(outside.iterdir()) == []
    elsewhere = make(tmp_path / "elsewhere")
    (tmp_path / "runs" / "link").symlink_to(elsewhere.folder)
    with pytest.raises(StoreError, match="leads outside"):
        open_run(tmp_path / "runs", "link")


def test_open_run_names_what_there_is(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert open_run(tmp_path, run.run_id) == run
    for name in ("nothing", "..", "../x"):
        with pytest.raises(StoreError, match=run.run_id):
            open_run(tmp_path, name)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path)
    run.write_json("kpi.json", {"energy_kwh": 1.0})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        run.write_json("kpi.json", {"energy_kwh": 2.0})
    monkeypatch.undo()
    assert run.read_json("kpi.json") == {"energy_kwh": 1.0}
    assert sorted(path.name for path in run.folder.iterdir()) == ["kpi.json", "manifest.json"]


def test_unreadable_json_is_said(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_text("kpi.json", "{")
    with pytest.raises(StoreError, match=r"kpi\.json"):
        run.read_json("kpi.json")


@dataclass(frozen=True)
class Score:
    kpi: Kpi
    course: tuple[float, ...]


def test_records_arrays_and_numbers_become_plain_data() -> None:
    data = Score(Kpi("energy", 0.1 + 0.2, "kW.h", 0, 5), (1.0, 2.5))
    assert json.loads(stable_json({"score": data, "n": np.int64(3), "a": np.arange(2.0)})) == {
        "score": {
            "kpi": {
                "name": "energy",
                "value": 0.30000000000000004,
                "unit": "kW.h",
                "from_us": 0,
                "until_us": 5,
            },
            "course": [1.0, 2.5],
        },
        "n": 3,
        "a": [0.0, 1.0],
    }


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, np.float64("nan"), np.array([math.nan])],
    ids=["nan", "inf", "numpy", "array"],
)
def test_the_unknown_must_be_said_by_none(value: object) -> None:
    with pytest.raises(ValueError, match=r"kpi\.json\.energy\.mean.*give None"):
        stable_json({"energy": {"mean": value}}, "kpi.json")
    assert stable_json({"mean": None}) == '{\n  "mean": null\n}\n'


def test_what_has_no_place_is_refused() -> None:
    with pytest.raises(TypeError, match=r"kpi\.json\.a"):
        stable_json({"a": {1, 2}}, "kpi.json")


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(data=st.dictionaries(st.text(), DATA))
def test_same_data_same_bytes_whatever_the_order(data: dict[str, object]) -> None:
    text = stable_json(data)
    assert json.loads(text) == data
    assert stable_json(dict(reversed(data.items()))) == text


def test_versions_are_those_installed() -> None:
    versions = package_versions(["duckdb", "no-such-distribution"])
    assert set(versions) == {"duckdb"}
    assert versions["duckdb"][0].isdigit()
