"""The problem of a moving-horizon estimator: the last steps of a station, explained at the least noise.

    min  |L (z_0 - z_prior)|^2 + sum |(z_k+1 - F(z_k, u_k, d_k)) / q|^2 + sum |m_k (y_k - h(z_k)) / r|^2

Letters: z states and learned disturbances, scaled to their ranges; L inverse square root of the
arrival covariance; q, r deviations of noise; m_k 1 where there was a measurement, 0 elsewhere. Limits
of the states hold throughout, which is what a Kalman filter cannot do.
"""

from __future__ import annotations

from typing import Any

import casadi
import numpy as np

from twin.optim.realtime import RealTimeSqp
from twin.optim.result import Floats, ProblemError, Solution
from twin.optim.transition import Transition

__all__ = ["EstimationWindow"]

_ca: Any = casadi


class EstimationWindow:
    """The estimation problem of ``steps`` steps, built once.

    ``z_limits`` are lower and upper limits of z and the spans that scale it; ``q`` and ``r`` are noise
    in the quantities' units.
    """

    def __init__(
        self,
        transition: Transition,
        measured: tuple[str, ...],
        steps: int,
        z_limits: tuple[Floats, Floats, Floats],
        q: Floats,
        r: Floats,
    ) -> None:
        if steps < 1:
            raise ProblemError(f"a window of {steps} steps remembers nothing; give at least one")
        t = self.transition = transition
        lo, hi, z_span = z_limits
        self.steps, self._span = steps, z_span
        n_z, n_y = t.n_x + t.n_w, len(measured)
        rows = [t.names.index(name) for name in measured]
        lengths = (n_z, n_z * n_z, steps * t.n_u, steps * t.n_d, steps * n_y, steps * n_y)
        names = ("prior", "root", "u", "d", "y", "mask")
        given = [_ca.SX.sym(name, n) for name, n in zip(names, lengths, strict=True)]
        prior, root, u, d, y, mask = given
        Z = [_ca.SX.sym(f"z{k}", n_z) for k in range(steps + 1)]
        residuals = [_ca.mtimes(_ca.reshape(root, n_z, n_z), Z[0] * z_span - prior)]
        for k in range(steps):
            u_k, d_k = u[k * t.n_u : (k + 1) * t.n_u], d[k * t.n_d : (k + 1) * t.n_d]
            z = Z[k] * z_span
            x, w = z[: t.n_x], z[t.n_x :]
            after = _ca.vertcat(t.ahead(x, u_k, d_k, w), w)
            residuals.append((Z[k + 1] * z_span - after) / q)
            seen = z if t.per_part else Z[k + 1] * z_span
            expected = t.outputs(seen[: t.n_x], u_k, d_k, seen[t.n_x :])[rows]
            at = slice(k * n_y, (k + 1) * n_y)
            residuals.append(mask[at] * (y[at] - expected) / r)
        # Residuals are large where noise is small; as a whole they are brought to about one.
        even = float(np.median(q / z_span))
        self._sqp = RealTimeSqp(
            _ca.vertcat(*Z), even * _ca.vertcat(*residuals), p=_ca.vertcat(*given),
            x_lo=np.tile(lo / z_span, steps + 1), x_hi=np.tile(hi / z_span, steps + 1),
        )  # fmt: skip

    def solve(
        self,
        prior: Floats,
        root: Floats,
        past: tuple[Floats, ...],
        guess: Floats,
        iterations: int,
    ) -> tuple[Floats, Solution]:
        """The states and disturbances of all steps, newest last; and how the solve went.

        ``past`` holds setpoints, disturbances and measurements (NaN where there was none), a row a
        step; ``guess`` is a first course of z.
        """
        u, d, y = past
        mask = np.isfinite(y)
        p = np.concatenate(
            [prior, root.T.ravel(), u.ravel(), d.ravel(), np.where(mask, y, 0.0).ravel(),
             mask.astype(np.float64).ravel()]
        )  # fmt: skip
        found = self._sqp.solve((guess / self._span).ravel(), p, iterations=iterations)
        return found.x.reshape(self.steps + 1, -1) * self._span, found
