"""Sequential quadratic programming for small problems that are solved every few seconds.

Each iteration replaces the problem by a quadratic one around the present point, solves that, and
goes as far along its step as an exact penalty function falls (Nocedal & Wright, Numerical
Optimization, chapter 18). Tracking problems give their residuals r and use the Gauss-Newton matrix
J'J, which needs no second derivatives and is never indefinite; others use the Hessian of the
Lagrangian with its small and negative eigenvalues raised. Letters:

    r  residuals, cost 1/2 |r|^2 + f     H  matrix of the quadratic model
    A  Jacobian of the constraints       s  step        sigma  weight of the penalty
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import casadi
import numpy as np

from twin.optim.nlp import NlpProblem, judged
from twin.optim.numeric import NumericFunction
from twin.optim.result import FEASIBILITY_TOLERANCE, Floats, Solution, Status, vector
from twin.optim.smooth import Bounds, Expression, SmoothProblem

__all__ = ["OcpStages", "SqpProblem"]

_ca: Any = casadi

_QUIET: dict[str, dict[str, Any]] = {
    "qrqp": {"print_iter": False, "print_header": False, "print_info": False},
    "piqp": {},
    "hpipm": {},
}
_ARMIJO, _HALVINGS = 1e-4, 12


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


class SqpProblem:
    """A smooth problem for repeated fast solves, with IPOPT behind it.

    Give residuals ``r``, a cost ``f``, or both (then only ``r`` shapes the quadratic model, so ``f``
    should be nearly linear). ``solve`` makes at most ``iterations`` steps: one for the real-time
    scheme, more for convergence. If a quadratic problem or a line search fails, or the last point
    is not feasible, IPOPT solves the problem; the solution says which of them did. One step leaves
    nonlinear constraints open by the square of its length: the real-time scheme wants a
    ``feasibility_tolerance`` of that size.

    >>> import casadi
    >>> x = casadi.SX.sym("x", 2)
    >>> rosenbrock = SqpProblem(x, r=casadi.vertcat(1 - x[0], 10 * (x[1] - x[0] ** 2)))
    >>> rosenbrock.solve([-1.2, 1.0], iterations=30).x.round(6).tolist()
    [1.0, 1.0]
    """

    def __init__(
        self,
        x: Expression,
        r: Expression = None,
        f: Expression = None,
        g: Expression = None,
        p: Expression = None,
        *,
        x_lo: Bounds = -np.inf,
        x_hi: Bounds = np.inf,
        g_lo: Bounds = 0.0,
        g_hi: Bounds = 0.0,
        qp: str = "qrqp",
        stages: OcpStages | None = None,
        tolerance: float = 1e-6,
        regularisation: float = 1e-8,
        feasibility_tolerance: float = FEASIBILITY_TOLERANCE,
    ) -> None:
        cost = _ca.SX(0.0 if f is None else f)
        if r is not None:
            cost = cost + 0.5 * _ca.sumsqr(r)
        self.problem = SmoothProblem(
            x, cost, g, p, x_lo=x_lo, x_hi=x_hi, g_lo=g_lo, g_hi=g_hi,
            feasibility_tolerance=feasibility_tolerance,
        )  # fmt: skip
        self.tolerance, self.regularisation = tolerance, regularisation
        self._exact = r is None
        self._build(r, "hpipm" if stages else qp, stages)
        self._fallback: NlpProblem | None = None

    def _build(self, r: Expression, qp: str, stages: OcpStages | None) -> None:
        problem = self.problem
        multipliers = _ca.SX.sym("multipliers", problem.m)
        gradient = _ca.densify(_ca.gradient(problem.f, problem.x))
        A = _ca.jacobian(problem.g, problem.x)
        if r is None:
            H = _ca.densify(_ca.hessian(problem.f + _ca.dot(multipliers, problem.g), problem.x)[0])
        else:
            J = _ca.jacobian(r, problem.x)
            H = J.T @ J + self.regularisation * _ca.SX.eye(problem.n)
        slope = _ca.densify(gradient + _ca.mtimes(A.T, multipliers))
        inputs = [problem.x, problem.p, multipliers]
        results = [_ca.densify(problem.f), gradient, H, _ca.densify(problem.g), A, slope]
        self._model = NumericFunction(_ca.Function("model", inputs, results))
        self._solver = qp
        options = {
            "error_on_fail": False,
            **_QUIET[qp],
            **(stages.options() if stages else {}),
        }
        structure = {"h": H.sparsity(), "a": A.sparsity()}
        self._qp = NumericFunction(_ca.conic("qp", qp, structure, options), forgetful=True)

    def solve(
        self,
        x0: Bounds,
        p: Bounds | None = None,
        warm: Solution | None = None,
        iterations: int = 30,
        *,
        fall_back: bool = True,
    ) -> Solution:
        """Solve from ``x0``, or from the point and multipliers of ``warm`` where that is usable.

        Raises `ProblemError` for a NaN or a wrong length; everything else is told by the solution.
        """
        problem = self.problem
        x, parameters = problem.start(x0), problem.parameters(p)
        multipliers = np.zeros(problem.m)
        if warm is not None and warm.multipliers is not None and np.all(np.isfinite(warm.x)):
            x = problem.start(warm.x)
            multipliers = vector(warm.multipliers, problem.m, "multipliers of warm")
        solution = self._iterate(x, parameters, multipliers, iterations)
        failed = solution.status not in {Status.SOLVED, Status.ITERATION_LIMIT}
        if not fall_back or (solution.feasible and not failed):
            return solution
        return self._by_ipopt(solution, problem.start(x0), parameters)

    def _iterate(self, x: Floats, p: Floats, multipliers: Floats, iterations: int) -> Solution:
        """Make quadratic steps until the optimality conditions hold or the iterations are used."""
        problem, sigma = self.problem, 0.0
        bounds_slope = np.zeros(problem.n)
        status, reason, done = Status.ITERATION_LIMIT, "SQP: iteration limit", 0
        for _ in range(iterations):
            f, gradient, H, g, A, slope = self._model(x, p, multipliers)
            if not _finite(f, gradient, H, g, A, slope):
                status, reason = Status.FAILED, "SQP: the model is not finite at the present point"
                break
            if problem.residual(x, slope, g, multipliers) <= self.tolerance:
                status, reason = Status.SOLVED, "SQP: converged"
                break
            s, _, new_multipliers, bounds_slope = self._qp(
                self._raised(H), gradient, A,
                problem.g_lo - g, problem.g_hi - g, problem.x_lo - x, problem.x_hi - x,
                np.zeros(problem.n), bounds_slope, multipliers,
            )  # fmt: skip
            if not (self._qp.succeeded and _finite(s, new_multipliers)):
                status, reason = Status.FAILED, f"SQP: {self._solver} could not solve a step"
                break
            sigma = max(sigma, 1.1 * float(np.max(np.abs(new_multipliers), initial=0.0)))
            share = self._share(x, p, s, float(gradient @ s), (float(f[0]), g), sigma)
            if share == 0.0:
                # At the floor of rounding the penalty cannot fall; the multipliers still may.
                if float(np.max(np.abs(s))) <= self.tolerance:
                    share = 1.0
                else:
                    status, reason = Status.FAILED, "SQP: no progress along the step"
                    break
            x = np.clip(x + share * s, problem.x_lo, problem.x_hi)
            multipliers = multipliers + share * (new_multipliers - multipliers)
            done += 1
        found = judged(problem, x, p, multipliers, status, done, reason, f"sqp/{self._solver}")
        if status is Status.ITERATION_LIMIT and found.kkt_residual <= self.tolerance:
            # Whether the last step has converged is told by its point, without another model.
            return replace(found, status=Status.SOLVED, reason="SQP: converged")
        return found

    def _raised(self, H: Floats) -> Floats:
        """Return H as it is (Gauss-Newton), or with its eigenvalues raised to be positive."""
        if not self._exact:
            return H
        values, vectors = np.linalg.eigh(H.reshape(self.problem.n, self.problem.n))
        floor = max(self.regularisation, 1e-8 * float(np.max(np.abs(values), initial=0.0)))
        raised = np.maximum(np.abs(values), floor)
        convex: Floats = ((vectors * raised) @ vectors.T).reshape(-1)
        return convex

    def _share(
        self,
        x: Floats,
        p: Floats,
        s: Floats,
        descent: float,
        now: tuple[float, Floats],
        sigma: float,
    ) -> float:
        """Share of the step that lowers the exact penalty enough; zero if none does."""
        problem = self.problem
        breach = self._breach(now[1])
        merit = now[0] + sigma * breach
        expected = descent - sigma * breach
        share = 1.0
        for _ in range(_HALVINGS):
            f, g = problem.values(np.clip(x + share * s, problem.x_lo, problem.x_hi), p)
            new = f + sigma * self._breach(g)
            if np.isfinite(new) and new <= merit + _ARMIJO * share * min(expected, 0.0):
                return share
            share *= 0.5
        return 0.0

    def _breach(self, g: Floats) -> float:
        problem = self.problem
        return float(np.sum(np.maximum(problem.g_lo - g, 0.0) + np.maximum(g - problem.g_hi, 0.0)))

    def _by_ipopt(self, failed: Solution, x0: Floats, p: Floats) -> Solution:
        problem = self.problem
        if self._fallback is None:
            self._fallback = NlpProblem(
                problem.x, problem.f, problem.g, problem.p, x_lo=problem.x_lo, x_hi=problem.x_hi,
                g_lo=problem.g_lo, g_hi=problem.g_hi,
                feasibility_tolerance=problem.feasibility_tolerance,
            )  # fmt: skip
        found = self._fallback.solve(x0, p)
        return replace(
            found,
            iterations=failed.iterations + found.iterations,
            reason=f"{failed.reason}; then {found.reason}",
        )


def _finite(*values: Floats) -> bool:
    return all(bool(np.isfinite(value).all()) for value in values)
