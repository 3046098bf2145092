"""What an oven's gas meter teaches, and what it must not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.twin.analyze.in_step import nominal, observed
from twin.analyze.carriers import Inside, conveyors
from twin.analyze.offset import Offset
from twin.kernels import draws
from twin.line.initial import initial_state
from twin.line.scenario import build_table
from twin.line.simulator import Simulator

TURN_S = 60.0
TURNS = 45


def gas_factor(restarts_at: int) -> float:
    """Metered gas over modelled, of a line that is its model; at one turn its meter begins at zero again."""
    line = nominal("paint_cure_line")
    simulator = Simulator(line, build_table(line.plant, 4, draws.PLANT, 2.0))
    state = initial_state(line, 4, draws.PLANT)
    simulator.prime(state)
    oven, inside, offsets = conveyors(line)["oven"], Inside(), dict[str, Offset]()
    zero_kwh = 0.0
    for turn in range(1, TURNS + 1):
        simulator.advance(state, {"line.takt_s": 60.0}, TURN_S * turn)
        meter_kwh = observed(line, state)["oven.gas_kwh"]
        if turn == restarts_at:
            zero_kwh = meter_kwh
        oven.update(
            observed(line, state, oven__gas_kwh=meter_kwh - zero_kwh), state, inside, offsets
        )
    return offsets["oven.gas_kwh"].value


@pytest.mark.parametrize("turn", [3, 8, 25, 44])
def test_a_gas_meter_that_begins_anew_teaches_nothing(turn: int) -> None:
    """Also where it began so soon that it soon shows more than at the beginning of the balance."""
    assert gas_factor(restarts_at=turn) == pytest.approx(gas_factor(restarts_at=0), abs=0.02)


def test_a_list_longer_than_the_oven_is_no_list_of_what_is_in_it() -> None:
    line = nominal("paint_cure_line")
    state = initial_state(line, 4, draws.PLANT)
    Simulator(line, build_table(line.plant, 4, draws.PLANT, 2.0)).prime(state)
    oven, inside = conveyors(line)["oven"], Inside()
    seen = observed(line, state)
    too_long = replace(seen, part_ids={**seen.part_ids, "oven": tuple(range(1, 61))})
    oven.update(too_long, state, inside, {})
    assert math.isnan(inside.time_s)
    oven.update(seen, state, inside, {})
    assert inside.time_s == seen.time_us / 1e6
