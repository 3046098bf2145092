"""The moulding cell runs as its file says: energy, parallel machines, restarts, lots, recordings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.twin.line.plant_shifts import Shift, begin, never_failing, pushed
from twin.config import Plant, PlantError, Value, load_plant
from twin.config.plant import FailureSpec
from twin.kernels import draws
from twin.line import schema as s
from twin.line.scenario import build_table
from twin.line.tags import line_signals
from twin.signals import Role

NAME = "molding_cell"
MACHINES = ("molding_1", "molding_2")
DATA = Path(__file__).parents[4] / "shared" / "data"
LIVELINE = DATA / "liveline" / "liveline_first70.parquet"


SPOTLESS = {"base_defect": 0.0, "weight_tolerance_pct": 3.0, "shrinkage_tolerance_pct": 0.5}


def spotless(plant: Plant | None = None) -> Plant:
    """The plant without failures and without scrap, but for that of a restart."""
    plant = never_failing(plant or load_plant(NAME))
    stations = [
        station.model_copy(update={"parameters": {**station.parameters, **_values(SPOTLESS)}})
        if station.name in MACHINES
        else station
        for station in plant.stations
    ]
    return plant.model_copy(update={"stations": tuple(stations)})


def _values(numbers: dict[str, float]) -> dict[str, Value]:
    return {name: Value(value=number) for name, number in numbers.items()}


def test_a_shot_takes_the_published_energy() -> None:
    shift = pushed(never_failing(load_plant(NAME)))
    shift.run(1.0)
    for machine in MACHINES:
        assert shift[f"{machine}.last_cycle_s"] == pytest.approx(36.0)
        per_kg = shift[f"{machine}.last_energy_kwh"] / 0.120
        assert per_kg == pytest.approx(0.74, rel=0.02)
        assert 0.6 < per_kg < 1.1  # all-electric machines in the vendor's guide


@pytest.mark.parametrize("true", [False, True], ids=["nominal", "true"])
def test_a_shift_makes_its_orders_at_a_plausible_cost(*, true: bool) -> None:
    shift = begin(NAME, seed=2, true=true)
    shift.run(8.0)
    good, scrap = shift["line.good_count"], shift["line.scrap_count"]
    assert good == shift["line.ordered_count"] == 1182
    assert 0.01 < scrap / (good + scrap) < 0.06
    assert shift["line.scrap_kg"] == pytest.approx(0.120 * scrap, rel=0.02)
    assert 0.10 < shift["line.energy_kwh"] / good < 0.14
    assert shift["line.gas_kwh"] == 0.0
    machines_kwh = math.fsum(shift[f"{machine}.energy_kwh"] for machine in MACHINES)
    assert 0.6 < machines_kwh / shift["line.material_kg"] < 1.1
    assert shift["line.released_count"] == good + scrap + shift["line.wip"]
    for station in (*MACHINES, "assembly", "packing"):
        clocks = [shift[f"{station}.time_{state}_s"] for state in s.STATES]
        assert math.fsum(clocks) == pytest.approx(8.0 * 3600.0)


def test_tickets_weigh_nothing_and_material_is_booked_where_it_is_injected() -> None:
    shift = begin(spotless())
    shift.run(0.009)  # tickets are out, no shot is finished
    assert shift["line.released_count"] > 0
    assert shift["line.material_kg"] == 0.0
    shift.run(2.0)
    shots = sum(shift[f"{machine}.op_count"] for machine in MACHINES)
    assert shift["line.material_kg"] == pytest.approx(0.120 * shots, rel=0.01)
    assert shift["line.scrap_count"] == 0


def test_two_machines_share_the_work_and_one_of_them_can_carry_on() -> None:
    shift = pushed(spotless())
    shift.run(1.0)
    first, second = (shift[f"{machine}.op_count"] for machine in MACHINES)
    assert first == pytest.approx(100, abs=1)
    assert second == pytest.approx(100, abs=1)
    shift.run(2.0, {"molding_1.standby": 1.0})
    assert shift["molding_1.op_count"] - first <= 1
    assert shift["molding_2.op_count"] - second == pytest.approx(100, abs=1)
    assert shift["molding_1.state"] == s.STANDBY
    assert shift["molding_1.power_kw"] == pytest.approx(1.6)


def wakes_after(sleep_s: float) -> Shift:
    """Both machines run, one is put to sleep for a while, then all goes on."""
    shift = pushed(spotless())
    shift.run(1.0)
    asleep_h = 1.0 + (sleep_s + 36.0) / 3600.0
    shift.run(asleep_h, {"molding_1.standby": 1.0})
    shift.run(4.0, {"molding_1.standby": 0.0})
    return shift


def test_the_first_shots_after_a_long_rest_are_scrap() -> None:
    shift = wakes_after(1800.0)
    assert shift["molding_1.time_warm_up_s"] == pytest.approx(480.0)
    assert shift["line.scrap_count"] == 5
    # Warming up takes longer than what a machine may rest: there is no free sleep.
    assert wakes_after(10.0)["line.scrap_count"] == 5


def repaired_in(repair_s: float) -> Shift:
    """The cell with one sort of stop, always as long."""
    plant = spotless()
    stop = FailureSpec(
        mean_between_s=Value(value=3000.0), mean_repair_s=Value(value=repair_s), repair_cv=0.0
    )
    stations = [
        station.model_copy(update={"failures": {"machine_stop": stop}})
        if station.name == "molding_1"
        else station
        for station in plant.stations
    ]
    shift = pushed(plant.model_copy(update={"stations": tuple(stations)}))
    shift.run(4.0)
    return shift


@pytest.mark.parametrize(("repair_s", "scrap_a_stop"), [(290.0, 0), (310.0, 5)])
def test_a_long_repair_costs_the_first_shots_too(repair_s: float, scrap_a_stop: int) -> None:
    shift = repaired_in(repair_s)
    stops = shift["molding_1.failure_count"]
    assert stops >= 3
    packed = shift["line.scrap_count"]
    # The last stop's scrap may still be on its way, or its repair not over.
    assert scrap_a_stop * (stops - 1) <= packed <= scrap_a_stop * stops


def test_a_thin_lot_makes_heavy_parts_until_the_packing_pressure_follows() -> None:
    plant = load_plant(NAME)
    thin = plant.disturbances["viscosity_rel"].model_copy(
        update={"kind": "constant", "mean": Value(value=0.7)}
    )
    changed = {**plant.disturbances, "viscosity_rel": thin}
    shift = pushed(spotless(plant.model_copy(update={"disturbances": changed})))
    shift.run(0.5)
    heavy = shift["molding_1.weight_pct"]
    shift.run(1.0, {"molding_1.packing_pressure_bar": 320.0})
    assert heavy == pytest.approx(-0.63 * math.log(0.7 * (1.0 - 0.2 * 0.22)), abs=0.02)
    assert shift["molding_1.weight_pct"] == pytest.approx(heavy - 8.0 * 0.03)
    assert shift["molding_2.weight_pct"] == pytest.approx(heavy, abs=0.01)


def test_a_shorter_cooling_time_makes_more_parts_for_less() -> None:
    start, faster = pushed(spotless()), pushed(spotless())
    for shift, cooling_s in ((start, 24.0), (faster, 22.0)):
        shift.run(1.0, {f"{machine}.cooling_time_s": cooling_s for machine in MACHINES})
    assert faster["line.good_count"] > 1.04 * start["line.good_count"]
    assert faster["molding_1.last_energy_kwh"] < 0.985 * start["molding_1.last_energy_kwh"]


def test_the_true_machines_are_no_twins() -> None:
    shift = begin(NAME, seed=3, true=True)
    shift.run(4.0)
    shots_kwh = [shift[f"{machine}.last_energy_kwh"] for machine in MACHINES]
    assert shots_kwh[1] > 1.2 * shots_kwh[0]
    nominal = begin(NAME, seed=3)
    nominal.run(4.0)
    assert shift["assembly.last_cycle_s"] > 17.25  # the shift makes tired
    assert nominal["assembly.last_cycle_s"] == pytest.approx(17.0)


def test_weight_and_shrinkage_are_controlled_and_come_a_shot_late() -> None:
    plant = load_plant(NAME)
    signals = {signal.name: signal for signal in line_signals(begin(plant).line)}
    for machine in MACHINES:
        weight, shrinkage = (
            signals[f"{machine}.weight_pct"],
            signals[f"{machine}.shrinkage_pct"],
        )
        assert weight.role is shrinkage.role is Role.CV
        assert weight.operator is not None
        assert shrinkage.operator is not None
        assert (weight.operator.lo, weight.operator.hi) == (-0.6, 0.6)
        assert (shrinkage.operator.lo, shrinkage.operator.hi) == (1.4, 1.6)
        assert plant.station(machine).sensors["weight_pct"].delay_s == 36.0


def test_lots_stay_between_four_and_twelve_hours() -> None:
    plant = load_plant(NAME)
    rows = np.array(build_table(plant, 5, draws.PLANT, 400.0))
    names = list(plant.disturbances)
    course = rows.reshape(-1, len(names) + 2)[:, names.index("viscosity_rel")]
    changes = np.flatnonzero(np.diff(course))
    lengths_h = np.diff(changes) / 60.0
    assert lengths_h.min() >= 4.0 - 1.0 / 60.0
    assert lengths_h.max() <= 12.0 + 1.0 / 60.0
    assert course[changes].std() == pytest.approx(0.08, rel=0.35)


@pytest.mark.needs_data
@pytest.mark.skipif(not LIVELINE.exists(), reason="the recording is not here")
def test_a_recorded_line_gives_ambient_and_material_in_the_plants_own_spread() -> None:
    import pyarrow.parquet as pq

    plant = load_plant(NAME)
    wanted = ("ambient_c", "humidity_pct", "viscosity_rel")
    recorded = {}
    for name in wanted:
        spec = plant.disturbances[name].recorded
        assert spec is not None
        recorded[name] = pq.read_table(LIVELINE, columns=[spec.column])[0].to_numpy()
    rows = len(recorded["ambient_c"]) // 60
    table = build_table(plant, 1, draws.PLANT, (rows - 1) / 60.0, recorded=recorded)
    names = list(plant.disturbances)
    columns = np.array(table).reshape(-1, len(names) + 2)
    for name in wanted:
        course = columns[:, names.index(name)]
        spec_of = plant.disturbances[name]
        assert course.mean() == pytest.approx(float(spec_of.mean), rel=1e-3)
        assert course.std() == pytest.approx(spec_of.sd, rel=0.1)
    lots = columns[:, names.index("viscosity_rel")]
    assert 3 <= len(np.unique(lots)) <= 5  # two changes of the material, within a minute each


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]], ids=["none", "nan", "inf"])
def test_a_recording_without_numbers_is_refused(values: list[float]) -> None:
    with pytest.raises(PlantError, match="recording of 'viscosity_rel'") as refused:
        build_table(
            load_plant(NAME), 1, draws.PLANT, 1.0, recorded={"viscosity_rel": np.array(values)}
        )
    assert "viscosity_rel" in refused.value.text
    assert refused.value.hint


@pytest.mark.slow
def test_the_stated_capacity_is_the_measured_one() -> None:
    rates = []
    for seed in range(101, 121):
        shift = pushed(NAME, seed)
        shift.run(8.0)
        rates.append(shift["line.good_count"] / 8.0)
    stated = float(load_plant(NAME).demand.capacity_good_parts_per_h)
    assert math.fsum(rates) / len(rates) == pytest.approx(stated, rel=0.01)
