"""One control step of a process model in symbols, with the disturbances that an estimator may learn.

Continuous models advance by Runge-Kutta steps no longer than the model's own, stiff ones by one
Rosenbrock step of second order that damps fast modes completely (Verwer, Spee, Blom & Hundsdorfer,
SIAM J. Sci. Comput. 20 (1999) 1456, ROS2). Per-part models advance by a part: the wear that the
model declares grows by its increment. What a conveyor carries moves on in jumps, a place at a time; ahead
of now they are spread evenly over time (upwind, so that a place holds what its part is like when it leaves it):

    x <- x + (1 - exp(-r h)) (S(x) - x)     S moves all on by one place, r places per second

Letters:

    x  states    u  setpoints    d  measured disturbances    w  learned disturbances, 0 = as declared
    h  step, s   W  = I - gamma h df/dx                      k  slopes
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import casadi

from twin.optim.result import Floats, ProblemError
from twin.optim.smooth import Expression
from twin.optim.task import visible
from twin.processes.bind import symbolic
from twin.processes.model import Kind, ProcessModel

__all__ = ["Transition"]

_ca: Any = casadi
_GAMMA = 1.0 - math.sqrt(0.5)
BIAS = "bias."


class Transition:
    """A process model from one control step to the next, with learned disturbances ``w``.

    A disturbance is named after what it adds to: a DV, an MV (what the actuator really does), a
    parameter (a slow one), or ``bias.OUTPUT`` for a constant error of an output. Raises
    `ProblemError` for a name that the model does not have.

    >>> from twin.processes import load
    >>> oven = Transition(load("oven"), 60.0, ("bias.exit_c",))
    >>> oven.n_x, oven.n_u, oven.n_w
    (48, 7, 1)
    """

    def __init__(
        self,
        model: ProcessModel,
        step_s: float,
        disturbances: Sequence[str] = (),
        p: Floats | None = None,
        substeps: int = 0,
    ) -> None:
        if not (math.isfinite(step_s) and step_s > 0.0):
            raise ProblemError(f"step_s of {model.name!r} is {step_s}; give positive seconds")
        self.model, self.step_s, self.disturbances = model, step_s, tuple(disturbances)
        self.n_x, self.n_u, self.n_d = len(model.states), len(model.mvs), len(model.dvs)
        self.n_w = len(self.disturbances)
        self.visible = visible(model)
        self.names = tuple(q.name for q in self.visible)
        self._p = model.point().p if p is None else p
        groups = (model.mvs, model.dvs, model.parameters)
        self._names = [[q.name for q in group] for group in groups]
        self._refuse_unknown()
        self._outputs = model.symbols()
        self._shift = _shift_of(model)
        self._steps = substeps
        if model.kind is Kind.CONTINUOUS and not substeps:
            longest_s = step_s if model.stiff else model.step_s or step_s
            self._steps = max(1, math.ceil(step_s / longest_s - 1e-9))

    @property
    def per_part(self) -> bool:
        """Whether a step is a part, and outputs belong to the setpoints it was made with."""
        return self.model.kind is Kind.PER_PART

    def ahead(self, x: Expression, u: Expression, d: Expression, w: Expression) -> Expression:
        """States one control step later, inputs and disturbances held."""
        u, d, p = self._disturbed(u, d, w)
        if self.per_part:
            increment = self._outputs(x, u, d, p)[4]
            return x + increment if self.n_x == 1 else x
        h = self.step_s / self._steps
        advance = self._rosenbrock if self.model.stiff else self.model.symbolic_stepper()
        for _ in range(self._steps):
            x = advance(x, u, d, p, h)
            if self._shift is not None:
                x = self._carried(self._shift, x, u, d, p, h)
        return x

    def _carried(
        self,
        shift: Callable[..., None],
        x: Expression,
        u: Expression,
        d: Expression,
        p: Expression,
        h: float,
    ) -> Expression:
        """States after the conveyor has gone on for ``h`` seconds."""
        moved = _ca.SX(x)
        per_h = self._outputs(x, u, d, p)[self.names.index("carriers_per_h")]
        shift(moved, d[self._names[1].index("ambient_c")])
        return x + (1.0 - _ca.exp(-per_h / 3600.0 * h)) * (moved - x)

    def outputs(self, x: Expression, u: Expression, d: Expression, w: Expression) -> Expression:
        """Every output of the model and every state (`visible`), learned biases included, as a column."""
        y = list(self._outputs(x, *self._disturbed(u, d, w)))
        states = [q.name for q in self.model.states]
        y += [x[states.index(name)] for name in self.names[len(y) :]]
        for n, name in enumerate(self.disturbances):
            if name.startswith(BIAS):
                at = self.names.index(name.removeprefix(BIAS))
                y[at] = y[at] + w[n]
        return _ca.vertcat(*y)

    def _refuse_unknown(self) -> None:
        known = {name for group in self._names for name in group}
        known |= {BIAS + name for name in self.names}
        unknown = [name for name in self.disturbances if name not in known]
        if unknown:
            raise ProblemError(
                f"process model {self.model.name!r} cannot be disturbed by {unknown}; name an MV, a"
                f" DV, a parameter, or {BIAS}OUTPUT"
            )
        twice = {name for name in self.disturbances if self.disturbances.count(name) > 1}
        if twice:
            raise ProblemError(f"disturbances {sorted(twice)} are named twice")

    def _disturbed(self, u: Expression, d: Expression, w: Expression) -> tuple[Expression, ...]:
        """Inputs, measured disturbances and parameters with what was learned added to them."""
        vectors = [u, d, _ca.DM(self._p)]
        for n, name in enumerate(self.disturbances):
            for k, names in enumerate(self._names):
                if name in names:
                    unit = _ca.DM.zeros(len(names))
                    unit[names.index(name)] = 1.0
                    vectors[k] = vectors[k] + unit * w[n]
        return tuple(vectors)

    def _rosenbrock(
        self, x: Expression, u: Expression, d: Expression, p: Expression, h: float
    ) -> Expression:
        at = _ca.SX.sym("at", self.n_x)
        f = self.model.symbols("rates")(at, u, d, p)
        rates = _ca.Function("f", [at, *_symbols(u, d, p)], [f, _ca.jacobian(f, at)])
        known = _symbols(u, d, p)
        f_x, J = rates(x, *known)
        solve = _elimination(_ca.SX.eye(self.n_x) - _GAMMA * h * J)
        k_1 = solve(f_x)
        k_2 = solve(rates(x + h * k_1, *known)[0] - 2.0 * k_1)
        return x + 1.5 * h * k_1 + 0.5 * h * k_2


def _shift_of(model: ProcessModel) -> Callable[..., None] | None:
    """What moves the states of a conveyor's parts on by one place, over symbols; None without a conveyor."""
    if model.kind is not Kind.CONTINUOUS or not hasattr(model.module, "shift_carriers"):
        return None
    shift: Callable[..., None] = symbolic(model.module)["shift_carriers"]
    return shift


