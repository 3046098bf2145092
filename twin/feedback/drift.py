"""How well the twin ran on by itself: its one-step errors, and how its outlooks fared."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class DriftBook:
    """Mean absolute one-step errors of the twin, by signal.

    A turn's error is what the line showed less what the twin, in step with it a turn ago, had come to
    by itself. It counts only where the signal could be relied on in both turns: a twin that was put
    in step with a wrong reading is not to blame for the next one, and the first reading of a line
    says nothing of a twin that has not seen it yet.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._times: dict[str, int] = {}
        self._relied: Collection[str] = ()

    def book(self, drift: Mapping[str, float], doubted: Collection[str]) -> None:
        """Take in a turn's errors, none if the line could not be seen; ``doubted`` do not count."""
        relied = {
            name for name, error in drift.items() if math.isfinite(error) and name not in doubted
        }
        for name in drift:
            if name in relied and name in self._relied:
                self._sums[name] = self._sums.get(name, 0.0) + abs(drift[name])
                self._times[name] = self._times.get(name, 0) + 1
        self._relied = relied

    def means(self) -> dict[str, float]:
        """The mean absolute error of each signal that was ever compared."""
        return {name: total / self._times[name] for name, total in self._sums.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Fared:
    """An outlook whose time has come: what its courses said of each figure, and what the line did."""

    from_s: float
    courses: Mapping[str, NDArray[np.float64]]
    actual: Mapping[str, float]

    def rank(self, figure: str) -> tuple[float, float]:
        """The share of the courses below what came, and of those not above it.

        Where the two differ, as they do for whole parts, what came lies anywhere between them; over many
        outlooks of a twin that is right the place is uniform (Czado, Gneiting and Held, Biometrics 65
        (2009) 1254).
        """
        courses, came = self.courses[figure], self.actual[figure]
        return float(np.mean(courses < came)), float(np.mean(courses <= came))

    def off_by(self, figure: str) -> float:
        """How many standard deviations of the courses lie between their mean and what came.

        A spread below half a unit of what is counted, or below a thousandth, is taken as that.
        """
        courses, came = self.courses[figure], self.actual[figure]
        mean = float(courses.mean())
        least = 0.5 if figure.endswith("parts") else 1e-3 * max(abs(mean), 1.0)
        return (came - mean) / max(float(courses.std()), least)


def drift_score(fared: Sequence[Fared], figure: str) -> float:
    """How far the line is from what the twin expects of it: about 1 if the twin is as good as it thinks.

    The root of the mean square of ``off_by``; NaN before any outlook's time has come. Above 2 the line has
    become another one, or the twin does not know it.
    """
    if not fared:
        return math.nan
    return math.sqrt(sum(one.off_by(figure) ** 2 for one in fared) / len(fared))


def coverage(fared: Sequence[Fared], figure: str, share: float) -> float:
    """How often what came lay inside the middle ``share`` of the courses; ties count by their part."""
    beyond = (1.0 - share) / 2.0
    inside = []
    for below, at_most in (one.rank(figure) for one in fared):
        if at_most > below:
            held = max(0.0, min(at_most, 1.0 - beyond) - max(below, beyond))
            inside.append(held / (at_most - below))
        else:
            inside.append(float(beyond <= below <= 1.0 - beyond))
    return sum(inside) / len(inside) if inside else math.nan
