"""Faults that an emulated line shows: what the file may say, and what a client then sees."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asyncua import ua

from twin.equipment.faults import KINDS, Faults, code_of, read_plan
from twin.equipment.opcua_types import data_value, status

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
NAME = "oven.zone_temp_2_c"


def value(number: float = 180.0, at_s: float = 0.0) -> ua.DataValue:
    variant = ua.Variant(number, ua.VariantType.Double)
    return data_value(variant, status(0), NOW + timedelta(seconds=at_s))


def shown(tmp_path: Path, **fault: object) -> list[ua.DataValue]:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps({"values": {NAME: fault}}))
    return Faults(path).shown(NAME, value(), value(170.0, -5.0))


def numbers(values: list[ua.DataValue]) -> list[object]:
    return [None if one.Value is None else one.Value.Value for one in values]


def test_each_kind_shows_what_it_says(tmp_path: Path) -> None:
    assert math.isnan(numbers(shown(tmp_path, kind="nan"))[0])  # type: ignore[arg-type]
    assert numbers(shown(tmp_path, kind="minus_inf")) == [-math.inf]
    assert numbers(shown(tmp_path, kind="frozen")) == [170.0]
    assert shown(tmp_path, kind="frozen")[0].SourceTimestamp == NOW
    assert shown(tmp_path, kind="gone") == []
    assert numbers(shown(tmp_path, kind="times", by=100.0)) == [18000.0]
    assert numbers(shown(tmp_path, kind="bias", by=-5.0)) == [175.0]
    assert numbers(shown(tmp_path, kind="string")) == ["180 degrees"]
    assert numbers(shown(tmp_path, kind="array")) == [[180.0, 180.0]]
    assert numbers(shown(tmp_path, kind="boolean")) == [True]
    assert numbers(shown(tmp_path, kind="twice")) == [180.0, 180.0]
    stamps = [one.SourceTimestamp for one in shown(tmp_path, kind="disordered", by=20.0)]
    assert stamps == [NOW, NOW - timedelta(seconds=20)]
    assert shown(tmp_path, kind="shifted", by=600.0)[0].SourceTimestamp == NOW + timedelta(
        minutes=10
    )
    assert shown(tmp_path, kind="year", by=2100)[0].SourceTimestamp == NOW.replace(year=2100, day=1)
    (bad,) = shown(tmp_path, kind="status", code="BadNoCommunication")
    assert (bad.StatusCode, numbers([bad])) == (status(code_of("BadNoCommunication")), [None])
    (doubtful,) = shown(tmp_path, kind="status", code="UncertainSubNormal")
    assert numbers([doubtful]) == [180.0]
    (full,) = shown(tmp_path, kind="overflow")
    assert full.StatusCode is not None
    assert full.StatusCode.value & 0x0480 == 0x0480


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_may_be_asked_for_and_changes_what_is_shown(kind: str, tmp_path: Path) -> None:
    assert shown(tmp_path, kind=kind, by=2000.0, code="BadSensorFailure") != [value()]


@pytest.mark.parametrize(
    "text",
    [
        '{"value": {}}',
        '{"values": {"a": {"kind": "odd"}}}',
        '{"values": {"a": {"kind": "status", "code": "BadIdea"}}}',
        '{"answers": "BadIdea"}',
        "{",
    ],
)
def test_a_file_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_plan(text)


def test_a_file_is_looked_at_again_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    faults = Faults(path)
    assert (faults.look(), faults.plan.answers) == (False, "")
    path.write_text('{"answers": "ignored", "by_hand": {"oven.fan_speed_rel": 0.7}}')
    assert (faults.look(), faults.look()) == (True, False)
    draft = tmp_path / "new"
    draft.write_text("{")
    draft.replace(path)
    assert not faults.look()
    assert faults.plan.answers == "ignored"
    assert faults.plan.by_hand == {"oven.fan_speed_rel": 0.7}
