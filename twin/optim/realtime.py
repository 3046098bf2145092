"""Gauss-Newton steps for problems that come again each period, a little changed.

Where `SqpProblem` searches along each step, this takes whole steps and damps the quadratic model
(Levenberg-Marquardt) as much as the last ones turned out to need: the damping is part of the answer
and goes into the next solve. Economic tasks need it, since their Gauss-Newton matrix is nearly
singular and undamped steps jump from limit to limit; tracking tasks soon run without. One iteration
a period is the real-time scheme of Diehl, Bock & Schloeder (SIAM J. Control Optim. 43 (2005) 1714).
Letters as in `twin.optim.sqp`; lambda is the damping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import casadi
import numpy as np

from twin.optim.numeric import NumericFunction
from twin.optim.result import FEASIBILITY_TOLERANCE, Floats, Solution, Status, vector
from twin.optim.smooth import Bounds, Expression, SmoothProblem
from twin.optim.sqp import OcpStages

__all__ = ["RealTimeSqp"]

_ca: Any = casadi

LEAST, MOST, RAISED, LOWERED = 1e-4, 0.03, 10.0, 0.7
"""Smallest and largest damping where there is any, and the factors after a bad and a good step."""
TRIES = 3
"""Quadratic problems of one iteration at most: a step that makes things worse is damped and redone."""
GOOD, NOISE = 0.1, 1e-6
"""Share of the promised decrease that makes a step good; what solvers leave as noise of the merit."""
_SETTINGS: dict[str, dict[str, Any]] = {
    # Variables are of the order of one, so a start near the central path saves HPIPM a fifth of its
    # iterations, and infinity need not be 1e8, which costs it its accuracy.
    "hpipm": {"inf": 1e4, "hpipm": {"mu0": 0.1, "itref_corr_max": 0, "lq_fact": 0}},
    "piqp": {},
}
SOLVERS = tuple(_SETTINGS)


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
        point = [_ca.densify(problem.f), _ca.densify(problem.g), slope]
        inputs = [problem.x, problem.p, multipliers]
        self._model = NumericFunction(_ca.Function("model", inputs, [*point, gradient, H, A]))
        self._point = NumericFunction(_ca.Function("point", inputs, point))
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
        multipliers: Floats | None = None,
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
        lam = vector(0.0 if multipliers is None else multipliers, problem.m, "multipliers")
        name = solver or self.solvers[0]
        qp, bounds_lam = self._qps[name], np.zeros(problem.n)
        sigma, status, reason, done = 0.0, Status.ITERATION_LIMIT, "SQP: iteration limit", 0
        f, g, slope, gradient, H, A = self._model(x, parameters, lam)
        while True:
            if not _finite(f, g, slope, gradient, H, A):
                status, reason = Status.FAILED, "SQP: the model is not finite at the present point"
                break
            if problem.residual(x, slope, g, lam) <= self.tolerance:
                status, reason = Status.SOLVED, "SQP: converged"
                break
            if done == iterations:
                break
            if stop is not None and stop():
                reason = "SQP: out of time"
                break
            step = self._step(
                qp, x, parameters, (f, g, gradient, H, A), (bounds_lam, lam), damping, sigma,
                last=done + 1 == iterations,
            )  # fmt: skip
            if step is None:
                status, reason = Status.FAILED, f"SQP: {name} could not solve a step"
                break
            x, lam, bounds_lam, damping, sigma, (f, g, slope, gradient, H, A) = step
            done += 1
        violation = problem.violation(x, g)
        feasible = bool(violation <= problem.feasibility_tolerance and np.isfinite(f[0]))
        if not feasible:
            reason = f"{reason}; bounds or constraints are violated by {violation:.3g}"
        return Solution(
            x, float(f[0]), status, done, problem.residual(x, slope, g, lam), feasible, reason,
            f"sqp/{name}", lam, bound_multipliers=bounds_lam, damping=damping,
        )  # fmt: skip

    def _step(
        self,
        qp: NumericFunction,
        x: Floats,
        p: Floats,
        here: tuple[Floats, ...],
        duals: tuple[Floats, Floats],
        damping: float,
        sigma: float,
        *,
        last: bool,
    ) -> Any:
        """One damped step and the model behind it; None if no quadratic problem could be solved."""
        problem = self.problem
        f, g, gradient, H, A = here
        breach = self._breach(g)
        tries = 0
        while True:
            tries += 1
            damped = H
            if damping:
                damped = H.copy()
                damped[self._diagonal] += damping
            s, _, lam, bounds_lam = qp(
                damped, gradient, A, problem.g_lo - g, problem.g_hi - g, problem.x_lo - x,
                problem.x_hi - x, np.zeros(problem.n), *duals,
            )  # fmt: skip
            if not (qp.succeeded and _finite(s, lam, bounds_lam)):
                if tries == TRIES:
                    return None
                damping = min(max(damping * RAISED, LEAST), MOST)
                continue
            sigma = max(sigma, 1.1 * float(np.abs(lam).max(initial=0.0)))
            there = np.minimum(np.maximum(x + s, problem.x_lo), problem.x_hi)
            if last:
                found = [*self._point(there, p, lam), gradient, H, A]
            else:
                found = self._model(there, p, lam)
            promised = max(sigma * breach - float(gradient @ s), 0.0)
            gained = float(f[0]) - float(found[0][0]) + sigma * (breach - self._breach(found[1]))
            noise = NOISE * (1.0 + abs(float(f[0])))
            good = gained >= GOOD * promised - noise
            lowered = damping * LOWERED if damping * LOWERED >= LEAST else 0.0
            damping = lowered if good else min(max(damping * RAISED, LEAST), MOST)
            if good or gained >= -noise or tries == TRIES:
                return there, lam, bounds_lam, damping, sigma, found

    def _breach(self, g: Floats) -> float:
        problem = self.problem
        return float(np.maximum(np.maximum(problem.g_lo - g, g - problem.g_hi), 0.0).sum())


def _qp(name: str, structure: dict[str, Any], more: Mapping[str, Any]) -> NumericFunction:
    options = {"error_on_fail": False, **_SETTINGS[name], **more}
    return NumericFunction(_ca.conic("qp", name, structure, options), forgetful=True)


def _finite(*values: Floats) -> bool:
    return all(bool(np.isfinite(value).all()) for value in values)
