"""What stations take while they make nothing is read off their own meters."""

from __future__ import annotations

import pytest

from tests.twin.analyze.in_step import nominal, observed, plant_of
from tests.twin.line.small_lines import changed
from twin.analyze.offset import Offset
from twin.analyze.waiting import Stood, WaitingEstimator, learned
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.simulator import Simulator

OUTSIDE = [22.0, 1.0, 168.0, 0.0, 1e6, 1.0]  # ambient, hardness, price, load, orders
DIFFERENT = {
    "stations.3.power.idle_kw": 7.5,
    "stations.3.power.standby_kw": 2.1,
    "stations.3.warm_up_s": 600.0,
}


def learn(plant: Line, *lost: str) -> dict[str, Offset]:
    """Half a shift in which the wash sleeps for a quarter of an hour in each hour."""
    state, offsets, stood = initial_state(plant, 3, PLANT), dict[str, Offset](), Stood()
    simulator, estimator = Simulator(plant, OUTSIDE), WaitingEstimator(nominal("machining_line"))
    simulator.prime(state)
    for turn in range(480):
        estimator.update(observed(plant, state, lost), stood, offsets)
        asleep = {"wash.standby": float(turn % 120 >= 90)}
        simulator.advance(state, asleep, 30.0 * (turn + 1))
    return offsets


def test_the_powers_and_the_warm_up_of_the_plant_are_found() -> None:
    plant = build_line(changed(plant_of("machining_line"), DIFFERENT))
    offsets = learn(plant)
    assert offsets["wash.idle_kw"].value == pytest.approx(7.5 / 6.0, abs=1e-3)
    assert offsets["wash.standby_kw"].value == pytest.approx(2.1 / 3.0, abs=1e-3)
    assert offsets["wash.warm_up_s"].value == pytest.approx(600.0 / 300.0, abs=0.01)
    assert offsets["inspection.idle_kw"].value == pytest.approx(1.0, abs=1e-9)
    known = learned(nominal("machining_line"), {n: o.value for n, o in offsets.items()})
    at = known.element("wash") * s.EC
    assert known.c[at + s.C_IDLE_KW] == pytest.approx(7.5, abs=0.01)
    assert known.c[at + s.C_WARM_UP_S] == pytest.approx(600.0, abs=4.0)


def test_a_meter_that_shows_nothing_teaches_nothing() -> None:
    plant = build_line(changed(plant_of("machining_line"), DIFFERENT))
    offsets = learn(plant, "wash.power_kw")
    assert "wash.idle_kw" not in offsets
    assert "wash.warm_up_s" in offsets
    assert not any(name.startswith("wash.") for name in learn(plant, "wash.state"))


def test_nothing_known_is_the_plant_file() -> None:
    line = nominal("machining_line")
    assert learned(line, {}).c == line.c
    assert learned(line, {"wash.last_cycle_s": 2.0}).c == line.c
