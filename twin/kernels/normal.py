"""The standard normal distribution and its inverse, for compiled code.

The inverse is algorithm AS 241, routine PPND16 (Wichura, Applied Statistics 37 (1988) 477): rational
approximations in three ranges, relative error about 1e-16.
"""

from __future__ import annotations

import math

from numba import njit

# Coefficients of numerator and denominator, highest power first: the middle, the shoulders, the tails.
_MIDDLE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_SHOULDERS = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
     1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959,
     1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
     0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494,
     2.05319162663775882187, 1.0),
)  # fmt: skip
_TAILS = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386,
     0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358,
     5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
     7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531,
     0.59983220655588793769, 1.0),
)  # fmt: skip


@njit(cache=True)
def normal_share(z: float) -> float:
    """The share of the distribution below ``z``."""
    return 0.5 * math.erfc(-z * 0.7071067811865476)


@njit(cache=True)
def _ratio(r: float, above: tuple[float, ...], below: tuple[float, ...]) -> float:
    numerator = denominator = 0.0
    for n in range(8):
        numerator = numerator * r + above[n]
        denominator = denominator * r + below[n]
    return numerator / denominator


@njit(cache=True)
def normal_quantile(share: float) -> float:
    """The point below which that share of the distribution lies; infinite at 0 and 1."""
    if share <= 0.0:
        return -math.inf
    if share >= 1.0:
        return math.inf
    q = share - 0.5
    if math.fabs(q) <= 0.425:
        return q * _ratio(0.180625 - q * q, _MIDDLE[0], _MIDDLE[1])
    r = math.sqrt(-math.log(share if q < 0.0 else 1.0 - share))
    if r <= 5.0:
        z = _ratio(r - 1.6, _SHOULDERS[0], _SHOULDERS[1])
    else:
        z = _ratio(r - 5.0, _TAILS[0], _TAILS[1])
    return -z if q < 0.0 else z
