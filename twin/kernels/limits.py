"""What is granted of a setpoint that was asked for: limits and rate, one formula for guard and training.

The guard calls `granted` for each setpoint of a turn, an environment for each of its lines.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

FREE, OPERATOR, ENGINEERING, VALIDITY, RATE = range(5)
"""What has changed a setpoint first; nothing, if it is granted as asked."""
NO_LIMITS = (-math.inf, math.inf)


@njit(cache=True)
def granted(
    asked: float,
    active: float,
    limits: NDArray[np.float64],
    rate_per_s: float,
    elapsed_us: int,
    discrete: bool,
) -> tuple[float, int]:
    """The nearest value that limits and rate allow, and what has changed it first.

    ``limits`` are low and high end of the operator's interval, the engineering one and validity, each
    infinite where there is none. Limits are approached at the rate, counted from ``active`` over
    ``elapsed_us``; a discrete setpoint is rounded, and has no rate.
    """
    value, why = asked, FREE
    if discrete:
        value = np.rint(value) + 0.0  # no negative zero
    for n in range(3):
        lo, hi = limits[2 * n], limits[2 * n + 1]
        if value < lo or value > hi:
            value = lo if value < lo else hi
            if why == FREE:
                why = OPERATOR + n
    if discrete:
        return value, why
    most = rate_per_s * elapsed_us / 1e6
    if abs(value - active) > most:
        value = active + math.copysign(most, value - active)
        # Rounding must not carry it over the edge.
        value = min(max(value, limits[4]), limits[5])
        if why == FREE:
            why = RATE
    return value, why
