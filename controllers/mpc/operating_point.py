"""The best steady course of the line: one pace for all, the setpoints of every station.

Minimise, per good part, the electricity that the part and the waiting machines take beyond standby,
the scrap, and what missing an order costs, over the pace T (seconds a part) and all setpoints u:

    sum_m  share_m e_m(u) + idle_m (T - share_m c_m(u)) - standby_m T  + scrap + slack
    s.t.   share_m c_m(u) <= availability_m T        multiplier lambda_m: what a second of m is worth
           T <= time left / parts left  (soft)
           sum_m  edges_m(u) * price <= budget (soft)   multiplier mu: how scarce edges are

The multipliers are what the other layers need: the line layer learns what delaying a station costs,
the station layer what an edge is worth against a kilowatt-hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.stations import MEAN_WEAR_SHARE, Cell, Prices
from twin.cycle import Situation
from twin.optim.expressions import column, unknowns
from twin.optim.nlp import NlpProblem
from twin.optim.result import Solution


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """The best steady course. ``worth_eur_per_s`` and ``edge_factor`` are shadow prices."""

    pace_s: float
    z: tuple[NDArray[np.float64], ...]
    worth_eur_per_s: tuple[float, ...]
    edge_factor: float
    cost_eur: float
    usable: bool
    status: str


class OperatingPoint:
    """Built once for a line, solved at every turn of the line layer."""

    def __init__(self, cells: tuple[Cell, ...], excess_factor: float, takt_lo_s: float) -> None:
        self._cells = cells
        self._excess = excess_factor
        self._scale_s = max(takt_lo_s, 1.0)
        self._warm: Solution | None = None
        n_u = sum(len(cell.mvs) for cell in cells)
        n_d = sum(len(cell.d) for cell in cells)
        x = unknowns("x", 3 + n_u)
        p = unknowns("p", 5 + 2 * len(cells) + n_d)
        pace, late, over = x[0] * self._scale_s, x[1], x[2]
        price, scrap_eur, backlog_eur, pace_most, budget = (p[n] for n in range(5))
        cost = backlog_eur * late + excess_factor * over
        pace_rows, edges_eur = [], over * 0.0
        at_u, at_d = 3, 5 + 2 * len(cells)
        for m, cell in enumerate(cells):
            z = x[at_u : at_u + len(cell.mvs)]
            u = cell.lo + z * (cell.hi - cell.lo) if len(cell.mvs) else z
            d = p[at_d : at_d + len(cell.d)]
            at_u, at_d = at_u + len(cell.mvs), at_d + len(cell.d)
            wear = MEAN_WEAR_SHARE * cell.life_mm
            c, e, defect, edges, _, _ = cell.equations(u, d, wear)
            c, e = c * p[5 + 2 * m], e * p[6 + 2 * m]
            waits_s = pace - cell.share * c
            gap_kw = cell.idle_kw * waits_s - cell.standby_kw * pace
            cost += price * (cell.share * e + gap_kw / 3600.0) + cell.share * scrap_eur * defect
            pace_rows.append((cell.share * c / cell.availability - pace) / self._scale_s)
            edges_eur += cell.share * cell.edge_eur * edges
        self._rows = len(pace_rows)
        g = column(*pace_rows, pace / pace_most - 1.0 - late, edges_eur - budget - over)
        self._n_u = n_u
        self._problem = NlpProblem(
            x,
            100.0 * cost,  # EUR cents: a part is worth cents, and IPOPT likes numbers near one
            g,
            p,
            x_lo=[0.2, 0.0, 0.0, *[0.0] * n_u],
            x_hi=[20.0, 50.0, 5.0, *[1.0] * n_u],
            g_lo=-np.inf,
            g_hi=0.0,
        )

    def solve(
        self, situation: Situation, prices: Prices, pace_most_s: float, budget_eur: float
    ) -> Point:
        """The point for this moment's prices, disturbances and learned factors."""
        p = [
            prices.energy_eur_per_kwh,
            prices.scrap_eur,
            prices.backlog_eur,
            max(pace_most_s, 1.0),
            budget_eur,
        ]
        for cell in self._cells:
            p += [cell.ratio(situation, "last_cycle_s"), cell.ratio(situation, "last_energy_kwh")]
        for cell in self._cells:
            p += cell.disturbances(situation).tolist()
        start = [1.2, 0.0, 0.0, *[0.5] * self._n_u]
        solution = self._problem.solve(start, p, self._warm)
        if not solution.usable:
            solution = self._problem.solve(start, p)
        self._warm = solution if solution.usable else None
        return self._point(solution)

    def _point(self, solution: Solution) -> Point:
        z, at = [], 3
        for cell in self._cells:
            z.append(solution.x[at : at + len(cell.mvs)])
            at += len(cell.mvs)
        multipliers = solution.multipliers
        assert multipliers is not None
        worth = np.maximum(multipliers[: self._rows], 0.0) / 100.0 / self._scale_s
        factor = min(max(float(multipliers[self._rows + 1]) / 100.0, 0.0), self._excess)
        return Point(
            float(solution.x[0]) * self._scale_s,
            tuple(z),
            tuple(worth.tolist()),
            factor,
            solution.objective / 100.0,
            solution.usable,
            f"{solution.solver}: {solution.status}",
        )
