from __future__ import annotations

import pytest

from twin.processes import load

#   station, cycle s, kW
STATIONS = [
    ("wash", 45.0, 11.0),
    ("inspection", 40.0, 0.7),
    ("assembly", 17.0, 1.6),
    ("packing", 16.0, 1.5),
]


@pytest.mark.parametrize(
    ("station", "cycle_s", "power_kw"), STATIONS, ids=[row[0] for row in STATIONS]
)
def test_the_reference_has_the_declared_cycle_and_power(
    station: str, cycle_s: float, power_kw: float
) -> None:
    model = load(f"fixed_cycle.{station}")
    cycle_time_s, energy_kwh, *rest = model.numbers()(*model.point())
    assert cycle_time_s == cycle_s
    assert energy_kwh * 3600.0 / cycle_time_s == pytest.approx(power_kw)
    assert rest == [0.0, 0.0, 0.0]


def test_cold_and_fatigue_act_in_the_truth_only() -> None:
    model = load("fixed_cycle")
    nominal = model.numbers()(*model.point(ambient_c=0.0, shift_elapsed_h=8.0))
    assert nominal == model.numbers()(*model.point())
    cold = model.point(ambient_c=0.0, cold_power_kw_per_k=0.1)
    assert model.numbers()(*cold)[1] == pytest.approx(13.0 * 45.0 / 3600.0)
    tired = model.point(shift_elapsed_h=8.0, fatigue_per_h=0.01)
    assert model.numbers()(*tired)[0] == pytest.approx(45.0 * 1.08)
