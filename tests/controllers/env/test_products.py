"""Which product is where on a conveyor: what the observer says, and what the plant has there."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from controllers.env.observer import Observer
from controllers.env.schema import schema_of
from tests.twin.analyze.in_step import nominal, observed
from twin.kernels import draws
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.scenario import build_table
from twin.line.simulator import Simulator
from twin.state import LineState

NAMES = [f"oven.zone_{zone}_most_part_mass_kg" for zone in (1, 2, 3, 4)]
TURN_S = 10.0


def heaviest(line: Line, state: LineState) -> list[float]:
    """The true mass of the heaviest carrier in each zone, 0 where there is none."""
    k, ek = line.k, s.ELEMENTS_K + line.element("oven") * s.EK
    slots = state.ints[k[ek + s.PLACES_I] : k[ek + s.PLACES_I] + 20]
    kg = [
        state.floats[k[s.K_PART_F] + slot * s.P_FLOATS + s.PRODUCT] if slot >= 0 else 0.0
        for slot in slots
    ]
    return [max(kg[zone * 5 : zone * 5 + 5]) for zone in range(4)]


def test_the_heaviest_carrier_of_each_zone_is_the_one_that_is_there() -> None:
    line = nominal("paint_cure_line")
    simulator = Simulator(line, build_table(line.plant, 4, draws.PLANT, 9.0))
    state, observer = initial_state(line, 4, draws.PLANT), Observer(line)
    simulator.prime(state)
    simulator.advance(state, {"line.takt_s": 60.0}, TURN_S)
    fields = [[field.name for field in observer.schema.observation].index(name) for name in NAMES]
    previous = [field.lo for field in observer.schema.action]
    found, true = [], []
    for turn in range(2, int(6.0 * 3600.0 / TURN_S)):
        seen = observed(line, state)
        observer.note(seen)
        if turn % 6 == 0:
            found.append(observer.in_units(seen, previous)[fields].tolist())
            true.append(heaviest(line, state))
        simulator.advance(state, {}, turn * TURN_S)
    assert {kg for row in true for kg in row} >= {0.0, 60.0, 90.0}
    # A carrier hung on in the very turn in which the product changes may be taken for the next one.
    wrong = np.mean(np.array(found) != np.array(true))
    assert wrong < 0.02, wrong


def test_what_is_not_known_of_a_product_is_not_guessed() -> None:
    line = nominal("paint_cure_line")
    simulator = Simulator(line, build_table(line.plant, 4, draws.PLANT, 2.0))
    state, observer = initial_state(line, 4, draws.PLANT), Observer(line)
    simulator.prime(state)
    simulator.advance(state, {"line.takt_s": 60.0}, 1800.0)
    field = [field.name for field in observer.schema.observation].index(NAMES[0])
    previous = [field.lo for field in observer.schema.action]

    def shown(*lost: str) -> float:
        seen = observed(line, state, lost)
        observer.note(seen)
        return float(observer.in_units(seen, previous)[field])

    assert math.isnan(shown())  # who hung on the carriers inside, nobody saw
    for minute in range(31, 60):
        simulator.advance(state, {}, 60.0 * minute)
        found = shown()
    assert found > 0.0  # all that are in the first zone came after
    assert shown("env.part_mass_kg") == found  # and are remembered
    lists = observed(line, state)
    observer.note(replace(lists, part_ids={}))
    assert shown() == found  # also where no list came once
    simulator.advance(state, {}, 60.0 * 80)
    assert math.isnan(shown())  # twenty minutes in which nobody looked


@pytest.mark.parametrize("first_look_s", [TURN_S, 1800.0])
def test_after_a_restart_other_parts_have_the_numbers_of_those_before(first_look_s: float) -> None:
    line = nominal("paint_cure_line")
    observer = Observer(line)
    field = [field.name for field in observer.schema.observation].index(NAMES[0])
    previous = [field.lo for field in observer.schema.action]

    def shown(mass_kg: float, begin_s: float, before_s: float) -> list[float]:
        """From the first look on, an hour of a line that began empty and makes one product; the loop counts on."""
        outside = [22.0, mass_kg, 180.0, 0.0, 1e6, 1.0]  # ambient, product, price, load, orders
        simulator = Simulator(line, outside)
        state, found = initial_state(line, 4, draws.PLANT), []
        simulator.prime(state)
        simulator.advance(state, {"line.takt_s": 60.0}, begin_s)
        for turn in range(1, int(3600.0 / TURN_S)):
            told = observed(line, state)
            seen = replace(told, time_us=told.time_us + round(before_s * 1e6))
            observer.note(seen)
            found.append(float(observer.in_units(seen, previous)[field]))
            simulator.advance(state, {}, begin_s + turn * TURN_S)
        return found

    assert {*shown(90.0, TURN_S, 0.0)} == {0.0, 90.0}
    found = shown(60.0, first_look_s, 3600.0)
    assert found[-1] == 60.0
    if first_look_s > TURN_S:  # who hung on the carriers inside, nobody saw
        assert math.isnan(found[0])
    else:
        assert {*found} == {0.0, 60.0}


def test_where_all_parts_are_alike_nobody_asks_which() -> None:
    for name in ("machining_line", "molding_cell"):
        assert not any("_most_" in field.name for field in schema_of(nominal(name)).observation)
