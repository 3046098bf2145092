"""Copies sent into worlds of their own take the same course on both engines, side by side or alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.properties.invariants import (
    nobody_is_in_two_places,
    nothing_appears_or_is_lost,
    times_add_up,
)
from tests.properties.random_plants import END_S, outside, plants
from tests.properties.test_snapshot_identity import begin
from twin.analyze.whatif import present
from twin.config import Plant, plant_names
from twin.kernels.draws import PLANT, WHAT_IF
from twin.line.compiled import CompiledSimulator, as_arrays
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.residual import fresh_luck
from twin.line.simulator import Simulator
from twin.state import LineState

WORLDS = (0, 1, 7, 100)


def bits(state: Any) -> tuple[bytes, bytes]:
    return (
        np.array(state.floats, dtype=np.float64).tobytes(),
        np.array(state.ints, dtype=np.int64).tobytes(),
    )


def forks_are_the_same(line: Line, live: LineState, until_s: float) -> list[LineState]:
    """Each world's state at the end, taken on by SimPy's calendar."""
    table, before = present(line, live), bits(live)
    one: Any = as_arrays(live)
    floats, ints = np.tile(one.floats, (len(WORLDS), 1)), np.tile(one.ints, (len(WORLDS), 1))
    nows_s, worlds = np.full(len(WORLDS), live.now_s), WHAT_IF + np.array(WORLDS)
    side_by_side = CompiledSimulator(line, table, tells=False)
    side_by_side.advance_all(nows_s, floats, ints, {}, until_s, worlds)
    found = []
    for n, world in enumerate(WORLDS):
        state = live.copy()
        f, i = state.floats, state.ints
        fresh_luck(WHAT_IF + world, state.now_s, f, i, line.c, line.k)
        Simulator(line, table).advance(state, {}, until_s)
        assert bits(state) == bits(LineState(until_s, floats[n], ints[n]))  # type: ignore[arg-type]
        found.append(state)
    assert bits(live) == before
    return found


@pytest.mark.parametrize("name", plant_names())
@given(seed=st.integers(0, 2**31), at_s=st.floats(0.0, 7200.0))
@settings(deadline=None, max_examples=8)
def test_of_shipped_plants(name: str, seed: int, at_s: float) -> None:
    line, table, live = begin(name, seed)
    Simulator(line, table).advance(live, {}, at_s)
    assert len(forks_are_the_same(line, live, at_s + 1800.0)) == len(WORLDS)


@given(
    plant=plants(), table=outside(), seed=st.integers(0, 2**31), at_s=st.floats(0.0, END_S / 2.0)
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_of_random_lines(plant: Plant, table: list[float], seed: int, at_s: float) -> None:
    line, live = build_line(plant), initial_state(build_line(plant), seed, PLANT)
    note(plant.model_dump_json(exclude_defaults=True))
    simulator = Simulator(line, table)
    simulator.prime(live)
    simulator.advance(live, {}, at_s)
    for state in forks_are_the_same(line, live, END_S):
        nothing_appears_or_is_lost(line, state)
        times_add_up(line, state)
        nobody_is_in_two_places(line, state)
