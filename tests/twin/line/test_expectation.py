from __future__ import annotations

import math
from statistics import fmean, stdev

import pytest

from twin.config import load_plant, untuned
from twin.kernels import draws
from twin.line import schema as s
from twin.line.engine import engine
from twin.line.expectation import expected_defects, expected_scrap_share
from twin.line.initial import initial_state
from twin.line.model import build_line
from twin.line.scenario import build_table
from twin.state import LineState

SHIFTS = 60


def shift(name: str, seed: int) -> tuple[float, float, LineState]:
    """Share of the parts that were scrapped, share that was to be expected, and the state at the end."""
    plant = load_plant(name)
    line, hours = build_line(plant), float(plant.shift_h)
    simulator = engine(line, build_table(plant, seed, draws.PLANT, hours, "nominal"))
    state = initial_state(line, seed, draws.PLANT)
    simulator.prime(state)
    simulator.advance(state, untuned(plant).setpoints, hours * 3600.0)
    at = line.k[s.K_LINE_I]
    scrapped, good = state.ints[at + s.LINE_SCRAPPED], state.ints[at + s.GOOD]
    share = expected_scrap_share(line, state)
    assert share * (scrapped + good) == pytest.approx(expected_defects(line, state))
    return scrapped / (scrapped + good), share, state


@pytest.mark.parametrize("name", ["machining_line", "molding_cell", "paint_cure_line"])
def test_scrap_is_what_was_expected_but_for_luck(name: str) -> None:
    """Over many shifts the two agree (to three standard errors and the parts still inside); one has less luck in it."""
    shifts = [shift(name, seed)[:2] for seed in range(1, SHIFTS + 1)]
    apart = [drawn - expected for drawn, expected in shifts]
    assert abs(fmean(apart)) < 3.0 * stdev(apart) / math.sqrt(SHIFTS) + 0.02 * fmean(
        expected for _, expected in shifts
    )
    assert stdev(expected for _, expected in shifts) < stdev(drawn for drawn, _ in shifts)


def test_before_the_first_part_there_is_none() -> None:
    line = build_line(load_plant("machining_line"))
    assert expected_scrap_share(line, initial_state(line, 1, draws.PLANT)) == 0.0
