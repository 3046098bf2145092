"""What would happen if: many courses of a line from one state on, unchanged and changed, side by side.

Each replication is a world of its own: what nobody knows yet (the next failures, how long a repair still
takes, which parts are spoilt) is drawn anew there. In every world both courses meet the same luck, so
their difference is that of the change. The state that is given stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.kernels.draws import WHAT_IF
from twin.line import schema as s
from twin.line.compiled import CompiledSimulator, as_arrays
from twin.line.environment import ROW_S
from twin.line.model import Line
from twin.line.tags import line_signals
from twin.signals import Role
from twin.state import LineState

FIGURES = {
    "good_parts": "1",
    "scrap_parts": "1",
    "energy_kwh": "kW.h",
    "gas_kwh": "kW.h",
    "energy_kwh_per_good_part": "kW.h",
    "wip_end": "1",
    "backlog_end": "1",
}
"""What is told of each course, over the time looked at."""


class ChangeError(ValueError):
    """A change that cannot be made to this line; the message says why."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A station that goes down at a plant time and stays down for so long, seconds."""

    station: str
    at_s: float
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Order:
    """Good parts ordered on top, from a plant time on, seconds."""

    parts: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """What is done differently: setpoints from now on, failures, rush orders."""

    setpoints: Mapping[str, float] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives:
    """Figures of both courses, one entry a world, and the good parts on a grid for a picture.

    ``times_s`` counts from now; ``base_parts`` and ``changed_parts`` are worlds by times.
    """

    base: Mapping[str, NDArray[np.float64]]
    changed: Mapping[str, NDArray[np.float64]]
    times_s: NDArray[np.float64]
    base_parts: NDArray[np.float64]
    changed_parts: NDArray[np.float64]


def compare_alternatives(
    line: Line,
    table: Sequence[float],
    state: LineState,
    change: Change,
    lasts_s: float,
    worlds: int,
    points: int = 1,
) -> Alternatives:
    """Both courses over ``lasts_s`` from the state on, in so many worlds.

    ``table`` is what comes from outside in the unchanged course, see ``twin.line.environment``.
    ``points`` is how often the parts are counted on the way. Raises ``ChangeError`` for a change that
    this line cannot take, ``ProcessModelError`` for a line that cannot be compiled.
    """
    if worlds < 1 or not lasts_s > 0.0:
        raise ChangeError("look at one world or more, and at some time ahead")
    _refuse(line, change, state.now_s, lasts_s)
    times_s = np.linspace(0.0, lasts_s, points + 1)[1:]
    begun = _forks(line, table, state, worlds)
    base = _course(line, table, state.now_s, begun, Change(), times_s)
    changed = _course(line, table, state.now_s, begun, change, times_s)
    return Alternatives(base[0], changed[0], times_s, base[1], changed[1])


def refuse_setpoints(line: Line, setpoints: Mapping[str, float]) -> None:
    """Raises ``ChangeError`` for a setpoint that the line does not have or that lies out of range."""
    limits = {q.name: q.validity for q in line_signals(line) if q.role is Role.MV}
    for name, value in setpoints.items():
        if name not in limits:
            raise ChangeError(f"the line has no setpoint {name!r}; it has: {', '.join(limits)}")
        allowed = limits[name]
        if allowed is not None and not allowed.holds(value):
            raise ChangeError(f"{name} = {value:g} lies outside [{allowed.lo:g}, {allowed.hi:g}]")


def _refuse(line: Line, change: Change, now_s: float, lasts_s: float) -> None:
    refuse_setpoints(line, change.setpoints)
    stations = {element.name: element.kind for element in line.stations}
    broken = [failure.station for failure in change.failures]
    for failure in change.failures:
        if stations.get(failure.station) != s.STATION:
            known = ", ".join(name for name, kind in stations.items() if kind == s.STATION)
            raise ChangeError(f"no failure of {failure.station!r} can be made; stations: {known}")
        if line.c[line.element(failure.station) * s.EC + s.C_STRIKE_BETWEEN_S] > 0.0:
            raise ChangeError(
                f"{failure.station!r} has failures of calendar time of its own, and no other can be"
                " put among them"
            )
        if broken.count(failure.station) > 1:
            raise ChangeError(f"{failure.station!r} can be made to fail once only")
        if not failure.lasts_s > 0.0:
            raise ChangeError(f"the failure of {failure.station!r} must take some time")
        _refuse_out_of_sight(f"the failure of {failure.station!r}", failure.at_s, now_s, lasts_s)
    for order in change.orders:
        if order.parts < 1:
            raise ChangeError("a rush order has one part or more")
        _refuse_out_of_sight(f"the rush order of {order.parts}", order.at_s, now_s, lasts_s)


def _refuse_out_of_sight(what: str, at_s: float, now_s: float, lasts_s: float) -> None:
    if at_s < now_s:
        raise ChangeError(f"{what} must lie ahead")
    if at_s >= now_s + lasts_s:
        raise ChangeError(f"{what} lies beyond the {lasts_s / 3600.0:g} h that are looked at")


