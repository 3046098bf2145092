"""Run to T equals run to t, saved, restored in another simulator or engine, run to T: bit for bit."""

from __future__ import annotations

from functools import cache
from itertools import cycle, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.config import load_plant, load_truth, plant_names
from twin.cycle import Event
from twin.kernels import draws
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.scenario import build_table
from twin.line.simulator import Simulator
from twin.line.snapshot import from_json, to_json
from twin.state import LineState

HOURS = 2.5
END_S = HOURS * 3600.0
MOVES = {
    "machining_line": {
        0.0: {"line.takt_s": 55.0, "wash.standby_after_s": 300.0},
        2400.0: {"turning.cutting_speed_m_per_min": 240.0, "milling.standby": 1.0},
        4000.0: {"milling.standby": 0.0, "line.takt_s": 90.0},
    },
    "paint_cure_line": {
        0.0: {"line.takt_s": 70.0, "oven.standby_after_s": 400.0},
        2400.0: {"oven.zone_2_setpoint_c": 186.0, "oven.conveyor_speed_m_per_min": 0.93},
        4000.0: {"oven.setback": 1.0, "booth.standby": 1.0},
        7000.0: {"oven.setback": 0.0, "booth.standby": 0.0},
    },
    "molding_cell": {
        0.0: {"line.takt_s": 15.0, "assembly.standby_after_s": 60.0},
        2400.0: {"molding_1.cooling_time_s": 22.0, "molding_2.standby": 1.0},
        4000.0: {"molding_2.standby": 0.0, "molding_1.packing_pressure_bar": 380.0},
    },
}
"""Setpoints put in force on the way, so that every state of a station is passed through."""

SEEDS = st.integers(0, 2**31)
CUTS = st.lists(st.floats(0.0, END_S), min_size=1, max_size=4)


@cache
def true_line(name: str) -> Line:
    plant = load_plant(name)
    return build_line(plant, load_truth(name, plant))


def begin(name: str, seed: int) -> tuple[Line, list[float], LineState]:
    line = true_line(name)
    table = build_table(line.plant, seed, draws.PLANT, HOURS, "failure_burst", 1.2)
    state = initial_state(line, seed, draws.PLANT)
    Simulator(line, table).prime(state)
    return line, table, state


def restored(line: Line, state: LineState) -> LineState:
    """The state as another process would read it."""
    return from_json(line, to_json(line, state))


def run(
    name: str, seed: int, stops_s: list[float], *, save: bool, engines: str = "simpy"
) -> tuple[LineState, list[Event]]:
    """The line's course over all stops and moves; with ``save`` a new simulator goes on from each.

    ``engines`` are taken in turn: ``"compiled simpy"`` changes at every stop.
    """
    line, table, state = begin(name, seed)
    choices = cycle(engines.split())
    simulator = engine(line, table, next(choices))
    moves = MOVES[name]
    times = sorted({*moves, *stops_s, END_S})
    events: list[Event] = []
    for now_s, next_s in pairwise([0.0, *times, END_S]):
        if save and now_s in stops_s:
            state, simulator = restored(line, state), engine(line, table, next(choices))
        moving = moves.get(now_s, {}) if state.now_s == now_s < next_s else {}
        events += simulator.advance(state, moving, next_s)
    return state, events


def assert_same(one: LineState, other: LineState) -> None:
    assert one.now_s == other.now_s
    assert one.ints == other.ints
    assert np.array(one.floats).tobytes() == np.array(other.floats).tobytes()


@pytest.mark.parametrize("name", sorted(MOVES))
@given(seed=SEEDS, cuts_s=CUTS)
@settings(deadline=None, max_examples=20)
def test_a_restored_line_goes_on_as_if_nothing_had_happened(
    name: str, seed: int, cuts_s: list[float]
) -> None:
    whole, all_events = run(name, seed, [], save=False)
    resumed, events = run(name, seed, cuts_s, save=True)
    assert_same(whole, resumed)
    assert events == all_events


@pytest.mark.parametrize("name", sorted(MOVES))
@given(seed=SEEDS, cuts_s=CUTS)
@settings(deadline=None, max_examples=10)
def test_engines_may_change_in_the_middle(name: str, seed: int, cuts_s: list[float]) -> None:
    whole, all_events = run(name, seed, [], save=False)
    mixed, events = run(name, seed, cuts_s, save=True, engines="compiled simpy")
    assert_same(whole, mixed)
    assert events == all_events


@pytest.mark.parametrize("name", sorted(MOVES))
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_engines_agree_over_a_hundred_thousand_operations(name: str, seed: int) -> None:
    """Of a continuous station, each step of its grid is an operation."""
    line = true_line(name)
    hours = {"machining_line": 480.0, "molding_cell": 320.0, "paint_cure_line": 140.0}[name]
    table = build_table(line.plant, seed, draws.PLANT, hours, "nominal", 20.0)
    states = []
    for choice in ("simpy", "compiled"):
        state = initial_state(line, seed, draws.PLANT)
        simulator = engine(line, table, choice)
        simulator.prime(state)
        operations = len(simulator.advance(state, {"line.takt_s": 30.0}, hours * 3600.0)) / 2.0
        states.append(state)
    operations += sum(hours * 3600.0 / st.step_s for st in line.plant.stations if st.step_s)
    assert operations >= 1e5
    assert_same(*states)


@pytest.mark.parametrize("name", sorted(MOVES))
@given(seed=SEEDS, step_s=st.sampled_from([1.0, 7.3, 30.0, 300.0]))
@settings(deadline=None, max_examples=6)
def test_the_length_of_the_steps_changes_nothing(name: str, seed: int, step_s: float) -> None:
    whole, all_events = run(name, seed, [], save=False)
    steps = [n * step_s for n in range(1, int(END_S / step_s))]
    stepped, events = run(name, seed, steps, save=False)
    assert_same(whole, stepped)
    assert events == all_events


@pytest.mark.parametrize("name", sorted(MOVES))
@given(seed=SEEDS, at_s=st.floats(0.0, END_S))
@settings(deadline=None, max_examples=6)
def test_a_fork_leaves_its_line_alone(name: str, seed: int, at_s: float) -> None:
    line, table, state = begin(name, seed)
    simulator = Simulator(line, table)
    simulator.advance(state, {}, at_s)
    before = restored(line, state)
    fork = state.copy()
    simulator.advance(fork, {"line.takt_s": 60.0}, END_S)
    assert_same(state, before)
    undisturbed = Simulator(line, table)
    undisturbed.advance(state, {}, END_S)
    undisturbed.advance(before, {}, END_S)
    assert_same(state, before)


@pytest.mark.parametrize("name", sorted(MOVES))
def test_the_course_passes_through_what_is_to_be_saved(name: str) -> None:
    """Without stops, sleep and blocked stations on the way, the identity would say little."""
    seen = {event.after for seed in range(3) for event in run(name, seed, [], save=False)[1]}
    from twin.line import schema as s

    assert seen >= {s.STANDBY, s.IDLE, s.PROCESSING, s.DOWN}


def test_every_shipped_plant_is_tried() -> None:
    assert set(MOVES) == set(plant_names())
