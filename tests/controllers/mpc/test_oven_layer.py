"""The oven's MPC in the loop: what it learns, its pace, and what it saves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from controllers.mpc.oven_layer import STALE_S, OvenLayer
from controllers.mpc.oven_pace import ORDERS
from controllers.mpc.oven_plan import Longest, OvenPlan
from controllers.mpc.oven_problem import SLOWEST_REL
from controllers.mpc.oven_supply import Coming
from controllers.mpc.peak import GridMemory
from controllers.mpc.stations import Prices
from tests.controllers.mpc.ovens import (
    NAME,
    PRICES,
    Recipe,
    layer,
    mpc,
    shift,
    situation,
    watched_recipe,
)
from twin.config import load_plant, load_truth
from twin.cycle import Situation
from twin.line import schema as s
from twin.line.model import build_line
from twin.processes import load


def test_the_estimate_finds_the_poorer_heat_transfer_and_the_dearer_gas() -> None:
    learned = situation().estimate.disturbance
    true = load_truth(NAME, load_plant(NAME)).stations["oven"].parameters
    factor = float(true["heat_transfer_w_per_m2_k"]) / 25.0
    assert learned["oven.heat_transfer"] == pytest.approx(factor, abs=0.05)
    assert abs(learned["oven.exit_cured_min"]) < 0.6
    assert 1.03 < learned["oven.gas_kwh"] < 1.2


def test_heat_that_cooling_zones_give_back_teaches_little_of_gas() -> None:
    """Ten minutes in which an oven goes to sleep take little gas; what is a little wrong is then much of it."""
    hot = {f"oven.zone_{z}_setpoint_c": 195.0 for z in (2, 3)}
    _, watched = shift(Recipe({"line.takt_s": 97.0, "oven.standby": 1.0, **hot}), 0.2, seed=7)
    assert watched.last is not None
    estimate = watched.last.estimate
    assert 1.0 < estimate.disturbance["oven.gas_kwh"] < 1.2  # it comes out as 1.1 at work too
    assert estimate.health["oven.gas_kwh"].trust > 0.8


def test_the_twin_knows_the_carriers_that_nobody_measures() -> None:
    line = build_line(load_plant(NAME))
    k, e, truth = line.k, line.element("oven"), watched_recipe().plant
    assert truth is not None
    at = k[s.ELEMENTS_K + e * s.EK + s.X_F]
    # The plant went on by one step of five seconds after the last reading.
    for first, tolerance in ((at + 8, 3.0), (at + 28, 0.6)):
        true = np.array(truth.floats[first : first + 20])
        estimated = np.array(situation().estimate.state.floats[first : first + 20])
        np.testing.assert_allclose(estimated, true, atol=tolerance)
    assert max(truth.floats[at + 28 : at + 48]) > 5.0


def test_pace_keeps_up_with_the_booth_and_no_more() -> None:
    pace = layer()._pace
    assert 0.85 < pace.fastest_m_per_min < 1.0
    assert pace.shortest_s > 72.0  # the booth's own
    assert pace.slowest_m_per_min == 0.5


def test_little_time_for_the_open_orders_leaves_no_choice_of_pace() -> None:
    oven, at = layer(), situation()
    inside = oven._supply.inside(at)
    longest = longest_rel(oven, at, inside)
    assert 1.2 < longest <= SLOWEST_REL
    waits = [Coming(2.0 * 3600.0, 60.0)]
    assert longest_rel(oven, at, inside, waits) < longest
    assert longest_rel(oven, at, inside, down=True) < longest
    late = replace(at, time_s=8.0 * 3600.0 - 600.0)
    assert longest_rel(oven, late, inside) == 1.0
    speed = oven.asked(late, PRICES)["oven.conveyor_speed_m_per_min"]
    assert speed == pytest.approx(oven._pace.fastest_m_per_min, abs=0.002)
    why = oven.why(late, "conveyor_speed_m_per_min")
    assert why.startswith("time for the orders binds")
    solve = oven.solve
    assert solve is not None
    pinned = {"time for the orders", "conveyor_step_rel", "conveyor_step_rel change"}
    assert not pinned & {b.name for b in solve.binding}


def longest_rel(
    oven: OvenLayer,
    at: Situation,
    inside: NDArray[np.float64],
    coming: Sequence[Coming] = (),
    *,
    down: bool = False,
) -> float:
    found = oven._pace.longest(at, inside, list(coming), down)
    assert found is not None
    return found.rel


def test_counters_that_do_not_tell_leave_the_pace_as_it_was_known_to_be_possible() -> None:
    oven, at = layer(), situation()
    oven.asked(at, PRICES)
    known, seen = oven._memory.longest, at.observation
    values = seen.values.copy()
    values[seen.index["line.ordered_count"]] = math.nan
    blind = replace(at, observation=replace(seen, values=values), time_s=at.time_s + 60.0)
    assert oven._pace.longest(blind, np.zeros(20), [], False) is None
    oven.asked(blind, PRICES)
    assert oven._memory.longest is known
    much_later = replace(blind, time_s=at.time_s + STALE_S + 1.0)
    oven.asked(much_later, PRICES)
    assert oven._memory.longest == Longest()
    values[seen.index["line.takt_s"]] = math.nan
    assert all(math.isfinite(c.after_s) for c in oven._supply.coming(blind))


def test_orders_that_have_become_urgent_make_another_plan_at_once() -> None:
    oven, at = layer(), situation()
    oven.asked(at, PRICES)
    plan, shortest_s = oven._memory.plan, oven._pace.shortest_s
    assert plan is not None
    oven._memory.plan = replace(plan, step_s=np.full_like(plan.step_s, 2.5 * shortest_s))
    soon = replace(at, time_s=at.time_s + 5.0)
    oven._problem.solve = lambda _: replace(plan, usable=False)  # type: ignore[method-assign]
    speed = oven.asked(soon, PRICES)["oven.conveyor_speed_m_per_min"]
    assert oven._memory.tried_s == soon.time_s
    # Its zones and fan are made for its pace: what goes faster would not be cured.
    assert speed == pytest.approx(oven._pace.fastest_m_per_min / 2.5, abs=0.002)
    again = replace(at, time_s=at.time_s + 10.0)
    oven.asked(again, PRICES)
    assert oven._memory.tried_s == soon.time_s  # no solver is asked at each turn in vain


@cache
def planned() -> tuple[OvenLayer, OvenPlan]:
    """A layer with a plan: to build one takes a second."""
    oven = layer()
    oven.asked(situation(), PRICES)
    assert oven._memory.plan is not None
    return oven, oven._memory.plan


@pytest.mark.parametrize(
    ("steps_rel", "longest", "binds"),
    [
        ([1.0, 1.0], Longest(1.0, "orders still to come"), "orders still to come"),
        ([1.0, 1.3], Longest(1.6, ORDERS), "pace of the stations before it"),
        ([1.6, 1.6], Longest(1.6, ORDERS), ORDERS),
        ([1.25, 1.3], Longest(1.6, ORDERS), "the most by which the pace may change"),
        ([1.1, 1.1], Longest(1.6, ORDERS), ""),
    ],
)
def test_the_limit_of_the_pace_is_named(
    steps_rel: list[float], longest: Longest, binds: str
) -> None:
    oven, plan = planned()
    pace = oven._pace
    pace.fastest_by = "pace of the stations before it"
    steps_s = np.array([steps_rel[0], *[steps_rel[1]] * (len(plan.step_s) - 1)]) * pace.shortest_s
    plan = replace(plan, step_s=steps_s, before_s=pace.shortest_s, longest=longest)
    assert pace.binds(plan, 0.0) == binds
    # What is known since the plan was made, of one order more or less, did not bind it.
    oven._memory.plan, oven._memory.longest = plan, Longest(1.02 * longest.rel, ORDERS)
    why = oven._why_so_fast(0.0)
    assert why.startswith(f"{binds or 'no limit'} binds")
    assert ("more time at full heat" in why) == (steps_rel[0] > 1.0)


def test_only_what_the_other_stations_leave_of_a_paid_peak_is_free_for_the_fans() -> None:
    oven, at = layer(), situation()
    oven._see_others(at)
    booth_kw, exhaust_kw = at.observation["booth.power_kw"], oven.p["exhaust_fan_power_kw"]
    paid = replace(PRICES, peak_eur_per_kw=0.24, paid_kw=booth_kw + exhaust_kw + 15.0)
    assert oven._fan_paid_kw(paid) == pytest.approx(15.0)
    least_kw = oven.p["fan_floor"] * oven.p["fan_power_kw"]
    assert oven._fan_paid_kw(replace(paid, paid_kw=0.0)) == least_kw
    assert oven._fan_paid_kw(PRICES) > oven.p["fan_power_kw"]  # nothing known: nothing is charged
    values = at.observation.values.copy()
    values[at.observation.index["booth.power_kw"]] = math.nan
    blind = replace(at, observation=replace(at.observation, values=values))
    oven._see_others(replace(blind, time_s=at.time_s + 60.0))
    assert oven._fan_paid_kw(paid) == pytest.approx(15.0)  # as it was last known
    other = layer()
    other._see_others(blind)
    assert other._fan_paid_kw(paid) > other.p["fan_power_kw"]


def test_the_controller_tells_the_oven_what_is_paid_for() -> None:
    told: list[Prices] = []
    driver, at = mpc(), situation()
    (oven,) = driver._ovens
    ask = oven.asked

    def heard(at: Situation, prices: Prices) -> dict[str, float]:
        told.append(prices)
        return ask(at, prices)

    oven.asked = heard  # type: ignore[method-assign]
    driver.decide(at)
    seen = at.observation
    assert told[0].peak_eur_per_kw > 0.0
    assert told[0].paid_kw == math.inf  # 96 minutes of the shift have passed unseen
    driver._memory.grid = GridMemory(
        shift=0, highest_kw=70.0, time_s=at.time_s - 5.0, kwh=seen["line.energy_kwh"]
    )
    driver.decide(replace(at, time_s=at.time_s + 5.0))
    assert told[1].paid_kw == pytest.approx(70.0 - seen["env.site_load_kw"])


def test_between_two_solves_the_plan_is_followed() -> None:
    oven = layer()
    first = oven.asked(situation(), PRICES)
    again = oven.asked(replace(situation(), time_s=situation().time_s + 30.0), PRICES)
    solved_plan = oven._memory.plan
    assert solved_plan is not None
    assert first.keys() == again.keys()
    for z in range(4):
        name = f"oven.zone_{z + 1}_setpoint_c"
        assert abs(again[name] - first[name]) <= 0.05 * 30.0 + 0.1


def test_a_failing_solve_leaves_the_plan_and_then_the_setpoints() -> None:
    oven = layer()
    at = situation()
    assert "oven.zone_1_setpoint_c" in oven.asked(at, PRICES)
    plan = oven._memory.plan
    assert plan is not None
    oven._problem.solve = lambda _: replace(plan, usable=False)  # type: ignore[method-assign]
    later = oven.asked(replace(at, time_s=at.time_s + 120.0), PRICES)
    assert "oven.zone_1_setpoint_c" in later
    assert oven.status.startswith("fallback")
    much_later = oven.asked(replace(at, time_s=at.time_s + 2000.0), PRICES)
    assert "oven.zone_1_setpoint_c" not in much_later
    assert oven.status.startswith("fallback")


def test_the_exhaust_is_never_asked_for() -> None:
    model = load("oven")
    assert not any("exhaust" in q.name for q in model.mvs)
    assert not any("exhaust" in name for name in layer().asked(situation(), PRICES))


@pytest.mark.long
def test_a_short_shift_takes_less_energy_than_the_recipe_and_scraps_no_more() -> None:
    recipe, _ = shift(
        Recipe({"line.takt_s": 60.0, "oven.standby_after_s": 120.0}), 3.0, shift_h=3.0
    )
    found, watched = shift(mpc(3.0), 3.0, shift_h=3.0)
    assert found["line.good_count"] >= 0.99 * recipe["line.good_count"]
    assert found["line.scrap_count"] <= recipe["line.scrap_count"]
    for meter, share in (("line.gas_kwh", 0.96), ("line.energy_kwh", 0.8)):
        per_part = found[meter] / found["line.good_count"]
        assert per_part < share * recipe[meter] / recipe["line.good_count"]
    fallbacks = [action for action in watched.actions if "fallback" in action.status]
    assert len(fallbacks) < 0.01 * len(watched.actions)