def _symbols(*parts: Expression) -> list[Expression]:
    """The free symbols of expressions, so that they may appear in a function of others."""
    return list(_ca.symvar(_ca.veccat(*[_ca.SX(part) for part in parts])))


def _elimination(W: Expression) -> Callable[[Expression], Expression]:
    """Gaussian elimination in symbols, pivots on the diagonal, in the order of least fill.

    An implicit step makes the diagonal dominate, so no pivot is searched; CasADi's own symbolic
    solve factorises densely and gave five times the operations for ten states.
    """
    n = W.shape[0]
    rows = [{j: W[i, j] for j in range(n) if W.sparsity().has_nz(i, j)} for i in range(n)]
    left, order, steps = list(range(n)), [], []
    while left:
        pivot = min(
            left,
            key=lambda i: (
                (sum(j in rows[i] for j in left) - 1) * (sum(i in rows[j] for j in left) - 1)
            ),
        )
        left.remove(pivot)
        order.append(pivot)
        for i in left:
            if pivot in rows[i]:
                factor = rows[i].pop(pivot) / rows[pivot][pivot]
                steps.append((i, pivot, factor))
                for j in left:
                    if j in rows[pivot]:
                        rows[i][j] = rows[i].get(j, 0.0) - factor * rows[pivot][j]

    def solve(right: Expression) -> Expression:
        b = [right[i] for i in range(n)]
        for i, pivot, factor in steps:
            b[i] = b[i] - factor * b[pivot]
        found: dict[int, Expression] = {}
        for i in reversed(order):
            known = sum((rows[i][j] * found[j] for j in rows[i] if j in found), _ca.SX(0.0))
            found[i] = (b[i] - known) / rows[i][i]
        return _ca.vertcat(*[found[i] for i in range(n)])

    return solve
