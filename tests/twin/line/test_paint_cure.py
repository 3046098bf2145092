"""The paint and cure line runs as its file says: heat, gas, cure, pace, setback, stops."""

from __future__ import annotations

import math
from functools import cache

import pytest

from tests.twin.line.plant_shifts import begin, never_failing, pushed
from twin.config import Plant, load_plant
from twin.line import schema as s
from twin.line.tags import line_signals
from twin.signals import Role

NAME = "paint_cure_line"
ZONES = {1: 145.0, 2: 180.0, 3: 175.0, 4: 170.0}
HEATED_BY_FANS_KWH = 0.9 * 30.0 / 0.9 / 40.0
"""Gas a carrier that need not be burnt: nine tenths of the fans' power, at the burners' efficiency. What is
published of such ovens leaves it out."""


def only(mass_kg: float, plant: Plant | None = None) -> Plant:
    """The plant with carriers of one mass."""
    plant = plant or load_plant(NAME)
    mix = plant.disturbances["part_mass_kg"].model_copy(update={"choices": (mass_kg,)})
    return plant.model_copy(update={"disturbances": {**plant.disturbances, "part_mass_kg": mix}})


@cache
def steady(mass_kg: float) -> dict[str, float]:
    """Per carrier over the second half of an undisturbed shift, and what leaves the oven."""
    shift = pushed(never_failing(only(mass_kg)))
    shift.run(4.0)
    tags = ("line.good_count", "line.scrap_count", "oven.gas_kwh", "oven.energy_kwh")
    before = {tag: shift[tag] for tag in tags}
    shift.run(8.0)
    grown = {tag: shift[tag] - before[tag] for tag in tags}
    carriers = grown["line.good_count"] + grown["line.scrap_count"]
    return {
        "per_h": carriers / 4.0,
        "scrap": grown["line.scrap_count"] / carriers,
        "gas_kwh": grown["oven.gas_kwh"] / carriers,
        "electric_kwh": grown["oven.energy_kwh"] / carriers,
        "cured_min": shift["oven.exit_cured_min"],
        "hottest_c": shift["oven.hottest_c"],
    }


def test_a_full_oven_takes_the_published_energy_a_carrier() -> None:
    mean = steady(60.0)
    assert mean["per_h"] == pytest.approx(40.0, abs=0.26)
    published = mean["gas_kwh"] + HEATED_BY_FANS_KWH + mean["electric_kwh"]
    assert published == pytest.approx(6.7, rel=0.02)
    assert mean["electric_kwh"] == pytest.approx(32.0 / 40.0, rel=0.01)
    assert mean["scrap"] < 0.005


@pytest.mark.parametrize(("mass_kg", "cured_min"), [(40.0, 23.7), (60.0, 19.5), (90.0, 13.7)])
def test_carriers_of_all_masses_are_cured_at_the_start_recipe(
    mass_kg: float, cured_min: float
) -> None:
    mean = steady(mass_kg)
    assert mean["cured_min"] == pytest.approx(cured_min, abs=0.4)
    assert mean["hottest_c"] < 200.0


def test_lower_zones_save_the_published_gas() -> None:
    shift = pushed(never_failing(only(60.0)))
    shift.run(0.0, {f"oven.zone_{z}_setpoint_c": c - 5.0 for z, c in ZONES.items()})
    shift.run(4.0)
    before = shift["oven.gas_kwh"]
    shift.run(8.0)
    per_carrier = (shift["oven.gas_kwh"] - before) / 160.0
    reference = steady(60.0)["gas_kwh"]
    saved = (reference - per_carrier) / (reference + HEATED_BY_FANS_KWH)
    assert saved == pytest.approx(0.034, abs=0.004)


def test_the_takt_of_the_source_fits_the_conveyor() -> None:
    plant = load_plant(NAME)
    conveyor = plant.station("oven").setpoints["conveyor_speed_m_per_min"]
    assert plant.source.takt_s.start == pytest.approx(72.0 / conveyor.start)
    booth = plant.station("booth").parameters["cycle_time_s"]
    assert booth.range is not None
    assert booth.range[1] < 72.0 / conveyor.start
    shift = begin(never_failing(plant), utilisation=1.3)
    shift.run(2.0)
    # One carrier in each place but for what the two clocks owe each other, none piled up.
    inside = shift.tags.part_ids(shift.state)["oven"]
    assert sum(part > 0 for part in inside) >= 19
    assert shift["coated.level"] + shift["hung.level"] <= 2
    ids = [part for part in inside if part]
    assert ids == sorted(ids, reverse=True)


