"""Symbols for those who state problems: the controllers write equations, CasADi stays behind here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import casadi
import numpy as np

from twin.optim.smooth import Expression

__all__ = ["column", "numeric", "unknowns"]

_ca: Any = casadi


def unknowns(name: str, count: int) -> Expression:
    """A column of ``count`` symbols."""
    return _ca.SX.sym(name, count)


def column(*parts: Expression | float | Sequence[float]) -> Expression:
    """Expressions, numbers and sequences of numbers, one below the other."""
    blocks = [_ca.DM(p) if isinstance(p, (list, tuple, np.ndarray)) else p for p in parts]
    return _ca.vertcat(*blocks)


def numeric(values: Sequence[float]) -> Expression:
    """A column of numbers."""
    return _ca.DM(list(values))
