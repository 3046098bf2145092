"""Nonlinear problems by IPOPT: slow to start, hard to defeat. The fallback of every other method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import casadi
import numpy as np

from twin.optim.result import FEASIBILITY_TOLERANCE, Floats, Solution, Status, vector
from twin.optim.smooth import Bounds, Expression, SmoothProblem, flat

__all__ = ["NlpProblem"]

_ca: Any = casadi

_ENDS = {
    "Solve_Succeeded": Status.SOLVED,
    "Maximum_Iterations_Exceeded": Status.ITERATION_LIMIT,
    "Infeasible_Problem_Detected": Status.INFEASIBLE,
}


class NlpProblem:
    """A smooth problem, built once from CasADi SX expressions and solved again and again by IPOPT.

    ``solve`` starts cold, or from an earlier `Solution`. It runs silently on one thread and is
    limited by iterations, never by wall time.

    >>> import casadi
    >>> x = casadi.SX.sym("x", 2)
    >>> problem = NlpProblem(x, casadi.sumsqr(x), x[0] + x[1], g_lo=1.0, g_hi=1.0)
    >>> problem.solve([0.0, 0.0]).x.round(6).tolist()
    [0.5, 0.5]
    """

    def __init__(
        self,
        x: Expression,
        f: Expression,
        g: Expression = None,
        p: Expression = None,
        *,
        x_lo: Bounds = -np.inf,
        x_hi: Bounds = np.inf,
        g_lo: Bounds = 0.0,
        g_hi: Bounds = 0.0,
        iteration_limit: int = 200,
        tolerance: float = 1e-8,
        feasibility_tolerance: float = FEASIBILITY_TOLERANCE,
        interruptible: bool = False,
    ) -> None:
        self.problem = SmoothProblem(
            x, f, g, p, x_lo=x_lo, x_hi=x_hi, g_lo=g_lo, g_hi=g_hi,
            feasibility_tolerance=feasibility_tolerance,
        )  # fmt: skip
        self._ask = _Ask(self.problem) if interruptible else None
        self._options: dict[str, Any] = {
            "print_level": 0,
            "sb": "yes",
            "max_iter": iteration_limit,
            "tol": tolerance,
            # A solution has to meet its tolerance and its bounds, not something near them.
            "acceptable_iter": 0,
            "bound_relax_factor": 0.0,
            "linear_solver": "mumps",
        }
        self._cold = self._solver({})
        self._warm: Any = None

    def solve(
        self,
        x0: Bounds,
        p: Bounds | None = None,
        warm: Solution | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Solution:
        """Solve from ``x0``, or from the point and multipliers of ``warm`` where that is usable.

        An ``interruptible`` problem asks ``stop`` after each iteration and gives up when it says so.
        Raises `ProblemError` for a NaN or a wrong length; everything else is told by the solution.
        """
        problem = self.problem
        start, parameters = problem.start(x0), problem.parameters(p)
        solver, multipliers = self._cold, np.zeros(problem.m)
        if warm is not None and warm.multipliers is not None and np.all(np.isfinite(warm.x)):
            if self._warm is None:
                self._warm = self._solver(
                    {"warm_start_init_point": "yes", "mu_init": 1e-4, "warm_start_bound_push": 1e-6}
                )
            solver, start = self._warm, problem.start(warm.x)
            multipliers = vector(warm.multipliers, problem.m, "multipliers of warm")
        if self._ask is not None:
            self._ask.stop = stop
        found = solver(
            x0=start, p=parameters, lam_g0=multipliers,
            lbx=problem.x_lo, ubx=problem.x_hi, lbg=problem.g_lo, ubg=problem.g_hi,
        )  # fmt: skip
        end = solver.stats()
        said = str(end["return_status"])
        x, lam = flat(found["x"]), flat(found["lam_g"])
        solution = judged(
            problem, x, parameters, lam, _ENDS.get(said, Status.FAILED),
            int(end["iter_count"]), f"IPOPT: {said}", "ipopt",
        )  # fmt: skip
        return replace(solution, bound_multipliers=flat(found["lam_x"]))

    def _solver(self, more: dict[str, Any]) -> Any:
        problem = self.problem
        nlp = {"x": problem.x, "f": problem.f, "g": problem.g, "p": problem.p}
        options: dict[str, Any] = {"print_time": False, "ipopt": {**self._options, **more}}
        if self._ask is not None:
            options["iteration_callback"] = self._ask
        return _ca.nlpsol("nlp", "ipopt", nlp, options)


class _Ask(_ca.Callback):  # type: ignore[misc]
    """What IPOPT calls after each iteration: 1 where the solve is to end."""

    def __init__(self, problem: SmoothProblem) -> None:
        _ca.Callback.__init__(self)
        n, m = problem.n, problem.m
        self._sizes = {"f": 1, "x": n, "g": m, "lam_x": n, "lam_g": m, "lam_p": problem.n_p}
        self.stop: Callable[[], bool] | None = None
        self.construct("ask", {})

    def get_n_in(self) -> int:
        """As CasADi's `nlpsol` returns them."""
        return int(_ca.nlpsol_n_out())

    def get_n_out(self) -> int:
        """One answer."""
        return 1

    def get_sparsity_in(self, i: int) -> Any:
        """Columns, in the order of `nlpsol`'s results."""
        return _ca.Sparsity.dense(self._sizes[_ca.nlpsol_out(i)], 1)

    def eval(self, _values: Any) -> list[int]:
        """Whether to end here."""
        return [int(self.stop is not None and self.stop())]


def judged(
    problem: SmoothProblem,
    x: Floats,
    p: Floats,
    multipliers: Floats,
    status: Status,
    iterations: int,
    reason: str,
    solver: str,
) -> Solution:
    """Return the solution after its feasibility and residual were measured on ``x`` itself."""
    objective, violation, residual = problem.judge(x, p, multipliers)
    feasible = bool(violation <= problem.feasibility_tolerance and np.isfinite(objective))
    if not feasible:
        reason = f"{reason}; bounds or constraints are violated by {violation:.3g}"
        if status is Status.SOLVED:
            status = Status.FAILED
    return Solution(
        x, objective, status, iterations, residual, feasible, reason, solver, multipliers
    )
