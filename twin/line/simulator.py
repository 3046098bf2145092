"""The twin that runs: the transitions under SimPy's calendar, on plain lists.

The calendar is derived data. Each ``advance`` begins with a fresh SimPy environment, puts every due
time of the state into it, runs, and drops it: what is not in the state cannot matter. Ties are
broken by (time, class of element, element): first the environment, then conveyors, stations and the
source. A run up to ``T`` does what is due before ``T``, not at it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any, overload

import numpy as np
import simpy

from twin.cycle import Event
from twin.line import conveyor, environment, flow, luck, source, transitions
from twin.line import schema as s
from twin.line.model import Line
from twin.state import LineState

Table = Sequence[float]
_CLASS = {s.ENVIRONMENT: 1, s.CONVEYOR: 2, s.STATION: 3, s.SOURCE: 4}


class _Due(simpy.Event):
    """An entry of SimPy's calendar that fires one element."""

    __slots__ = ()

    def __init__(self, env: _Calendar, element: int, ticket: int) -> None:
        self.env = env
        self.callbacks = [env.fire]
        self._value = (element, ticket)
        self._ok = True
        self._defused = True


class _Calendar(simpy.Environment):
    """SimPy's environment, with due times that are absolute; it also keeps the journal.

    ``simpy.Environment.schedule`` takes delays; ``(t - now) + now`` is not ``t`` in floating point,
    so entries are put into the queue at their own time. An entry whose ticket is no longer the
    element's last one has been overtaken and does nothing.
    """

    def __init__(self, simulator: Simulator, state: LineState) -> None:
        super().__init__(initial_time=state.now_s)
        self.simulator = simulator
        self.state = state
        self.tickets = [0] * len(simulator.line.elements)
        self.transitions: list[tuple[float, int, int, int, int]] = []

    def at(self, time_s: float, element: int) -> None:
        self.tickets[element] += 1
        entry = _Due(self, element, self.tickets[element])
        rank = self.simulator.rank[element]
        key = (element << 40) + self.tickets[element]
        queue: list[Any] = self._queue  # SimPy's own types leave no room for ranks
        heapq.heappush(queue, (time_s, rank, key, entry))

    def fire(self, due: simpy.Event) -> None:
        element, ticket = due._value  # noqa: SLF001
        if self.tickets[element] == ticket:
            self.simulator.fire(element, self._now, self.state, self)


class Transitions(Sequence[Event]):
    """What happened during one advance, in order; each event is made when it is looked at.

    ``rows`` has the same as (time in seconds, element, state before, state after, part).
    """

    def __init__(self, line: Line, rows: list[tuple[float, int, int, int, int]]) -> None:
        self._line, self.rows = line, rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Event]: ...
    def __getitem__(self, at: int | slice) -> Event | Sequence[Event]:
        if isinstance(at, slice):
            return Transitions(self._line, self.rows[at])
        time_s, element, before, after, part = self.rows[at]
        name = self._line.elements[element].name
        return Event(round(time_s * 1e6), name, before, after, part)


