"""Every part that a station made, with what it was made with and what was measured of it.

A cycle begins with the setpoints of that moment, and its results are shown when it ends, some of
them later. A part of whose beginning the inputs are not clear, because a setpoint was moved around
that moment, is left out: a guess would teach something wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.analyze.identification.record import Column, Record
from twin.line import schema as s
from twin.line.model import Line
from twin.processes.model import ProcessModel

MOVED = 1e-3
"""A setpoint that moved by more than this share of its operator limits is not the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Parts of one station in order: rows of inputs u and d, and measured outputs by name.

    ``row`` is the reading that first showed a part as finished, ``edge`` the number of the cutting
    edge that made it. An output that nobody saw is NaN.
    """

    op: NDArray[np.int64]
    row: NDArray[np.intp]
    begin_s: Column
    edge: NDArray[np.int64]
    u: Column
    d: Column
    outputs: Mapping[str, Column]

    def only(self, which: NDArray[np.bool_]) -> Parts:
        """Some of the parts."""
        outputs = {name: column[which] for name, column in self.outputs.items()}
        return Parts(
            self.op[which], self.row[which], self.begin_s[which], self.edge[which],
            self.u[which], self.d[which], outputs,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Readings:
    """The readings of a station in which all that follows its parts is known."""

    at: NDArray[np.intp]
    t: Column
    op: NDArray[np.int64]
    state: Column
    elapsed: Column
    worked: Column
    cycle: Column
    tools: Column


def parts_of(line: Line, e: int, record: Record) -> Parts | None:
    """The parts of the station at element ``e``; None if its counters were not logged."""
    element = line.elements[e]
    model, name = element.process, element.name
    seen = _readings(record, name, has_tool=line.plant.stations[e - 1].tool is not None)
    if seen is None:
        return None
    rows = np.flatnonzero(np.diff(seen.op) > 0) + 1
    begun, begin_s, is_clear = _beginnings(seen, rows)
    ahead = np.minimum(begun + 1, seen.t.size - 1)
    u, moved = _setpoints(line, e, record, seen, begun, ahead)
    d = _disturbances(model, line, record, seen, ahead, begin_s)
    edge = seen.tools[ahead]
    is_clear &= ~moved & np.isfinite(d).all(axis=1) & np.isfinite(u).all(axis=1)
    worked_here = seen.tools[np.maximum(rows - 1, 0)]
    is_clear &= (edge == worked_here) | (begun >= rows - 1)
    is_clear &= (begun < rows - 1) | (seen.tools[rows] == seen.tools[rows - 1])
    outputs = _outputs(line, e, record, seen, rows)
    found = Parts(seen.op[rows], seen.at[rows], begin_s, edge.astype(np.int64), u, d, outputs)
    return found.only(is_clear)


def _readings(record: Record, name: str, *, has_tool: bool) -> _Readings | None:
    needed = ["op_count", "state", "elapsed_work_s", "time_processing_s", "last_cycle_s"]
    names = [f"{name}.{key}" for key in (*needed, *(("tool_changes",) if has_tool else ()))]
    at = record.whole(*names)
    if at.size < 2:
        return None
    columns = [record[key][at] for key in names]
    op, state, elapsed, worked, cycle = columns[:5]
    tools = columns[5] if has_tool else np.zeros(at.size)
    return _Readings(
        at, record.time_s[at], op.astype(np.int64), state, elapsed, worked, cycle, tools
    )


def _beginnings(
    seen: _Readings, rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Column, NDArray[np.bool_]]:
    """The last reading before each part was begun, when that was, and whether it is certain."""
    before = rows - 1
    cycle = seen.cycle[rows]
    elapsed = seen.elapsed[before]
    under_way = seen.state[before] == s.PROCESSING
    under_way |= (seen.state[before] == s.DOWN) & (elapsed > 0.0) & (elapsed < cycle - 1e-6)
    under_way &= seen.op[rows] == seen.op[before] + 1
    worked = seen.worked[before] - elapsed
    begun = np.searchsorted(seen.worked, worked + 1e-6, side="right") - 1
    begun = np.where(under_way, np.minimum(begun, before), before)
    is_clear = begun >= 0
    begun = np.maximum(begun, 0)
    ahead = np.minimum(begun + 1, seen.t.size - 1)
    # At work since then without a break, its clock tells the instant.
    exact = seen.t[before] - elapsed
    unbroken = under_way & (exact >= seen.t[begun] - 1e-6) & (exact <= seen.t[ahead] + 1e-6)
    latest = np.maximum(np.minimum(seen.t[ahead], seen.t[rows] - cycle), seen.t[begun])
    return begun, np.where(unbroken, exact, 0.5 * (seen.t[begun] + latest)), is_clear


def _setpoints(
    line: Line,
    e: int,
    record: Record,
    seen: _Readings,
    begun: NDArray[np.intp],
    ahead: NDArray[np.intp],
) -> tuple[Column, NDArray[np.bool_]]:
    """Setpoints in force when each part was begun, and whether any moved around that moment."""
    element, station = line.elements[e], line.plant.stations[e - 1]
    u = np.empty((begun.size, len(element.setpoints)))
    moved = np.zeros(begun.size, dtype=bool)
    for n, key in enumerate(element.setpoints):
        spec = station.setpoints[key]
        course = record[f"{element.name}.{key}"]
        if f"{element.name}.{key}" not in record:
            course = np.full(record.time_s.shape, spec.start)
        held = course[seen.at]
        u[:, n] = held[ahead]
        moved |= np.abs(held[ahead] - held[begun]) > MOVED * (spec.operator[1] - spec.operator[0])
    return u, moved


def _disturbances(
    model: ProcessModel,
    line: Line,
    record: Record,
    seen: _Readings,
    ahead: NDArray[np.intp],
    begin_s: Column,
) -> Column:
    """Disturbances as they were when each part was begun; the model's default where there is none.

    What comes into force at the instant of a reading comes after it, and is seen in the next one.
    """
    d = np.empty((ahead.size, len(model.dvs)))
    for n, q in enumerate(model.dvs):
        assert q.default is not None
        if q.name == "shift_elapsed_h":
            d[:, n] = np.mod(begin_s / 3600.0, line.plant.shift_h)
        elif q.name in line.plant.disturbances:
            d[:, n] = record[f"env.{q.name}"][seen.at][ahead]
        else:
            d[:, n] = q.default
    return d


def _outputs(
    line: Line, e: int, record: Record, seen: _Readings, rows: NDArray[np.intp]
) -> dict[str, Column]:
    """What was measured of the part that each of these rows shows first."""
    element, station = line.elements[e], line.plant.stations[e - 1]
    shown = {
        "cycle_time_s": record[f"{element.name}.last_cycle_s"][seen.at][rows],
        "energy_kwh": record[f"{element.name}.last_energy_kwh"][seen.at][rows],
    }
    for key in element.outputs:
        sensor = station.sensors.get(key)
        course = record[f"{element.name}.{key}"][seen.at]
        shown[key] = _first_shown(seen, course, rows, sensor.delay_s if sensor else 0.0)
    return shown


def _first_shown(seen: _Readings, course: Column, rows: NDArray[np.intp], delay_s: float) -> Column:
    """A value comes ``delay_s`` late: it belongs to the part that was the last one then."""
    then = np.searchsorted(seen.t, seen.t - delay_s + 1e-6, side="right") - 1
    op = np.where(then >= 0, seen.op[np.maximum(then, 0)], -1)
    known = np.isfinite(course)
    first: dict[int, float] = {}
    for one, value in zip(op[known].tolist(), course[known].tolist(), strict=True):
        first.setdefault(one, value)
    return np.array([first.get(one, np.nan) for one in seen.op[rows].tolist()])
