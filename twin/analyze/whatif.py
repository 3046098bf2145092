"""Forks of the twin: run a plan on a copy, in a world of its own, and read the meters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from twin.cycle import Event
from twin.kernels.draws import WHAT_IF
from twin.line import schema as s
from twin.line.engine import Engine, EngineChoice, engine
from twin.line.environment import ROW_S
from twin.line.model import Line
from twin.line.residual import fresh_luck
from twin.line.scenario import held, shift_orders
from twin.line.tags import NO_CONTROL, TagReader
from twin.state import LineState


class Fork:
    """A twin that may be driven freely: nothing that is done to it reaches the live one."""

    def __init__(
        self, simulator: Engine, table: Sequence[float], reader: TagReader, state: LineState
    ) -> None:
        self._simulator = simulator
        self._table = table
        self._reader = reader
        self.state = state

    def advance(self, setpoints: Mapping[str, float], until_s: float) -> Sequence[Event]:
        """Apply setpoints now and run to ``until_s``."""
        if self._simulator.table is not self._table:  # another fork has used it last
            self._simulator.table = self._table
        return self._simulator.advance(self.state, setpoints, until_s)

    def meters(self) -> Mapping[str, float]:
        """All tags of the twin by name."""
        values = self._reader.read(_on_lists(self.state), NO_CONTROL).tolist()
        return {
            signal.name: value for signal, value in zip(self._reader.signals, values, strict=True)
        }

    def energy_kwh(self) -> float:
        """The tag ``line.energy_kwh`` alone, for those who look often."""
        return self._reader.energy_kwh(self.state)


class Forks:
    """Makes forks of one line's live twin; they share an engine, which keeps nothing of them."""

    def __init__(
        self, line: Line, reader: TagReader, choice: EngineChoice | str = EngineChoice.SIMPY
    ) -> None:
        self._line = line
        self._reader = reader
        self._choice = choice
        self._engine: Engine | None = None

    def fork(self, live: LineState, world: int) -> Fork:
        """A copy of the live twin in the what-if world ``world``; disturbances stay as they are.

        Raises ``ValueError`` for a negative world: those below belong to twin and plant.
        """
        if world < 0:
            msg = f"there is no what-if world {world}: number them from 0"
            raise ValueError(msg)
        state = live.copy()
        line, table = self._line, present(self._line, live)
        fresh_luck(WHAT_IF + world, state.now_s, state.floats, state.ints, line.c, line.k)
        if self._engine is None:
            self._engine = engine(line, table, self._choice)
        return Fork(self._engine, table, self._reader, self._engine.own(state))


def _on_lists(state: LineState) -> LineState:
    """The same on lists, from which single numbers are read faster."""
    floats: Any = state.floats
    ints: Any = state.ints
    if isinstance(floats, list):
        return state
    return LineState(state.now_s, floats.tolist(), ints.tolist())


def ahead(line: Line, state: LineState, lasts_s: float) -> list[float]:
    """The same for a while ahead, with the orders that go on arriving where they come one by one."""
    plant, row = line.plant, present(line, state)
    if plant.demand.arrive != "evenly":
        return row
    a_second = shift_orders(plant, plant.demand.utilisation) / (plant.shift_h * 3600.0)
    table = []
    for n in range(int((state.now_s + lasts_s) / ROW_S) + 2):
        more = math.floor(max(n * ROW_S - state.now_s, 0.0) * a_second)
        table += [*row[:-2], row[-2] + more, row[-1]]
    return table


def present(line: Line, state: LineState) -> list[float]:
    """The table of a twin that knows no more than its own state: all stays as it is."""
    k = line.k
    at = k[s.K_DISTURBANCE_F]
    disturbances = state.floats[at : at + k[s.K_DISTURBANCES]]
    return held(disturbances, float(state.ints[k[s.K_LINE_I] + s.ORDERED]))
