"""Buffers that show how full they are, but not with which parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.twin.analyze.in_step import nominal, observed
from tests.twin.line.small_lines import Run
from twin.analyze.guess import STRANGER
from twin.analyze.synchronise import synchronise
from twin.cycle import Observation
from twin.kernels.draws import PLANT, TWIN
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.scenario import build_table
from twin.line.tags import TagReader
from twin.state import LineState


def working(name: str = "paint_cure_line", until_s: float = 5000.0) -> tuple[Line, LineState]:
    line = nominal(name)
    run = Run(line, build_table(line.plant, 4, PLANT, 8.0), 4)
    run.simulator.prime(run.state)
    return line, run.to(until_s).state


def without_lists(seen: Observation, **levels: float) -> Observation:
    """The same from a PLC that lists no parts in its buffers, and shows other levels."""
    values = seen.values.copy()
    for name, level in levels.items():
        values[seen.index[f"{name}.level"]] = level
    kept = {
        name: parts for name, parts in seen.part_ids.items() if f"{name}.level" not in seen.index
    }
    return replace(seen, values=values, part_ids=kept)


def levels(line: Line, state: LineState) -> dict[str, int]:
    return {name: len(TagReader(line).part_ids(state)[name]) for name in line.buffers}


def products(line: Line, state: LineState) -> dict[int, float]:
    """What each part in the line is, by its number."""
    i, k = state.ints, line.k
    parts = [i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID] for slot in range(k[s.K_SLOTS])]
    at = [k[s.K_PART_F] + slot * s.P_FLOATS + s.PRODUCT for slot in range(k[s.K_SLOTS])]
    return {part: state.floats[place] for part, place in zip(parts, at, strict=True) if part}


@pytest.mark.parametrize("name", ["machining_line", "molding_cell", "paint_cure_line"])
def test_a_twin_that_was_there_keeps_what_it_expects(name: str) -> None:
    line, state = working(name)
    twin = state.copy()
    assert synchronise(line, twin, without_lists(observed(line, state)), 1)
    assert TagReader(line).part_ids(twin) == TagReader(line).part_ids(state)
    assert products(line, twin) == products(line, state)


def test_the_oldest_are_gone_and_strangers_come_last() -> None:
    line, state = working("machining_line")
    expected = TagReader(line).part_ids(state)
    room = {b.name: float(b.capacity) for b in line.plant.buffers}
    for name, parts in expected.items():
        seen = observed(line, state)
        if len(parts) > 1:
            twin = state.copy()
            assert synchronise(line, twin, without_lists(seen, **{name: len(parts) - 1}), 1)
            assert TagReader(line).part_ids(twin)[name] == parts[1:]
        if len(parts) + 2 <= room[name]:
            twin = state.copy()
            assert synchronise(line, twin, without_lists(seen, **{name: len(parts) + 2}), 1)
            found = TagReader(line).part_ids(twin)[name]
            assert found[: len(parts)] == parts
            assert len(set(found)) == len(parts) + 2
            assert min(found[len(parts) :]) >= STRANGER
    assert max(len(parts) for parts in expected.values()) > 1


def test_what_a_stranger_is_differs_from_state_to_state() -> None:
    line, state = working()
    buffer = next(iter(line.buffers))
    seen = without_lists(observed(line, state), **{buffer: 4})
    guesses = set()
    for ticket in range(40):
        twin = initial_state(line, 9, TWIN)
        assert synchronise(line, twin, seen, ticket)
        assert levels(line, twin)[buffer] == 4
        inside = products(line, twin)
        guesses |= {kind for part, kind in inside.items() if part >= STRANGER}
        again = initial_state(line, 9, TWIN)
        assert synchronise(line, again, seen, ticket)
        assert again == twin
    mixed_by = line.plant.source.mixed_by
    assert mixed_by is not None
    assert guesses == set(line.plant.disturbances[mixed_by].choices)


def test_strangers_keep_their_numbers_and_each_state_guesses_anew() -> None:
    line, state = working()
    buffer = next(iter(line.buffers))
    seen = [without_lists(observed(line, state), **{buffer: level}) for level in (4, 3, 4, 4)]
    twin = initial_state(line, 9, TWIN)
    for turn, look in enumerate(seen):
        assert synchronise(line, twin, look, turn)
        parts = TagReader(line).part_ids(twin)[buffer]
        assert len(set(parts)) == len(parts)
    kinds = set()
    for ticket in range(100, 140):
        again = twin.copy()
        assert synchronise(line, again, seen[-1], ticket)
        kinds.add(tuple(products(line, again)[part] for part in parts))
    assert len(kinds) > 5
