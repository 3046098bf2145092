"""The oven's optimal-control problem: its prediction, and its plans."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.mpc.oven_course import STEPS
from controllers.mpc.oven_plan import Longest
from controllers.mpc.oven_supply import Coming, entering
from tests.controllers.mpc.ovens import LIMITS, RECIPE_C, now, problem, solved
from twin.processes import load


@pytest.mark.parametrize(
    ("longest_rel", "stands_s", "atol"), [(1.0, 0.0, 0.25), (1.6, 0.0, 0.35), (1.6, 200.0, 0.5)]
)
def test_the_prediction_is_the_process_models_own_course(
    longest_rel: float, stands_s: float, atol: float
) -> None:
    """Carriers of mixed masses through moving zones: the twin's own steps, and the problem's."""
    model = load("oven")
    step, module = model.stepper(), model.module
    p = np.array([q.default for q in model.parameters])
    x = model.point().x.copy()
    rng = np.random.default_rng(3)
    masses = rng.choice([0.0, 40.0, 60.0, 90.0], STEPS)
    ambient, pitch_s, first_s = 22.0, 90.0, 45.0
    x[8:28], x[28:48] = np.linspace(30.0, 165.0, 20), np.linspace(0.0, 10.0, 20)
    x[8:28][masses[:20] == 0.0], x[28:48][masses[:20] == 0.0] = ambient, 0.0
    start = now(
        part_c=x[8:28].copy(),
        cured_min=x[28:48].copy(),
        mass_kg=masses,
        first_step_s=stands_s + first_s,
        stands_s=stands_s,
        longest=Longest(longest_rel),
        step_s=pitch_s,
        ambient_c=ambient,
    )
    plan = solved(start)
    assert longest_rel == 1.0 or plan.step_s.max() > 1.05 * pitch_s
    d = model.point().d.copy()
    d[0], d[2:] = ambient, masses[:20]
    u = model.point().u.copy()
    out, cured, waiting = x.copy(), {}, list(masses[20:])
    order = list(range(19, -1, -1)) + list(range(20, STEPS))
    phase, h = 1.0 - first_s / pitch_s, 5.0
    for k in range(int(plan.time_s[-1] / h)):
        if phase >= 1.0 - 1e-9:
            if d[21] > 0.0:
                cured[order[len(cured)]] = x[47]
            else:
                cured[order[len(cured)]] = np.nan
            module.shift_carriers(x, ambient)
            d[3:] = d[2:-1].copy()
            d[2] = waiting.pop(0) if waiting else 0.0
            phase -= 1.0
        d[1] = phase
        x[:4] = plan.zones_at(k * h)
        u[5] = plan.fan_at(k * h)
        step(x, u, d, p, h, out)
        x[:] = out
        phase += h / plan.step_at(k * h) if k * h >= stands_s else 0.0
    expected = np.array([cured[k] for k in sorted(cured)])
    found = plan.cured_min[sorted(cured)]
    assert len(expected) >= 30
    assert (np.isnan(expected) == np.isnan(found)).all()
    np.testing.assert_allclose(found, expected, atol=atol, equal_nan=True)


@pytest.mark.parametrize("mass_kg", [40.0, 60.0, 90.0])
def test_a_plan_keeps_limits_and_cures_every_carrier_it_can_reach(mass_kg: float) -> None:
    plan = solved(now(mass_kg))
    moves = np.diff(plan.zone_c, axis=0) / np.diff(plan.time_s)[:, None]
    assert np.abs(moves).max() <= 0.05 + 1e-4
    assert (plan.zone_c[1:] >= LIMITS.zone_lo_c - 1e-3).all()
    assert (plan.zone_c[1:] <= LIMITS.zone_hi_c + 1e-3).all()
    assert plan.fan_rel.min() >= 0.25 ** (1 / 3) - 1e-6  # below it, the fan draws no less
    entering_later = plan.cured_min[20:]
    assert entering_later.min() > 10.5
    assert entering_later.max() < 23.0
    assert plan.heat_kw.min() > -10.0  # a burner cannot cool


def test_heavy_carriers_need_hotter_zones_and_light_ones_are_cheaper() -> None:
    light, heavy = solved(now(40.0)), solved(now(90.0))
    assert heavy.zone_c[3:6].mean() > light.zone_c[3:6].mean() + 5.0
    assert heavy.heat_kw.sum() > 1.2 * light.heat_kw.sum()


def test_poor_heat_transfer_and_a_negative_offset_ask_for_more_heat() -> None:
    as_modelled = solved(now())
    for worse in ({"heat_transfer": 0.85}, {"cured_offset_min": -1.5}):
        plan = solved(now(**worse))
        assert plan.zone_c[3:6].mean() > as_modelled.zone_c[3:6].mean() + 0.5
        assert plan.cured_min[20:].min() > 10.5


def test_an_empty_oven_without_prospects_falls_to_its_lowest_setpoints() -> None:
    plan = solved(now(mass_kg=np.zeros(STEPS)))
    assert np.isnan(plan.cured_min).all()
    np.testing.assert_allclose(plan.zone_c[-1], LIMITS.zone_lo_c, atol=0.5)
    assert plan.fan_rel.max() < 0.7


def test_zones_behind_the_last_carrier_cool_down_and_those_before_it_do_not() -> None:
    masses = np.zeros(STEPS)
    masses[10:20] = 60.0  # the last carriers are in the third and fourth zone
    plan = solved(now(mass_kg=masses))
    assert (plan.zone_c[2, :2] < RECIPE_C[:2] - 8.0).all()
    assert np.nanmin(plan.cured_min) > 10.0


def test_a_hotter_future_is_planned_for_a_heavier_campaign_on_its_way() -> None:
    masses = np.full(STEPS, 40.0)
    same = solved(now(mass_kg=masses))
    masses = masses.copy()
    masses[22:] = 90.0
    change = solved(now(mass_kg=masses))
    assert np.max(change.zone_c[4:, 1:3] - same.zone_c[4:, 1:3]) > 5.0
    assert change.cured_min[22:].min() > 10.3
    assert change.cured_min[:22].max() < 24.0


def test_a_new_peak_is_avoided_by_a_slower_conveyor_and_slower_fans() -> None:
    pace = {"step_s": 74.0, "longest": Longest(1.3)}
    free = solved(now(**pace))
    charged = solved(now(**pace, peak_eur_per_kw=1.0, fan_paid_kw=8.0))
    taken_kw = 30.0 * free.fan_rel[:2].mean() ** 3
    paid = solved(now(**pace, peak_eur_per_kw=1.0, fan_paid_kw=taken_kw))
    assert charged.fan_rel[:2].mean() < free.fan_rel[:2].mean() - 0.03
    assert charged.step_s[:3].mean() > free.step_s[:3].mean() + 1.0
    np.testing.assert_allclose(paid.fan_rel, free.fan_rel, atol=0.03)
    assert charged.cured_min.min() > 10.5


def test_steps_are_no_longer_than_they_may_be() -> None:
    dear = {"peak_eur_per_kw": 5.0, "fan_paid_kw": 8.0, "step_s": 74.0}
    np.testing.assert_allclose(solved(now(90.0, **dear)).step_s, 74.0, rtol=1e-4)
    longest = solved(now(90.0, **dear, longest=Longest(1.2))).step_s
    assert 80.0 < longest.max() < 74.0 * 1.2 + 1e-3


def test_few_iterations_come_near_the_converged_cost() -> None:
    inner = problem()._problem
    for mass_kg in (40.0, 60.0, 90.0):
        problem().forget()
        start = now(mass_kg)
        problem().solve(start)
        problem().solve(start)
        p = problem()._numbers(start)
        warm = problem()._warm
        assert warm is not None
        exact = inner.solve(warm.x, p, iterations=100)
        assert warm.objective < exact.objective + 0.01 * abs(exact.objective) + 0.01


def test_who_enters_when() -> None:
    coming = [Coming(0.0, 40.0), Coming(0.0, 60.0), Coming(400.0, 90.0)]
    assert entering(coming, 6, 30.0, 90.0) == [40.0, 60.0, 0.0, 0.0, 0.0, 90.0]