class Simulator:
    """Moves states of one line. It holds no state of its own and may be shared by many.

    ``table`` is what comes from outside, see ``twin.line.environment``.
    """

    def __init__(self, line: Line, table: Table) -> None:
        self.line = line
        self.table = table
        self._c = list(line.c)
        self._k = list(line.k)
        self._cores = [_Core(line, e) for e in range(len(line.elements))]
        self._kinds = [element.kind for element in line.elements]
        self.rank = [_CLASS[kind] for kind in self._kinds]
        bound = _bind(self._cores)
        self._fire_station: Callable[..., None] = bound["fire"]
        self._look: Callable[..., None] = bound["look"]
        self._release: Callable[..., None] = bound["release"]
        self._grid: Callable[..., None] = bound["grid"]
        self._environment: Callable[..., None] = bound["environment"]
        self._time_out: Callable[..., None] = bound["time_out"]
        self._setpoints = _setpoint_columns(line)

    def advance(
        self, state: LineState, setpoints: Mapping[str, float], until_s: float
    ) -> Transitions:
        """Put setpoints in force now, then run to ``until_s``; returns the transitions.

        Raises ``KeyError`` for a setpoint that the line does not have, ``ValueError`` for one that
        is not a number and if ``until_s`` lies in the past; the state is then as it was.
        """
        if not until_s >= state.now_s:
            msg = f"cannot run back from {state.now_s} s to {until_s} s"
            raise ValueError(msg)
        moves = self._moves(setpoints)
        calendar = _Calendar(self, state)
        f, e_floats = state.floats, s.E_FLOATS
        for element in range(len(self.line.elements)):
            if f[element * e_floats] < s.FOREVER:
                calendar.at(f[element * e_floats], element)
        if moves:
            self._apply(state, moves, calendar)
        while calendar.peek() < until_s:
            calendar.step()
        state.now_s = until_s
        return Transitions(self.line, calendar.transitions)

    def prime(self, state: LineState) -> None:
        """Bring what holds outside at this instant into a fresh state: orders, disturbances."""
        calendar = _Calendar(self, state)
        self.fire(len(self.line.elements) - 1, state.now_s, state, calendar)

    def fire(self, element: int, now: float, state: LineState, calendar: _Calendar) -> None:
        """What is due at an element happens, and all that follows from it at this instant."""
        f, i, c, k = state.floats, state.ints, self._c, self._k
        kind = self._kinds[element]
        if kind == s.STATION:
            pending = i[element * s.E_INTS + s.PENDING]
            self._fire_station(element, pending, now, f, i, c, k, calendar)
        elif kind == s.SOURCE:
            self._release(element, now, f, i, c, k, calendar)
        elif kind == s.CONVEYOR:
            self._grid(element, now, f, i, c, k, calendar)
        else:
            self._environment(element, now, f, i, k, self.table, calendar)
        self._settle(now, state, calendar)

    def _settle(self, now: float, state: LineState, calendar: _Calendar) -> None:
        f, i, c, k, look = state.floats, state.ints, self._c, self._k, self._look
        waiting = k[s.K_LINE_I] + s.QUEUE_LENGTH
        while i[waiting]:
            look(flow.next_touched(i, k), now, f, i, c, k, calendar)

    def _moves(self, setpoints: Mapping[str, float]) -> list[tuple[str, int, int, float]]:
        """Where each setpoint goes: (kind, element, column, value)."""
        moves = []
        for name, value in setpoints.items():
            if name not in self._setpoints:
                known = ", ".join(self._setpoints)
                raise KeyError(f"the line has no setpoint {name!r}; it has: {known}")
            if not math.isfinite(value):
                raise ValueError(f"setpoint {name!r} is {value}; give a finite number")
            moves.append((*self._setpoints[name], value))
        return moves

    def _apply(
        self, state: LineState, moves: list[tuple[str, int, int, float]], calendar: _Calendar
    ) -> None:
        f, i, k, now = state.floats, state.ints, self._k, state.now_s
        for kind, element, at, value in moves:
            if kind == "standby":
                i[at] = round(value)
                flow.touch(element, i, k)
            elif f[at] != value:
                f[at] = value
                if kind == "takt":
                    flow.touch(element, i, k)
                elif kind == "standby_after" and self.line.elements[element].kind == s.STATION:
                    self._retime(element, state, calendar)
        self._settle(now, state, calendar)

    def _retime(self, element: int, state: LineState, calendar: _Calendar) -> None:
        """A new time-out counts from the moment at which the station fell idle."""
        i, f = state.ints, state.floats
        if i[element * s.E_INTS + s.STATE] in (s.IDLE, s.BLOCKED):
            since = f[element * s.E_FLOATS + s.SINCE_S]
            self._time_out(element, since, f, i, self._k, calendar)
            due = f[element * s.E_FLOATS + s.DUE_S]
            if due < state.now_s:  # overdue under the new time-out: now
                _schedule(element, s.TIMED_OUT, state.now_s, f, i, calendar)


