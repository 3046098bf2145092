"""A process model with learned disturbances, in numbers: one step, what is measured, and their slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import casadi

from twin.optim.numeric import NumericFunction
from twin.optim.result import Floats, ProblemError
from twin.optim.transition import Transition

__all__ = ["Linearised"]

_ca: Any = casadi


class Linearised:
    """`Transition` and the measured outputs as functions of z = [x; w], with Jacobians.

    Disturbances w stay as they are from step to step: what moves them is noise. Raises
    `ProblemError` for an output that the model does not have.

    >>> from twin.processes import load
    >>> cutting = Linearised(Transition(load("cutting"), 60.0, ("hardness_rel",)), ["energy_kwh"])
    >>> at = load("cutting").point()
    >>> import numpy as np
    >>> y, slope_z, _ = cutting.measured(np.array([*at.x, 0.0]), at.u, at.d)
    >>> slope_z.shape
    (1, 2)
    """

    def __init__(self, transition: Transition, measured: Sequence[str]) -> None:
        t = self.transition = transition
        names = t.names
        unknown = [name for name in measured if name not in names]
        if unknown or not measured:
            raise ProblemError(
                f"process model {t.model.name!r} has no outputs {unknown} to measure; it has {names}"
            )
        self.measurements = tuple(measured)
        self.n_z, self.n_y = t.n_x + t.n_w, len(self.measurements)
        z, u, d = (_ca.SX.sym(n, m) for n, m in (("z", self.n_z), ("u", t.n_u), ("d", t.n_d)))
        x, w = z[: t.n_x], z[t.n_x :]
        after = _ca.vertcat(t.ahead(x, u, d, w), w)
        y = t.outputs(x, u, d, w)[[names.index(name) for name in self.measurements]]
        self._ahead, self._measured = (
            NumericFunction(
                _ca.Function(
                    name,
                    [z, u, d],
                    [
                        _ca.densify(v)
                        for v in (value, _ca.jacobian(value, z), _ca.jacobian(value, u))
                    ],
                )
            )
            for name, value in (("ahead", after), ("measured", y))
        )

    def ahead(self, z: Floats, u: Floats, d: Floats) -> tuple[Floats, Floats, Floats]:
        """One step later: z, and its slopes by z and u."""
        value, by_z, by_u = self._ahead(z, u, d)
        # CasADi stores columns one after the other.
        return value, by_z.reshape(self.n_z, -1).T, by_u.reshape(self.transition.n_u, -1).T

    def measured(self, z: Floats, u: Floats, d: Floats) -> tuple[Floats, Floats, Floats]:
        """Measured outputs, and their slopes by z and u."""
        value, by_z, by_u = self._measured(z, u, d)
        return value, by_z.reshape(self.n_z, -1).T, by_u.reshape(self.transition.n_u, -1).T
