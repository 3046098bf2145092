"""Target calculation: the steady state that keeps the bands by their ranks and costs least.

    min   weight (y_s - reference)^2 + price y_s
    s.t.  x_s = F(x_s, u_s, d, w),   lo + b - s <= y_s <= hi - b + s,   s <= cap,   limits of the setpoints

First with all caps zero. Where that cannot be, rank by rank: the slack of a rank is made as small as
possible, and is then the cap of its bands while the next rank gives way (Qin & Badgwell, Control
Eng. Practice 11 (2003) 733). Per-part models have no steady state; theirs is the part to come.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi
import numpy as np

from twin.optim.realtime import RealTimeSqp
from twin.optim.result import Floats, Solution
from twin.optim.shooting import MOST, ROOM, Here
from twin.optim.smooth import Expression
from twin.optim.task import TrackingTask
from twin.optim.transition import Transition

__all__ = ["Target", "TargetProblem"]

_ca: Any = casadi
STAY = 1e-3
"""What moving setpoints through their whole range costs, as a share of the most that prices can cost:
it decides what nothing else does."""
ITERATIONS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where the station should come to rest: states, setpoints to move, units beyond each band.

    ``usable`` is False where no steady state was found; ``reason`` says how the solve ended.
    """

    x: Floats
    u: Floats
    beyond: Floats
    usable: bool
    reason: str


