"""What an MV is allowed, as the kernel of limits takes it, and the words for what that has changed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.kernels.limits import ENGINEERING, FREE, NO_LIMITS, OPERATOR, RATE, VALIDITY
from twin.signals import Signal

_NAMES = {OPERATOR: "operator", ENGINEERING: "engineering", VALIDITY: "validity"}


def limits_of(signal: Signal) -> NDArray[np.float64]:
    """Low and high end of operator, engineering and validity limits, as `granted` takes them."""
    nested = (signal.operator, signal.engineering, signal.validity)
    ends = [NO_LIMITS if each is None else (each.lo, each.hi) for each in nested]
    return np.array(ends).ravel()


def in_words(why: int, limits: NDArray[np.float64], rate_per_s: float) -> str:
    """What `granted` changed first, by its number; empty if it granted what was asked."""
    if why == FREE:
        return ""
    if why == RATE:
        return f"rate limit {rate_per_s:g}/s"
    at = 2 * (why - OPERATOR)
    return f"{_NAMES[why]} limits [{limits[at]:g}, {limits[at + 1]:g}]"
