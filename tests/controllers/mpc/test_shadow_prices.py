"""What a solve says of its limits: a unit more room saves the price that stands beside it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from controllers.mpc.oven_problem import OvenProblem
from controllers.mpc.reasons import station_reason
from controllers.mpc.station_layer import StationLayer, StationMove
from controllers.mpc.stations import prices_of
from tests.controllers.mpc.ovens import LIMITS, now, problem
from tests.controllers.mpc.test_controller import driven
from twin.solves import Binding, Solve, added_up, read_solve, solve_record


def price(solve: Solve, name: str, side: str) -> float:
    return sum(b.price for b in solve.binding if (b.name, b.side) == (name, side))


def test_the_price_of_a_second_is_what_a_slower_target_saves() -> None:
    watched = driven("machining_line", 1)
    mpc, situation = watched.mpc, watched.seen[0]
    point = mpc._memory.point
    assert point is not None
    m = next(m for m, cell in enumerate(mpc._cells) if cell.name == "turning")
    cell = mpc._cells[m]
    prices = prices_of(mpc._objective, situation, mpc._blank_kg, mpc._tuned_part.added_kg, math.inf)

    def solved(target_s: float) -> tuple[StationMove, float]:
        layer = StationLayer(cell, m)
        move = layer.solve(situation, cell, prices, point, target_s)
        assert layer._warm is not None
        return move, layer._warm.objective / layer._cost_scale

    target_s = mpc._target_s(m)
    (here, here_eur), (_, slower_eur) = solved(target_s), solved(target_s + 0.02)
    assert here.usable
    assert here.fresh
    # How far setpoints may move follows from the target too: that is worth a little beside the second itself.
    saved = (here_eur - slower_eur) / 0.02
    rates = sum(b.price for b in here.solve.binding if b.name.endswith("rate"))
    found = price(here.solve, "cycle_s", "hi")
    assert found > 0.0
    assert found == pytest.approx(saved, rel=0.05, abs=1e-5 + rates)
    said = station_reason(situation, cell, cell.unscaled(here.z), target_s, point, here.solve)
    assert f"keeps the pace (a second more: {found:.2g} EUR a part)" in said


@pytest.mark.parametrize("more_s", [-1.5, 2.5])
def test_one_of_two_machines_keeps_its_cycle_from_both_sides(more_s: float) -> None:
    """Who is quicker than the steady course wants takes parts from the other."""
    watched = driven("molding_cell", 1)
    mpc, situation = watched.mpc, watched.seen[0]
    point, cell = mpc._memory.point, mpc._cells[0]
    assert point is not None
    prices = prices_of(mpc._objective, situation, mpc._blank_kg, mpc._tuned_part.added_kg, math.inf)
    target_s = cell.outputs_at(situation.active)[0] + more_s
    move = StationLayer(cell, 0).solve(situation, cell, prices, point, float(target_s))
    assert move.usable
    assert cell.outputs_at(cell.unscaled(move.z))[0] == pytest.approx(target_s, abs=0.01)


def test_the_price_of_a_minute_of_cure_is_what_a_wider_band_saves() -> None:
    start = now(60.0)

    def converged(cured_lo_min: float) -> tuple[float, Solve]:
        limits = replace(LIMITS, cured_min=(cured_lo_min, 24.0))
        oven = OvenProblem(problem()._p, 20, 4, limits)
        for _ in range(6):
            plan = oven.solve(start)
        assert oven._warm is not None
        return oven._warm.objective, plan.solve

    (cost, solve), (wider, _) = converged(10.0), converged(9.98)
    assert solve.kkt_residual < 1e-2
    found = price(solve, "exit_cured_min", "lo")
    assert found > 0.0
    assert found == pytest.approx((cost - wider) / 0.02, rel=0.05)


def test_each_layer_of_a_turn_is_on_record() -> None:
    watched = driven("machining_line", 2)
    first, second = (action.solves for action in watched.asked)
    assert {"steady pace", "turning", "milling", "drilling"} <= first.keys()
    assert "steady pace" not in second  # it is solved once a line period
    for solve in first.values():
        assert solve.solver == "ipopt"
        assert 0 < solve.iterations < 200
        assert solve.kkt_residual < 1e-4
    assert any(solve.binding for solve in first.values())
    oven = driven("paint_cure_line", 1).asked[0].solves["oven"]
    assert oven.solver == "sqp/piqp"
    assert math.isfinite(oven.kkt_residual)


def test_a_solve_comes_back_from_its_record_and_reads_well() -> None:
    solve = Solve("sqp/hpipm", "solved", 3, 2e-5, (Binding("feed_mm", "hi", 0.5),))
    for one in (solve, replace(solve, kkt_residual=math.inf, binding=())):
        text = json.dumps(solve_record(one), allow_nan=False)
        back = read_solve(json.loads(text))
        assert (back.solver, back.binding) == (one.solver, one.binding)
    assert "feed_mm hi 0.5 EUR a unit" in str(solve)
    assert "KKT" not in str(replace(solve, kkt_residual=math.nan))


def test_prices_along_a_horizon_add_up_by_limit_and_side() -> None:
    found = added_up([("a", 0.1), ("b", -0.3), ("a", 0.1), ("a", -0.05), ("c", 0.0)])
    assert found == (Binding("b", "lo", 0.3), Binding("a", "hi", 0.2), Binding("a", "lo", 0.05))
