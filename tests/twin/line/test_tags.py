"""Tags: their order is fixed, and their values are those of the state."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.anchor_lines import serial_plant
from tests.twin.line.small_lines import Run, changed, fixed, table_of
from twin.config import load_plant
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import build_line
from twin.line.scenario import build_table
from twin.line.simulator import Simulator
from twin.line.tags import CONTROL_TAGS, TagReader, line_signals
from twin.signals import Role

CONTROL = tuple(float(n) for n in range(len(CONTROL_TAGS)))
STATION = [
    "state",
    "state_since_s",
    "part_id",
    "elapsed_work_s",
    "op_count",
    "scrap_count",
    "failure_count",
    "tool_changes",
    *(f"time_{state}_s" for state in s.STATES),
    "energy_kwh",
    "gas_kwh",
    "last_cycle_s",
    "last_energy_kwh",
    "power_kw",
    "standby_after_s",
    "standby",
]


def small() -> Run:
    """Two stations, the second slow; the source has a takt of 4 s."""
    plant = changed(
        serial_plant(fixed(5.0, 8.0), [1]),
        {
            "source.takt_s.start": 4.0,
            "source.blank_kg": 2.0,
            "disturbances.ambient_c": {
                "unit": "Cel",
                "kind": "constant",
                "mean": 20.0,
                "validity": (-10.0, 45.0),
            },
        },
    )
    return Run(build_line(plant), [21.5, 40.0, 1.0])


def test_the_order_of_tags_is_the_order_of_the_plant_file() -> None:
    names = [signal.name for signal in line_signals(small().line)]
    expected = [
        *("line.good_count", "line.scrap_count", "line.released_count", "line.ordered_count"),
        *("line.wip", "line.material_kg", "line.scrap_kg", "line.energy_kwh", "line.gas_kwh"),
        *("line.power_kw", "line.last_release_s", "line.takt_s", "infeed.level", "b0.level"),
        *(f"m0.{name}" for name in STATION),
        *(f"m1.{name}" for name in STATION),
        "env.ambient_c",
        *(name for name, _ in CONTROL_TAGS),
    ]
    assert names == expected


def test_values_are_those_of_the_moment() -> None:
    run = small().to(22.0)
    reader = TagReader(run.line)
    values = reader.read(run.state, CONTROL)
    seen = {signal.name: values[n] for n, signal in enumerate(reader.signals)}
    # m0: 0-5, 5-10, 10-15, 15-20, blocked until 21, then part 5. m1: 5-13, 13-21, then part 3.
    expected = {
        "line.good_count": 2,
        "line.scrap_count": 0,
        "line.released_count": 6,
        "line.ordered_count": 40,
        "line.wip": 4,
        "line.material_kg": 12.0,
        "line.last_release_s": 21.0,
        "line.takt_s": 4.0,
        "infeed.level": 1,
        "b0.level": 1,
        "m0.state": s.PROCESSING,
        "m0.state_since_s": 21.0,
        "m0.part_id": 5,
        "m0.elapsed_work_s": 1.0,
        "m0.op_count": 4,
        "m0.time_processing_s": 21.0,
        "m0.time_blocked_s": 1.0,
        "m0.last_cycle_s": 5.0,
        "m0.last_energy_kwh": 0.7 * 5.0 / 3600.0,
        "m0.power_kw": 0.7,
        "m0.energy_kwh": (0.7 * 21.0 + 0.4) / 3600.0,
        "m0.standby_after_s": 1e6,
        "m0.standby": 0,
        "m1.state": s.PROCESSING,
        "m1.part_id": 3,
        "m1.time_idle_s": 5.0,
        "m1.time_processing_s": 17.0,
        "m1.energy_kwh": (0.7 * 17.0 + 0.4 * 5.0) / 3600.0,
        "env.ambient_c": 21.5,
        "line.energy_kwh": (0.7 * 38.0 + 0.4 * 6.0) / 3600.0,
        "line.power_kw": 1.4,
        "line.gas_kwh": 0.0,
        "control.mode": 0.0,
        "control.watchdog_ok": 6.0,
    }
    assert {name: seen[name] for name in expected} == pytest.approx(expected)
    assert reader.part_ids(run.state) == {"infeed": (6,), "b0": (4,)}


def test_elapsed_work_stands_still_during_a_repair() -> None:
    plant = load_plant("machining_line")
    line = build_line(plant)
    table = build_table(plant, 1, PLANT, 8.0)
    simulator, state = Simulator(line, table), initial_state(line, 1, PLANT)
    reader = TagReader(line)
    at = reader.index["turning.elapsed_work_s"]
    down_at = None
    while down_at is None:
        events = simulator.advance(state, {}, state.now_s + 1.0)
        down_at = next((e for e in events if e.entity == "turning" and e.after == s.DOWN), None)
    first = reader.read(state, CONTROL)[at]
    assert first > 0.0
    simulator.advance(state, {}, state.now_s + 1.0)
    assert state.ints[line.element("turning") * s.E_INTS] == s.DOWN
    assert reader.read(state, CONTROL)[at] == first


def test_reading_does_not_change_the_state() -> None:
    run = small().to(22.0)
    before = run.state.copy()
    TagReader(run.line).read(run.state, CONTROL)
    TagReader(run.line).part_ids(run.state)
    assert run.state == before


def test_every_tag_of_a_shipped_line_has_a_value_and_every_setpoint_is_taken() -> None:
    plant = load_plant("machining_line")
    line = build_line(plant)
    reader = TagReader(line)
    simulator = Simulator(line, build_table(plant, 1, PLANT, 8.0))
    state = initial_state(line, 1, PLANT)
    simulator.advance(state, {}, 3600.0)
    values = reader.read(state, CONTROL)
    assert values.shape == (len(reader.signals),)
    assert np.isfinite(values).all()
    asked = {}
    for n, signal in enumerate(reader.signals):
        if signal.role is Role.MV:
            assert signal.operator is not None
            assert values[n] == signal.operator.clip(values[n])
            asked[signal.name] = signal.operator.hi
    simulator.advance(state, asked, state.now_s)
    after = reader.read(state, CONTROL)
    assert {name: after[reader.index[name]] for name in asked} == asked


def test_parts_on_hand_without_places_are_listed() -> None:
    plant = changed(
        serial_plant(fixed(5.0, 5.0), [0]),
        {"source.takt_s.start": 100.0, "stations.1.standby_after_s.start": 30.0},
    )
    run = Run(build_line(plant), table_of()).to(110.0)
    # The part came at 105 to a station that had fallen asleep; it lies at hand while that warms up.
    assert TagReader(run.line).part_ids(run.state) == {"infeed": (), "b0": (2,)}
