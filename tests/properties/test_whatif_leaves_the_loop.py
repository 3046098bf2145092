"""A loop whose twin is asked what-ifs in between turns decides as one that nobody asks."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.analyze.in_step import PLANTS, drive, loop_of, nominal, plc_of
from twin.analyze.alternatives import Change, Failure, Order, compare_alternatives
from twin.analyze.whatif import present
from twin.cycle import Decision, Reading
from twin.line import schema as s
from twin.line.snapshot import from_json, to_json
from twin.loop import ControlLoop

TURNS = 12


def ask(loop: ControlLoop, after_s: float, takt_s: float) -> None:
    """What the desk and ``twin whatif`` do together, and a what-if on the live state itself."""
    line, live = loop.line, loop.memory.twin
    station = next(x.name for x in line.stations if x.kind == s.STATION)
    change = Change(
        {"line.takt_s": takt_s},
        (Failure(station, live.now_s + after_s, 120.0),),
        (Order(7, live.now_s + after_s),),
    )
    for state in (from_json(line, to_json(line, live)), live):
        compare_alternatives(line, present(line, live), state, change, 900.0, 3)


def course(name: str, asked: dict[int, tuple[float, float]]) -> tuple[list[Decision], bytes]:
    loop = loop_of("rules", line=nominal(name))

    def between(turn: int, reading: Reading) -> Reading:
        if turn in asked:
            ask(loop, *asked[turn])
        return reading

    cycles = drive(plc_of(nominal(name)), loop, TURNS, tamper=between)
    live = loop.memory.twin
    bits = np.array(live.floats).tobytes() + np.array(live.ints, dtype=np.int64).tobytes()
    return [turn.decision for turn in cycles], bits


@cache
def undisturbed(name: str) -> tuple[list[Decision], bytes]:
    return course(name, {})


@pytest.mark.parametrize("name", PLANTS)
@given(
    asked=st.dictionaries(
        st.integers(0, TURNS - 1),
        st.tuples(st.floats(0.0, 600.0), st.floats(50.0, 200.0)),
        min_size=1,
        max_size=4,
    )
)
@settings(deadline=None, max_examples=5)
def test_the_loop_goes_on_bit_for_bit(name: str, asked: dict[int, tuple[float, float]]) -> None:
    assert course(name, asked) == undisturbed(name)
