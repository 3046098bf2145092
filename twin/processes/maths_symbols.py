"""The maths of the process models on CasADi expressions.

Same names and meanings as `maths_numbers`. This is the only module of the package that imports
CasADi, and it is imported only when a model's ``symbols()`` is asked for.
"""

from __future__ import annotations

from typing import Any

import casadi

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

# The stubs of CasADi type every function by a union that no caller can satisfy.
_ca: Any = casadi

exp = _ca.exp
log = _ca.log
sqrt = _ca.sqrt
power = _ca.power
sin = _ca.sin
cos = _ca.cos
tanh = _ca.tanh
erf = _ca.erf
absolute = _ca.fabs
minimum = _ca.fmin
maximum = _ca.fmax


def limit(value: Any, low: Any, high: Any) -> Any:
    """``value`` held between ``low`` and ``high``."""
    return _ca.fmin(_ca.fmax(value, low), high)


def where(condition: Any, above: Any, otherwise: Any) -> Any:
    """``above`` where ``condition`` is greater than zero, else ``otherwise``."""
    return _ca.if_else(condition > 0.0, above, otherwise)


def logistic(value: Any) -> Any:
    """Smooth step from 0 to 1."""
    return 0.5 * (1.0 + _ca.tanh(0.5 * value))


def softplus(value: Any) -> Any:
    """Smooth positive part, log(1 + e^value)."""
    return _ca.fmax(value, 0.0) + _ca.log1p(_ca.exp(-_ca.fabs(value)))


def normal_cdf(value: Any) -> Any:
    """Share of a standard normal distribution below ``value``."""
    return 0.5 * (1.0 + _ca.erf(value * 0.7071067811865476))


def zeros(length: int) -> Any:
    """Return a new dense column of zeros, for intermediate results."""
    return _ca.SX.zeros(length)


def scalars(values: Any) -> tuple[Any, ...]:
    """Outputs of a model as SX scalars; a constant output becomes a constant expression."""
    return tuple(_ca.SX(value) for value in values)