def test_a_slow_conveyor_cures_longer() -> None:
    slow = pushed(never_failing(only(60.0)))
    slow.run(0.0, {"oven.conveyor_speed_m_per_min": 0.64})
    slow.run(8.0)
    assert slow["oven.exit_cured_min"] > 1.2 * steady(60.0)["cured_min"]
    assert slow.made == pytest.approx(32.0 * 8.0 - 20.0, abs=2)


@pytest.mark.parametrize("true", [False, True], ids=["nominal", "true"])
def test_a_shift_makes_its_orders_at_a_plausible_cost(*, true: bool) -> None:
    shift = begin(NAME, seed=2, true=true)
    shift.run(8.0)
    good, scrap = shift["line.good_count"], shift["line.scrap_count"]
    assert good == shift["line.ordered_count"] == 211
    assert scrap / (good + scrap) < 0.1
    assert 7.0 < shift["line.gas_kwh"] / good < 10.0
    assert 1.2 < shift["line.energy_kwh"] / good < 1.7
    # A shift in which nothing is lost in between: carriers, material, clocks, meters.
    assert shift["line.released_count"] == good + scrap + shift["line.wip"]
    assert shift["line.material_kg"] == pytest.approx(60.0 * shift["line.released_count"])
    assert shift["line.scrap_kg"] == pytest.approx(60.0 * scrap)
    for station in ("booth", "oven"):
        clocks = [shift[f"{station}.time_{state}_s"] for state in s.STATES]
        assert math.fsum(clocks) == pytest.approx(8.0 * 3600.0)
    meters = [shift[f"{station}.energy_kwh"] for station in ("booth", "oven")]
    assert shift["line.energy_kwh"] == pytest.approx(math.fsum(meters))


def test_the_variants_differ_by_what_the_oven_loses() -> None:
    gas = []
    for variant in ("low", "nominal", "high"):
        shift = begin(NAME, seed=2, variant=variant)
        shift.run(4.0)
        gas.append(shift["line.gas_kwh"])
    assert gas[0] < 0.9 * gas[1]
    assert gas[2] > 1.15 * gas[1]


def test_the_true_oven_needs_more_gas_and_cures_heavy_parts_less() -> None:
    nominal, true = begin(NAME, seed=5), begin(NAME, seed=5, true=True)
    lower = {f"oven.zone_{z}_setpoint_c": c - 5.0 for z, c in ZONES.items()}
    scrap = []
    for shift in (nominal, true):
        shift.run(8.0, lower)
        scrap.append(shift["line.scrap_count"] / shift.made)
    assert true["oven.gas_kwh"] > 1.03 * nominal["oven.gas_kwh"]
    assert scrap[0] < 0.05 < scrap[1]


@pytest.mark.parametrize("by", ["oven.setback", "oven.standby"])
def test_a_setback_waits_until_the_oven_has_run_empty(by: str) -> None:
    shift = pushed(never_failing(load_plant(NAME)))
    shift.run(1.0)
    shift.run(1.25, {by: 1.0})
    assert shift["oven.state"] == s.PROCESSING
    assert shift["oven.zone_temp_2_c"] == pytest.approx(180.0, abs=1.5)
    made = shift.made
    shift.run(2.5)
    assert shift.made - made == pytest.approx(10, abs=1)
    assert shift["oven.state"] == s.STANDBY
    assert shift["coated.level"] == 6
    gas_kwh = shift["oven.gas_kwh"]
    shift.run(3.0)
    assert shift["oven.zone_temp_2_c"] == pytest.approx(140.0, abs=1.0)
    # Half an hour at 40 K less and least exhaust against the 154 kW that an empty oven loses.
    assert shift["oven.gas_kwh"] - gas_kwh < 0.5 * 120.0
    assert shift["oven.energy_kwh"] > 0.0


