"""The twin that runs: the transitions under SimPy's calendar, on plain lists.

The calendar is derived data. Each ``advance`` begins with a fresh SimPy environment, puts every due
time of the state into it, runs, and drops it: what is not in the state cannot matter. Ties are
broken by (time, class of element, element): first the environment, then conveyors, stations and the
source. A run up to ``T`` does what is due before ``T``, not at it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import simpy

from twin.kernels import draws
from twin.line import schema as s
from twin.line.cores import Core, hooks_of
from twin.line.custom import ElementError
from twin.line.journal import Row, Transitions
from twin.line.model import Line
from twin.line.rules import MODULES
from twin.line.setpoints import Setpoints
from twin.processes.bind import bind
from twin.state import LineState

Table = Sequence[float]
RANK = {
    s.ENVIRONMENT: 1,
    s.CREW: 2,
    s.CONVEYOR: 3,
    s.BELT: 4,
    s.STATION: 5,
    s.CUSTOM: 6,
    s.SOURCE: 7,
}


class _Calendar(simpy.Environment):
    """SimPy's environment, with due times that are absolute; it also keeps the journal.

    ``simpy.Environment.schedule`` takes delays; ``(t - now) + now`` is not ``t`` in floating point,
    so entries are put into the queue at their own time, and ``step`` takes them from there without an
    event object around each. An entry whose ticket is no longer the element's last one has been
    overtaken and does nothing.
    """

    def __init__(self, simulator: Simulator, state: LineState) -> None:
        super().__init__(initial_time=state.now_s)
        self._simulator, self._state = simulator, state
        self.tickets = [0] * len(simulator.line.elements)
        self.rows: list[Row] = []
        self.queue: list[Any] = self._queue  # SimPy's own types leave no room for ranks
        self.rank = simulator.rank

    def at(self, time_s: float, e: int) -> None:
        """Something is due at an element."""
        self.tickets[e] = ticket = self.tickets[e] + 1
        heapq.heappush(self.queue, (time_s, self.rank[e], e, ticket))

    def step(self) -> None:
        """The next entry has its turn."""
        self._now, _, e, ticket = heapq.heappop(self.queue)
        if self.tickets[e] == ticket:
            self._simulator.happen(e, self._now, self._state, self)


class Simulator:
    """Moves states of one line. It holds no state of its own and may be shared by many.

    ``table`` is what comes from outside, see ``twin.line.environment``.
    """

    def __init__(self, line: Line, table: Table) -> None:
        self.line = line
        self.table = table
        self._c = list(line.c)
        self._k = list(line.k)
        space = np.zeros(line.k[s.K_VECTORS])
        cores = [Core(line, e, space) for e in range(len(line.elements))]
        self.rank = [RANK[element.kind] for element in line.elements]
        customs = {e: x.custom.module for e, x in enumerate(line.elements) if x.custom}
        bound = _bind(hooks_of(cores, space), customs)
        self._happen: Callable[..., None] = bound["happen"]
        self._settle: Callable[..., None] = bound["settle"]
        self._put_in_force: Callable[..., None] = bound["put_in_force"]
        self._setpoints = Setpoints(line)

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
        moves = self._setpoints.moves(setpoints)
        calendar = _Calendar(self, state)
        f, e_floats = state.floats, s.E_FLOATS
        for element in range(len(self.line.elements)):
            if f[element * e_floats] < s.FOREVER:
                calendar.at(f[element * e_floats], element)
        if moves:
            for move in moves:
                self._put_in_force(*move, state.now_s, f, state.ints, self._c, self._k, calendar)
            self._settle(state.now_s, f, state.ints, self._c, self._k, calendar)
        while calendar.peek() < until_s:
            calendar.step()
        state.now_s = until_s
        return Transitions(self.line, calendar.rows)

    def prime(self, state: LineState) -> None:
        """Bring what holds outside at this instant into a fresh state: orders, disturbances."""
        calendar = _Calendar(self, state)
        self.happen(len(self.line.elements) - 1, state.now_s, state, calendar)

    def own(self, state: LineState) -> LineState:
        """A copy on lists."""
        return LineState(state.now_s, list(state.floats), list(state.ints))

    def happen(self, e: int, now: float, state: LineState, calendar: _Calendar) -> None:
        """What is due at an element happens, and all that follows from it at this instant."""
        self._happen(e, now, state.floats, state.ints, self._c, self._k, self.table, calendar)


def _bind(owed: Mapping[str, Any], customs: Mapping[int, ModuleType]) -> dict[str, Any]:
    """The transition functions with what this engine owes them, see ``twin.line.hooks``."""
    names: dict[str, Any] = {
        **owed,
        "record": _record,
        "schedule": _schedule,
        "rows_of": _rows_of,
        "cycle_luck": _cycle_luck,
    }
    names |= _custom_hooks()
    for module in MODULES:
        names |= own_functions(module, bind(module, names))
    names["customs"] |= {e: bind(module, names) for e, module in customs.items()}
    return names


def _custom_hooks() -> dict[str, Any]:
    """Elements of other packages: their functions are bound last, and found by element."""
    customs: dict[int, dict[str, Any]] = {}

    def fire_custom(e: int, pending: int, now: float, f: list[float], *arguments: Any) -> None:
        customs[e]["fire"](e, pending, now, f, *arguments)
        if f[e * s.E_FLOATS + s.DUE_S] < now:
            raise ElementError(f"element {e} has planned something for the past, at {now:g} s")

    def look_custom(e: int, *arguments: Any) -> None:
        customs[e]["look"](e, *arguments)

    return {"customs": customs, "fire_custom": fire_custom, "look_custom": look_custom}


def own_functions(module: ModuleType, bound: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the bound names that the module itself defines."""
    return {
        name: bound[name]
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__
    }


def _record(
    journal: _Calendar, now: float, element: int, before: int, after: int, part: int
) -> None:
    journal.rows.append((now, element, before, after, part))


def _schedule(
    element: int, pending: int, due_s: float, f: list[float], i: list[int], journal: _Calendar
) -> None:
    f[element * s.E_FLOATS] = due_s
    i[element * s.E_INTS + s.PENDING] = pending
    if due_s < s.FOREVER:
        journal.at(due_s, element)
    else:
        journal.tickets[element] += 1


def _cycle_luck(e: int, index: int, i: list[int], k: list[int], _journal: _Calendar) -> float:
    at = k[s.K_LINE_I]
    return draws.uniform(i[at + s.SEED], i[at + s.WORLD], e, draws.CYCLE, index)


def _rows_of(table: Table, width: int, _journal: _Calendar) -> int:
    return len(table) // width
