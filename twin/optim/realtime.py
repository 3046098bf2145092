"""Gauss-Newton steps for problems that come again each period, a little changed.

Each step solves a quadratic model around the present point (sequential quadratic programming). It is
damped (Levenberg-Marquardt) as much as the last steps turned out to need, and a step is shortened only
where damping does not help (Nocedal & Wright, Numerical Optimization, chapters 10 and 18). The
damping is part of the answer and goes into the next solve. Economic tasks need it, since their
Gauss-Newton matrix is nearly singular and undamped steps jump from limit to limit; tracking tasks
soon run without. It wants a start that is near, the plan of the last period, not a cold one. One
iteration a period is the real-time scheme of Diehl, Bock & Schloeder (SIAM J. Control Optim. 43
(2005) 1714). Letters:

    r  residuals, cost 1/2 |r|^2 + f     H  matrix of the quadratic model, J'J of the residuals
    A  Jacobian of the constraints       s  step      lam  multipliers      sigma  weight of the penalty
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import casadi
import numpy as np

from twin.optim.numeric import NumericFunction
from twin.optim.result import FEASIBILITY_TOLERANCE, Floats, Solution, Status
from twin.optim.smooth import Bounds, Expression, SmoothProblem

__all__ = ["OcpStages", "RealTimeSqp"]

_ca: Any = casadi

LEAST, MOST, RAISED, LOWERED = 1e-4, 0.03, 10.0, 0.7
"""Smallest and largest damping where there is any, and the factors after a bad and a good step."""
TRIES, HALVINGS = 3, 6
"""Quadratic problems of one iteration at most: a step that makes things worse is damped and redone.
If that does not help it is halved."""
GOOD, NOISE = 0.1, 1e-6
"""Share of the promised decrease that makes a step good; what solvers leave as noise of the merit."""
_SETTINGS: dict[str, dict[str, Any]] = {
    # Variables are of the order of one, so a start near the central path saves HPIPM a fifth of its
    # iterations, and infinity need not be 1e8, which costs it its accuracy.
    "hpipm": {"inf": 1e4, "hpipm": {"mu0": 0.1, "itref_corr_max": 0, "lq_fact": 0}},
    "piqp": {},
}
SOLVERS = tuple(_SETTINGS)


@dataclass(frozen=True, slots=True)
class OcpStages:
    """Block structure of a multiple-shooting problem, which HPIPM exploits.

    Variables stand as x_0, u_0, x_1, u_1, ..., x_N; constraints as, for each stage, its dynamics
    F(x_k, u_k) - x_{k+1} = 0 and then its ``n_g`` path constraints. Numbers that differ from stage
    to stage are given as tuples of N + 1: no x_0 where the start is a parameter, fewer inputs where
    moves are blocked, slacks as inputs at the end.
    """

    horizon: int
    n_x: int | tuple[int, ...]
    n_u: int | tuple[int, ...]
    n_g: tuple[int, ...]

    def options(self) -> dict[str, Any]:
        """Return the structure in HPIPM's terms."""
        N, n_x, n_u = self.horizon, self.n_x, self.n_u
        nx = [n_x] * (N + 1) if isinstance(n_x, int) else list(n_x)
        nu = [n_u] * N + [0] if isinstance(n_u, int) else list(n_u)
        # CasADi allows no inputs at the end (3.8), so an empty stage follows those that are there.
        more = [0] if nu[-1] else []
        return {"N": N + len(more), "nx": nx + more, "nu": nu + more, "ng": [*self.n_g, *more]}


class _At(NamedTuple):
    """A point, its multipliers, and the model there."""

    x: Floats
    lam: Floats
    bounds_lam: Floats
    f: Floats
    g: Floats
    slope: Floats
    gradient: Floats
    H: Floats
    A: Floats

    @property
    def finite(self) -> bool:
        """Whether there is a model at all."""
        return _finite(*self[3:])


