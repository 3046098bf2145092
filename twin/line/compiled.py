"""The twin as machine code: the transitions of the SimPy engine on arrays, bit for bit the same course.

Compiled once for all lines (process models are called by their addresses) and cached on disk. One
engine serves any number of states of its line: a fork is a copy of two arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.line import schema as s
from twin.line.compilation import element_addresses, kernel
from twin.line.journal import Row, Transitions
from twin.line.kernel import (
    BLOCK,
    FIRST_ROW,
    FULL,
    HEADER,
    ROW,
    ROWS,
    ROWS_ROOM,
    SCANNED,
    SPARE,
    TABLE_ROWS,
)
from twin.line.model import Line
from twin.line.setpoints import Move, Setpoints
from twin.line.simulator import RANK, Simulator
from twin.processes.pointers import addresses
from twin.state import LineState

ROWS_AT_ONCE = 4096
"""Rows of the journal between two looks at it."""


class CompiledSimulator:
    """Moves states of one line, as ``twin.line.simulator.Simulator`` does, a hundred times as fast or more.

    ``table`` is what comes from outside, see ``twin.line.environment``. States may hold lists (they
    are copied in and out) or arrays, which are changed in place, see `as_arrays`.

    Raises ``ProcessModelError`` for a line with a process model that numba cannot compile.
    """

    def __init__(self, line: Line, table: Sequence[float], *, tells: bool = True) -> None:
        """With ``tells=False`` no journal is kept and ``advance`` returns no transitions."""
        self.line = line
        self._c = np.array([line.c])
        self._desk, self._k = desk_of(line, ROWS_AT_ONCE if tells else 0)
        self._setpoints = Setpoints(line)
        self._advance = kernel()
        self.table = table

    @property
    def table(self) -> Sequence[float]:
        """What comes from outside."""
        return self._table

    @table.setter
    def table(self, rows: Sequence[float]) -> None:
        self._table = rows
        self._w = np.array([rows], dtype=np.float64)
        self._desk.ints[TABLE_ROWS] = len(rows) // (len(self.line.disturbances) + 2)

    def advance(
        self, state: LineState, setpoints: Mapping[str, float], until_s: float
    ) -> Transitions:
        """Put setpoints in force now, then run to ``until_s``; returns the transitions.

        Raises ``KeyError`` for a setpoint that the line does not have, ``ValueError`` for one that
        is not a number and if ``until_s`` lies in the past; the state is then as it was.
        """
        f, i = _arrays(state)
        now_s = np.array([state.now_s])
        rows = self.advance_all(now_s, f[np.newaxis], i[np.newaxis], setpoints, until_s)
        _write_back(state, f, i)
        state.now_s = until_s
        return Transitions(self.line, rows)

    def advance_all(
        self,
        nows_s: NDArray[np.float64],
        floats: NDArray[np.float64],
        ints: NDArray[np.int64],
        setpoints: Mapping[str, float],
        until_s: float,
        worlds: NDArray[np.int64] | None = None,
    ) -> list[Row]:
        """The same for many states side by side, one a row, in place; a single one tells its rows.

        ``worlds`` sends each into a world of its own first: what nobody knows yet is drawn anew
        there, see ``twin.line.residual``.
        """
        if not until_s >= nows_s.max():
            msg = f"cannot run back from {nows_s.max()} s to {until_s} s"
            raise ValueError(msg)
        if len(nows_s) > 1 and self._desk.ints[ROWS_ROOM]:
            raise ValueError("an engine that keeps a journal takes one state; make it tells=False")
        moves = _columns(self._setpoints.moves(setpoints)) if setpoints else _NO_MOVES
        self._desk.ints[ROWS] = 0
        rows: list[Row] = []
        given = (floats, ints, self._c, self._k, self._w, *self._desk)
        into = np.full(len(nows_s), -1, dtype=np.int64) if worlds is None else worlds
        untils_s = np.array([until_s], dtype=np.float64)
        while self._advance(untils_s, nows_s, into, *moves, *given) == FULL:
            self._empty(rows)
            moves, into = _NO_MOVES, np.full(len(nows_s), -1, dtype=np.int64)
        self._empty(rows)
        return rows

    def prime(self, state: LineState) -> None:
        """Bring what holds outside at this instant into a fresh state: orders, disturbances."""
        Simulator(self.line, self.table).prime(state)

    def own(self, state: LineState) -> LineState:
        """A copy on arrays, see `as_arrays`."""
        return as_arrays(state)

    def _empty(self, rows: list[Row]) -> None:
        """Take the journal's rows off the desk."""
        desk = self._desk
        n, room, first = (int(desk.ints[at]) for at in (ROWS, ROWS_ROOM, FIRST_ROW))
        if n > room:
            msg = f"one instant wrote {n} rows of journal, the desk has room for {room}"
            raise RuntimeError(msg)
        written = desk.floats[first : first + ROW * n].reshape(n, ROW)
        whole = written[:, 1:].astype(np.int64).tolist()
        rows += [(t, *rest) for t, rest in zip(written[:, 0].tolist(), whole, strict=True)]
        desk.ints[ROWS] = 0


