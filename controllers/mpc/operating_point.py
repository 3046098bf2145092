"""The best steady course of the line: one pace for all, the setpoints of every station.

Minimise, per part, the electricity that the part and the waiting machines take beyond standby, over
the pace T (seconds a part) and all setpoints u. Scrap and edges are limits, not prices: a saving that
is paid for with them would be none.

    min    price sum_m  share_m e_m(u) + idle_m (T - share_m c_m(u)) - standby_m T   + slack
           + demand charge a part * excess
    s.t.   share_m c_m(u) <= availability_m T ahead_m
           share_m c_m(u) >= availability_m T ahead_m           (soft; only who winds down: ahead_m > 1)
           T (1 + defects) <= time left / parts left           (soft: a missed order)
           sum_m share_m defect_m(u)       <= defect limit     (soft; multiplier: EUR a defect)
           sum_m share_m edges_m(u) * cost <= edge budget      (soft; multiplier: EUR an EUR of edges)
           sum_m idle_m + share_m (e_m(u) - idle_m c_m(u)) / T <= highest power so far + excess

Who takes from one buffer shares its parts by speed: share_m = (availability_m / c_m) / their sum. So an efficient
machine beside a wasteful one is let run ahead, and all of them together are one stage that keeps the pace. ``ahead``
is 1; on a late line it is less for who is faster than the slowest at the tuned constants (``progress.leads``), and at
the end of the work more for who spoils parts after a rest (``progress.winding_down``).

The limits are those of the tuned constant setpoints under the same model. That point would be feasible,
were it not for the share of the edges that is kept back (``EDGE_SAFETY``) and for what has been learned of cycle times
since: an optimum inside a smaller budget may take more energy than it. The station layer takes the two multipliers as its
prices: what a defect and an edge are worth against a kilowatt-hour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.stations import MEAN_WEAR_SHARE, Cell, Prices, shares_of
from twin.optim.expressions import column, unknowns
from twin.optim.nlp import NlpProblem
from twin.optim.result import Floats, Solution
from twin.solves import Solve

HEAD, EACH = 7, 6
"""Parameters of a solve that stand before those of the stations, and those of each station."""
POWER_SCALE_KW, HIGHEST = 10.0, 1e4
"""Scale of the power above the highest so far, and its bound in that scale: far above any line."""
HURRY = 0.5
"""A pace that no line keeps, as a share of its fastest takt: asked for it, the line does what it can."""
BINDS = 1e-5
"""Smallest multiplier that counts, in the problem's own scaling: IPOPT leaves less at limits that do not bind."""
OVER_FACTOR, BAD_EUR = 200.0, 300.0
"""Prices of an EUR of edges and of a defect beyond their limits. Both are far above what an order
missed is worth, so that a late line is not caught up with on the cost of tools and scrap; assumption."""
HASTY_EUR_PER_S = 0.05
"""Price of a second by which a stage that winds down makes its parts too soon; assumption."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """The best steady course. ``edge_factor``, ``defect_eur`` and ``second_eur`` are shadow prices."""

    pace_s: float
    z: tuple[NDArray[np.float64], ...]
    edge_factor: float
    defect_eur: float
    second_eur: tuple[float, ...]
    """What a second of each station's cycle is worth."""
    usable: bool
    solve: Solve
    fastest_s: float = math.inf
    """The pace that it would keep if all orders were late."""
    ahead: tuple[float, ...] = ()
    """How many times the pace each station takes at most."""
    shares: tuple[float, ...] = ()
    """The share of the parts that passes each station."""
    cycles_s: tuple[float, ...] = ()
    """The cycle of each station, with the changes of its edges, as it has been learned."""

    @property
    def status(self) -> str:
        """The solver's word."""
        return f"{self.solve.solver}: {self.solve.status}"


