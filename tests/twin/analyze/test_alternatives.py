"""What-ifs: the state begun with stays as it is, and only the change makes a difference."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.line.small_lines import Run, fixed, line_of, table_of
from twin.analyze.alternatives import (
    FIGURES,
    Alternatives,
    Change,
    ChangeError,
    Failure,
    Order,
    compare_alternatives,
)
from twin.analyze.whatif import Forks, present
from twin.config import load_plant, plant_names
from twin.kernels.draws import TWIN
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.scenario import build_table
from twin.line.tags import TagReader
from twin.state import LineState


@cache
def begun(name: str, hours: float = 2.0) -> tuple[Line, LineState]:
    plant = load_plant(name)
    line = build_line(plant)
    simulator = engine(line, build_table(plant, 3, TWIN, 8.0), "compiled")
    state = initial_state(line, 3, TWIN)
    simulator.prime(state)
    simulator.advance(state, {}, 3600.0 * hours)
    return line, state


def asked(name: str, change: Change, hours: float = 1.0, worlds: int = 20) -> Alternatives:
    line, state = begun(name)
    return compare_alternatives(line, present(line, state), state, change, 3600.0 * hours, worlds)


@pytest.mark.parametrize("name", plant_names())
def test_no_change_makes_no_difference(name: str) -> None:
    found = asked(name, Change())
    for figure in FIGURES:
        assert np.array_equal(found.base[figure], found.changed[figure], equal_nan=True)
    # But worlds differ from each other: their luck is their own.
    assert len(set(found.base["energy_kwh"].tolist())) > 5


@pytest.mark.parametrize("name", plant_names())
@given(takt_s=st.floats(50.0, 200.0), at_s=st.floats(0.0, 1000.0))
@settings(deadline=None, max_examples=5)
def test_the_state_stays_bit_for_bit(name: str, takt_s: float, at_s: float) -> None:
    line, state = begun(name)
    before = state.copy()
    station = next(x.name for x in line.stations if x.kind == 1)
    change = Change(
        {"line.takt_s": takt_s},
        (Failure(station, state.now_s + at_s, 300.0),),
        (Order(5, state.now_s + at_s),),
    )
    asked(name, change, worlds=3)
    assert state == before
    assert np.array(state.floats).tobytes() == np.array(before.floats).tobytes()


def test_a_world_is_the_fork_of_the_same_number() -> None:
    line, state = begun("machining_line")
    found = asked("machining_line", Change({"line.takt_s": 90.0}), worlds=4)
    forks = Forks(line, TagReader(line))
    begin = TagReader(line).read(state, (0.0,) * 7)
    at = TagReader(line).index
    for world in range(4):
        fork = forks.fork(state, world)
        fork.advance({"line.takt_s": 90.0}, state.now_s + 3600.0)
        meters = fork.meters()
        made = meters["line.good_count"] - begin[at["line.good_count"]]
        used = meters["line.energy_kwh"] - begin[at["line.energy_kwh"]]
        assert found.changed["good_parts"][world] == made
        assert found.changed["energy_kwh"][world] == pytest.approx(used, rel=1e-12)


def test_a_failure_takes_the_time_that_it_is_said_to_take() -> None:
    # Two machines of 5 s without luck: 60 s down from 100 on are twelve parts fewer.
    line = line_of(fixed(5.0, 5.0), [1])
    state = Run(line).to(50.0).state
    change = Change(failures=(Failure("m1", 102.0, 60.0),))
    found = compare_alternatives(line, table_of(), state, change, 200.0, 2)
    assert found.base["good_parts"].tolist() == [40.0, 40.0]
    assert found.changed["good_parts"].tolist() == [28.0, 28.0]


def test_a_rush_order_is_worked_off_behind_the_others() -> None:
    line = line_of(fixed(5.0, 5.0), [1])
    state = Run(line, table_of([10])).to(56.0).state
    change = Change(orders=(Order(4, 90.0),))
    found = compare_alternatives(line, table_of([10]), state, change, 300.0, 2, points=10)
    # Ten were ordered and made by 55; the four are known from the full minute on, at 120.
    assert found.base["good_parts"].tolist() == [0.0, 0.0]
    assert found.changed["good_parts"].tolist() == [4.0, 4.0]
    assert found.changed_parts[0].tolist() == [0.0, 0.0, *[4.0] * 8]
    assert math.isnan(found.base["energy_kwh_per_good_part"][0])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (Change({"line.speed": 1.0}), "no setpoint"),
        (Change({"line.takt_s": 0.5}), "outside"),
        (Change({"line.takt_s": math.nan}), "outside"),
        (Change(failures=(Failure("foo", 7300.0, 60.0),)), "stations: turning"),
        (Change(failures=(Failure("turning", 100.0, 60.0),)), "ahead"),
        (Change(failures=(Failure("turning", 7300.0, 0.0),)), "some time"),
        (
            Change(failures=(Failure("turning", 7300.0, 1.0), Failure("turning", 7400.0, 1.0))),
            "once",
        ),
        (Change(orders=(Order(0, 7300.0),)), "one part"),
        (Change(orders=(Order(5, 99999.0),)), "beyond the 1 h"),
    ],
)
def test_what_cannot_be_is_refused(change: Change, word: str) -> None:
    with pytest.raises(ChangeError, match=word):
        asked("machining_line", change)


def test_no_failure_is_put_among_those_of_calendar_time() -> None:
    strikes = {
        "power": {
            "mean_between_s": {"value": 400.0},
            "mean_repair_s": {"value": 60.0},
            "clock": "calendar",
        }
    }
    line = line_of(fixed(5.0, 5.0), [3], stations__0__failures=strikes)
    state = initial_state(line, 1, TWIN)
    change = Change(failures=(Failure("m0", 100.0, 1.0),))
    with pytest.raises(ChangeError, match="calendar time of its own"):
        compare_alternatives(line, table_of(), state, change, 600.0, 5)
