"""What a part takes at least at one station, whatever the setpoints: planes below the process model.

A station's choices are points (cycle time, electricity, wear) over the operator's setpoint box. A mixture of
choices lies in their convex hull, and the hull lies above each of its supporting planes. A plane is a
direction and the least weighted sum over the box; as many planes as directions give an outer approximation:
however coarse they are, they allow more than the station can do.

The least sum is looked for on a grid and on two finer grids about its best point, and is lowered by
``MARGIN`` for what lies between the points (assumption: the models are smooth, the grid finds the right
cell). Disturbances and wear take the values that give the least of each quantity by itself; they are tried
at the ends and in the middle of what the shift has of them (assumption: in each of them the models move one
way, or have their least at one of these three).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.stations import Cell

POINTS = {1: 61, 2: 21, 3: 9, 4: 7}
"""Points of the grid along each setpoint, by how many setpoints there are; 3 for more."""
STEPS = 8
"""Weights of a direction are multiples of one eighth."""
MARGIN = 1e-3

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Least:
    """The least of each quantity of one part, over all choices."""

    cycle_s: float
    energy_kwh: float
    wear: float
    """As a share of the mean edge's life."""
    material_kg: float
    defects: float


@dataclass(frozen=True, eq=False)
class Envelope:
    """One station's choices in one shift. ``drifts`` are those of the parameters, shares per hour."""

    cell: Cell
    disturbances: tuple[Floats, ...]
    """Values of each disturbance that are tried."""
    drifts: Floats
    hours: float

    @property
    def least(self) -> Least:
        """The least of each quantity by itself, a margin off."""
        found = [float(v) * (1.0 - MARGIN) for v in self._taken.min(axis=0)]
        return Least(*found)

    @property
    def most_wear(self) -> float:
        """The most that one part wears, as a share of the mean edge's life."""
        return float(self._taken[:, 2].max()) * (1.0 + MARGIN) + 1e-3

    def planes(self) -> tuple[tuple[float, float, float, float], ...]:
        """Weights of cycle time, electricity and wear, and the least weighted sum."""
        taken = self._taken[:, :3]
        spans = taken.max(axis=0) - taken.min(axis=0)
        moving = [n for n in range(3) if spans[n] > 1e-9 * max(abs(taken[:, n]).max(), 1e-9)]
        found = []
        for n in range(3):
            if n not in moving:
                weights = np.eye(3)[n]
                found.append((*weights.tolist(), float(taken[:, n].min()) * (1.0 - MARGIN)))
        for steps in product(range(STEPS + 1), repeat=len(moving)):
            if sum(steps) == STEPS:
                weights = np.zeros(3)
                weights[moving] = np.array(steps) / STEPS / spans[moving]
                least = self._least_sum(weights)
                found.append((*weights.tolist(), least - MARGIN * abs(least)))
        return tuple(found)

    def _least_sum(self, weights: Floats) -> float:
        """Over the box: on the grid, then on two grids of three points about the best."""
        sums = self._taken[:, :3] @ weights
        at = int(np.argmin(sums))
        least, middle = float(sums[at]), self._grid[at]
        step = 1.0 / (self._points - 1)
        for _ in range(2):
            step *= 0.5
            near = [np.clip([m - step, m, m + step], 0.0, 1.0) for m in middle]
            tried = [(float(self._takes(z)[:3] @ weights), z) for z in product(*near)]
            cost, best = min(tried)
            if cost < least:
                least, middle = cost, np.array(best)
        return least

    @property
    def _points(self) -> int:
        return POINTS.get(len(self.cell.mvs), 3)

    @cached_property
    def _grid(self) -> Floats:
        """Shares of the setpoints' ways, shape (points, setpoints)."""
        n = len(self.cell.mvs)
        way = np.linspace(0.0, 1.0, self._points)
        return np.array(list(product(way, repeat=n))).reshape(len(way) ** n, n)

    @cached_property
    def _taken(self) -> Floats:
        """What a part takes at each point of the grid, shape (points, 5) in the order of ``Least``."""
        return np.array([self._takes(tuple(z)) for z in self._grid])

    def _takes(self, z: Sequence[float]) -> Floats:
        """The least of each quantity at one choice of setpoints, whatever else comes."""
        cell = self.cell
        u = cell.lo + np.asarray(z) * (cell.hi - cell.lo)
        numbers, life = cell.model.numbers(), cell.life_mm or 1.0
        found = []
        for x, d, p in self._cases:
            y = numbers(x, u, d, p)
            found.append((y[0], y[1], y[4] / life, y[2], y[3]))
        least: Floats = np.array(found).min(axis=0)
        return least

    @cached_property
    def _cases(self) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """Wear, disturbances and parameters that are tried."""
        cell = self.cell
        wears = (0.0, 0.5, 1.0) if cell.model.states else (0.0,)
        times_h = (0.0, self.hours) if self.drifts.any() else (0.0,)
        return tuple(
            (
                np.full(len(cell.model.states), share * cell.life_mm),
                np.array(d, dtype=np.float64),
                cell.p * (1.0 + self.drifts * hours),
            )
            for share in wears
            for d in product(*self.disturbances)
            for hours in times_h
        )