def initial_state(line: Line, seed: int, world: int) -> LineState:
    """An empty line at plant time 0: all stations ready, all tools new, nothing ordered yet."""
    f, i, c, k = [0.0] * line.n_floats, [0] * line.n_ints, list(line.c), list(line.k)
    at_line = k[s.K_LINE_I]
    i[at_line + s.SEED], i[at_line + s.WORLD] = seed, world
    i[at_line + s.FREE_SLOTS] = k[s.K_SLOTS]
    for slot in range(k[s.K_SLOTS]):
        i[k[s.K_FREE_I] + slot] = k[s.K_SLOTS] - 1 - slot
    f[k[s.K_LINE_F] + s.FAILURE_RATE] = 1.0
    plant = line.plant
    for e, element in enumerate(line.elements):
        a, b = e * s.E_FLOATS, e * s.E_INTS
        f[a + s.DUE_S] = s.FOREVER
        i[b + s.SLOT] = -1
        i[b + s.STATE] = s.IDLE
        if element.kind == s.SOURCE:
            f[a + s.TAKT_S] = plant.source.takt_s.start
            f[a + s.LAST_RELEASE_S] = -1e9
            f[a + s.MATERIAL_KG] = float(plant.source.blank_kg)
        elif element.kind == s.ENVIRONMENT:
            f[a + s.DUE_S], i[b + s.PENDING] = 0.0, s.GRID
        else:
            _initial_station(line, e, f, i, c, k)
    return LineState(0.0, f, i)


def _initial_station(
    line: Line, e: int, f: list[float], i: list[int], c: list[float], k: list[int]
) -> None:
    a = e * s.E_FLOATS
    station = line.plant.stations[e - 1]
    f[a + s.POWER_KW] = c[e * s.EC + s.C_IDLE_KW]
    for mode in (0, 1):
        f[a + s.TO_FAILURE_S + mode] = luck.to_failure_s(e, mode, 0, f, i, c, k)
    f[a + s.TOOL_FACTOR] = luck.tool_factor(e, i, c, k)
    f[a + s.STANDBY_AFTER_S] = station.standby_after_s.start
    for n, name in enumerate(line.elements[e].setpoints):
        f[a + s.SETPOINT + n] = station.setpoints[name].start
    if line.elements[e].kind == s.CONVEYOR:
        conveyor.begin(e, line, f, i, k)


def _setpoint_columns(line: Line) -> dict[str, tuple[str, int, int]]:
    """Where each MV stands: (kind, element, column)."""
    columns = {"line.takt_s": ("takt", 0, s.TAKT_S)}
    for e, element in enumerate(line.elements):
        if element.kind in (s.STATION, s.CONVEYOR):
            a, b, name = e * s.E_FLOATS, e * s.E_INTS, element.name
            columns[f"{name}.standby_after_s"] = ("standby_after", e, a + s.STANDBY_AFTER_S)
            if line.plant.stations[e - 1].standby:
                columns[f"{name}.standby"] = ("standby", e, b + s.STANDBY_ASKED)
            for n, setpoint in enumerate(element.setpoints):
                columns[f"{name}.{setpoint}"] = ("process", e, a + s.SETPOINT + n)
    return columns


