"""What an optimiser answers, and what it refuses to be asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from twin.solves import Solve, added_up

__all__ = ["FEASIBILITY_TOLERANCE", "Floats", "ProblemError", "Solution", "Status", "vector"]

Floats: TypeAlias = npt.NDArray[np.float64]

# Largest breach of a bound or constraint, in its own unit, that still counts as kept.
FEASIBILITY_TOLERANCE = 1e-6


class ProblemError(ValueError):
    """A problem, or a number given to one, that no solver should see; the message says which."""


class Status(StrEnum):
    """How a solve ended."""

    SOLVED = "solved"
    ITERATION_LIMIT = "iteration_limit"
    INFEASIBLE = "infeasible"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer of a solver, complete enough to decide whether it may be used.

    ``feasible`` is measured here, on the returned ``x``, and not taken from the solver; ``reason``
    says in words how the solve ended and what made ``x`` unusable. An ``x`` that does not exist is
    NaN. ``kkt_residual`` is the largest violation of the optimality conditions (NaN for integer
    problems, which have none); ``bound`` and ``gap`` say how far from the best an integer solution
    can still be (``gap`` relative). ``multipliers`` belong to the constraints: positive at an upper
    bound, negative at a lower one, ``bound_multipliers`` in the same way to the bounds of ``x``.
    ``solver`` names the algorithm that found ``x``; ``damping`` is where the next solve of a series
    begins with it.
    """

    x: Floats
    objective: float
    status: Status
    iterations: int
    kkt_residual: float
    feasible: bool
    reason: str
    solver: str
    multipliers: Floats | None = None
    bound: float | None = None
    gap: float | None = None
    bound_multipliers: Floats | None = None
    damping: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether ``x`` keeps all limits and comes from a solve that ended in good order."""
        return self.feasible and self.status in {Status.SOLVED, Status.ITERATION_LIMIT}

    def solve(self, prices: Iterable[tuple[str, float]]) -> Solve:
        """How it was found, as it goes on record; ``prices`` (EUR a unit) are those of its limits."""
        return Solve(
            self.solver, str(self.status), self.iterations, self.kkt_residual, added_up(prices)
        )


def vector(values: float | Sequence[float] | Floats, length: int, name: str) -> Floats:
    """Return ``values`` as ``length`` floats; a single number is repeated.

    Raises `ProblemError` for a wrong length or a NaN. Infinities pass: bounds may be infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0:
        array = np.full(length, float(array))
    if array.shape != (length,):
        raise ProblemError(
            f"{name}: expected {length} numbers, not an array of shape {array.shape}"
        )
    missing = np.flatnonzero(np.isnan(array))
    if missing.size:
        raise ProblemError(
            f"{name}: entries {missing.tolist()} are NaN; an unknown value has to be replaced first"
        )
    return array.copy()
