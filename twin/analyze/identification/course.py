"""Before and after: the recorded stretch simulated with the plant file's numbers and with the fitted.

Both lines begin empty, take the recorded setpoints, orders and disturbances, and meet the same luck in
each of several worlds; how far their figures lie from the recorded ones is what the fit has brought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.record import Column, Record
from twin.kernels import draws
from twin.line.engine import Engine, engine
from twin.line.environment import ROW_S
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.tags import NO_CONTROL, TagReader, line_signals
from twin.signals import Role
from twin.state import LineState

FIGURES: Mapping[str, tuple[str, str]] = {
    "good_parts": ("1", "line.good_count"),
    "scrap_parts": ("1", "line.scrap_count"),
    "energy_kwh": ("kW.h", "line.energy_kwh"),
}
PUSHED = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """One figure: as recorded, and in each world before and after the fit."""

    name: str
    unit: str
    recorded: float
    before: Column
    after: Column

    def miss(self, course: Column) -> float:
        """How far the mean of the worlds lies from what was recorded, as a share of it."""
        return abs(float(course.mean()) - self.recorded) / max(abs(self.recorded), 1.0)


def before_and_after(
    nominal: Line, fitted: Line, record: Record, worlds: int, seed: int
) -> tuple[Checked, ...]:
    """Every figure that was recorded, simulated with both lines in so many worlds."""
    recorded = {name: _made(record, signal) for name, (_, signal) in FIGURES.items()}
    recorded = {name: value for name, value in recorded.items() if np.isfinite(value)}
    if not recorded:
        return ()
    sides = [_simulated(line, record, worlds, seed, tuple(recorded)) for line in (nominal, fitted)]
    for_parts = [
        Checked(name, FIGURES[name][0], recorded[name], sides[0][name], sides[1][name])
        for name in recorded
    ]
    if {"good_parts", "energy_kwh"} <= recorded.keys() and recorded["good_parts"] > 0:
        each = [side["energy_kwh"] / np.maximum(side["good_parts"], 1.0) for side in sides]
        own = recorded["energy_kwh"] / recorded["good_parts"]
        for_parts.append(Checked("energy_kwh_per_good_part", "kW.h", own, each[0], each[1]))
    return tuple(for_parts)


def _made(record: Record, signal: str) -> float:
    known = record[signal][np.isfinite(record[signal])]
    return float(known[-1] - known[0]) if known.size > 1 else float("nan")


def _simulated(
    line: Line, record: Record, worlds: int, seed: int, figures: tuple[str, ...]
) -> dict[str, Column]:
    moving, reader = engine(line, _table(line, record)), TagReader(line)
    steps = _steps(line, record)
    until_s = float(record.time_s[-1] - record.time_s[0])
    found = {name: np.empty(worlds) for name in figures}
    for world in range(worlds):
        values = reader.read(_course(moving, line, steps, until_s, seed, world), NO_CONTROL)
        for name in figures:
            found[name][world] = values[reader.index[FIGURES[name][1]]]
    return found


def _course(
    moving: Engine,
    line: Line,
    steps: list[tuple[float, dict[str, float]]],
    until_s: float,
    seed: int,
    world: int,
) -> LineState:
    state = initial_state(line, seed, draws.WHAT_IF + world)
    moving.prime(state)
    given: dict[str, float] = {}
    for at_s, setpoints in steps:
        moving.advance(state, given, at_s)
        given = setpoints
    moving.advance(state, given, until_s)
    return state


def _steps(line: Line, record: Record) -> list[tuple[float, dict[str, float]]]:
    """When which setpoints were moved, from the beginning of the record on."""
    names = [q.name for q in line_signals(line) if q.role is Role.MV and q.name in record]
    in_force: dict[str, float] = {}
    steps = []
    for n, time_s in enumerate((record.time_s - record.time_s[0]).tolist()):
        now = {name: float(record[name][n]) for name in names}
        moved = {k: v for k, v in now.items() if np.isfinite(v) and in_force.get(k) != v}
        if moved:
            # A reading shows what came into force after the one before it.
            before = float(record.time_s[max(n - 1, 0)] - record.time_s[0])
            steps.append((before if n else time_s, moved))
            in_force |= moved
    return steps


def _table(line: Line, record: Record) -> list[float]:
    """Rows a minute of what came from outside: disturbances, orders; failures as the file says."""
    from_s = float(record.time_s[0])
    rows = int((record.time_s[-1] - from_s) // ROW_S) + 2
    minutes = from_s + ROW_S * np.arange(rows)
    at = np.clip(np.searchsorted(record.time_s, minutes, side="right") - 1, 0, None)
    columns = []
    for name, spec in line.plant.disturbances.items():
        course = _carried(record[f"env.{name}"], float(spec.mean))
        columns.append(np.clip(course[at], *spec.validity))
    ordered = record["line.ordered_count"]
    good = record["line.good_count"]
    first = good[np.isfinite(good)][0] if np.isfinite(good).any() else 0.0
    columns.append(_carried(ordered, PUSHED)[at] - first)
    columns.append(np.ones(rows))
    table: list[float] = np.stack(columns, axis=1).ravel().tolist()
    return table


def _carried(course: Column, missing: float) -> Column:
    """The last known value in place of unknown ones; ``missing`` where nothing is known."""
    known = np.flatnonzero(np.isfinite(course))
    if not known.size:
        return np.full(course.shape, missing)
    last = np.searchsorted(known, np.arange(course.size), side="right") - 1
    return course[known[np.maximum(last, 0)]]
