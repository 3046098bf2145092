"""A line with a process model of another package gets its station MPC from ``mpc``: nobody writes one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.controllers.mpc import dryer
from tests.twin.analyze.in_step import drive
from twin.config import untuned
from twin.cycle import Cycle, Mode, Reading
from twin.equipment.plc import Plc
from twin.kernels.draws import PLANT
from twin.line.model import build_line
from twin.line.scenario import build_table, scenario_of
from twin.loop import ControlLoop
from twin.plugins import find_controller
from twin.processes.check import check_process_model

TARGET_C, RANGE_C = 90.0, 200.0
TASK = {"targets": {"zone_temp_1_c": TARGET_C}}
STEP_AT, TURNS = 360, 840
OTHER_DRYER = {"wall_kw_per_k": 0.36, "carrier_kw_per_k": 0.14}
SEED = 3


@pytest.fixture(scope="module")
def course() -> Iterator[tuple[ControlLoop, list[Cycle]]]:
    """Seventy minutes of a dryer whose walls and carriers take more heat than the model knows.

    After half an hour it gets ten kelvin colder around it, and the instrument that should show that is stuck.
    """
    with pytest.MonkeyPatch.context() as patch:
        dryer.offer(patch)
        line = build_line(dryer.plant_with(mpc=TASK))
        true = build_line(dryer.plant_with(mpc=TASK, parameters=OTHER_DRYER))
        controller = find_controller("mpc")(line, untuned(line.plant))
        loop = ControlLoop(line, controller, SEED)
        table = build_table(true.plant, SEED, PLANT, 2.0, "cold", utilisation=0.9)
        plc = Plc(true, table, SEED, scenario_of(true.plant, "cold"))
        at, stuck = loop.tags.index["env.ambient_c"], plc.reading()

        def tamper(_: int, reading: Reading) -> Reading:
            values = reading.values.copy()
            values[at] = stuck.values[at]
            return replace(reading, values=values)

        yield loop, drive(plc, loop, TURNS, tamper=tamper)


def shown(course: tuple[ControlLoop, list[Cycle]], name: str) -> np.ndarray:
    loop, cycles = course
    return np.array([cycle.reading.values[loop.tags.index[name]] for cycle in cycles])


def test_the_model_keeps_its_own_contract() -> None:
    check_process_model(dryer.MODEL)


def test_no_offset_stays_after_a_step_that_nobody_measures(
    course: tuple[ControlLoop, list[Cycle]],
) -> None:
    zone_c = shown(course, "dryer.zone_temp_1_c")
    heater_kw = shown(course, "dryer.heater_kw")
    hit_c = zone_c[STEP_AT : STEP_AT + 60].min()
    assert hit_c < TARGET_C - 0.8
    assert heater_kw[-120:].mean() > heater_kw[STEP_AT - 120 : STEP_AT].mean() + 4.0
    # A carrier enters each 90 s and takes its heat: what stays is told by the mean over many.
    for begin in (STEP_AT - 180, TURNS - 180):
        assert abs(zone_c[begin : begin + 180].mean() - TARGET_C) / RANGE_C < 1e-3


def test_setpoints_are_those_that_the_station_may_have_and_what_is_not_needed_rests_cheap(
    course: tuple[ControlLoop, list[Cycle]],
) -> None:
    _, cycles = course
    asked = [cycle.decision.asked.setpoints for cycle in cycles if cycle.decision.asked.setpoints]
    own = {name for setpoints in asked for name in setpoints if name.startswith("dryer.")}
    own.remove("dryer.standby_after_s")  # the tuned one
    assert own == {"dryer.heater_kw", "dryer.fresh_air_rel"}  # no switch
    assert shown(course, "dryer.fresh_air_rel")[-120:].mean() < 0.35  # 0.6 in the recipe
    assert cycles[-1].decision.mode is Mode.CLOSED
    assert not any(clip.signal.startswith("dryer.") for clip in cycles[-1].decision.clips)


def test_each_result_is_on_record_with_residual_limits_and_their_price(
    course: tuple[ControlLoop, list[Cycle]],
) -> None:
    _, cycles = course
    solved = [c.decision.asked for c in cycles if "dryer" in c.decision.asked.solves]
    assert len(solved) == TURNS // 3  # each 15 s by itself: 20 steps see a carrier pass
    optimised = [action for action in solved if "fallback" not in action.status]
    assert len(optimised) == len(solved)
    assert {a.solves["dryer"].solver for a in solved[1:]} == {"sqp/hpipm"}
    assert max(a.solves["dryer"].kkt_residual for a in solved[1:]) < 1e-2
    record = json.loads(cycles[-1].to_json())["decision"]
    last = next(c for c in reversed(cycles) if "dryer" in c.decision.asked.solves)
    record = json.loads(last.to_json())["decision"]["solves"]["dryer"]
    assert record["iterations"] >= 1
    bound = [b for a in solved for b in a.solves["dryer"].binding]
    assert {"fresh_air_rel"} <= {b.name for b in bound}
    assert all(b.price > 0.0 for b in bound)
    told = [text for c in cycles for n, text in c.decision.asked.why.items() if "dryer" in n]
    assert told
    assert all(len(text.split("; ")) == 3 and "risks" in text for text in told)
