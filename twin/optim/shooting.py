"""Direct multiple shooting: a process model and a task become one structured optimisation problem.

A stage holds what the plant is at one control step and what is decided there (Bock & Plitt 1984):

    z_k = [x_k, u_before]     states, and the setpoints in force until then, both scaled to 0..1
    v_k = [u_k, s_k]          setpoints from then on (where they may move), units beyond soft bands

Setpoints in force are part of the state, so moves and rate limits couple no stages and HPIPM's
block structure holds. What is known at the start (state, setpoints, references, targets, measured
and learned disturbances) enters as parameters ``p``: learned disturbances stay constant ahead, so
as states they would only make every block larger.

    min  sum  weight (y - reference)^2 + weight (u - u_before)^2 + price y + weight s
    s.t. x_k+1 = F(x_k, u_k, d, w),  |u - u_before| <= rate h,  lo + b - s <= y <= hi - b + s,  s >= 0

b is by how much a band is kept clear at that step, a parameter too (`Here.clear`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import casadi
import numpy as np

from twin.optim.nlp import NlpProblem
from twin.optim.realtime import OcpStages, RealTimeSqp
from twin.optim.result import Floats
from twin.optim.smooth import Expression
from twin.optim.task import TrackingTask, visible
from twin.optim.transition import Transition
from twin.processes.model import Quantity

__all__ = ["Here", "Plan", "Shooting"]

_ca: Any = casadi
MOST = 1e3
"""Hundredths of an output's range by which a band may be exceeded at most: a number for solvers."""
# Expression, limits, name and unit of a constraint; the dynamics have no name.
_Row: TypeAlias = tuple[Expression, float, float, str, float]
_GIVEN = ("x", "u", "references", "targets", "d", "w", "clear")
ROOM = 0.5
"""By how much of their range predicted states may leave the limits within which the model holds: a
state outside is a bad prediction, but refusing it would leave the controller without a plan."""


@dataclass(frozen=True, slots=True, eq=False)
class Here:
    """Where a plan starts: state, setpoints in force, what is wanted, and disturbances.

    ``references`` belong to the task's aims, ``targets`` to its moves; without targets the
    setpoints in force are their own. ``d`` are the model's DVs, ``w`` the learned disturbances.
    ``clear`` (steps by the task's bands) is by how much each band is kept clear of its edges.
    """

    x: Floats
    u: Floats
    references: Floats
    d: Floats
    w: Floats
    targets: Floats | None = None
    clear: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """States (steps + 1 by states), setpoints (steps by MVs) and units beyond bands (steps by bands)."""

    x: Floats
    u: Floats
    beyond: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """Symbols and bounds of one step."""

    z: Expression
    u: Expression
    s: Expression
    lo: Floats
    hi: Floats
    n_v: int


