"""What the MPC refuses of per-part stations, and what it takes where nothing is told."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controllers.mpc.operating_point import OperatingPoint
from controllers.mpc.stations import (
    Cell,
    Prices,
    cells_of,
    per_part_at,
    prices_of,
    refuse_idle_moves,
    shares_of,
)
from tests.twin.analyze.in_step import nominal
from twin.config import PlantError
from twin.cycle import Situation
from twin.objective import Objective


def test_a_setpoint_that_no_output_depends_on_is_refused_by_name() -> None:
    line = nominal("machining_line")
    cells = cells_of(line)
    refuse_idle_moves(line, cells)
    turning = next(cell for cell in cells if cell.name == "turning")
    model = SimpleNamespace(
        states=turning.model.states, numbers=lambda: lambda _x, u, _d, _p: (float(u[0]), 1.0)
    )
    deaf = replace(turning, model=cast("Any", model))
    with pytest.raises(PlantError, match=r"'turning': no output .* depends on feed_mm") as refused:
        refuse_idle_moves(line, (deaf,))
    assert refused.value.key_path == ("stations", 0, "setpoints", "feed_mm")
    fixed = replace(deaf, hi=deaf.lo)
    refuse_idle_moves(line, (fixed,))


def test_an_unknown_price_is_the_usual_one_of_the_plant() -> None:
    objective = Objective.of(nominal("machining_line").plant)
    seen = SimpleNamespace(observation={"env.price_eur_per_mwh": math.nan})
    prices = prices_of(objective, cast("Situation", seen), 3.8, 0.0, math.inf)
    assert prices.energy_eur_per_kwh == objective.usual_eur_per_mwh * 1e-3
    tariff = nominal("machining_line").plant.energy
    day = tariff.tariffs_eur_per_mwh[tariff.tariff]
    usual = math.fsum(day) / 24.0 + float(tariff.adders_eur_per_mwh)
    assert objective.usual_eur_per_mwh == pytest.approx(usual)


def moulding() -> tuple[Cell, ...]:
    return cells_of(nominal("molding_cell"))


def test_stations_that_take_from_one_buffer_share_its_parts_by_speed() -> None:
    one, other, *rest = moulding()
    often_down = replace(other, availability=0.5 * one.availability)
    assert shares_of((one, other), [30.0, 60.0]) == pytest.approx((2.0 / 3.0, 1.0 / 3.0))
    assert shares_of((one, often_down), [30.0, 30.0]) == pytest.approx((2.0 / 3.0, 1.0 / 3.0))
    assert shares_of(rest, [17.0, 16.0]) == (1.0, 1.0)


def test_the_steady_course_lets_the_thrifty_of_two_machines_run_ahead() -> None:
    """It takes most of the parts then, at the same pace and with no more defects."""
    cells = moulding()
    setpoints = {f"molding_{n}.cooling_time_s": 21.6 for n in (1, 2)}
    tuned = per_part_at(cells, setpoints)
    found = {}
    for thrifty, wasteful in ((1.0, 1.0), (0.8, 1.2), (1.2, 0.8)):
        point = OperatingPoint(cells, 10.0).solve(
            cells,
            [(1.0, thrifty), (1.0, wasteful), (1.0, 1.0), (1.0, 1.0)],
            [cell.d for cell in cells],
            Prices(0.16, 0.1, 3.0),
            20.0,
            1e3,
            tuned.defects,
        )
        assert point.usable
        asked: dict[str, float] = {}
        for cell, z in zip(cells, point.z, strict=True):
            asked |= cell.unscaled(z)
        part = per_part_at(cells, asked)
        assert part.defects <= tuned.defects + 1e-6
        cycles_s = [cell.with_changes_s(cell.outputs_at(asked)) for cell in cells]
        assert point.shares == pytest.approx(shares_of(cells, cycles_s))
        together = sum(c.availability / t for c, t in zip(cells[:2], cycles_s[:2], strict=True))
        assert 1.0 / together <= point.pace_s + 1e-6
        found[thrifty] = point.shares[0]
    assert found[1.0] == pytest.approx(0.5, abs=0.01)
    assert found[0.8] > 0.52
    assert found[1.2] < 0.48


def test_who_winds_down_is_slowed_in_the_steady_course_and_hurries_no_less() -> None:
    cells = moulding()
    tuned = per_part_at(cells, {f"molding_{n}.cooling_time_s": 21.6 for n in (1, 2)})
    found = {}
    for lead in (1.0, 1.2, 1.5):
        found[lead] = OperatingPoint(cells, 10.0).solve(
            cells,
            [(1.0, 1.0), (1.0, 1.0), (0.9, 1.0), (0.9, 1.0)],
            [cell.d for cell in cells],
            Prices(0.16, 0.1, 3.0),
            20.0,
            1e3,
            tuned.defects,
            ahead=(lead, lead, 1.0, 1.0),
        )
        assert found[lead].usable
    calm, slow, beyond = found.values()
    together = [
        1.0 / sum(c.availability / t for c, t in zip(cells[:2], p.cycles_s, strict=False))
        for p in found.values()
    ]
    assert together[1] == pytest.approx(1.2 * slow.pace_s, rel=1e-3)
    assert slow.pace_s == pytest.approx(calm.pace_s, rel=0.02)
    assert together[1] < together[2] <= 1.5 * beyond.pace_s + 1e-6  # as slow as its limits let it
    assert [p.fastest_s for p in found.values()] == pytest.approx([calm.fastest_s] * 3, rel=0.01)
    assert slow.second_eur[0] == pytest.approx(slow.second_eur[1])


def test_a_second_of_one_of_two_cycles_is_worth_what_it_brings_their_pace() -> None:
    cells, found = moulding(), []
    for slower in (1.0, 1.001):
        problem = OperatingPoint(cells, 10.0)
        point = problem.solve(
            cells,
            [(1.0, 1.0), (slower, 1.0), (0.5, 1.0), (0.5, 1.0)],
            [cell.d for cell in cells],
            Prices(0.16, 0.1, 3.0),
            15.0,
            1e3,
            1.0,
        )
        assert problem._warm is not None
        found.append((point, problem._warm.objective / 100.0))
    (before, before_eur), (_, after_eur) = found
    more_s = 0.001 * before.cycles_s[1]
    assert before.second_eur[1] > 0.0
    # Slower at the same setpoints: the pace row loses what its multiplier says, the energy of a part is the same.
    assert (after_eur - before_eur) / more_s == pytest.approx(before.second_eur[1], rel=0.05)
