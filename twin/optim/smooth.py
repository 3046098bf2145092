"""A smooth problem with bounds, and the yardsticks that are applied to any solution of it.

    minimise f(x, p)   subject to   x_lo <= x <= x_hi,   g_lo <= g(x, p) <= g_hi

x are the variables, p parameters that change between solves, g the constraints, all CasADi SX.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import casadi
import numpy as np

from twin.optim.numeric import NumericFunction
from twin.optim.result import FEASIBILITY_TOLERANCE, Floats, ProblemError, vector

__all__ = ["Bounds", "Expression", "SmoothProblem", "flat"]

# The stubs of CasADi type every function by a union that no caller can satisfy.
_ca: Any = casadi
Expression: TypeAlias = Any
Bounds: TypeAlias = float | Sequence[float] | Floats


class SmoothProblem:
    """Expressions and bounds of a smooth problem, compiled once.

    ``violation`` is the largest breach of a bound or constraint, in their own units: scale them.
    A point counts as feasible if that is at most ``feasibility_tolerance``.
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
        feasibility_tolerance: float = FEASIBILITY_TOLERANCE,
    ) -> None:
        self.feasibility_tolerance = feasibility_tolerance
        self.x = x
        self.g = _ca.SX(0, 1) if g is None else _ca.SX(g)
        self.p = _ca.SX(0, 1) if p is None else p
        self.f = _ca.SX(f)
        self.n, self.m, self.n_p = (int(v.numel()) for v in (self.x, self.g, self.p))
        self.x_lo, self.x_hi = vector(x_lo, self.n, "x_lo"), vector(x_hi, self.n, "x_hi")
        self.g_lo, self.g_hi = vector(g_lo, self.m, "g_lo"), vector(g_hi, self.m, "g_hi")
        for name, lo, hi in (("x", self.x_lo, self.x_hi), ("g", self.g_lo, self.g_hi)):
            crossed = np.flatnonzero(lo > hi)
            if crossed.size:
                raise ProblemError(f"bounds of {name} cross at {crossed.tolist()}: lower > upper")
        multipliers = _ca.SX.sym("multipliers", self.m)
        lagrangian = self.f + _ca.dot(multipliers, self.g)
        inputs = [self.x, self.p]
        dense = [_ca.densify(self.f), _ca.densify(self.g)]
        slope = _ca.densify(_ca.gradient(lagrangian, self.x))
        self._values = NumericFunction(_ca.Function("values", inputs, dense))
        self._point = NumericFunction(
            _ca.Function("point", [*inputs, multipliers], [*dense, slope])
        )

    def start(self, x0: Bounds) -> Floats:
        """Return the start moved inside the bounds, which also refuses NaN."""
        return np.clip(vector(x0, self.n, "start x0"), self.x_lo, self.x_hi)

    def parameters(self, p: Bounds | None) -> Floats:
        """Return the parameters, NaN and infinity refused."""
        values = vector(() if p is None else p, self.n_p, "parameters p")
        if not np.all(np.isfinite(values)):
            raise ProblemError("parameters p: infinite values; give finite ones")
        return values

    def values(self, x: Floats, p: Floats) -> tuple[float, Floats]:
        """Objective and constraints at ``x``."""
        f, g = self._values(x, p)
        return float(f[0]), g

    def point(self, x: Floats, p: Floats, multipliers: Floats) -> tuple[Floats, Floats, Floats]:
        """Objective, constraints, and the slope of the Lagrangian at ``x``; its Jacobian is not made for that."""
        f, g, slope = self._point(x, p, multipliers)
        return f, g, slope

    def violation(self, x: Floats, g: Floats) -> float:
        """Return the largest breach of bounds and constraints; infinite if a value is not finite."""
        if not (np.isfinite(x).all() and np.isfinite(g).all()):
            return np.inf
        breaches = (self.x_lo - x, x - self.x_hi, self.g_lo - g, g - self.g_hi)
        return max(float(np.max(breach, initial=0.0)) for breach in breaches)

    def judge(self, x: Floats, p: Floats, multipliers: Floats) -> tuple[float, float, float]:
        """Objective, `violation` and `residual` of the optimality conditions at ``x``."""
        f, g, slope = self.point(x, p, multipliers)
        return float(f[0]), self.violation(x, g), self.residual(x, slope, g, multipliers)

    def residual(self, x: Floats, slope: Floats, g: Floats, multipliers: Floats) -> float:
        """Return the natural residual of the optimality conditions, zero at a KKT point only.

        For x: the step that the projected ``slope`` of the Lagrangian would take; for g: the breach
        of feasibility and complementarity together (Facchinei & Pang 2003, section 1.5).
        """
        in_x = x - np.clip(x - slope, self.x_lo, self.x_hi)
        in_g = g - np.clip(g + multipliers, self.g_lo, self.g_hi)
        residual = float(np.max(np.abs(np.concatenate((in_x, in_g))), initial=0.0))
        return residual if np.isfinite(residual) else np.inf


def flat(values: Any) -> Floats:
    """Return a CasADi matrix as one vector of floats."""
    return np.asarray(values.full(), dtype=np.float64).reshape(-1)