class TargetProblem:
    """The target calculation of one task, built once."""

    def __init__(self, task: TrackingTask, p: Floats | None = None) -> None:
        self.task = task
        self._t = Transition(task.model, task.step_s, task.disturbances, p, task.substeps)
        mvs = [q.name for q in task.model.mvs]
        self._moved = [mvs.index(move.mv) for move in task.moves]
        states = task.model.states
        self._x_lo = np.array([q.lo for q in states])
        self._x_span = np.array([(q.hi - q.lo) or 1.0 for q in states])
        self._u_lo = np.array([move.lo for move in task.moves])
        self._u_span = np.array([(move.hi - move.lo) or 1.0 for move in task.moves])
        ranges = {q.name: (q.lo, (q.hi - q.lo) or 1.0) for q in self._t.visible}
        self._bands = [
            (band, ranges[band.output][0], 0.01 * ranges[band.output][1]) for band in task.bands
        ]
        self._build(ranges)

    def _build(self, ranges: dict[str, tuple[float, float]]) -> None:
        task, t = self.task, self._t
        n_x, n_m, n_s = t.n_x, len(self._moved), len(self._bands)
        lengths = (n_x, t.n_u, len(task.aims), t.n_d, t.n_w, n_s, n_s, n_s, 1)
        names = ("x", "u", "references", "d", "w", "clear", "weights", "caps", "economic")
        given = [_ca.SX.sym(name, n) for name, n in zip(names, lengths, strict=True)]
        x_0, u_0, references, d, w, clear, weights, caps, economic = given
        v = _ca.SX.sym("v", n_x + n_m + n_s)
        x, moved, s = v[:n_x], v[n_x : n_x + n_m], v[n_x + n_m :]
        raw_x = x * self._x_span + self._x_lo
        parts = [u_0[n] for n in range(t.n_u)]
        for n, m in enumerate(self._moved):
            parts[m] = moved[n] * self._u_span[n] + self._u_lo[n]
        raw_u = _ca.vertcat(*parts)
        after = x_0 if t.per_part else t.ahead(raw_x, raw_u, d, w)
        rests = (after - raw_x) / self._x_span
        y = t.outputs(raw_x, raw_u, d, w)
        at: dict[str, Expression] = dict(zip(t.names, _ca.vertsplit(y), strict=True))
        at |= {q.name: parts[n] for n, q in enumerate(task.model.mvs)}
        money, stay = self._money(ranges)
        f = _ca.dot(weights, s)
        for name, price in task.prices.items():
            f += economic * price / money * at[name]
        r = [
            economic * math.sqrt(2.0 * aim.weight / money) * (at[aim.output] - references[n])
            for n, aim in enumerate(task.aims)
        ]
        in_force = [(u_0[m] - self._u_lo[n]) / self._u_span[n] for n, m in enumerate(self._moved)]
        r += [math.sqrt(2.0 * stay) * (moved[n] - in_force[n]) for n in range(n_m)]
        rows, lo, hi = [rests], [0.0] * n_x, [0.0] * n_x
        for n, (band, zero, scale) in enumerate(self._bands):
            scaled, room = (at[band.output] - zero) / scale, s[n] - clear[n] / scale
            ends = [
                (scaled - room, -np.inf, (band.hi - zero) / scale),
                (scaled + room, (band.lo - zero) / scale, np.inf),
                (s[n] - caps[n], -np.inf, 0.0),
            ]
            for row, least, most in ends:
                if math.isfinite(least) or math.isfinite(most):  # a band may have one end only
                    rows, lo, hi = [*rows, row], [*lo, least], [*hi, most]
        width = [float(move.hi > move.lo) for move in task.moves]
        self._sqp = RealTimeSqp(
            v, _ca.vertcat(*r), f, _ca.vertcat(*rows), _ca.vertcat(*given),
            x_lo=[-ROOM] * n_x + [0.0] * (n_m + n_s),
            x_hi=[1.0 + ROOM] * n_x + width + [MOST] * n_s,
            g_lo=lo, g_hi=hi, feasibility_tolerance=1e-5,
        )  # fmt: skip

    def solve(
        self, here: Here, last: Target | None = None, stop: Callable[[], bool] | None = None
    ) -> Target:
        """The target from here; ``last`` is a good start, ``stop`` is asked before each iteration."""
        n_s = len(self._bands)
        start = np.concatenate(
            [
                ((last.x if last else here.x) - self._x_lo) / self._x_span,
                ((last.u if last else here.u[self._moved]) - self._u_lo) / self._u_span,
                np.zeros(n_s),
            ]
        )
        found = self._at(here, start, np.zeros(n_s), np.zeros(n_s), stop, economic=True)
        if found.usable or not n_s:
            return self._target(found)
        caps = np.full(n_s, MOST)
        for rank in sorted({band.rank for band, _, _ in self._bands}):
            of_rank = np.array([band.rank == rank for band, _, _ in self._bands])
            found = self._at(here, start, of_rank.astype(float), caps, stop, economic=False)
            if not found.usable:
                return self._target(found)
            start = found.x
            caps = np.where(of_rank, found.x[-n_s:] + 1e-3, caps)
        return self._target(self._at(here, start, np.zeros(n_s), caps, stop, economic=True))

    def _at(
        self,
        here: Here,
        start: Floats,
        weights: Floats,
        caps: Floats,
        stop: Callable[[], bool] | None,
        *,
        economic: bool,
    ) -> Solution:
        # The station rests behind the horizon: the last step says how much is known by then.
        clear = np.zeros(len(self._bands)) if here.clear is None else here.clear[-1]
        known = (here.x, here.u, here.references, here.d, here.w, clear)
        p = np.concatenate([*known, weights, caps, [float(economic)]])
        return self._sqp.solve(start, p, iterations=ITERATIONS, stop=stop)

    def _target(self, found: Solution) -> Target:
        n_x, n_m = self._t.n_x, len(self._moved)
        x = found.x[:n_x] * self._x_span + self._x_lo
        u = found.x[n_x : n_x + n_m] * self._u_span + self._u_lo
        beyond = found.x[n_x + n_m :] * np.array([scale for _, _, scale in self._bands])
        usable = bool(found.usable and np.isfinite(found.x).all())
        return Target(x, u, beyond, usable, found.reason)

    def _money(self, ranges: dict[str, tuple[float, float]]) -> tuple[float, float]:
        """EUR by which the objective is divided, and the share of it that staying is worth."""
        task = self.task
        every = {name: span for name, (_, span) in ranges.items()}
        every |= {q.name: q.hi - q.lo for q in task.model.mvs}
        aims = [aim.weight * every[aim.output] ** 2 for aim in task.aims]
        prices = [abs(price) * every[name] for name, price in task.prices.items()]
        money = max([*aims, *prices], default=0.0) or 1.0
        return money, STAY * (max(prices, default=0.0) / money or 1.0)
