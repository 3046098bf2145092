"""How cutting forces grow with flank wear: the law behind ``wear_force_per_mm``, from several tools.

Each force grows in a straight line, F = F_0 (1 + w VB). Tools differ among each other by more than
the segments of one tool do, so the tool is the unit: the interval of w is Student's over the tools'
own estimates. Read the other way round the law is a gauge of wear: the wear under which a set of
forces is the most likely, given how they scatter about their lines together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.finding import UNKNOWN, Interval
from twin.analyze.identification.record import Column


@dataclass(frozen=True, slots=True, eq=False)
class WearLaw:
    """Lines of several forces over wear, fitted to all tools together: F = start + slope VB, N, mm.

    ``scatter`` is the covariance of what is left.
    """

    names: tuple[str, ...]
    start: Column
    slope: Column
    scatter: Column

    def wear_mm(self, forces: Column) -> Column:
        """The likeliest wear under each row of forces, never below none."""
        weight = np.linalg.solve(self.scatter, self.slope)
        found: Column = (forces - self.start) @ weight / (self.slope @ weight)
        return np.maximum(found, 0.0)


def fit_wear_law(forces: Mapping[str, Column], wear_mm: Column) -> WearLaw:
    """Least squares of every force over wear; rows with an unknown value are left out."""
    F = np.column_stack(list(forces.values()))
    known = np.isfinite(F).all(axis=1) & np.isfinite(wear_mm)
    F, V = F[known], np.column_stack([np.ones(int(known.sum())), wear_mm[known]])
    line, *_ = np.linalg.lstsq(V, F, rcond=None)
    left = F - V @ line
    scatter = left.T @ left / max(V.shape[0] - 2, 1)
    return WearLaw(tuple(forces), line[0], line[1], np.atleast_2d(scatter))


def force_per_mm(force: Column, wear_mm: Column, tool: Column) -> Interval:
    """Relative growth w of a force with wear, per mm, with its interval over the tools."""
    from scipy.stats import t

    own = []
    for one in np.unique(tool):
        law = fit_wear_law({"force": force[tool == one]}, wear_mm[tool == one])
        own.append(float(law.slope[0] / law.start[0]))
    n = len(own)
    if n < 3:
        return UNKNOWN
    mean = float(np.mean(own))
    half = float(t.ppf(0.975, n - 1)) * float(np.std(own, ddof=1)) / n**0.5
    return Interval(mean, mean - half, mean + half, n)
