"""Reference figures of the machining line: cycle, power, tool life, scrap."""

from __future__ import annotations

import numpy as np
import pytest

from twin.processes import ProcessModel, load


def result(model: ProcessModel, **values: float) -> dict[str, float]:
    return dict(zip(model.output_names, model.numbers()(*model.point(**values)), strict=True))


def mean_kw(outputs: dict[str, float]) -> float:
    return outputs["energy_kwh"] * 3600.0 / outputs["cycle_time_s"]


#   station, cycle s, mean kW while processing, idle kW, removed cm3, tool life min
STATIONS = [
    ("turning", 52.0, 7.5, 3.2, 60.0, 15.0),
    ("milling", 58.0, 9.0, 4.2, 80.0, 30.0),
    ("drilling", 50.0, 5.5, 3.0, 20.0, 40.0),
]
TABLE = pytest.mark.parametrize(
    ("station", "cycle_s", "power_kw", "idle_kw", "removed_cm3", "life_min"),
    STATIONS,
    ids=[row[0] for row in STATIONS],
)


@TABLE
def test_the_reference_has_the_declared_cycle_power_and_tool_life(
    station: str,
    cycle_s: float,
    power_kw: float,
    idle_kw: float,
    removed_cm3: float,
    life_min: float,
) -> None:
    model = load(f"cutting.{station}")
    outputs = result(model)
    assert outputs["cycle_time_s"] == pytest.approx(cycle_s, rel=1e-12)
    assert mean_kw(outputs) == pytest.approx(power_kw, rel=1e-12)

    p = {q.name: q.default for q in model.parameters}
    v, f = (q.default for q in model.mvs)
    assert v is not None
    assert f is not None
    cutting_s = p["cutting_share"] * cycle_s
    assert v * f * p["depth_mm"] / 60.0 * cutting_s == pytest.approx(removed_cm3, rel=0.02)
    parts_per_edge = p["wear_limit_mm"] / outputs["wear_increment"]
    assert parts_per_edge * cutting_s / 60.0 == pytest.approx(life_min, rel=1e-9)
    # Base load while processing: idle plus a spindle that turns, 0.5 to 1.5 kW.
    assert 0.5 <= p["base_power_kw"] - idle_kw <= 1.5


def test_turning_draws_about_eleven_kilowatts_while_it_cuts() -> None:
    assert 10.5 <= result(load("cutting.turning"))["cutting_power_kw"] <= 11.5


def test_the_line_scraps_two_percent_and_two_fifths_of_it_by_wear() -> None:
    good, good_if_sharp = 1.0, 1.0
    share = (np.arange(200) + 0.5) / 200
    for station, *_ in STATIONS:
        model = load(f"cutting.{station}")
        worn = [result(model, wear_mm=0.3 * s)["defect_probability"] for s in share]
        good *= 1.0 - float(np.mean(worn))
        good_if_sharp *= 1.0 - result(model)["defect_probability"]
    assert 1.0 - good == pytest.approx(0.02, abs=2e-6)
    assert (good_if_sharp - good) / (1.0 - good) == pytest.approx(0.4, abs=0.005)


def test_ten_percent_more_speed_saves_about_three_percent_and_a_third_of_the_tool() -> None:
    model = load("cutting")
    slow, fast = result(model), result(model, cutting_speed_m_per_min=242.0)
    assert 0.015 <= 1.0 - fast["energy_kwh"] / slow["energy_kwh"] <= 0.035
    # Wear per part: life falls to 1.1^-4, cutting time to 1/1.1.
    assert fast["wear_increment"] / slow["wear_increment"] == pytest.approx(1.1**3, rel=1e-9)
    assert fast["cycle_time_s"] < slow["cycle_time_s"]


def test_specific_force_of_c45_at_a_fifth_of_a_millimetre() -> None:
    # k_c / efficiency is the energy per volume, 3.5 kJ/cm3 for C45 at h = 0.2 mm.
    from twin.processes.cutting import tool_power_kw

    v, f, a = 100.0, 0.2, 1.0
    per_cm3 = tool_power_kw(v, f, a, 2085.0, 0.173, 90.0) / (v * f * a / 60.0) / 0.78
    assert per_cm3 == pytest.approx(3.5, abs=0.05)


def test_wear_raises_power_in_the_truth_only() -> None:
    model = load("cutting")
    sharp = result(model)["energy_kwh"]
    assert result(model, wear_mm=0.3)["energy_kwh"] == sharp
    worn = result(model, wear_mm=0.1, wear_force_per_mm=0.9)["cutting_power_kw"]
    base = next(q.default for q in model.parameters if q.name == "base_power_kw")
    assert base is not None
    cut = result(model)["cutting_power_kw"] - base
    assert (worn - base) / cut == pytest.approx(1.09)


def test_feed_beyond_the_roughness_limit_makes_defects() -> None:
    model = load("cutting")
    at_limit = result(model, feed_mm=(4.5 * 32.0 * 0.8 / 1000.0) ** 0.5)
    assert at_limit["roughness_um"] == pytest.approx(4.5)
    assert at_limit["defect_probability"] > 0.5
    assert result(model, feed_mm=0.31)["defect_probability"] < 0.008


def test_harder_material_costs_cutting_energy_only() -> None:
    model = load("cutting")
    nominal, hard = result(model), result(model, hardness_rel=1.2)
    base = next(q.default for q in model.parameters if q.name == "base_power_kw")
    assert base is not None
    cut = nominal["energy_kwh"] - base * 52.0 / 3600.0
    assert hard["energy_kwh"] - nominal["energy_kwh"] == pytest.approx(0.2 * cut)
    assert hard["cycle_time_s"] == nominal["cycle_time_s"]
