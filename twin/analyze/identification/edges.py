"""Cutting edges: how worn one was when each part was begun, and how fast edges wear in all.

An edge wears evenly under constant setpoints (Taylor), each at a pace of its own. The sensor is noisy,
the course of one edge is not: it follows the model's increments but for one factor. The factors of
several edges, lognormal, say how far the model's pace is off, and how much edges differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.finding import Finding, Interval, finding
from twin.analyze.identification.laws import lognormal_cv, lognormal_mean
from twin.analyze.identification.parts import Parts
from twin.analyze.identification.record import Column, Record
from twin.config.plant import StationSpec
from twin.processes.model import ProcessModel

WORN = 0.4
"""Share of its life that an edge must have been seen wearing through to say how fast it wears."""
LEAST_EDGES = 3
CV_WIDTH = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Wear at the beginning of each part, mm, a row a part; the pace of each edge seen well enough."""

    wear_mm: Column
    paces: Column


def edges_of(
    station: StationSpec, model: ProcessModel, p: Column, parts: Parts, record: Record
) -> Edges:
    """Follow every edge through the parts that it made."""
    assert station.tool is not None
    life = float(station.tool.end_of_life_mm)
    use = record[f"{station.name}.tool_use"][parts.row] * life
    changes = record[f"{station.name}.tool_changes"]
    seen_here = changes[parts.row] == parts.edge
    first = changes[np.isfinite(changes)][0] if np.isfinite(changes).any() else np.nan
    place = model.output_names.index("wear_increment")
    function = model.numbers()
    zero = np.zeros(len(model.states))
    increment = np.array(
        [function(zero, u, d, p)[place] for u, d in zip(parts.u, parts.d, strict=True)]
    )
    wear, paces = np.full(parts.op.size, np.nan), []
    for edge in np.unique(parts.edge):
        mine = parts.edge == edge
        gaps = np.diff(parts.op[mine], prepend=parts.op[mine][0] - 1)
        ran = np.cumsum(increment[mine] * gaps)
        begun = ran - increment[mine]
        known = seen_here[mine] & np.isfinite(use[mine])
        at = int(np.flatnonzero(mine)[0])
        # Nothing made by a new edge was left out: then it began unworn.
        is_new = edge != first and at > 0 and parts.op[at] == parts.op[at - 1] + 1
        fit = _line(ran[known], use[mine][known], through_zero=is_new)
        if fit is None:
            continue
        pace, start = fit
        wear[mine] = np.clip(start + pace * begun, 0.0, None)
        if pace > 0.0 and pace * float(ran[-1] - ran[0]) >= WORN * life:
            paces.append(pace)
    return Edges(wear[:, None], np.array(paces))


def _line(ran: Column, use: Column, *, through_zero: bool) -> tuple[float, float] | None:
    """Slope and start of wear over the model's own course of it."""
    if ran.size < 3 or float(np.ptp(ran)) <= 0.0:
        return None
    if through_zero:
        return float(ran @ use / (ran @ ran)), 0.0
    slope, start = np.polyfit(ran, use, 1)
    return float(slope), float(start)


def edge_findings(
    station: StationSpec, model: ProcessModel, p: Column, parts: Parts, paces: Column
) -> tuple[Finding, ...]:
    """The parameter that carries the plant file's doubt about tool life, and the scatter of lives."""
    assert station.tool is not None
    found = []
    pace = lognormal_mean(paces, np.array([]), None) if paces.size >= LEAST_EDGES else None
    name = doubted(station, model, p, parts)
    if name is not None:
        at = [q.name for q in model.parameters].index(name)
        q = model.parameters[at]
        moved = Interval(np.nan, -np.inf, np.inf, int(paces.size))
        if pace is not None and pace.is_closed:
            faster = _faster(model, p, parts, at)
            ends = [_inverse(faster, value, q.lo, q.hi) for value in (pace.lo, pace.hi)]
            middle = _inverse(faster, pace.estimate, q.lo, q.hi)
            moved = Interval(middle, min(ends), max(ends), int(paces.size))
        path = (station.name, "parameters", name)
        found.append(finding(path, q.unit, station.parameters[name], moved))
    if paces.size >= LEAST_EDGES:
        path = (station.name, "tool", "life_cv")
        cv = lognormal_cv(paces)
        found.append(finding(path, "1", station.tool.life_cv, cv, width=CV_WIDTH))
    return tuple(found)


def doubted(station: StationSpec, model: ProcessModel, p: Column, parts: Parts) -> str | None:
    """The parameter with a range in the plant file that moves the model's wear and nothing else."""
    if not parts.op.size:
        return None
    function, zero = model.numbers(), np.zeros(len(model.states))
    place = model.output_names.index("wear_increment")
    base = np.array(function(zero, parts.u[0], parts.d[0], p))
    for at, q in enumerate(model.parameters):
        given = station.parameters.get(q.name)
        if given is None or given.range is None:
            continue
        moved = p.copy()
        moved[at] += 1e-3 * (q.hi - q.lo)
        change = np.abs(np.array(function(zero, parts.u[0], parts.d[0], moved)) - base)
        if change[place] > 0.0 and not np.delete(change, place).any():
            return q.name
    return None


def _faster(model: ProcessModel, p: Column, parts: Parts, at: int) -> Callable[[float], float]:
    """How much faster edges wear with one parameter at another value, over all parts."""
    function, zero = model.numbers(), np.zeros(len(model.states))
    place = model.output_names.index("wear_increment")

    def total(value: float) -> float:
        moved = p.copy()
        moved[at] = value
        rows = zip(parts.u, parts.d, strict=True)
        return float(sum(function(zero, u, d, moved)[place] for u, d in rows))

    nominal = total(float(p[at]))
    return lambda value: total(value) / nominal


def _inverse(faster: Callable[[float], float], pace: float, lo: float, hi: float) -> float:
    """The value at which edges wear at this pace; an end of the model's limits beyond them."""
    from scipy.optimize import brentq

    at_lo, at_hi = faster(lo) - pace, faster(hi) - pace
    if at_lo * at_hi > 0.0:
        return lo if abs(at_lo) < abs(at_hi) else hi
    return float(brentq(lambda value: faster(value) - pace, lo, hi, xtol=1e-9))
