"""Calls a CasADi function on NumPy arrays without converting them to and from matrices.

The conversions cost more than the functions of a small problem. Not re-entrant: each instance owns
the memory that its function reads and writes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from twin.optim.result import Floats

__all__ = ["NumericFunction"]


class NumericFunction:
    """A CasADi function over the nonzeros of its arguments and results.

    Arguments that are left out at the end are zero. Results are fresh arrays. ``forgetful`` is for
    solvers: each call then gets new, zeroed working memory, on which some of their interfaces count
    (HPIPM's repeats parts of its previous problem otherwise, as of CasADi 3.8).
    """

    def __init__(self, function: Any, *, forgetful: bool = False) -> None:
        self._function, self._forgetful = function, forgetful
        self._arguments = [np.zeros(function.nnz_in(i)) for i in range(function.n_in())]
        self._results = [np.zeros(function.nnz_out(i)) for i in range(function.n_out())]
        self._connect()

    def _connect(self) -> None:
        self._buffer, self._run = self._function.buffer()
        for i, array in enumerate(self._arguments):
            if array.size:
                self._buffer.set_arg(i, array.data)
        for i, array in enumerate(self._results):
            if array.size:
                self._buffer.set_res(i, array.data)

    def __call__(self, *values: Floats) -> list[Floats]:
        """Evaluate, and return the nonzeros of every result."""
        for argument, value in zip(self._arguments, values, strict=False):
            argument[:] = value
        if self._forgetful:
            self._connect()
        self._run()
        return [result.copy() for result in self._results]

    @property
    def succeeded(self) -> bool:
        """Whether a solver called this way said that it found what it was asked for."""
        return bool(self._buffer.stats()["success"])