class OperatingPoint:
    """Built once for a line, solved at every turn of the line layer."""

    def __init__(
        self, cells: tuple[Cell, ...], takt_lo_s: float, *, charges_peak: bool = False
    ) -> None:
        self._cells = cells
        self._scale_s = max(takt_lo_s, 1.0)
        self._warm: Solution | None = None
        self._hurried: Solution | None = None
        n_u = sum(len(cell.mvs) for cell in cells)
        n_d = sum(len(cell.d) for cell in cells)
        winds = {cell.takes_from for cell in cells if cell.spoils_after_rest}
        x = unknowns("x", 4 + n_u + charges_peak + bool(winds))
        p = unknowns("p", HEAD + EACH * len(cells) + n_d)
        pace, late, over, bad = x[0] * self._scale_s, x[1], x[2], x[3]
        price, backlog_eur, pace_most, budget, defect_most, peak_eur, highest_kw = (
            p[n] for n in range(HEAD)
        )
        cost = backlog_eur * late + OVER_FACTOR * over + BAD_EUR * bad
        edges_eur, defects, power_kw = over * 0.0, over * 0.0, over * 0.0
        at_u, at_d, cycles = 4, HEAD + EACH * len(cells), []
        for m, cell in enumerate(cells):
            z = x[at_u : at_u + len(cell.mvs)]
            u = cell.lo + z * (cell.hi - cell.lo) if len(cell.mvs) else z
            d = p[at_d : at_d + len(cell.d)]
            at_u, at_d = at_u + len(cell.mvs), at_d + len(cell.d)
            wear = MEAN_WEAR_SHARE * cell.life_mm
            c, e, defect, edges, _, _ = cell.equations(u, d, wear)
            cycle_factor, energy_factor = p[HEAD + EACH * m], p[HEAD + EACH * m + 1]
            cycles.append((c * cycle_factor, e * energy_factor, defect, edges))
        shares = shares_of(cells, [c for c, *_ in cycles])
        pace_rows, wind_rows = {}, {}
        hasty = x[4 + n_u + charges_peak] if winds else 0.0
        cost += HASTY_EUR_PER_S * self._scale_s * hasty
        for m, (cell, share, (c, e, defect, edges)) in enumerate(
            zip(cells, shares, cycles, strict=True)
        ):
            idle_kw, standby_kw, ahead, behind = (p[HEAD + EACH * m + n] for n in (2, 3, 4, 5))
            waits_s = pace - share * c
            gap_kw = idle_kw * waits_s - standby_kw * pace
            cost += price * (share * e + gap_kw / 3600.0)
            power_kw += idle_kw + share * (3600.0 * e - idle_kw * c) / pace
            defects += share * defect
            edges_eur += share * cell.edge_eur * edges
            # The same for all that take from one buffer.
            own_s = share * c / cell.availability
            pace_rows[cell.takes_from] = (own_s - pace * ahead) / self._scale_s
            if cell.takes_from in winds:
                wind_rows[cell.takes_from] = (pace * behind - own_s) / self._scale_s - hasty
        self._stages = tuple(pace_rows)
        peak_rows = []
        if charges_peak:  # all awake: what a quarter of an hour takes while the line keeps the pace
            excess = x[4 + n_u] * POWER_SCALE_KW
            cost += peak_eur * excess
            peak_rows.append((power_kw - highest_kw - excess) / POWER_SCALE_KW)
        g = column(
            *pace_rows.values(),
            pace * (1.0 + defects) / pace_most - 1.0 - late,
            edges_eur - budget - over,
            10.0 * (defects - defect_most - bad),
            *peak_rows,
            *wind_rows.values(),
        )
        tail = [*[1.0] * n_u, *[HIGHEST] * charges_peak, *[HIGHEST] * bool(winds)]
        self._middle = [*[0.5] * n_u, *[1.0] * charges_peak, *[0.0] * bool(winds)]
        self._problem = NlpProblem(
            x,
            100.0 * cost,  # EUR cents: a part is worth cents, and IPOPT likes numbers near one
            g,
            p,
            x_lo=[0.2, 0.0, 0.0, 0.0, *[0.0] * len(tail)],
            x_hi=[20.0, 50.0, 5.0, 1.0, *tail],
            g_lo=-np.inf,
            g_hi=0.0,
        )

    def solve(
        self,
        cells: Sequence[Cell],
        factors: Sequence[tuple[float, float]],
        disturbances: Sequence[NDArray[np.float64]],
        prices: Prices,
        pace_most_s: float,
        budget_eur: float,
        defect_most: float,
        peak_eur_per_kw: float = 0.0,
        highest_kw: float = 0.0,
        ahead: Sequence[float] = (),
    ) -> Point:
        """The point for this moment.

        ``cells`` are the stations as they are known by now, ``factors`` the learned ones for cycle
        time and energy, ``disturbances`` the model's, all by station. ``peak_eur_per_kw`` is what each
        of the parts to come carries of the demand charge, for power above ``highest_kw``. ``ahead``: how
        many times the pace each station may take, 1 if it is not given.
        """
        p = [
            prices.energy_eur_per_kwh,
            prices.backlog_eur,
            max(pace_most_s, 1.0),
            budget_eur,
            defect_most,
            peak_eur_per_kw,
            highest_kw,
        ]
        leads = tuple(ahead) or (1.0,) * len(cells)
        for cell, (cycle, energy), lead in zip(cells, factors, leads, strict=True):
            behind = lead if lead > 1.0 else 0.0  # the pace that it may not be quicker than
            p += [cycle, energy, cell.idle_kw, cell.standby_kw, lead, behind]
        for d in disturbances:
            p += d.tolist()
        solution = self._solved(p, self._warm)
        self._warm = solution if solution.usable else None
        p[2] = HURRY * self._scale_s
        for m, lead in enumerate(leads):
            # Who hurries does not wind down.
            p[HEAD + EACH * m + 4], p[HEAD + EACH * m + 5] = min(lead, 1.0), 0.0
        hurried = self._solved(p, self._hurried)
        self._hurried = hurried if hurried.usable else None
        cycles_s = self._cycles_s(solution, factors, disturbances)
        point = self._point(solution, cycles_s, max(pace_most_s, 1.0))
        fastest = float(hurried.x[0]) * self._scale_s if hurried.usable else point.pace_s
        return replace(point, fastest_s=min(fastest, point.pace_s), ahead=leads)

    def _solved(self, p: Sequence[float], warm: Solution | None) -> Solution:
        start = [1.2, 0.0, 0.0, 0.0, *self._middle]
        solution = self._problem.solve(start, p, warm)
        return solution if solution.usable else self._problem.solve(start, p)

    def _settings(self, solution: Solution) -> tuple[Floats, ...]:
        """The setpoints of each station, scaled."""
        z, at = [], 4
        for cell in self._cells:
            z.append(solution.x[at : at + len(cell.mvs)])
            at += len(cell.mvs)
        return tuple(z)

    def _cycles_s(
        self,
        solution: Solution,
        factors: Sequence[tuple[float, float]],
        disturbances: Sequence[Floats],
    ) -> tuple[float, ...]:
        """Each station's cycle at a solution."""
        cycles_s = []
        found = zip(self._cells, self._settings(solution), factors, disturbances, strict=True)
        for cell, z, (factor, _), d in found:
            u = cell.lo + z * (cell.hi - cell.lo)
            y = cell.model.numbers()(cell.half_worn, u, d, cell.p)
            cycles_s.append(float(cell.with_changes_s(y) * factor))
        return tuple(cycles_s)

    def _point(self, solution: Solution, cycles_s: Sequence[float], pace_most_s: float) -> Point:
        rows, shares = len(self._stages), shares_of(self._cells, cycles_s)
        multipliers = solution.multipliers
        assert multipliers is not None
        factor = min(max(float(multipliers[rows + 1]) / 100.0, 0.0), OVER_FACTOR)
        defect_eur = max(float(multipliers[rows + 2]) / 10.0, 0.0)
        stage_eur = dict(zip(self._stages, multipliers[:rows].tolist(), strict=True))
        # The pace of a stage is its share of the parts / sum of (availability / c): of that, by one station's c.
        second_eur = tuple(
            max(stage_eur[cell.takes_from], 0.0) / 100.0 / self._scale_s * by
            for cell, by in zip(self._cells, self._by_cycle(shares), strict=True)
        )
        return Point(
            float(solution.x[0]) * self._scale_s,
            self._settings(solution),
            factor,
            defect_eur,
            second_eur,
            solution.usable,
            self._solve(solution, multipliers, pace_most_s, shares),
            shares=shares,
            cycles_s=tuple(cycles_s),
        )

    def _by_cycle(self, shares: Sequence[float]) -> list[float]:
        """How much the pace of its stage gains by a second of each station's cycle."""
        together: dict[str, float] = {}
        for cell, share in zip(self._cells, shares, strict=True):
            together[cell.takes_from] = together.get(cell.takes_from, 0.0) + share
        return [
            share**2 / cell.availability / together[cell.takes_from]
            for cell, share in zip(self._cells, shares, strict=True)
        ]

    def _solve(
        self,
        solution: Solution,
        multipliers: Floats,
        pace_most_s: float,
        shares: Sequence[float],
    ) -> Solve:
        """How it ended, and what a unit more of each limit would save a part."""
        by_cycle = self._by_cycle(shares)
        first = [[c.takes_from for c in self._cells].index(stage) for stage in self._stages]
        limits = [
            *((f"{self._cells[n].name} cycle_s", self._scale_s / by_cycle[n]) for n in first),
            ("pace of the open orders, s", pace_most_s),
            ("edge budget, EUR", 1.0),
            ("defects", 0.1),
            ("highest power, kW", POWER_SCALE_KW),
        ]
        prices = [
            (name, float(value) / 100.0 / scale)
            for value, (name, scale) in zip(multipliers, limits, strict=False)
            if value > BINDS
        ]
        bounds = solution.bound_multipliers
        at = 4
        for cell in self._cells:
            span = np.where(cell.hi > cell.lo, cell.hi - cell.lo, 1.0)
            for k, mv in enumerate(cell.mvs):
                if bounds is not None and abs(bounds[at + k]) > BINDS:
                    prices.append(
                        (f"{cell.name}.{mv}", float(bounds[at + k]) / 100.0 / float(span[k]))
                    )
            at += len(cell.mvs)
        return solution.solve(prices)


def with_shares(cells: tuple[Cell, ...], point: Point | None) -> tuple[Cell, ...]:
    """The stations with their shares of the parts at a steady course."""
    if point is None or not point.shares:
        return cells
    pairs = zip(cells, point.shares, strict=True)
    return tuple(c if share == c.share else replace(c, share=share) for c, share in pairs)
