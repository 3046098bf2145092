"""How long a rest has to be before sleeping through it pays."""

from __future__ import annotations

import math


def break_even_s(idle_kw: float, standby_kw: float, warm_up_kw: float, warm_up_s: float) -> float:
    """A rest as long as this takes as much energy asleep, warm-up included, as ready to work.

    The warm-up W is the end of the rest R: standby (R - W) + warm_up W = idle R. Infinite for a station
    that saves nothing asleep.
    """
    saved_kw = idle_kw - standby_kw
    return max(warm_up_kw - standby_kw, 0.0) * warm_up_s / saved_kw if saved_kw > 0.0 else math.inf
