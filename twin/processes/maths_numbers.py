"""The maths of the process models on floats.

Model files import this module under the name ``xp`` and write their equations with it. It is plain
Python, so a model can be read, run and debugged as it stands; `twin.processes.bind` compiles the
same functions with numba. `maths_symbols` offers the same names on CasADi expressions. A function
belongs here only if it exists there too, with the same meaning to the last few bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "absolute",
    "cos",
    "erf",
    "exp",
    "limit",
    "log",
    "logistic",
    "maximum",
    "minimum",
    "normal_cdf",
    "power",
    "sin",
    "softplus",
    "sqrt",
    "tanh",
    "where",
    "zeros",
]


def exp(value: float) -> float:
    """Exponential."""
    return math.exp(value)


def log(value: float) -> float:
    """Natural logarithm."""
    return math.log(value)


def sqrt(value: float) -> float:
    """Square root."""
    return math.sqrt(value)


def power(base: float, exponent: float) -> float:
    """``base`` to the ``exponent``, for a base above zero."""
    return math.pow(base, exponent)


def sin(angle_rad: float) -> float:
    """Sine."""
    return math.sin(angle_rad)


def cos(angle_rad: float) -> float:
    """Cosine."""
    return math.cos(angle_rad)


def tanh(value: float) -> float:
    """Hyperbolic tangent."""
    return math.tanh(value)


def erf(value: float) -> float:
    """Error function."""
    return math.erf(value)


def absolute(value: float) -> float:
    """Absolute value."""
    return math.fabs(value)


def minimum(left: float, right: float) -> float:
    """Return the smaller of two values."""
    return left if left < right else right


def maximum(left: float, right: float) -> float:
    """Return the larger of two values."""
    return left if left > right else right


def limit(value: float, low: float, high: float) -> float:
    """``value`` held between ``low`` and ``high``."""
    return low if value < low else (high if value > high else value)


def where(condition: float, above: float, otherwise: float) -> float:
    """``above`` where ``condition`` is greater than zero, else ``otherwise``.

    Both sides are evaluated, so neither may be NaN or infinite: CasADi evaluates both as well.
    """
    return above if condition > 0.0 else otherwise


def logistic(value: float) -> float:
    """Smooth step from 0 to 1, written so that no argument overflows."""
    return 0.5 * (1.0 + math.tanh(0.5 * value))


def softplus(value: float) -> float:
    """Smooth positive part, log(1 + e^value), written so that no argument overflows."""
    return (value if value > 0.0 else 0.0) + math.log1p(math.exp(-math.fabs(value)))


def normal_cdf(value: float) -> float:
    """Share of a standard normal distribution below ``value``."""
    return 0.5 * (1.0 + math.erf(value * 0.7071067811865476))


def zeros(length: int) -> Any:
    """Return a new vector of zeros, for intermediate results."""
    return np.zeros(length)
