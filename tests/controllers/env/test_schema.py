from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from controllers.env.observer import Observer
from controllers.env.schema import Schema, decision_s_of, schema_of
from twin.config import load_plant
from twin.config.errors import KeyPath
from twin.config.revise import Change, revised_plant
from twin.line.model import build_line

PLANTS = ("machining_line", "molding_cell", "paint_cure_line")


@pytest.mark.parametrize("name", PLANTS)
def test_every_field_has_a_name_of_its_own_and_limits_that_scale(name: str) -> None:
    schema = schema_of(load_plant(name))
    for fields in (schema.observation, schema.action):
        assert len({field.name for field in fields}) == len(fields)
        assert all(field.lo < field.hi and field.lag_s >= 0.0 for field in fields)


def test_the_schema_of_a_plant_is_that_of_its_line() -> None:
    plant = load_plant("machining_line")
    assert schema_of(plant) == schema_of(build_line(plant))


def test_the_digest_changes_with_a_limit_and_with_the_decision_period_alone() -> None:
    plant = load_plant("machining_line")
    schema = schema_of(plant)
    other = revised_plant(plant, {("stations", 0, "setpoints", "feed_mm", "operator", 1): 0.35})
    assert schema_of(load_plant("machining_line")).digest() == schema.digest()
    assert schema_of(other).digest() != schema.digest()
    assert schema_of(plant, decision_s=120.0).digest() != schema.digest()
    dearer = revised_plant(plant, {("demand", "backlog_eur_per_part"): 30.0})
    assert schema_of(dearer).digest() == schema.digest()


@pytest.mark.parametrize(
    ("period_s", "decision_s"),
    [(5.0, 60.0), (30.0, 60.0), (0.3, 60.0), (7.0, 63.0), (45.0, 45.0), (90.0, 90.0)],
)
def test_decisions_are_a_minute_apart_or_as_near_to_it_as_whole_turns_come(
    period_s: float, decision_s: float
) -> None:
    plant = load_plant("machining_line")
    turns: dict[KeyPath, Change] = {
        ("control", "period_s"): period_s,
        ("control", "line_period_s"): 10.0 * period_s,
        ("control", "deadline_s"): 0.1,
    }
    other = revised_plant(plant, turns)
    assert decision_s_of(other) == decision_s
    assert schema_of(other).version.endswith(f"/{decision_s:g}s")
    assert Observer(build_line(other)).schema == schema_of(other)


def test_the_digest_is_that_of_the_canonical_json() -> None:
    schema = schema_of(load_plant("molding_cell"))
    read = json.loads(json.dumps(asdict(schema)))
    again = Schema(
        tuple(type(schema.observation[0])(**field) for field in read["observation"]),
        tuple(type(schema.action[0])(**field) for field in read["action"]),
        read["version"],
    )
    assert again.digest() == schema.digest()
    assert replace(schema, version="other").digest() != schema.digest()


@pytest.mark.parametrize("name", PLANTS)
def test_ends_of_an_action_are_the_operators_limits_and_its_middle_theirs(name: str) -> None:
    plant = load_plant(name)
    observer = Observer(build_line(plant))
    fields = observer.schema.action
    least, most, middle = (observer.setpoints([share] * len(fields)) for share in (-1.0, 1.0, 0.0))
    assert least == {field.name: field.lo for field in fields}
    assert most == {field.name: field.hi for field in fields}
    expected = [0.5 * (field.lo + field.hi) for field in fields]
    assert np.allclose(list(middle.values()), expected, rtol=1e-15)