class _Core:
    """The compiled process model of one element, with the arrays that it is called on."""

    def __init__(self, line: Line, e: int) -> None:
        model, k = line.elements[e].model, line.k
        if model is None:
            return
        ek = k[s.K_ELEMENT_K] + e * s.EK
        self.n_u, self.n_d, self.n_y = k[ek + s.N_SETPOINTS], k[ek + s.N_D], k[ek + s.N_Y]
        n_p, p_c = k[ek + s.N_P], k[ek + s.P_C]
        self.p0 = np.array(line.c[p_c : p_c + n_p])
        self.drift = np.array(line.c[p_c + n_p : p_c + 2 * n_p])
        self.drifts = bool(self.drift.any())
        self.p = self.p0.copy()
        self.x = np.zeros(k[ek + s.N_X])
        self.wears = k[ek + s.N_X] > 0
        self.u = np.zeros(self.n_u)
        self.d = np.array(line.c[p_c + 2 * n_p : p_c + 2 * n_p + self.n_d])
        at = k[ek + s.D_K]
        self.given = [
            (n, k[s.K_DISTURBANCE_F] + k[at + n]) for n in range(self.n_d) if k[at + n] >= 0
        ]
        disturbances = [q.name for q in model.dvs]
        self.d_elapsed = (
            disturbances.index("shift_elapsed_h") if "shift_elapsed_h" in disturbances else -1
        )
        self.shift_h = line.plant.shift_h
        self.model = model
        if line.elements[e].kind == s.STATION:
            self.write = model.writer()
            self.out = np.zeros(len(model.outputs))
        else:
            conveyor.prepare(self)

    def load(self, e: int, now: float, f: list[float]) -> None:
        """Gather u, d and the drifting p from the state."""
        at = e * s.E_FLOATS + s.SETPOINT
        for n in range(self.n_u):
            self.u[n] = f[at + n]
        for n, column in self.given:
            self.d[n] = f[column]
        if self.d_elapsed >= 0:
            self.d[self.d_elapsed] = now / 3600.0 % self.shift_h
        if self.drifts:
            np.multiply(self.p0, 1.0 + self.drift * (now / 3600.0), out=self.p)

    def begin(self, e: int, now: float, f: list[float]) -> float:
        """Fill the cycle's columns of a per-part station; returns the defect probability."""
        self.load(e, now, f)
        a = e * s.E_FLOATS
        if self.wears:
            self.x[0] = f[a + s.WEAR]
        self.write(self.x, self.u, self.d, self.p, self.out)
        out = self.out.tolist()
        f[a + s.CYCLE_S], f[a + s.CYCLE_KWH], f[a + s.MATERIAL_KG] = out[0], out[1], out[2]
        f[a + s.CYCLE_WEAR] = out[4]
        for n in range(self.n_y):
            f[a + s.NEXT + n] = out[5 + n]
        return float(out[3])


def begin_cycle(line: Line, e: int, now_s: float, f: list[float]) -> None:
    """What the model says of the part in work at a station, when somebody else has begun it.

    Wear, setpoints and disturbances in ``f`` must be up to date; they are those at the beginning of
    the part unless they have moved since.
    """
    if line.elements[e].model is not None:
        _Core(line, e).begin(e, now_s, f)


def _bind(cores: list[_Core]) -> dict[str, Any]:
    """The transition functions with this engine's own ``run_cycle``, ``record``, ``schedule``."""

    def run_cycle(
        e: int, now: float, f: list[float], i: list[int], c: list[float], k: list[int]
    ) -> float:
        return cores[e].begin(e, now, f)

    names: dict[str, Any] = {"run_cycle": run_cycle, "record": _record, "schedule": _schedule}
    names["core_of"] = cores.__getitem__
    for module in (flow, luck, source, transitions, conveyor, environment):
        names |= rebound(module, names)
    return names


def rebound(module: ModuleType, given: Mapping[str, Any]) -> dict[str, Any]:
    """The functions of a module over the same globals plus the given names."""
    space = {**module.__dict__, **given}
    for name, function in module.__dict__.items():
        if isinstance(function, FunctionType) and function.__module__ == module.__name__:
            space[name] = FunctionType(function.__code__, space, name, function.__defaults__)
    return {
        name: space[name]
        for name, value in module.__dict__.items()
        if isinstance(value, FunctionType)
    }


def _record(
    journal: _Calendar, now: float, element: int, before: int, after: int, part: int
) -> None:
    journal.transitions.append((now, element, before, after, part))


def _schedule(
    element: int, pending: int, due_s: float, f: list[float], i: list[int], journal: _Calendar
) -> None:
    f[element * s.E_FLOATS] = due_s
    i[element * s.E_INTS + s.PENDING] = pending
    if due_s < s.FOREVER:
        journal.at(due_s, element)
    else:
        journal.tickets[element] += 1
