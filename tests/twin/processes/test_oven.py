"""Reference figures of the cure oven: heat balance, cure, savings, conservation of energy."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from twin.processes import load
from twin.processes.model import Floats
from twin.processes.oven import CARRIERS, D, P, fan_in_force, shift_carriers

SETPOINTS_C = (145.0, 180.0, 175.0, 170.0)
STEP_S = 10.0


def at(lower_k: float = 0.0, **values: float) -> dict[str, float]:
    return {
        **{f"zone_{z + 1}_setpoint_c": c - lower_k for z, c in enumerate(SETPOINTS_C)},
        **values,
    }


@cache
def steady(mass_kg: float, lower_k: float = 0.0) -> tuple[dict[str, float], dict[str, float]]:
    """Mean outputs of the last hour, and the outputs as a carrier reaches the exit."""
    model = load("oven")
    x, u, d, p = model.point(**at(lower_k), conveyor_phase=0.0)
    d[D.carrier_1_mass_kg :] = mass_kg
    advance = u[4] / 60.0 / p[P.pitch_m] * STEP_S
    step, outputs = model.stepper(), model.numbers()
    means, leaving = [], ()
    for n in range(int(5 * 3600 / STEP_S)):
        step(x, u, d, p, STEP_S, x)
        d[D.conveyor_phase] += advance
        if abs(d[D.conveyor_phase] - 0.5) < 0.5 * advance:
            leaving = outputs(x, u, d, p)
        if d[D.conveyor_phase] >= 1.0 - 1e-9:
            shift_carriers(x, d[D.ambient_c])
            d[D.conveyor_phase] = 0.0
        if n * STEP_S >= 4 * 3600:
            means.append(outputs(x, u, d, p))
    names = model.output_names
    return (
        dict(zip(names, np.mean(means, axis=0).tolist(), strict=True)),
        dict(zip(names, leaving, strict=True)),
    )


def test_the_reference_takes_the_declared_heat_and_gas() -> None:
    mean, _ = steady(60.0)
    fired_kw = sum(mean[f"burner_{z}_kw"] for z in (1, 2, 3, 4))
    fans_kw = 0.9 * 30.0
    assert mean["carriers_per_h"] == pytest.approx(40.0)
    assert fired_kw + fans_kw == pytest.approx(214.0, rel=0.02)
    assert mean["gas_kw"] == pytest.approx((214.0 - fans_kw) / 0.9, rel=0.02)
    assert mean["power_kw"] == pytest.approx(32.0)


def test_metal_leaves_the_reference_at_170_degrees() -> None:
    _, leaving = steady(60.0)
    assert leaving["exit_c"] == pytest.approx(170.0, abs=1.5)


@pytest.mark.parametrize(("mass_kg", "cured_min"), [(40.0, 23.7), (60.0, 19.5), (90.0, 13.7)])
def test_carriers_are_cured_for_the_declared_equivalent_time(
    mass_kg: float, cured_min: float
) -> None:
    _, leaving = steady(mass_kg)
    assert leaving["exit_cured_min"] == pytest.approx(cured_min, abs=1.5)
    assert leaving["hottest_c"] < 200.0
    assert leaving["defect_probability"] < 0.1


@pytest.mark.parametrize(("lower_k", "saved"), [(5.0, 0.034), (10.0, 0.069)])
def test_lower_setpoints_save_the_declared_heat(lower_k: float, saved: float) -> None:
    reference, lowered = steady(60.0)[0], steady(60.0, lower_k)[0]
    heat_kw = 0.9 * reference["gas_kw"] + 0.9 * 30.0  # of burners and fans
    saved_kw = 0.9 * (reference["gas_kw"] - lowered["gas_kw"])
    assert saved_kw / heat_kw == pytest.approx(saved, abs=0.003)


def test_five_kelvin_less_still_cures_all_and_ten_fail_the_heavy_ones() -> None:
    for mass_kg in (40.0, 60.0, 90.0):
        assert 10.0 < steady(mass_kg, 5.0)[1]["exit_cured_min"] < 20.5
    heavy = steady(90.0, 10.0)[1]
    assert heavy["exit_cured_min"] == pytest.approx(9.2, abs=1.0)
    assert heavy["defect_probability"] > 0.5


@pytest.mark.parametrize(("metal_c", "minutes"), [(165.0, 12.0), (170.0, 10.0), (175.0, 8.0)])
def test_the_published_cure_points_are_equivalent(metal_c: float, minutes: float) -> None:
    model = load("oven")
    x, u, d, p = model.point()
    x[8:28] = metal_c
    dx = np.zeros_like(x)
    model.numbers("rates")(x, u, d, p, dx)
    assert dx[28] * 60.0 * minutes == pytest.approx(10.0, abs=0.6)


def test_heat_is_conserved() -> None:
    """Burners and fans = losses + what zones, parts and hangers take up, at an arbitrary state."""
    model = load("oven")
    x, u, d, p = model.point(conveyor_phase=0.5, ambient_c=12.0)
    x[:4] = (140.0, 185.0, 171.0, 168.0)
    x[8:28] = np.linspace(30.0, 175.0, CARRIERS)
    d[D.carrier_1_mass_kg :] = np.where(np.arange(CARRIERS) % 3, 55.0, 0.0)
    dx = np.zeros_like(x)
    model.numbers("rates")(x, u, d, p, dx)
    outputs = dict(zip(model.output_names, model.numbers()(x, u, d, p), strict=True))
    fired = sum(outputs[f"burner_{z}_kw"] for z in (1, 2, 3, 4))
    above = x[:4] - 12.0
    walls = 0.001 * 279.0 * 1.42 / 4.0 * above.sum()
    exhaust = 1500.0 * 1.319 / 3600.0 / 4.0 * above.sum()
    openings = 0.0717 * (above[0] + above[3])
    masses = d[D.carrier_1_mass_kg :]
    taken_up = float(np.sum((masses + 15.0 * (masses > 0)) * 0.49 * dx[8:28]))
    stored = 612.0 * float(dx[:4].sum())
    fans = 0.9 * (outputs["power_kw"] - 2.0)
    assert fired + fans == pytest.approx(walls + exhaust + openings + taken_up + stored, rel=1e-9)


def test_setback_lowers_setpoints_fans_and_exhaust_which_keeps_its_safety_minimum() -> None:
    model = load("oven")
    x, u, d, p = model.point(setback=1.0)
    from twin.processes.oven import burner, exhaust_nm3_per_h

    assert exhaust_nm3_per_h(u, p) == pytest.approx(900.0)
    assert burner(1, x, u, p)[2] == pytest.approx(-40.0)
    power_kw = dict(zip(model.output_names, model.numbers()(x, u, d, p), strict=True))["power_kw"]
    assert power_kw == pytest.approx(0.25 * 30.0 + 0.25 * 2.0)
    u[5] = 0.55  # slower than the speed at the floor already
    assert fan_in_force(u, p) == pytest.approx(0.55)


def test_an_empty_slot_takes_no_heat_and_does_not_cure() -> None:
    model = load("oven")
    x, u, d, p = model.point()
    d[D.carrier_1_mass_kg :] = 0.0
    dx = np.zeros_like(x)
    model.numbers("rates")(x, u, d, p, dx)
    assert not dx[8:].any()


def test_an_integrator_does_not_wind_up_at_the_burner_limit() -> None:
    model = load("oven")
    x, u, d, p = model.point()
    x[:4] = 25.0
    step = model.stepper()
    top: Floats = np.zeros(4)
    for _ in range(int(3 * 3600 / STEP_S)):
        step(x, u, d, p, STEP_S, x)
        top = np.maximum(top, x[:4])
    assert np.all(top < np.array(SETPOINTS_C) + 12.0)
    assert x[:4] == pytest.approx(SETPOINTS_C, abs=0.5)


def test_a_step_may_overwrite_its_own_start() -> None:
    model = load("oven")
    x, u, d, p = model.point()
    fresh = np.zeros_like(x)
    step = model.stepper()
    step(x, u, d, p, STEP_S, fresh)
    step(x, u, d, p, STEP_S, x)
    assert np.array_equal(x, fresh)
