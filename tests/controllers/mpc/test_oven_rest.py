"""When the oven's MPC lets it rest, and what it says of it; and the station's own time-out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controllers.mpc import oven_layer
from controllers.mpc.oven_supply import Coming
from tests.controllers.mpc.ovens import NAME, PRICES, layer, mpc, shift, situation
from twin.config import load_plant
from twin.kernels import draws
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import build_line
from twin.line.scenario import build_table
from twin.line.simulator import Simulator
from twin.line.tags import TagReader


def test_after_the_last_order_the_oven_rests_at_its_lowest() -> None:
    found, watched = shift(mpc(), 2.2, utilisation=0.1)
    assert found["line.good_count"] == found["line.ordered_count"]
    last = watched.actions[-1].setpoints
    assert last["oven.setback"] == 1.0
    assert [last[f"oven.zone_{z}_setpoint_c"] for z in (1, 2, 3, 4)] == [120, 160, 155, 150]
    assert found["oven.state"] == s.STANDBY
    assert all("fallback" not in action.status for action in watched.actions)


def test_rest_needs_an_empty_oven_and_a_long_gap() -> None:
    oven, at = layer(), situation()
    empty, full = np.zeros(20), np.full(20, 60.0)
    assert not oven._rests(at, full, [])
    assert not oven._rests(at, empty, [Coming(600.0, 60.0)])
    assert oven._rests(at, empty, [Coming(3600.0, 60.0)])
    assert oven._rests(at, empty, [Coming(1500.0, 60.0)])  # already at rest, still time
    assert not oven._rests(at, empty, [Coming(30.0, 60.0)])
    assert oven._rests(at, empty, [])
    assert oven_layer.RECOVERY_S == 900.0


def test_what_is_said_of_a_rest_is_so() -> None:
    oven, at = layer(), situation()
    oven.asked(at, PRICES)
    plan = oven._memory.plan
    assert plan is not None
    coming: list[Coming] = []

    def said(after_s: float, setpoint: str, *, is_solved: bool) -> str:
        """How the oven, which is empty, reasons after so many seconds."""
        now = replace(at, time_s=at.time_s + after_s)
        oven._problem.solve = lambda _: replace(plan, usable=is_solved)  # type: ignore[method-assign]
        oven.asked(now, PRICES)
        return oven.why(now, setpoint)

    oven._supply.inside = lambda _: np.zeros(20)  # type: ignore[method-assign]
    oven._supply.coming = lambda _: coming  # type: ignore[method-assign]
    coming[:] = [Coming(3600.0, 60.0)]
    assert said(120.0, "setback", is_solved=False).startswith(
        "it is empty and the next carrier is 60"
    )
    assert oven.status.startswith("fallback")
    coming.clear()
    for setpoint in ("setback", "zone_1_setpoint_c", "fan_speed_rel"):
        assert said(180.0, setpoint, is_solved=False).startswith("it is empty and nothing comes")
    assert oven.status == "oven at rest: nothing comes"  # the solve that failed is long past
    coming[:] = [Coming(3600.0, 60.0)]
    assert "empty" not in said(240.0, "zone_1_setpoint_c", is_solved=True)  # as the plan has it
    coming.clear()
    said(300.0, "setback", is_solved=False)
    coming[:] = [Coming(30.0, 60.0)]
    assert said(360.0, "setback", is_solved=False).startswith("a carrier is inside or near")
    assert oven.status.startswith("fallback")


# --- the station's own time-out -----------------------------------------------------------------


def test_the_time_out_setback_survives_a_snapshot_bit_for_bit() -> None:
    plant = load_plant(NAME)
    line = build_line(plant)
    table = build_table(plant, 5, draws.PLANT, 5.0, utilisation=0.2)
    asked = {"line.takt_s": 60.0, "oven.standby_after_s": 300.0}
    simulator = Simulator(line, table)
    whole = initial_state(line, 5, draws.PLANT)
    simulator.prime(whole)
    broken = whole.copy()
    simulator.advance(whole, asked, 4.0 * 3600.0)
    simulator.advance(broken, asked, 37.0)
    for minute in range(3, 240, 7):
        restored = broken.copy()
        simulator = Simulator(line, table)
        simulator.advance(restored, {}, minute * 60.0 + 2.5)
        broken = restored
    simulator.advance(broken, {}, 4.0 * 3600.0)
    assert broken.floats == whole.floats
    assert broken.ints == whole.ints
    reader = TagReader(line)
    values = reader.read(whole, (0.0,) * 7)
    assert values[reader.index["oven.time_standby_s"]] > 3600.0
