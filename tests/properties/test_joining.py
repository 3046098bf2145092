"""A twin that comes to any line at any moment: whole, in step, and on a line without luck never wrong."""

from __future__ import annotations

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
from tests.twin.analyze.in_step import IN_REMOTE, assert_foreseen, observed
from tests.twin.line.small_lines import Run
from twin.analyze.synchronise import synchronise
from twin.analyze.whatif import present
from twin.config import Plant
from twin.kernels.draws import PLANT, TWIN
from twin.line import schema as s
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.simulator import Simulator
from twin.line.tags import TagReader
from twin.state import LineState

MODELLED = ("power_kw", "elapsed_work_s")
"""What follows from the twin's own model and from when it thinks that the work is over."""
STEPS = st.integers(50, 500).map(lambda n: n / 10.0 + 0.0371)
SLOW = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@given(plant=plants(), table=outside(), seed=st.integers(0, 2**31), at_s=st.floats(0.0, END_S))
@SLOW
def test_a_twin_joins_any_line_at_any_moment(
    plant: Plant, table: list[float], seed: int, at_s: float
) -> None:
    line = build_line(plant)
    note(plant.model_dump_json(exclude_defaults=True))
    real = initial_state(line, seed, PLANT)
    engine(line, table, "simpy").prime(real)
    engine(line, table, "compiled").advance(real, {}, at_s)
    twin = initial_state(line, 9, TWIN)
    assert synchronise(line, twin, observed(line, real), 1)
    _shows_the_same(line, real, twin)
    _is_whole(line, twin)
    courses = []
    for choice in ("simpy", "compiled"):
        later = twin.copy()
        rows = (
            engine(line, present(line, twin), choice).advance(later, {}, twin.now_s + 2000.0).rows
        )
        _is_whole(line, later)
        courses.append((rows, later.ints, np.array(later.floats).tobytes()))
    assert courses[0] == courses[1]


@given(plant=plants(), table=outside(), seed=st.integers(0, 2**31), step_s=STEPS)
@SLOW
def test_a_twin_that_follows_any_line_has_the_same_work_before_it(
    plant: Plant, table: list[float], seed: int, step_s: float
) -> None:
    """It goes on by its own luck in between: what it does then must leave no trace."""
    line = build_line(plant)
    note(plant.model_dump_json(exclude_defaults=True))
    real, twin = initial_state(line, seed, PLANT), initial_state(line, 9, TWIN)
    simulator = engine(line, table, "compiled")
    engine(line, table, "simpy").prime(real)
    for n in range(1, 40):
        simulator.advance(real, {}, step_s * n)
        if twin.now_s > 0.0:
            simulator.advance(twin, {}, step_s * n)
        assert synchronise(line, twin, observed(line, real), n)
        _shows_the_same(line, real, twin)
        _is_whole(line, twin)
        for e in range(1, 1 + len(line.stations)):
            _has_the_same_work(line, e, real, twin)


@given(
    plant=plants(luck=False),
    table=outside(mixed=False),
    step_s=STEPS,
)
@settings(SLOW, derandomize=True)  # two events at one instant may still come either way
def test_on_any_line_without_luck_a_twin_that_stays_in_step_foresees_every_event(
    plant: Plant, table: list[float], step_s: float
) -> None:
    line = build_line(plant)
    note(plant.model_dump_json(exclude_defaults=True))
    real = Run(line, table, 5)
    real.simulator.prime(real.state)
    twin = initial_state(line, 9, TWIN)
    for n in range(1, 20):
        assert synchronise(line, twin, observed(line, real.state), n)
        minute_s = 60.0 * np.ceil(real.state.now_s / 60.0 + 1e-9)  # the next row of the table
        assert_foreseen(line, real, twin, max(minute_s, real.state.now_s))
        Simulator(line, table).advance(twin, {}, step_s * n)  # it knows what enters when
        real.to(step_s * n)


def _shows_the_same(line: Line, real: LineState, twin: LineState) -> None:
    reader = TagReader(line)
    assert reader.part_ids(twin) == reader.part_ids(real)
    told, taken = reader.read(real, IN_REMOTE), reader.read(twin, IN_REMOTE)
    for signal, was, now in zip(reader.signals, told, taken, strict=True):
        if not signal.name.endswith(MODELLED):
            assert now == pytest.approx(was, rel=1e-9, abs=1e-6), signal.name


def _has_the_same_work(line: Line, e: int, real: LineState, twin: LineState) -> None:
    """Work left where no luck is in it, what can come next, and what each part weighs."""
    a, b = e * s.E_FLOATS, e * s.E_INTS
    state = real.ints[b + s.STATE]
    left = [_work_left_s(state, one, a, b) for one in (real, twin)]
    if state != s.WAITING:  # struck in the moment of beginning, it may as well begin anew
        assert (left[0] > 0.0) == (left[1] > 0.0), line.elements[e].name
    if line.c[e * s.EC + s.C_CYCLE_LAW] == s.FIXED and min(left) > 0.0:
        assert left[1] == pytest.approx(left[0], abs=2e-3)
        cycles = [one.floats[a + s.CYCLE_S] for one in (real, twin)]
        assert cycles[1] == pytest.approx(cycles[0])
    quiet = (s.WARM_UP, s.SERVICE, s.TOOL_CHANGE, s.WAITING)
    if state in quiet:
        due = [(one.floats[a + s.DUE_S], one.ints[b + s.PENDING]) for one in (real, twin)]
        assert due[1] == pytest.approx(due[0], abs=2e-3), line.elements[e].name


def _work_left_s(state: int, one: LineState, a: int, b: int) -> float:
    if one.ints[b + s.SLOT] < 0:
        return 0.0
    worked_s = one.now_s - one.floats[a + s.WORK_SINCE_S] if state == s.PROCESSING else 0.0
    return one.floats[a + s.WORK_LEFT_S] - worked_s


def _is_whole(line: Line, state: LineState) -> None:
    nothing_appears_or_is_lost(line, state)
    nobody_is_in_two_places(line, state)
    times_add_up(line, state)
    masses = [
        state.floats[line.k[s.K_PART_F] + n * s.P_FLOATS + s.PART_MATERIAL_KG]
        for n in _inside(line, state)
    ]
    assert min(masses, default=0.1) > 0.0
    due_s = [state.floats[e * s.E_FLOATS + s.DUE_S] for e in range(len(line.elements))]
    assert min(due_s) >= state.now_s


def _inside(line: Line, state: LineState) -> list[int]:
    at = line.k[s.K_PART_I] + s.PART_ID
    return [n for n in range(line.k[s.K_SLOTS]) if state.ints[at + n * s.P_INTS]]
