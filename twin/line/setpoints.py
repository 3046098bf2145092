"""Where the setpoints of a line stand in its state."""

from __future__ import annotations

import math
from collections.abc import Mapping

from twin.line import schema as s
from twin.line.events import PROCESS, STANDBY_AFTER, STANDBY_NOW, TAKT
from twin.line.model import Line

Move = tuple[int, int, int, float]
"""A setpoint on its way: its kind, its element, its column, and the value."""


class Setpoints:
    """The MVs of one line by name."""

    def __init__(self, line: Line) -> None:
        columns = {"line.takt_s": (TAKT, 0, s.TAKT_S)}
        for e, element in enumerate(line.elements):
            if element.kind in (s.STATION, s.CONVEYOR):
                a, b, name = e * s.E_FLOATS, e * s.E_INTS, element.name
                columns[f"{name}.standby_after_s"] = (STANDBY_AFTER, e, a + s.STANDBY_AFTER_S)
                if line.plant.stations[e - 1].standby:
                    columns[f"{name}.standby"] = (STANDBY_NOW, e, b + s.STANDBY_ASKED)
                for n, setpoint in enumerate(element.setpoints):
                    columns[f"{name}.{setpoint}"] = (PROCESS, e, line.setpoints_f(e) + n)
        self._columns = columns

    def moves(self, values: Mapping[str, float]) -> list[Move]:
        """Where each value goes.

        Raises ``KeyError`` for a setpoint that the line does not have, ``ValueError`` for one that
        is not a finite number.
        """
        moves = []
        for name, value in values.items():
            if name not in self._columns:
                known = ", ".join(self._columns)
                raise KeyError(f"the line has no setpoint {name!r}; it has: {known}")
            if not math.isfinite(value):
                raise ValueError(f"setpoint {name!r} is {value}; give a finite number")
            moves.append((*self._columns[name], float(value)))
        return moves
