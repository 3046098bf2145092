"""The station layer: process setpoints of one per-part station, decided from part to part.

    min_u  price (e(u) - idle c(u)) + nu defect(u) + mu edges(u) + band violations + |z - z_now|^2
    s.t.   c(u) <= target cycle, or = (soft);  |z - z_now| <= what the rate limits allow in one cycle

A second saved here is a second spent waiting, so only the energy beyond that of waiting counts. Not so for one of
several that take from one buffer, which would take parts from the others, nor for who winds down: they keep the cycle
of the steady course from both sides. The prices ``mu`` of edges and ``nu`` of defects are the shadow prices of the
operating point. The model's outputs are corrected by the learned factors and offsets, which removes the steady error between plant
and model (run-to-run control with disturbance estimation).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.operating_point import Point
from controllers.mpc.stations import MEAN_WEAR_SHARE, Cell, Prices
from twin.cycle import Situation
from twin.optim.expressions import column, unknowns
from twin.optim.nlp import NlpProblem
from twin.optim.result import Solution
from twin.solves import Solve

HEAD = 8
"""Parameters of a solve that stand before those of setpoints, bands and disturbances."""
LATE_EUR_PER_S = 0.05
LATE_FACTOR = 2.0
"""Price of a cycle second beyond the target, at least, and against the operating point's own price of a
second: a target is only missed where it cannot be met; assumption."""
MOVE_EUR = 2e-4
"""Price of moving a setpoint across its whole range; keeps ties from wandering; assumption."""
BAND_EUR = 5.0
"""Price of leaving a quality band by its own width; assumption."""
BINDS = 1e-5
"""Smallest multiplier that counts, in the problem's own scaling: IPOPT leaves less at limits that do not bind."""
BACK_OFF = 3.0
"""Standard deviations of the sensor by which a band is kept clear; assumption."""


@dataclass(frozen=True, slots=True, eq=False)
class StationMove:
    """What the layer asks for, and how the solve ended.

    ``fresh``: solved for this very decision; else what was found before still holds.
    """

    z: NDArray[np.float64]
    usable: bool
    solve: Solve
    fresh: bool = True

    @property
    def status(self) -> str:
        """The solver's word."""
        return f"{self.solve.solver}: {self.solve.status}"


