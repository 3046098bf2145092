"""Lines and their twins: exact observations, and loops that close in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

import numpy as np
import pytest

from tests.twin.line.small_lines import Run, changed
from twin.analyze.whatif import present
from twin.config import Plant, load_plant, load_truth, untuned
from twin.cycle import Acknowledgement, Cycle, Observation, Reading
from twin.equipment.plc import Plc
from twin.kernels import draws
from twin.line import schema as s
from twin.line.model import Line, build_line
from twin.line.scenario import build_table, scenario_of
from twin.line.simulator import Simulator
from twin.line.tags import TagReader
from twin.loop import ControlLoop
from twin.plugins import find_controller
from twin.protocols import Controller
from twin.signals import Quality
from twin.state import LineState

IN_REMOTE = (3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
"""The control tags of a PLC that takes setpoints from outside."""
PLANTS = ("machining_line", "molding_cell", "paint_cure_line")


def observed(line: Line, state: LineState, lost: Iterable[str] = (), **told: float) -> Observation:
    """The state as perfect instruments show it; ``lost`` are missing, ``told`` replace values."""
    reader = TagReader(line)
    values = reader.read(state, IN_REMOTE)
    quality = np.zeros(len(values), dtype=np.int64)
    for name, value in told.items():
        values[reader.index[name.replace("__", ".")]] = value
    for name in lost:
        values[reader.index[name]], quality[reader.index[name]] = np.nan, int(Quality.MISSING)
    time_us = round(state.now_s * 1e6)
    return Observation(time_us, 0, values, quality, reader.part_ids(state), (), reader.index)


@cache
def plant_of(name: str) -> Plant:
    return load_plant(name)


@cache
def nominal(name: str) -> Line:
    return build_line(plant_of(name))


@cache
def true(name: str) -> Line:
    return build_line(plant_of(name), load_truth(name, plant_of(name)))


@cache
def without_luck(name: str) -> Line:
    """The nominal line without failures, scatter of tools or noise."""
    plant = plant_of(name)
    changes: dict[str, object] = {}
    for n, station in enumerate(plant.stations):
        changes[f"stations.{n}.failures"] = {}
        if station.tool is not None:
            changes[f"stations.{n}.tool.life_cv"] = {"value": 0.0}
        for sensor in station.sensors:
            changes[f"stations.{n}.sensors.{sensor}.noise_sd"] = 0.0
            changes[f"stations.{n}.sensors.{sensor}.delay_s"] = 0.0
    return build_line(changed(plant, changes))


def plc_of(line: Line, seed: int = 3, hours: float = 2.0, utilisation: float = 0.8) -> Plc:
    plant = line.plant
    table = build_table(plant, seed, draws.PLANT, hours, utilisation=utilisation)
    return Plc(line, table, seed, scenario_of(plant, "nominal"))


def loop_of(
    controller: str | Controller = "rules", seed: int = 3, line: Line | None = None
) -> ControlLoop:
    line = line or nominal("machining_line")
    if isinstance(controller, str):
        controller = find_controller(controller)(line, untuned(line.plant))
    return ControlLoop(line, controller, seed)


def drive(
    plc: Plc,
    loop: ControlLoop,
    turns: int,
    commands: Mapping[int, str] | None = None,
    tamper: Callable[[int, Reading], Reading] = lambda _, reading: reading,
) -> list[Cycle]:
    """Turn after turn in lockstep; closed by the first one unless ``commands`` say otherwise."""
    commands = {0: "close"} if commands is None else commands
    period_us = round(plc.line.plant.control.period_s * 1e6)
    answer: Acknowledgement | None = None
    cycles = []
    for n in range(turns):
        if n:
            plc.advance(plc.now_us + period_us)
        given = (commands[n],) if n in commands else ()
        cycle = loop.step(tamper(n, plc.reading()), given, answer)
        decision, answer = cycle.decision, None
        if decision.command:
            plc.command(decision.command)
        if decision.batch is not None:
            said = plc.apply(decision.batch)
            answer = said if decision.batch.setpoints else None
        cycles.append(cycle)
    return cycles


def tampered(
    loop: ControlLoop,
    reading: Reading,
    values: Mapping[str, float] | None = None,
    age_s: Mapping[str, float] | None = None,
    status: Mapping[str, Quality] | None = None,
) -> Reading:
    """The reading with other values, older samples, or marks of its source."""
    at = loop.tags.index
    columns = reading.values.copy(), reading.source_us.copy(), reading.status.copy()
    for name, value in (values or {}).items():
        columns[0][at[name]] = value
    for name, age in (age_s or {}).items():
        columns[1][at[name]] = reading.time_us - round(age * 1e6)
    for name, mark in (status or {}).items():
        columns[2][at[name]] |= int(mark)
    return Reading(reading.time_us, reading.step, *columns, reading.part_ids, reading.events)


INSTANT_S = 2e-3


def course(events: Sequence[object]) -> dict[str, list[tuple[float, int, int, int]]]:
    """Events by station; those at one instant may come in either order between stations.

    So a state that lasts no longer than an instant is left out: whether a station is blocked for that long
    says only which of two came first.
    """
    found: dict[str, list[tuple[float, int, int, int]]] = {}
    for event in events:
        entry = (event.time_us / 1e6, event.before, event.after, event.part)  # type: ignore[attr-defined]
        moves = found.setdefault(event.entity, [])  # type: ignore[attr-defined]
        if moves and entry[0] - moves[-1][0] <= INSTANT_S and moves[-1][2] == entry[1]:
            entry = (*moves.pop()[:2], *entry[2:])
        moves.append(entry)
    return found


def assert_foreseen(line: Line, plant: Run, twin: LineState, until_s: float) -> None:
    """The twin's course up to ``until_s`` is the plant's.

    Parts that are not there yet may get each other's numbers, where two of them come at one instant.
    """
    fork = twin.copy()
    foreseen = course(Simulator(line, present(line, twin)).advance(fork, {}, until_s))
    real = plant.state.copy()
    happened = course(plant.simulator.advance(real, {}, until_s))
    assert happened.keys() == foreseen.keys(), f"at {plant.state.now_s}: {happened}, not {foreseen}"
    newest = plant.state.ints[line.k[s.K_LINE_I] + s.NEXT_PART]
    for name, moves in happened.items():
        known, own = (
            [(*m[1:3], min(m[3], newest + 1)) for m in c] for c in (moves, foreseen[name])
        )
        assert known == own, f"{name} at {plant.state.now_s}: {moves}, not {foreseen[name]}"
        times = [move[0] for move in foreseen[name]]
        # What is due this instant happens a millisecond later in the twin.
        assert times == pytest.approx([move[0] for move in moves], abs=INSTANT_S), name
