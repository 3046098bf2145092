"""What the model gets wrong is learned from the parts, each under the setpoints that it had."""

from __future__ import annotations

import math

import pytest

from tests.twin.analyze.in_step import (
    drive,
    loop_of,
    nominal,
    observed,
    plant_of,
    plc_of,
    without_luck,
)
from tests.twin.line.small_lines import changed
from twin.analyze.estimation import EstimateMemory, OffsetEstimator
from twin.analyze.synchronise import synchronise
from twin.analyze.whatif import present
from twin.cycle import Action, Situation
from twin.kernels.draws import PLANT, TWIN
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.simulator import Simulator

PERIOD_S = 30.0


class Learning:
    """A plant and an estimator beside it, thirty seconds at a time."""

    def __init__(self, plant: Line, model: Line) -> None:
        self.model = model
        self.plant_state = initial_state(plant, 3, PLANT)
        outside = [22.0, 1.0, 168.0, 0.0, 1e6, 1.0]  # ambient, hardness, price, load, orders
        self.plant = Simulator(plant, outside)
        self.plant.prime(self.plant_state)
        self.line = plant
        self.twin = initial_state(model, 3, TWIN)
        self.estimator = OffsetEstimator(model)
        self.memory = EstimateMemory()
        self.turns = 0

    def turn(self, setpoints: dict[str, float] | None = None, *lost: str) -> None:
        """Look, learn, move setpoints, and let thirty seconds pass."""
        now_s = PERIOD_S * self.turns
        if self.turns:
            Simulator(self.model, present(self.model, self.twin)).advance(self.twin, {}, now_s)
        seen = observed(self.line, self.plant_state, lost)
        assert synchronise(self.model, self.twin, seen, self.turns)
        self.estimator.update(seen, self.twin, self.memory)
        self.turns += 1
        self.plant.advance(self.plant_state, setpoints or {}, PERIOD_S * self.turns)

    def __getitem__(self, name: str) -> float:
        return self.memory.offsets[name].value


def test_nothing_is_learned_from_a_plant_that_is_its_model() -> None:
    line = without_luck("machining_line")
    learning = Learning(line, line)
    for _ in range(240):
        learning.turn()
    offsets = learning.memory.offsets
    assert len(offsets) >= 10
    for name, offset in offsets.items():
        is_factor = ".last_" in name or name.endswith((".idle_kw", ".standby_kw", ".warm_up_s"))
        expected = 1.0 if is_factor else 0.0
        assert offset.value == pytest.approx(expected, abs=1e-9), name


def test_factors_converge_to_the_true_ones() -> None:
    mismatch = {"wash.cycle_time_s": 0.1, "wash.power_kw": 0.2, "turning.base_power_kw": 0.3}
    plant = plant_of("machining_line")
    learning = Learning(build_line(plant, mismatch=mismatch), nominal("machining_line"))
    for _ in range(700):
        learning.turn()
    assert learning["wash.last_cycle_s"] == pytest.approx(1.1, abs=1e-3)
    assert learning["wash.last_energy_kwh"] == pytest.approx(1.1 * 1.2, abs=2e-3)
    assert learning["turning.last_cycle_s"] == pytest.approx(1.0, abs=1e-6)
    assert learning["turning.last_energy_kwh"] > 1.05
    assert learning["milling.last_energy_kwh"] == pytest.approx(1.0, abs=1e-6)


def test_an_offset_is_followed_when_it_moves() -> None:
    plant = plant_of("machining_line")
    learning = Learning(nominal("machining_line"), nominal("machining_line"))
    for _ in range(200):
        learning.turn()
    assert learning["wash.last_cycle_s"] == pytest.approx(1.0, abs=1e-6)
    slower = build_line(plant, mismatch={"wash.cycle_time_s": 0.1})
    learning.plant = Simulator(slower, learning.plant.table)
    learning.line = slower
    for _ in range(600):
        learning.turn()
    assert learning["wash.last_cycle_s"] == pytest.approx(1.1, abs=3e-3)


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_a_part_counts_with_the_setpoints_under_which_it_was_begun(every: int) -> None:
    """Moving setpoints of a plant that is its model must not look like a wrong model."""
    line = without_luck("machining_line")
    learning = Learning(line, line)
    for n in range(300):
        fast = (n // every) % 2 == 0
        moves = {"turning.cutting_speed_m_per_min": 240.0 if fast else 200.0}
        moves["drilling.feed_mm"] = 0.16 if fast else 0.22
        learning.turn(moves if n % every == 0 else None)
    learned = learning.memory.offsets
    assert {"turning.last_cycle_s", "drilling.last_energy_kwh"} <= set(learned)
    for name, offset in learned.items():
        if name.endswith(("last_cycle_s", "last_energy_kwh")):
            assert offset.value == pytest.approx(1.0, abs=1e-9), name


def test_what_is_not_told_is_not_learned_and_breaks_nothing() -> None:
    line = without_luck("machining_line")
    learning = Learning(line, line)
    lost = ["turning.op_count", "milling.part_id", "drilling.last_energy_kwh", "wash.last_cycle_s"]
    for _ in range(60):
        learning.turn(None, *lost)
    learned = learning.memory.offsets
    assert not [name for name in learned if name.startswith("turning.")]
    assert "drilling.last_cycle_s" in learned
    assert "drilling.last_energy_kwh" not in learned
    assert "wash.last_cycle_s" not in learned
    assert all(math.isfinite(offset.value) for offset in learned.values())
    for _ in range(60):
        learning.turn()
    assert learning["turning.last_cycle_s"] == pytest.approx(1.0, abs=1e-9)


class Alternating:
    """Jumps between two packing pressures."""

    def decide(self, situation: Situation) -> Action:
        bar = 350.0 if situation.time_s // 600.0 % 2 else 450.0
        asked = {f"molding_{m}.packing_pressure_bar": bar for m in (1, 2)}
        return Action({"line.takt_s": 20.0, **asked}, "to and fro")


def test_a_measurement_that_comes_a_shot_later_belongs_to_the_part_before() -> None:
    plant = plant_of("molding_cell")
    noise = {
        f"stations.{n}.sensors.{sensor}.noise_sd": 1e-6
        for n, station in enumerate(plant.stations)
        for sensor in station.sensors
    }
    line = build_line(changed(plant, noise))
    loop = loop_of(Alternating(), line=line)
    drive(plc_of(line), loop, 258)  # until shortly after a jump
    for m in (1, 2):
        for output in ("weight_pct", "shrinkage_pct"):
            offset = loop.memory.estimate.offsets[f"molding_{m}.{output}"].value
            assert offset == pytest.approx(0.0, abs=0.02), (m, output)
