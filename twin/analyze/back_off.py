"""How far from its bands a station has to plan, since nobody knows exactly where it is and will be.

The estimator's covariance of states, learned disturbances and slow parameters is carried along the horizon
as if nothing more were measured, and seen through the outputs that have a band:

    P_k+1 = A P_k A' + Q       b_k = a sqrt(C P_k C')       (the back-off)

Letters as in `twin.analyze.kalman`; a is a number of standard deviations, b by how much a band is kept clear.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twin.optim.linearised import Linearised
from twin.optim.result import Floats
from twin.optim.task import Band
from twin.optim.transition import Transition

__all__ = ["BackOff"]

LEFT = 0.02
"""Share of a band that is left to plan in, however little is known."""


class BackOff:
    """The back-off of one task; ``walk`` are the standard deviations of z in one step."""

    def __init__(
        self, transition: Transition, bands: Sequence[Band], deviations: float, walk: Floats
    ) -> None:
        self._model = Linearised(transition, [band.output for band in bands])
        self._deviations, self._Q = deviations, np.diag(walk**2)
        half = np.array([0.5 * (band.hi - band.lo) for band in bands])
        self._most = np.where(np.isfinite(half), (1.0 - LEFT) * half, np.inf)

    def clear(self, z: Floats, P: Floats, u: Floats, d: Floats, steps: int) -> Floats:
        """By how much each band is kept clear (steps by bands), with the setpoints in force held.

        Where the model fails ahead, what was known before it holds on.
        """
        found = np.zeros((steps, len(self._most)))
        per_part = self._model.transition.per_part
        for k in range(steps):
            if not per_part:
                z, P = self._ahead(z, P, u, d)
            _, C, _ = self._model.measured(z, u, d)
            variance = np.einsum("ij,jk,ik->i", C, P, C)
            known = np.isfinite(variance)
            deviation = np.sqrt(np.maximum(np.where(known, variance, 0.0), 0.0))
            before = found[k - 1] if k else 0.0
            found[k] = np.where(known, np.minimum(self._deviations * deviation, self._most), before)
            if per_part:
                z, P = self._ahead(z, P, u, d)
        return found

    def _ahead(self, z: Floats, P: Floats, u: Floats, d: Floats) -> tuple[Floats, Floats]:
        after, A, _ = self._model.ahead(z, u, d)
        if not (np.isfinite(after).all() and np.isfinite(A).all()):
            return z, P
        return after, A @ P @ A.T + self._Q