class RealTimeSqp:
    """A problem 1/2 |r|^2 + f for a few Gauss-Newton steps a period; variables scaled to about one.

    HPIPM and PIQP share one model; each solve names the one to use. There is no fallback in here:
    what a failed solve leads to is the caller's decision (`twin.optim.ladder`).

    >>> import casadi
    >>> x = casadi.SX.sym("x", 2)
    >>> rosenbrock = RealTimeSqp(x, casadi.vertcat(1 - x[0], 10 * (x[1] - x[0] ** 2)))
    >>> rosenbrock.solve([0.0, 0.0], iterations=30).x.round(4).tolist()
    [1.0, 1.0]
    """

    def __init__(
        self,
        x: Expression,
        r: Expression,
        f: Expression = 0.0,
        g: Expression = None,
        p: Expression = None,
        *,
        x_lo: Bounds = -np.inf,
        x_hi: Bounds = np.inf,
        g_lo: Bounds = 0.0,
        g_hi: Bounds = 0.0,
        stages: OcpStages | None = None,
        tolerance: float = 1e-6,
        feasibility_tolerance: float = FEASIBILITY_TOLERANCE,
    ) -> None:
        self.problem = problem = SmoothProblem(
            x, f + 0.5 * _ca.sumsqr(r), g, p, x_lo=x_lo, x_hi=x_hi, g_lo=g_lo, g_hi=g_hi,
            feasibility_tolerance=feasibility_tolerance,
        )  # fmt: skip
        self.tolerance = tolerance
        multipliers = _ca.SX.sym("multipliers", problem.m)
        gradient = _ca.densify(_ca.gradient(problem.f, problem.x))
        A, J = _ca.jacobian(problem.g, problem.x), _ca.jacobian(r, problem.x)
        H = J.T @ J + 1e-8 * _ca.SX.eye(problem.n)
        slope = _ca.densify(gradient + _ca.mtimes(A.T, multipliers))
        inputs = [problem.x, problem.p, multipliers]
        point = [_ca.densify(problem.f), _ca.densify(problem.g), slope]
        self._model = NumericFunction(_ca.Function("model", inputs, [*point, gradient, H, A]))
        rows, columns = H.sparsity().get_triplet()
        self._diagonal = np.flatnonzero(np.array(rows) == np.array(columns))
        structure = {"h": H.sparsity(), "a": A.sparsity()}
        self._qps = {"piqp": _qp("piqp", structure, {})}
        if stages is not None:
            self._qps["hpipm"] = _qp("hpipm", structure, stages.options())
        self.solvers = tuple(name for name in SOLVERS if name in self._qps)

    def solve(
        self,
        x0: Bounds,
        p: Bounds | None = None,
        *,
        iterations: int = 3,
        damping: float = 0.0,
        solver: str | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Solution:
        """Make at most ``iterations`` steps from ``x0``; ``stop`` is asked before each.

        Raises `ProblemError` for a NaN or a wrong length; everything else is told by the solution.
        """
        problem = self.problem
        x, parameters = problem.start(x0), problem.parameters(p)
        lam = np.zeros(problem.m)
        name = solver or self.solvers[0]
        at = _At(x, lam, np.zeros(problem.n), *self._model(x, parameters, lam))
        sigma, status, reason, done = 0.0, Status.ITERATION_LIMIT, "SQP: iteration limit", 0
        while True:
            residual = problem.residual(at.x, at.slope, at.g, at.lam)
            if not at.finite:
                status, reason = Status.FAILED, "SQP: the model is not finite at the present point"
                break
            if residual <= self.tolerance:
                status, reason = Status.SOLVED, "SQP: converged"
                break
            if done == iterations:
                break
            if stop is not None and stop():
                reason = "SQP: out of time"
                break
            last, whole = done + 1 == iterations, iterations == 1
            step = self._step(name, at, parameters, damping, sigma, last=last, whole=whole)
            if step is None:
                status, reason = Status.FAILED, f"SQP: {name} could not solve a step"
                break
            at, damping, sigma = step
            done += 1
        violation = problem.violation(at.x, at.g)
        feasible = bool(violation <= problem.feasibility_tolerance and np.isfinite(at.f[0]))
        if not feasible:
            reason = f"{reason}; bounds or constraints are violated by {violation:.3g}"
        return Solution(
            at.x, float(at.f[0]), status, done, residual, feasible, reason, f"sqp/{name}", at.lam,
            bound_multipliers=at.bounds_lam, damping=damping,
        )  # fmt: skip

    def _step(
        self,
        name: str,
        at: _At,
        p: Floats,
        damping: float,
        sigma: float,
        *,
        last: bool,
        whole: bool,
    ) -> tuple[_At, float, float] | None:
        """One step, the damping for the next and the weight of the penalty; None if no QP was solved.

        The real-time scheme takes it ``whole``: what is wrong with it, the next period mends.
        """
        known, raised = None, damping
        for tries in range(TRIES):
            damping, raised = raised, min(max(raised * RAISED, LEAST), MOST)
            # Damped as much as may be, the same problem would only have the same answer.
            spent = tries + 1 == TRIES or raised == damping
            known = self._quadratic(name, at, damping)
            if known is not None:
                s, lam, bounds_lam = known
                sigma = max(sigma, 1.1 * float(np.abs(lam).max(initial=0.0)))
                there = self._there(at, p, s, lam, bounds_lam, point_only=last)
                noise = NOISE * (1.0 + abs(float(at.f[0])))
                promised = max(sigma * self._breach(at.g) - float(at.gradient @ s), 0.0)
                gained = self._merit(at, sigma) - self._merit(there, sigma)
                if gained >= GOOD * promised - noise:
                    return there, damping * LOWERED if damping * LOWERED >= LEAST else 0.0, sigma
                if gained >= -noise or (whole and spent):
                    return there, raised, sigma
            if spent:
                break
        if known is None:
            return None
        return self._shortened(at, p, known, sigma, last=last), raised, sigma

    def _shortened(
        self, at: _At, p: Floats, step: tuple[Floats, Floats, Floats], sigma: float, *, last: bool
    ) -> _At:
        """Half the step, or half of that, until nothing gets worse."""
        s, lam, bounds_lam = step
        there, share = at, 1.0
        most = self._merit(at, sigma) + NOISE * (1.0 + abs(float(at.f[0])))
        for _ in range(HALVINGS):
            share *= 0.5
            there = self._there(
                at, p, share * s, at.lam + share * (lam - at.lam), bounds_lam, point_only=True
            )
            if self._merit(there, sigma) <= most:
                break
        if last:
            return there
        return self._there(at, p, share * s, there.lam, bounds_lam, point_only=False)

    def _quadratic(
        self, name: str, at: _At, damping: float
    ) -> tuple[Floats, Floats, Floats] | None:
        """Step and multipliers of the damped quadratic problem; None if it could not be solved."""
        problem, qp, H = self.problem, self._qps[name], at.H
        if damping:
            H = H.copy()
            H[self._diagonal] += damping
        s, _, lam, bounds_lam = qp(
            H, at.gradient, at.A, problem.g_lo - at.g, problem.g_hi - at.g, problem.x_lo - at.x,
            problem.x_hi - at.x, np.zeros(problem.n), at.bounds_lam, at.lam,
        )  # fmt: skip
        good = qp.succeeded and _finite(s, lam, bounds_lam)
        return (s, lam, bounds_lam) if good else None

    def _there(
        self, at: _At, p: Floats, s: Floats, lam: Floats, bounds_lam: Floats, *, point_only: bool
    ) -> _At:
        """The point one step further; at the last one nobody will ask for the model any more."""
        problem = self.problem
        x = np.minimum(np.maximum(at.x + s, problem.x_lo), problem.x_hi)
        if point_only:
            f, g, slope = problem.point(x, p, lam)
            return _At(x, lam, bounds_lam, f, g, slope, at.gradient, at.H, at.A)
        return _At(x, lam, bounds_lam, *self._model(x, p, lam))

    def _merit(self, at: _At, sigma: float) -> float:
        return float(at.f[0]) + sigma * self._breach(at.g)

    def _breach(self, g: Floats) -> float:
        problem = self.problem
        return float(np.maximum(np.maximum(problem.g_lo - g, g - problem.g_hi), 0.0).sum())


def _qp(name: str, structure: dict[str, Any], more: Mapping[str, Any]) -> NumericFunction:
    options = {"error_on_fail": False, **_SETTINGS[name], **more}
    return NumericFunction(_ca.conic("qp", name, structure, options), forgetful=True)


def _finite(*values: Floats) -> bool:
    return all(bool(np.isfinite(value).all()) for value in values)
