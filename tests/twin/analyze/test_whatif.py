"""Forks: as many futures as one likes, and the live twin none the wiser."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twin.analyze.in_step import PLANTS, nominal, observed, true
from twin.analyze.synchronise import synchronise
from twin.analyze.whatif import Forks, present
from twin.kernels.draws import PLANT, TWIN, WHAT_IF
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.scenario import build_table
from twin.line.simulator import Simulator
from twin.line.tags import TagReader
from twin.state import LineState


def live_twin(name: str, until_s: float = 3600.0) -> LineState:
    """A twin in step with the true line after an hour."""
    line = true(name)
    table = build_table(line.plant, 5, PLANT, 2.0)
    state = initial_state(line, 5, PLANT)
    simulator = Simulator(line, table)
    simulator.prime(state)
    simulator.advance(state, {}, until_s)
    twin = initial_state(nominal(name), 5, TWIN)
    assert synchronise(nominal(name), twin, observed(line, state), 120)
    return twin


def forks_of(name: str) -> Forks:
    line = nominal(name)
    return Forks(line, TagReader(line))


@pytest.mark.parametrize("name", PLANTS)
def test_nothing_that_is_done_to_a_fork_reaches_the_live_twin(name: str) -> None:
    twin, forks = live_twin(name), forks_of(name)
    floats, ints = np.array(twin.floats).tobytes(), list(twin.ints)
    for world in range(3):
        fork = forks.fork(twin, world)
        assert fork.state is not twin
        fork.advance({"line.takt_s": 100.0}, twin.now_s + 1800.0)
        fork.meters()
        fork.state.floats[:] = [-1.0] * len(fork.state.floats)
    assert np.array(twin.floats).tobytes() == floats
    assert twin.ints == ints
    assert twin.now_s == 3600.0


@pytest.mark.parametrize("name", PLANTS)
def test_a_world_repeats_and_two_worlds_differ(name: str) -> None:
    twin, forks = live_twin(name), forks_of(name)

    def course(world: int) -> tuple[list[object], dict[str, float]]:
        fork = forks.fork(twin, world)
        events = list(fork.advance({}, twin.now_s + 4 * 3600.0))
        return events, dict(fork.meters())

    one, again, other = course(1), course(1), course(2)
    assert one == again
    assert one[0] != other[0]


def test_forks_made_one_within_the_other_do_not_meet() -> None:
    twin, forks = live_twin("machining_line"), forks_of("machining_line")
    alone = forks.fork(twin, 4)
    alone.advance({}, 7200.0)
    first, second = forks.fork(twin, 4), forks.fork(twin, 5)
    first.advance({}, 5000.0)
    second.advance({"turning.feed_mm": 0.2}, 6000.0)
    first.advance({}, 7200.0)
    assert first.state.ints == alone.state.ints
    assert first.meters() == alone.meters()


def test_a_fork_begins_where_the_live_twin_stands() -> None:
    twin, forks = live_twin("machining_line"), forks_of("machining_line")
    meters = forks.fork(twin, 0).meters()
    reader = TagReader(nominal("machining_line"))
    assert list(meters.values()) == reader.read(twin, (0.0,) * 7).tolist()


def test_what_nobody_knows_is_drawn_anew_in_each_world() -> None:
    twin, forks = live_twin("machining_line"), forks_of("machining_line")
    line = nominal("machining_line")
    seen = [forks.fork(twin, world).state for world in range(4)]
    for e in range(1, 6):
        for mode in (0, 1):
            at = e * s.E_FLOATS + s.TO_FAILURE_S + mode
            assert len({state.floats[at] for state in [twin, *seen]}) == 5
    worlds = [state.ints[line.k[s.K_LINE_I] + s.WORLD] for state in seen]
    assert worlds == [WHAT_IF, WHAT_IF + 1, WHAT_IF + 2, WHAT_IF + 3]


@pytest.mark.parametrize("world", [-1, PLANT - WHAT_IF, TWIN - WHAT_IF])
def test_there_is_no_way_into_the_world_of_the_plant(world: int) -> None:
    twin, forks = live_twin("machining_line", 60.0), forks_of("machining_line")
    with pytest.raises(ValueError, match="number them from 0"):
        forks.fork(twin, world)


def test_what_comes_from_outside_stays_as_it_is() -> None:
    twin, forks = live_twin("machining_line"), forks_of("machining_line")
    before = forks.fork(twin, 0).meters()
    fork = forks.fork(twin, 0)
    fork.advance({}, twin.now_s + 7200.0)
    after = fork.meters()
    for name in before:
        if name.startswith("env.") or name == "line.ordered_count":
            assert after[name] == before[name]
    line = nominal("machining_line")
    assert present(line, twin)[-2:] == [before["line.ordered_count"], 1.0]