def _forks(
    line: Line, table: Sequence[float], state: LineState, worlds: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Columns of so many copies, one a row, each in a world of its own."""
    one: Any = as_arrays(state)
    floats, ints = np.tile(one.floats, (worlds, 1)), np.tile(one.ints, (worlds, 1))
    engine = CompiledSimulator(line, table, tells=False)
    numbers = WHAT_IF + np.arange(worlds, dtype=np.int64)
    engine.advance_all(np.full(worlds, state.now_s), floats, ints, {}, state.now_s, numbers)
    return floats, ints


def _course(
    line: Line,
    table: Sequence[float],
    now_s: float,
    begun: tuple[NDArray[np.float64], NDArray[np.int64]],
    change: Change,
    times_s: NDArray[np.float64],
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    floats, ints = begun[0].copy(), begun[1].copy()
    worlds, end_s = len(floats), now_s + float(times_s[-1])
    rows = _with_orders(line, table, change.orders, end_s)
    engine = CompiledSimulator(_with_strikes(line, change.failures), rows, tells=False)
    begin = {name: values.copy() for name, values in _figures(line, floats, ints, now_s).items()}
    nows_s = np.full(worlds, now_s)
    for failure in change.failures:
        _strike_at(line.element(failure.station), failure.at_s, floats, ints)
    parts = np.empty((worlds, len(times_s)))
    for n, after_s in enumerate(times_s.tolist()):
        given = change.setpoints if n == 0 else {}
        engine.advance_all(nows_s, floats, ints, given, now_s + after_s)
        parts[:, n] = ints[:, line.k[s.K_LINE_I] + s.GOOD] - begin["good_parts"]
    figures = _figures(line, floats, ints, end_s)
    for name in ("good_parts", "scrap_parts", "energy_kwh", "gas_kwh"):
        figures[name] -= begin[name]
    energy = figures["energy_kwh"] + figures["gas_kwh"]
    made = np.where(figures["good_parts"] > 0.0, figures["good_parts"], np.nan)
    figures["energy_kwh_per_good_part"] = energy / made
    return figures, parts


def _figures(
    line: Line, floats: NDArray[np.float64], ints: NDArray[np.int64], now_s: float
) -> dict[str, NDArray[np.float64]]:
    """Counters and meters of all states at once."""
    at = line.k[s.K_LINE_I]
    energy, gas = np.zeros(len(floats)), np.zeros(len(floats))
    for e, element in enumerate(line.elements):
        if element.kind in (s.STATION, s.CONVEYOR, s.CUSTOM):
            own = floats[:, e * s.E_FLOATS : (e + 1) * s.E_FLOATS]
            since_h = (now_s - own[:, s.BOOKED_S]) / 3600.0
            energy += own[:, s.ENERGY_KWH : s.ENERGY_KWH + s.N_STATES].sum(axis=1)
            energy += own[:, s.POWER_KW] * since_h
            gas += own[:, s.GAS_KWH] + own[:, s.GAS_KW] * since_h
    good, scrap = ints[:, at + s.GOOD].astype(float), ints[:, at + s.LINE_SCRAPPED].astype(float)
    return {
        "good_parts": good,
        "scrap_parts": scrap,
        "energy_kwh": energy,
        "gas_kwh": gas,
        "wip_end": ints[:, at + s.RELEASED] - good - scrap,
        "backlog_end": np.maximum(ints[:, at + s.ORDERED] - good, 0.0),
    }


def _with_orders(
    line: Line, table: Sequence[float], orders: Sequence[Order], end_s: float
) -> list[float]:
    """The table up to the end of the time looked at, with the rush orders from their minute on."""
    if not orders:
        return list(table)
    width = len(line.disturbances) + 2
    given = [list(table[at : at + width]) for at in range(0, len(table), width)]
    rows = [list(given[min(n, len(given) - 1)]) for n in range(int(end_s / ROW_S) + 2)]
    for order in orders:
        for n, row in enumerate(rows):
            if n * ROW_S >= order.at_s:
                row[width - 2] += order.parts
    return [value for row in rows for value in row]


def _with_strikes(line: Line, failures: Sequence[Failure]) -> Line:
    """The line on which these stations know failures of calendar time, as long as they are to last."""
    c = list(line.c)
    for failure in failures:
        cc = line.element(failure.station) * s.EC
        c[cc + s.C_STRIKE_BETWEEN_S] = 1e12  # the one that is set, and no other
        c[cc + s.C_STRIKE_REPAIR_S] = failure.lasts_s
        c[cc + s.C_STRIKE_REPAIR_LAW] = s.FIXED
    return replace(line, c=tuple(c))


def _strike_at(e: int, at_s: float, floats: NDArray[np.float64], ints: NDArray[np.int64]) -> None:
    """The failure becomes due, unless something else is due before; then it is planned anew."""
    a, b = e * s.E_FLOATS, e * s.E_INTS
    floats[:, a + s.STRIKES_S] = at_s
    can = np.isin(ints[:, b + s.STATE], (s.IDLE, s.BLOCKED, s.STANDBY, s.PROCESSING))
    first = can & (at_s < floats[:, a + s.DUE_S])
    floats[first, a + s.DUE_S] = at_s
    ints[first, b + s.PENDING] = s.STRUCK