class StationLayer:
    """One station's problem, built once."""

    def __init__(self, cell: Cell, m: int) -> None:
        self._m = m
        self._warm: Solution | None = None
        self._asked: tuple[float, ...] = ()
        self._last: StationMove | None = None
        n = len(cell.mvs)
        bands = [
            (k, spec)
            for k, name in enumerate(cell.outputs)
            if (spec := cell.spec.sensors.get(name)) is not None and spec.band is not None
        ]
        self._bands = bands
        keeps_course = cell.keeps_course
        x = unknowns("x", n + 1 + len(bands) + keeps_course)
        p = unknowns("p", HEAD + 2 * n + len(bands) + len(cell.d))
        z, late, out = x[:n], x[n], x[n + 1 : n + 1 + len(bands)]
        price, scrap_eur, edge_factor, target, r_c, r_e, idle_kw, late_eur = (
            p[k] for k in range(HEAD)
        )
        before, reach = p[HEAD : HEAD + n], p[HEAD + n : HEAD + 2 * n]
        offsets, d = p[HEAD + 2 * n : HEAD + 2 * n + len(bands)], p[HEAD + 2 * n + len(bands) :]
        wear = MEAN_WEAR_SHARE * cell.life_mm
        c, e, defect, edges, y, _ = cell.equations(cell.lo + z * (cell.hi - cell.lo), d, wear)
        c, e = c * r_c, e * r_e
        beyond = e - idle_kw * c / 3600.0
        cost = price * beyond + scrap_eur * defect + edge_factor * cell.edge_eur * edges
        early = x[n + 1 + len(bands)] if keeps_course else 0.0
        rows = [(c - target - late + early) / 10.0]
        g_lo, g_hi = [0.0 if keeps_course else -np.inf], [0.0]
        # Names of the rows, and their unit against that of the limit; a lower limit counts negative.
        labels = [("cycle_s", 0.1)]
        for k, (at, spec) in enumerate(bands):
            assert spec.band is not None
            width = spec.band[1] - spec.band[0]
            clear = BACK_OFF * spec.noise_sd
            lo = min(spec.band[0] + clear, 0.5 * (spec.band[0] + spec.band[1]))
            hi = max(spec.band[1] - clear, 0.5 * (spec.band[0] + spec.band[1]))
            value = (y[at] + offsets[k]) / width
            rows += [value - hi / width - out[k], lo / width - value - out[k]]
            g_lo += [-np.inf, -np.inf]
            g_hi += [0.0, 0.0]
            labels += [(cell.outputs[at], 1.0 / width), (cell.outputs[at], -1.0 / width)]
            cost += BAND_EUR * out[k]
        move = z - before
        rows += [move - reach, -move - reach]
        g_lo += [-np.inf] * (2 * n)
        g_hi += [0.0] * (2 * n)
        total = cost + late_eur * (late + early) + MOVE_EUR * (move.T @ move)
        span = np.where(cell.hi > cell.lo, cell.hi - cell.lo, 1.0)
        self._moved = [(mv, 1.0 / float(span[k])) for k, mv in enumerate(cell.mvs)]
        labels += [(f"{mv} rate", sign * by) for sign in (1.0, -1.0) for mv, by in self._moved]
        self._labels = labels
        self._n = n
        self._early = [1.0] * keeps_course
        self._cost_scale = 100.0
        self._problem = NlpProblem(
            x,
            self._cost_scale * total,
            column(*rows),
            p,
            x_lo=0.0,
            x_hi=[*[1.0] * n, 1e4, *[10.0] * len(bands), *[1e4] * keeps_course],
            g_lo=g_lo,
            g_hi=g_hi,
        )

    @property
    def last_solve(self) -> Solve | None:
        """How the last solve ended; None before the first."""
        return None if self._last is None else self._last.solve

    def solve(
        self,
        situation: Situation,
        cell: Cell,
        prices: Prices,
        point: Point,
        target_s: float,
    ) -> StationMove:
        """The move for a target cycle time; ``usable`` says whether it may be asked for.

        ``cell`` is the station as it is known by now.
        """
        edge_factor, defect_eur = point.edge_factor, point.defect_eur
        late_eur = max(LATE_EUR_PER_S, LATE_FACTOR * point.second_eur[self._m])
        made = situation.observation[f"{cell.name}.op_count"]
        asked = (made, *(round(x, 3) for x in (edge_factor, defect_eur, late_eur, target_s)))
        if self._last is not None and self._asked == asked:
            # Nothing was learned since: the setpoints stay.
            return replace(self._last, fresh=False)
        before = cell.scaled(dict(situation.active))
        offsets = [
            situation.estimate.disturbance.get(f"{cell.name}.{cell.outputs[k]}", 0.0)
            for k, _ in self._bands
        ]
        p = [
            prices.energy_eur_per_kwh,
            defect_eur,
            edge_factor,
            target_s,
            cell.ratio(situation, "last_cycle_s"),
            cell.ratio(situation, "last_energy_kwh"),
            cell.idle_kw,
            late_eur,
            *before,
            *(cell.rates_per_s * target_s),
            *offsets,
            *cell.disturbances(situation),
        ]
        start = [*np.clip(before, 0.02, 0.98), 1.0, *[0.01] * len(self._bands), *self._early]
        solution = self._problem.solve(start, p, self._warm)
        if not solution.usable and self._warm is not None:
            solution = self._problem.solve(start, p)
        self._warm = solution if solution.usable else None
        self._asked = asked
        self._last = StationMove(
            solution.x[: self._n],
            solution.usable,
            self._solve(solution),
        )
        return self._last

    def _solve(self, solution: Solution) -> Solve:
        """How it ended, and what a unit more of each limit that binds would save a part."""
        lam, lam_x = solution.multipliers, solution.bound_multipliers
        prices: list[tuple[str, float]] = []
        if lam is not None and lam_x is not None:
            for rows, labels in ((lam, self._labels), (lam_x, self._moved)):
                prices += [
                    (name, float(value) * per_unit / self._cost_scale)
                    for value, (name, per_unit) in zip(rows, labels, strict=False)
                    if abs(value) > BINDS
                ]
        return solution.solve(prices)