class Shooting:
    """The problem of one task, in CasADi SX, for SQP (`sqp`) and IPOPT alike.

    >>> from twin.processes import load
    >>> from twin.optim.task import Aim, Move, TrackingTask
    >>> cutting = load("cutting")
    >>> task = TrackingTask(
    ...     cutting, 60.0, 5, (Move("feed_mm", 0.2, 0.3, weight=1.0),), (Aim("roughness_um", 1.0),)
    ... )
    >>> Shooting(task).n
    15
    """

    def __init__(self, task: TrackingTask, p: Floats | None = None) -> None:
        self.task = task
        self.transition = Transition(task.model, task.step_s, task.disturbances, p, task.substeps)
        model = task.model
        mvs = [q.name for q in model.mvs]
        self.moved = np.array([mvs.index(move.mv) for move in task.moves])
        self._x_lo, self._x_span = _scale(model.states)
        self._u_lo, self._u_hi = (
            np.array([getattr(m, e) for m in task.moves]) for e in ("lo", "hi")
        )
        span = self._u_hi - self._u_lo
        self._u_span = np.where(span > 0.0, span, 1.0)
        self._kept = [n for n, b in enumerate(task.bands) if np.isfinite(b.lo) or np.isfinite(b.hi)]
        self._bands = [task.bands[n] for n in self._kept]
        seen = self.transition.visible
        widths = {q.name: q.hi - q.lo for q in seen}
        self._band_scale = np.array([0.01 * (widths[b.output] or 1.0) for b in self._bands])
        middle = {q.name: 0.5 * (q.hi + q.lo) for q in seen}
        self._band_middle = [middle[b.output] for b in self._bands]
        self.money = _money(task)
        self._build()

    def sqp(self, **options: Any) -> RealTimeSqp:
        """The problem for Gauss-Newton steps; its objective is counted in ``money``."""
        return RealTimeSqp(
            self.x, self.r / math.sqrt(self.money), self.f / self.money, self.g, self.p,
            x_lo=self.x_lo, x_hi=self.x_hi, g_lo=self.g_lo, g_hi=self.g_hi, stages=self.stages,
            **options,
        )  # fmt: skip

    def nlp(self, **options: Any) -> NlpProblem:
        """The same problem for IPOPT."""
        return NlpProblem(
            self.x, (self.f + 0.5 * _ca.sumsqr(self.r)) / self.money, self.g, self.p,
            x_lo=self.x_lo, x_hi=self.x_hi, g_lo=self.g_lo, g_hi=self.g_hi, **options,
        )  # fmt: skip

    # --- statement -----------------------------------------------------------------------------

    def _build(self) -> None:
        task, t = self.task, self.transition
        lengths = [t.n_x, t.n_u, len(task.aims), len(task.moves), t.n_d, t.n_w]
        lengths.append(task.horizon * len(self._bands) if task.back_off_sd else 0)
        given = [_ca.SX.sym(n, m) for n, m in zip(_GIVEN, lengths, strict=True)]
        self._given = dict(zip(_GIVEN, given, strict=True))
        self.p = _ca.vertcat(*given)
        N, n_m = task.horizon, len(self.moved)
        stages = [self._stage(k) for k in range(N + 1)]
        self._residuals: list[Expression] = []
        self.f = _ca.SX(0.0)
        rows: list[_Row] = []
        n_g, before = [], (self._given["u"][self.moved.tolist()] - self._u_lo) / self._u_span
        x = (self._given["x"] - self._x_lo) / self._x_span
        for k, stage in enumerate(stages):
            if k:
                x, before = stage.z[: t.n_x], stage.z[t.n_x :]
            u = before if stage.u is None else stage.u
            if k < N:
                gap = _ca.vertcat(self._ahead(x, u), u) - stages[k + 1].z
                rows += [(gap[i], 0.0, 0.0, "", 1.0) for i in range(t.n_x + n_m)]
            paths = self._moves(u, before) if stage.u is not None else []
            if stage.s is not None:
                at = k if t.per_part else k - 1
                paths += self._looks(x, u if t.per_part else before, stage.s, at)
            rows += paths
            n_g.append(len(paths))
        variables = [v for stage in stages for v in (stage.z, stage.u, stage.s) if v is not None]
        self.x, self.r = _ca.vertcat(*variables), _ca.vertcat(*self._residuals)
        self.g = _ca.vertcat(*[row[0] for row in rows])
        self.g_lo, self.g_hi = np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
        self.labels = tuple((n, row[3], row[4]) for n, row in enumerate(rows) if row[3])
        self.x_lo = np.concatenate([stage.lo for stage in stages])
        self.x_hi = np.concatenate([stage.hi for stage in stages])
        self.n = len(self.x_lo)
        n_u = [stage.n_v for stage in stages]
        self.stages = OcpStages(N, (0, *[t.n_x + n_m] * N), tuple(n_u), tuple(n_g))
        self._index(stages)

    def _stage(self, k: int) -> _Stage:
        """Variables of one step with their bounds: what does not exist there is None."""
        task, n_x, n_m, n_s = self.task, self.transition.n_x, len(self.moved), len(self._bands)
        looks = k < task.horizon if self.transition.per_part else k > 0
        z = _ca.SX.sym(f"z{k}", n_x + n_m) if k else None
        u = _ca.SX.sym(f"u{k}", n_m) if k in task.free_steps else None
        s = _ca.SX.sym(f"s{k}", n_s) if looks else None
        width = np.array([float(move.hi > move.lo) for move in task.moves])
        lo, hi = [np.zeros(0)], [np.zeros(0)]
        if z is not None:
            # Setpoints in force may be out of their limits; what is decided may not.
            lo += [np.full(n_x, -ROOM), np.full(n_m, -1.0)]
            hi += [np.full(n_x, 1.0 + ROOM), np.full(n_m, 2.0)]
        if u is not None:
            lo, hi = [*lo, np.zeros(n_m)], [*hi, width]
        if s is not None:
            lo, hi = [*lo, np.zeros(n_s)], [*hi, np.full(n_s, MOST)]
        n_v = (n_m if u is not None else 0) + (n_s if s is not None else 0)
        return _Stage(z, u, s, np.concatenate(lo), np.concatenate(hi), n_v)

    def _ahead(self, x: Expression, u: Expression) -> Expression:
        """Scaled states one step later."""
        found = self.transition.ahead(self._raw_x(x), self._raw_u(u), *self._known())
        return (found - self._x_lo) / self._x_span

    def _moves(self, u: Expression, before: Expression) -> list[_Row]:
        """What moves cost, and how fast setpoints may go."""
        rows: list[_Row] = []
        for n, move in enumerate(self.task.moves):
            span, moved = float(self._u_span[n]), u[n] - before[n]
            if move.weight:
                self._residuals.append(math.sqrt(2.0 * move.weight) * span * moved)
            if move.target_weight:
                target = (self._given["targets"][n] - self._u_lo[n]) / span
                self._residuals.append(math.sqrt(2.0 * move.target_weight) * span * (u[n] - target))
            most = move.rate_per_s * self.task.step_s / span
            if most < 1.0:
                rows.append((moved, -most, most, f"{move.mv} rate", span))
        return rows

    def _looks(self, x: Expression, u: Expression, s: Expression, look: int) -> list[_Row]:
        """What outputs and setpoints cost at one step, and the soft bands on them."""
        task, model = self.task, self.task.model
        raw_u = self._raw_u(u)
        y = self.transition.outputs(self._raw_x(x), raw_u, *self._known())
        at = {name: y[n] for n, name in enumerate(self.transition.names)}
        at |= {q.name: raw_u[n] for n, q in enumerate(model.mvs)}
        for n, aim in enumerate(task.aims):
            error = at[aim.output] - self._given["references"][n]
            self._residuals.append(math.sqrt(2.0 * aim.weight) * error)
        for name, price in task.dynamic_prices.items():
            self.f += price * at[name]
        rows: list[_Row] = []
        for n, band in enumerate(self._bands):
            scale, middle = float(self._band_scale[n]), self._band_middle[n]
            y = (at[band.output] - middle) / scale
            self.f += band.weight * scale * s[n]
            room = s[n]
            if task.back_off_sd:
                room = s[n] - self._given["clear"][look * len(self._bands) + n] / scale
            if np.isfinite(band.hi):
                rows.append((y - room, -np.inf, (band.hi - middle) / scale, band.output, scale))
            if np.isfinite(band.lo):
                rows.append((y + room, (band.lo - middle) / scale, np.inf, band.output, scale))
        return rows

    def _raw_x(self, x: Expression) -> Expression:
        return x * self._x_span + self._x_lo

    def _raw_u(self, u: Expression) -> Expression:
        raw = u * self._u_span + self._u_lo
        every = [self._given["u"][n] for n in range(self.transition.n_u)]
        for n, at in enumerate(self.moved):
            every[at] = raw[n]
        return _ca.vertcat(*every)

    def _known(self) -> tuple[Expression, Expression]:
        return self._given["d"], self._given["w"]

    # --- numbers -------------------------------------------------------------------------------

    def _index(self, stages: list[_Stage]) -> None:
        """Where each step's states, setpoints and slacks stand, and where they come from a step later."""
        n_x, n_m, n_s = self.transition.n_x, len(self.moved), len(self._bands)
        N, at = self.task.horizon, 0
        self._z_at, self._u_at = np.zeros((N + 1, n_x + n_m), int), np.zeros((N + 1, n_m), int)
        self._s_at = np.full((N + 1, n_s), -1)
        for k, stage in enumerate(stages):
            if stage.z is not None:
                self._z_at[k], at = np.arange(at, at + n_x + n_m), at + n_x + n_m
            self._u_at[k] = self._u_at[k - 1]
            if stage.u is not None:
                self._u_at[k], at = np.arange(at, at + n_m), at + n_m
            if stage.s is not None:
                self._s_at[k], at = np.arange(at, at + n_s), at + n_s
        source = np.arange(self.n)
        for k, stage in enumerate(stages):
            after = min(k + 1, N)
            if stage.z is not None:
                source[self._z_at[k]] = self._z_at[after]
            if stage.u is not None:
                source[self._u_at[k]] = self._u_at[min(k + 1, N - 1)]
            if stage.s is not None:
                source[self._s_at[k]] = self._s_at[after if stages[after].s is not None else k]
        self._shift = source

    def decided(self) -> tuple[tuple[int, str, float], ...]:
        """Variables that are setpoints: where they stand, their MV, and its unit in theirs."""
        found = {}
        for row in self._u_at:
            for n, at in enumerate(row):
                found[int(at)] = (self.task.moves[n].mv, float(self._u_span[n]))
        return tuple((at, name, span) for at, (name, span) in sorted(found.items()))

    def parameters(self, here: Here) -> Floats:
        """The problem's parameters.

        A state or setpoint outside its limits starts at the nearest one: a plan from there is of
        more use than none.
        """
        x = np.minimum(np.maximum(here.x, self._x_lo), self._x_lo + self._x_span)
        u = here.u.copy()
        u[self.moved] = np.minimum(np.maximum(u[self.moved], self._u_lo), self._u_hi)
        targets = u[self.moved] if here.targets is None else here.targets
        given = (x, u, here.references, targets, here.d, here.w)
        if not self.task.back_off_sd:
            return np.concatenate(given)
        clear = np.zeros((self.task.horizon, len(self._bands)))
        if here.clear is not None:
            clear = here.clear[:, self._kept]
        return np.concatenate((*given, clear.ravel()))

    def guess(self, here: Here) -> Floats:
        """A point to start from: everything stays as it is."""
        x = (here.x - self._x_lo) / self._x_span
        u = (here.u[self.moved] - self._u_lo) / self._u_span
        found = np.zeros(self.n)
        found[self._z_at[1:]] = np.concatenate((x, u))
        found[self._u_at] = u
        return np.clip(found, self.x_lo, self.x_hi)

    def shifted(self, point: Floats) -> Floats:
        """The same plan one step later; what comes last stays."""
        return point[self._shift]

    def first(self, point: Floats, u: Floats) -> Floats:
        """Setpoints from now on, all MVs in declared order; those not moved stay at ``u``."""
        found = u.copy()
        found[self.moved] = point[self._u_at[0]] * self._u_span + self._u_lo
        return found

    def plan(self, point: Floats, here: Here) -> Plan:
        """The solution in the plant's units."""
        n_x, N = self.transition.n_x, self.task.horizon
        states = point[self._z_at[1:, :n_x]] * self._x_span + self._x_lo
        u = np.tile(here.u, (N, 1))
        u[:, self.moved] = point[self._u_at[:N]] * self._u_span + self._u_lo
        rows = self._s_at[:N] if self.transition.per_part else self._s_at[1:]
        return Plan(np.vstack([here.x, states]), u, point[rows] * self._band_scale)


def _money(task: TrackingTask) -> float:
    """EUR by which the objective is divided: the most that an aim or a price can cost in a step."""
    ranges = {q.name: q.hi - q.lo for q in (*visible(task.model), *task.model.mvs)}
    most = [aim.weight * ranges[aim.output] ** 2 for aim in task.aims]
    most += [abs(price) * ranges[name] for name, price in task.dynamic_prices.items()]
    return max(most, default=0.0) or 1.0


def _scale(quantities: Sequence[Quantity]) -> tuple[Floats, Floats]:
    """Lower limits and ranges, by which variables are brought to 0..1."""
    lo = np.array([q.lo for q in quantities], dtype=np.float64)
    span = np.array([q.hi - q.lo for q in quantities], dtype=np.float64)
    return lo, np.where(span > 0.0, span, 1.0)
