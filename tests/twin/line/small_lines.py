"""Small serial lines whose course can be worked out by hand, and what they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.anchor_lines import Machine, serial_plant
from twin.config import Plant
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.simulator import Simulator
from twin.state import LineState

Move = tuple[float, str, str, str]
"""When, which station, from which state, into which."""
ALWAYS = 10**9


def fixed(*cycles_s: float) -> list[Machine]:
    """Machines whose cycles do not scatter and that do not fail."""
    return [Machine(cycle_s, law=None) for cycle_s in cycles_s]


def changed(plant: Plant, changes: Mapping[str, Any]) -> Plant:
    """The plant with other values at dotted paths: ``stations.0.warm_up_s``."""
    data = plant.model_dump(by_alias=True)
    for path, value in changes.items():
        *way, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        at: Any = data
        for key in way:
            if isinstance(at[key], tuple):
                at[key] = list(at[key])
            at = at[key]
        at[last] = value
    new = Plant.model_validate(data)
    new.check()
    return new


def line_of(machines: Sequence[Machine], room: Sequence[int], **changes: Any) -> Line:
    """The line; double underscores in the names of changes are dots."""
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    return build_line(changed(serial_plant(machines, room), paths))


def table_of(ordered: Sequence[int] = (ALWAYS,), failures: Sequence[float] = (1.0,)) -> list[float]:
    """A table without disturbances, one row a minute."""
    rows = max(len(ordered), len(failures))
    table: list[float] = []
    for n in range(rows):
        table += [float(ordered[min(n, len(ordered) - 1)]), failures[min(n, len(failures) - 1)]]
    return table


class Run:
    """One line under way: moves on in steps and keeps what happened."""

    def __init__(
        self, line: Line, table: list[float] | None = None, seed: int = 1, world: int = PLANT
    ) -> None:
        self.line = line
        self.simulator = Simulator(line, table or table_of())
        self.state: LineState = initial_state(line, seed, world)
        self.moves: list[Move] = []
        self.parts: list[int] = []

    def to(self, until_s: float, **setpoints: float) -> Run:
        """Set ``m0__standby=1.0`` and the like now, then go on until ``until_s``."""
        given = {name.replace("__", "."): value for name, value in setpoints.items()}
        happened = self.simulator.advance(self.state, given, until_s)
        # The events have microseconds; a witness compares the times behind them bit for bit.
        for time_s, element, before, after, part in happened.rows:
            name = self.line.elements[element].name
            self.moves.append((time_s, name, s.STATES[before], s.STATES[after]))
            self.parts.append(part)
        return self

    def of(self, name: str) -> list[tuple[float, str]]:
        """When a station entered which state; stays of no length left out."""
        own = [(time_s, after) for time_s, mover, _, after in self.moves if mover == name]
        stays = [
            (time_s, state)
            for n, (time_s, state) in enumerate(own)
            if n + 1 == len(own) or own[n + 1][0] > time_s
        ]
        return [stay for n, stay in enumerate(stays) if n == 0 or stays[n - 1][1] != stay[1]]

    def times(self, name: str, before: str, after: str) -> list[float]:
        """When a station went from one state to another."""
        return [move[0] for move in self.moves if move[1:] == (name, before, after)]

    def count(self, column: int) -> int:
        """A counter of the line."""
        return self.state.ints[self.line.k[s.K_LINE_I] + column]

    def counter(self, name: str, column: int) -> int:
        """An integer of a station."""
        return self.state.ints[self.line.element(name) * s.E_INTS + column]

    def amount(self, name: str, column: int) -> float:
        """A float of a station."""
        return self.state.floats[self.line.element(name) * s.E_FLOATS + column]

    def time_in(self, name: str) -> dict[str, float]:
        """Seconds in each state up to now; states never entered left out."""
        e = self.line.element(name)
        a = e * s.E_FLOATS
        times = self.state.floats[a + s.TIME_S : a + s.TIME_S + s.N_STATES]
        times[self.state.ints[e * s.E_INTS + s.STATE]] += (
            self.state.now_s - self.state.floats[a + s.BOOKED_S]
        )
        return {name: time_s for name, time_s in zip(s.STATES, times, strict=True) if time_s}
