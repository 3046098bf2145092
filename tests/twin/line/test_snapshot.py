"""A snapshot is read by the plant that it was taken of, or refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from twin.config import load_plant
from twin.kernels.draws import PLANT
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.snapshot import SnapshotError, from_json, to_json


@pytest.fixture(scope="module")
def line() -> Line:
    return build_line(load_plant("machining_line"))


def changed(text: str, **changes: Any) -> str:
    return json.dumps({**json.loads(text), **changes})


def test_a_state_comes_back_bit_for_bit(line: Line) -> None:
    state = initial_state(line, 5, PLANT)
    state.floats[3] = 0.1 + 0.2
    assert math.inf in state.floats
    text = to_json(line, state)
    assert "Infinity" not in text
    assert from_json(line, text) == state


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"format": "something"}, "does not begin with"),
        ({"version": 1}, "version 1; this package reads 2"),
        ({"hash": "0" * 16}, "of plant"),
        ({"layout": "0" * 16}, "layout"),
        ({"floats": [1.0]}, "floats: "),
        ({"ints": None}, "ints: "),
        ({"now_s": None}, "now_s"),
        ({"now_s": -5.0}, "changed or damaged"),
        ({"sum": None}, "changed or damaged"),
    ],
)
def test_what_does_not_fit_is_refused(line: Line, changes: dict[str, Any], word: str) -> None:
    text = to_json(line, initial_state(line, 5, PLANT))
    with pytest.raises(SnapshotError, match=word):
        from_json(line, changed(text, **changes))


def test_numbers_must_be_numbers(line: Line) -> None:
    text = to_json(line, initial_state(line, 5, PLANT))
    ints = json.loads(text)["ints"]
    for wrong in (0.5, "1", None, True):
        with pytest.raises(SnapshotError, match="ints"):
            from_json(line, changed(text, ints=[wrong, *ints[1:]]))


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"now_s": NaN}', "null"])
def test_other_text_is_refused(line: Line, text: str) -> None:
    with pytest.raises(SnapshotError, match="not a snapshot"):
        from_json(line, text)


def test_another_plants_snapshot_is_refused(line: Line) -> None:
    other = build_line(load_plant("molding_cell"))
    with pytest.raises(SnapshotError, match="molding_cell"):
        from_json(line, to_json(other, initial_state(other, 1, PLANT)))


def test_a_nan_is_not_saved(line: Line) -> None:
    state = initial_state(line, 5, PLANT)
    state.floats[0] = math.nan
    with pytest.raises(SnapshotError, match="NaN"):
        to_json(line, state)
