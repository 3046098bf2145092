"""Random lines of all elements: both engines take the same course, and nothing appears or is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.properties.invariants import (
    nobody_is_in_two_places,
    nothing_appears_or_is_lost,
    times_add_up,
)
from tests.properties.random_plants import END_S, outside, plants
from twin.config import Plant
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.deadlock import deadlock
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.journal import Row
from twin.line.model import Line, build_line
from twin.line.snapshot import from_json, to_json
from twin.state import LineState

TOLD: tuple[tuple[float, dict[str, float]], ...] = (
    (700.0, {"m0.standby": 1.0, "m1.standby": 1.0}),
    (1000.0, {"m0.standby": 0.0, "m0.standby_after_s": 40.0}),
    (1100.0, {"m1.standby": 0.0, "line.takt_s": 20.0}),
)
"""What is asked for during a run."""


def run(
    line: Line, table: list[float], seed: int, stops_s: list[float], engines: str
) -> tuple[LineState, list[Row]]:
    """Up to all stops in turn, saved and restored at each, on engines that take turns."""
    state, rows = initial_state(line, seed, PLANT), list[Row]()
    choices = engines.split()
    engine(line, table, "simpy").prime(state)
    known = {element.name for element in line.elements} | {"line"}
    stops: list[tuple[float, dict[str, float]]] = [(stop_s, {}) for stop_s in stops_s]
    setpoints: dict[str, float] = {}
    for n, (stop_s, coming) in enumerate(
        [*sorted([*TOLD, *stops], key=lambda stop: stop[0]), (END_S, {})]
    ):
        state = from_json(line, to_json(line, state))
        simulator = engine(line, table, choices[n % len(choices)])
        rows += simulator.advance(state, setpoints, stop_s).rows
        setpoints = {k: v for k, v in coming.items() if k.partition(".")[0] in known}
    return state, rows


@given(
    plant=plants(),
    table=outside(),
    seed=st.integers(0, 2**31),
    cuts_s=st.lists(st.floats(0.0, END_S), max_size=3),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_random_lines(plant: Plant, table: list[float], seed: int, cuts_s: list[float]) -> None:
    line = build_line(plant)
    note(plant.model_dump_json(exclude_defaults=True))
    whole, rows = run(line, table, seed, [], "simpy")
    for stops_s, engines in (([], "compiled"), (cuts_s, "compiled simpy")):
        other, same = run(line, table, seed, stops_s, engines)
        assert same == rows
        assert other.ints == whole.ints
        assert np.array(other.floats).tobytes() == np.array(whole.floats).tobytes()
    nothing_appears_or_is_lost(line, whole)
    times_add_up(line, whole)
    nobody_is_in_two_places(line, whole)
    _what_is_locked_stays_so(line, table, whole)


def _what_is_locked_stays_so(line: Line, table: list[float], state: LineState) -> None:
    """A circle of waits is never left; and a line that does nothing though it could has one."""
    circle = deadlock(line, state)
    later = state.copy()
    rows = engine(line, table, "compiled").advance(later, {}, END_S + 86400.0).rows
    works = {row[1] for row in rows if s.STATES[row[3]] == "processing"}
    assert not works & {e for e, element in enumerate(line.elements) if element.name in circle}
    at = line.k[s.K_LINE_I]
    wanted = (
        state.ints[at + s.RELEASED] - state.ints[at + s.LINE_SCRAPPED] < later.ints[at + s.ORDERED]
    )
    if not rows and wanted:
        assert circle
