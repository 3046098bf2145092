"""Reference figures of the moulding cell: cycle, energy, cooling, quality gains."""

from __future__ import annotations

import math

import pytest

from twin.processes import ProcessModel, load


def result(model: ProcessModel, **values: float) -> dict[str, float]:
    return dict(zip(model.output_names, model.numbers()(*model.point(**values)), strict=True))


#   drive, running kW, kWh/kg
DRIVES = [
    ("all_electric", 8.9, 0.74),
    ("servo_hydraulic", 12.0, 1.00),
    ("fixed_pump", 18.4, 1.53),
]


@pytest.mark.parametrize(
    ("drive", "power_kw", "kwh_per_kg"), DRIVES, ids=[row[0] for row in DRIVES]
)
def test_twelve_kilograms_per_hour_take_the_declared_power(
    drive: str, power_kw: float, kwh_per_kg: float
) -> None:
    outputs = result(load(f"moulding.{drive}"))
    assert outputs["cycle_time_s"] == pytest.approx(36.0)
    assert outputs["material_kg"] == pytest.approx(0.120)
    assert outputs["energy_kwh"] * 100.0 == pytest.approx(power_kw, rel=0.005)
    assert outputs["energy_kwh"] / outputs["material_kg"] == pytest.approx(kwh_per_kg, rel=0.005)
    assert outputs["defect_probability"] == pytest.approx(0.02, abs=1e-4)


def test_the_plate_cools_in_the_time_of_the_formula() -> None:
    from twin.processes.moulding import plate_cooling_s

    p = load("moulding").point().p
    expected = 3.5**2 / (math.pi**2 * 0.09) * math.log(4.0 / math.pi * 180.0 / 50.0)
    assert plate_cooling_s(220.0, 40.0, p) == pytest.approx(expected)
    assert 0.6 <= 24.0 / 36.0 <= 0.8


#   change, weight %, shrinkage points
GAINS = [
    ({"packing_pressure_bar": 410.0}, 0.03, -0.004),
    ({"melt_temp_c": 221.0}, -0.02, 0.003),
    ({"coolant_temp_c": 31.0}, -0.015, 0.006),
    ({"viscosity_rel": 1.1}, -0.06, 0.01),
]


@pytest.mark.parametrize(
    ("change", "weight", "shrinkage"), GAINS, ids=[next(iter(row[0])) for row in GAINS]
)
def test_weight_and_shrinkage_answer_with_the_published_signs(
    change: dict[str, float], weight: float, shrinkage: float
) -> None:
    outputs = result(load("moulding"), **change)
    assert outputs["weight_pct"] == pytest.approx(weight, rel=0.01)
    assert outputs["shrinkage_pct"] - 1.5 == pytest.approx(shrinkage, rel=0.01)


def test_ejecting_too_early_makes_defects_and_late_costs_energy() -> None:
    model = load("moulding")
    nominal = result(model)
    early, late = result(model, cooling_time_s=19.5), result(model, cooling_time_s=28.0)
    assert early["defect_probability"] > 0.5
    assert early["shrinkage_pct"] > nominal["shrinkage_pct"] + 0.04
    assert late["energy_kwh"] - nominal["energy_kwh"] == pytest.approx(3.5 * 4.0 / 3600.0)


def test_a_drifted_lot_leaves_the_tolerance_until_packing_pressure_corrects_it() -> None:
    model = load("moulding")
    thin = {"viscosity_rel": 0.5}
    wrong = result(model, **thin)
    right = result(model, **thin, packing_pressure_bar=320.0)
    assert wrong["weight_pct"] > 0.4
    assert right["defect_probability"] < wrong["defect_probability"]


def test_hotter_melt_and_colder_coolant_cost_energy() -> None:
    model = load("moulding")
    nominal = result(model)["energy_kwh"]
    assert result(model, melt_temp_c=230.0)["energy_kwh"] > 1.005 * nominal
    assert result(model, coolant_temp_c=20.0)["energy_kwh"] > 1.002 * nominal