def test_carriers_enter_a_waking_oven_when_its_zones_are_back_and_come_out_cured() -> None:
    shift = pushed(never_failing(only(60.0)))
    shift.run(1.0)
    shift.run(3.0, {"oven.setback": 1.0})
    made = shift.made
    shift.run(3.02, {"oven.setback": 0.0})
    assert not any(shift.tags.part_ids(shift.state)["oven"])
    entered_h = 3.02
    while not any(shift.tags.part_ids(shift.state)["oven"]):
        entered_h += 0.01
        shift.run(entered_h)
    assert 0.25 <= entered_h - 3.0 < 0.35  # a quarter of an hour, and the next place
    assert shift["oven.time_warm_up_s"] == pytest.approx(900.0, abs=5.0)
    for zone, setpoint_c in ZONES.items():
        assert shift[f"oven.zone_temp_{zone}_c"] == pytest.approx(setpoint_c, abs=3.0)
    scrap = shift["line.scrap_count"]
    shift.run(entered_h + 1.0)
    assert shift.made > made + 10
    assert shift["line.scrap_count"] == scrap


def test_an_oven_without_work_falls_asleep_by_its_own_time_out_and_wakes_for_work() -> None:
    plant = never_failing(only(60.0))
    shift = begin(plant, utilisation=0.2, scenario="demand_surge")
    events = list(shift.run(2.9, {"oven.standby_after_s": 600.0, "line.takt_s": 60.0}))
    oven = [(e.time_us / 1e6, s.STATES[e.after]) for e in events if e.entity == "oven"]
    # The first sleep is that of the empty oven before its first carrier, if that is late enough.
    (idle_s, _), (asleep_s, last) = oven[-2:]
    assert last == "standby"
    assert asleep_s - idle_s == pytest.approx(600.0, abs=5.0)
    assert shift["line.good_count"] == shift["line.ordered_count"]
    shift.run(5.0)  # a rush order came at three hours
    assert shift["oven.state"] == s.STANDBY
    assert shift["line.good_count"] == shift["line.ordered_count"] > 0.2 * 33.0 * 8.0
    assert shift["line.scrap_count"] == 0


def test_a_new_time_out_does_not_stop_the_conveyor() -> None:
    shift = pushed(never_failing(load_plant(NAME)))
    shift.run(0.01, {"oven.standby_after_s": 300.0})
    shift.run(1.5, {"oven.standby_after_s": 1e6})
    assert shift.made > 30


def test_a_conveyor_stop_bakes_what_is_inside_for_longer() -> None:
    plant = only(60.0)
    shift = pushed(plant, seed=4)
    shift.run(8.0)
    assert shift["oven.failure_count"] >= 1
    assert shift["oven.time_down_s"] > 60.0
    lost_h = shift["oven.time_down_s"] / 3600.0
    # Places that passed the exit; the first twenty were empty.
    assert shift.made <= 40.0 * (8.0 - lost_h) - 20.0 + 1.0
    assert shift["line.scrap_count"] > 0


def test_what_is_controlled_has_its_band() -> None:
    signals = {signal.name: signal for signal in line_signals(begin(NAME).line)}
    cured = signals["oven.exit_cured_min"]
    assert cured.role is Role.CV
    assert cured.operator is not None
    assert (cured.operator.lo, cured.operator.hi) == (10.0, 24.0)
    assert signals["oven.hottest_c"].role is Role.CV
    for zone in ZONES:
        assert signals[f"oven.zone_temp_{zone}_c"].noise_sd > 0.0
        assert signals[f"oven.zone_{zone}_setpoint_c"].rate_per_s == pytest.approx(3.0 / 60.0)
    assert signals["oven.setback"].discrete


@pytest.mark.slow
def test_the_stated_capacity_is_the_measured_one() -> None:
    rates = []
    for seed in range(101, 121):
        shift = pushed(NAME, seed)
        shift.run(8.0)
        rates.append(shift["line.good_count"] / 8.0)
    stated = float(load_plant(NAME).demand.capacity_good_parts_per_h)
    assert math.fsum(rates) / len(rates) == pytest.approx(stated, rel=0.01)
