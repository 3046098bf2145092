"""Which parameters of a process model a record can tell, beside which others.

Columns of the Jacobian, scaled by how far each parameter may lie from its nominal value, are taken up
one by one, those first that the plant file is unsure of; one that is, beside those taken already,
almost a combination of them stays at its nominal value. (Forward selection by orthogonal residual; for
the idea Chu and Hahn, AIChE J. 53 (2007) 2858.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.record import Column
from twin.config.plant import StationSpec
from twin.processes.model import ProcessModel, Quantity

SURE = 0.4
"""A number that the plant file gives without a range, or leaves to the model, is taken to lie within a
fifth either way of itself; assumption."""
WORTH = (1.0, 1.0, 0.25, 0.25)
"""By rank: how narrow an interval must be, against what was known before. What the plant file is sure
of is freed only where the record knows it much better, for it widens the intervals of all others."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A parameter that could be fitted: how far it may lie off, and how early it is taken up."""

    quantity: Quantity
    at: int
    nominal: float
    width: float
    rank: int
    """0: the plant file gives a range. 1: an effect that the plant file leaves at nothing.
    2: the plant file gives a number. 3: the model's own default."""


def candidates(station: StationSpec, model: ProcessModel, p: Column) -> list[Candidate]:
    """The parameters of a station's model that could be off, those first that are least known."""
    found = []
    for at, (q, nominal) in enumerate(zip(model.parameters, p.tolist(), strict=True)):
        given = station.parameters.get(q.name)
        if q.lo >= q.hi or (q.name.startswith("reference_") and given is None):
            continue
        width, rank = q.hi - q.lo, 3
        if given is not None:
            rank = 2
            if given.range is not None and given.range[0] < given.range[1]:
                width, rank = given.range[1] - given.range[0], 0
        elif nominal == 0.0:
            rank = 1
        if rank >= 2 and nominal != 0.0:
            width = min(width, SURE * abs(nominal))
        found.append(Candidate(q, at, nominal, width, rank))
    return found


def choose(J: Column, able: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Which parameters the record tells, and which it does not; ``J`` per width of each.

    One is told if its interval, beside all those told before, would be narrow enough.
    """
    chosen: list[Candidate] = []
    basis: list[Column] = []
    rest = J.copy()
    waiting = list(range(len(able)))
    while waiting:
        rank = min(able[n].rank for n in waiting)
        group = [n for n in waiting if able[n].rank == rank]
        best = max(group, key=lambda n: float(np.linalg.norm(rest[:, n])))
        length = float(np.linalg.norm(rest[:, best]))
        if length * WORTH[rank] <= 2.0 * 1.96:
            waiting = [n for n in waiting if n not in group]
            continue
        c = rest[:, best] / length
        rest -= np.outer(c, c @ rest)
        basis.append(c)
        chosen.append(able[best])
        waiting.remove(best)
    return chosen, [one for one in able if one not in chosen]