def _columns(moves: Sequence[Move]) -> tuple[NDArray[Any], ...]:
    kinds, elements, columns, values = zip(*moves, strict=True)
    whole = (np.array(column, dtype=np.int64) for column in (kinds, elements, columns))
    return (*whole, np.array([values], dtype=np.float64))


_NO_MOVES = (*(np.zeros(0, dtype=np.int64) for _ in range(3)), np.zeros((1, 0)))


def as_arrays(state: LineState) -> LineState:
    """A copy of a state on arrays, on which this engine works in place."""
    floats: Any = np.array(state.floats, dtype=np.float64)
    ints: Any = np.array(state.ints, dtype=np.int64)
    return LineState(state.now_s, floats, ints)


def _arrays(state: LineState) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    floats: Any = state.floats
    ints: Any = state.ints
    if isinstance(floats, np.ndarray):
        return floats, ints
    return np.array(floats, dtype=np.float64), np.array(ints, dtype=np.int64)


def _write_back(state: LineState, f: NDArray[np.float64], i: NDArray[np.int64]) -> None:
    if isinstance(state.floats, list):
        state.floats[:] = f.tolist()
        state.ints[:] = i.tolist()


class Desk(NamedTuple):
    """What the kernel works on besides a state, see ``twin.line.kernel``."""

    floats: NDArray[np.float64]
    ints: NDArray[np.int64]


def desk_of(line: Line, rows: int = 0) -> tuple[Desk, NDArray[np.int64]]:
    """The engine's desk, and its own copy of the line's structure that points into it.

    ``rows`` is room in the journal; without any, none is kept.
    """
    n = len(line.elements)
    blocks = 0 if n <= SCANNED else -(-n // BLOCK)
    first_row = n + line.k[s.K_VECTORS]
    room = rows + 2 * SPARE * n if rows else 0
    desk = Desk(np.zeros(first_row + ROW * room), np.zeros(HEADER + 2 * n + blocks, dtype=np.int64))
    desk.ints[:HEADER] = 0, room, first_row, n, blocks, 0, -1, -1, -1
    order = sorted(range(n), key=lambda e: (RANK[line.elements[e].kind], e))
    for place, e in enumerate(order):
        desk.ints[HEADER + e] = place
    k = np.array(line.k, dtype=np.int64)
    for e, element in enumerate(line.elements):
        if element.model is not None:
            ek = s.ELEMENTS_K + e * s.EK
            k[ek + s.VECTORS_V] += n
            k[ek + s.OUT_V] += n
            k[ek + s.WRITE_AT : ek + s.READY_AT + 1] = addresses(element.model)
        elif element.custom is not None:
            ek = s.ELEMENTS_K + e * s.EK
            k[ek + s.WRITE_AT : ek + s.STEP_AT + 1] = element_addresses(element.custom)
    return desk, k
