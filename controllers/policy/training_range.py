"""Where a policy has learned: a box and an ellipsoid around what it saw, and nothing is known outside.

The box catches one number that is off, the Mahalanobis distance a combination that never came together
(Mahalanobis, Proc. Natl. Inst. Sci. India 2:49, 1936). Both are in engineering units.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from controllers.policy.manifest import RangeSpec, SchemaSpec

QUANTILE, SLACK = 0.999, 1.25
"""The distance limit: that of all but one sample in a thousand, and a quarter more; assumption."""
MARGIN = 0.01
"""By so much of a declared range the box is wider than what was seen; assumption."""
STILL = 1e-6
"""Standard deviation, as a share of a declared range, of a number that is taken for constant; assumption."""
RIDGE = 1e-2
"""Added to the correlations, so that where two numbers always went together a tenth of their scatter apart is
no more than one unit of distance; assumption."""


def range_of(observations: NDArray[np.float64], spaces: SchemaSpec) -> RangeSpec:
    """The range of a sample of training, one row an observation. Raises ``ValueError`` if it is too small.

    A sample in which nothing lies beyond a declared limit does not say whether it was stopped there, and is
    taken for one that was.
    """
    if len(observations) < 10 * observations.shape[1]:
        msg = f"{len(observations)} observations say too little of {observations.shape[1]} numbers"
        raise ValueError(msg)
    if not np.isfinite(observations).all():
        raise ValueError("an observation of training is not finite")
    shares = np.cov(observations, rowvar=False).reshape(observations.shape[1], -1)
    lo, hi = _limits(spaces)
    margin, rounding = MARGIN * (hi - lo), STILL * (hi - lo)
    is_beyond = (observations < lo - rounding) | (observations > hi + rounding)
    found = RangeSpec(
        lowest=_digits(observations.min(axis=0) - margin),
        highest=_digits(observations.max(axis=0) + margin),
        mean=_digits(observations.mean(axis=0)),
        covariance=tuple(_digits(row[: n + 1]) for n, row in enumerate(shares)),
        distance_limit=1.0,
        samples=len(observations),
        of_shown=bool(is_beyond.any()),
    )
    distances = TrainingRange(found, spaces).distances(observations)
    limit = max(SLACK * float(np.quantile(distances, QUANTILE)), 1.0)
    return found.model_copy(update={"distance_limit": limit})


class TrainingRange:
    """Says of an observation whether the policy has been there."""

    def __init__(self, found: RangeSpec, spaces: SchemaSpec) -> None:
        self._names = tuple(field.name for field in spaces.observation)
        self._lowest, self._highest = np.array(found.lowest), np.array(found.highest)
        self._mean, self._limit = np.array(found.mean), found.distance_limit
        covariance = np.zeros((self._mean.size, self._mean.size))
        for n, row in enumerate(found.covariance):
            covariance[n, : n + 1] = covariance[: n + 1, n] = row
        variance = np.diag(covariance)
        if (variance < 0.0).any():
            raise ValueError("training_range.covariance has a negative variance")
        # A number that hardly ever moved has no scale of its own: the box alone speaks for it.
        lo, hi = _limits(spaces)
        self._stops = None if found.of_shown else (lo, hi)
        moves = variance > (STILL * (hi - lo)) ** 2
        scale = np.where(moves, 1.0 / np.sqrt(np.where(moves, variance, 1.0)), 0.0)
        correlation = covariance * scale * scale[:, None] + RIDGE * np.eye(scale.size)
        values, vectors = np.linalg.eigh(correlation)
        if (values < 0.0).any():
            raise ValueError("training_range.covariance is none: it has a negative direction")
        self._whiten = (vectors / np.sqrt(values)).T * scale

    def distances(self, observations: NDArray[np.float64]) -> NDArray[np.float64]:
        """The Mahalanobis distance of each row."""
        found: NDArray[np.float64] = np.linalg.norm(
            (observations - self._mean) @ self._whiten.T, axis=1
        )
        return found

    def doubt(self, observation: NDArray[np.float64]) -> str:
        """Why the policy should not decide here; empty where it has been.

        ``observation`` is what is shown, whether its numbers lie inside their declared limits or not.
        """
        if self._stops is not None:
            observation = np.clip(observation, *self._stops)
        inside = (observation >= self._lowest) & (observation <= self._highest)  # NaN is not inside
        if not inside.all():
            n = int(np.argmin(inside))
            name, value = self._names[n], float(observation[n])
            if math.isnan(value):
                return f"{name} is not known"
            lo, hi = self._lowest[n], self._highest[n]
            return f"{name} = {value:.6g} was never seen in training, only {lo:.6g} to {hi:.6g}"
        away = self._whiten @ (observation - self._mean)
        distance = math.sqrt(float(away @ away))
        if not distance <= self._limit:
            return f"no such combination was seen in training: distance {distance:.3g}, at most {self._limit:.3g}"
        return ""


def _limits(spaces: SchemaSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The declared limits of what is observed."""
    fields = spaces.observation
    return np.array([field.lo for field in fields]), np.array([field.hi for field in fields])


def _digits(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Nine digits of each number: more say nothing of a sample, and a manifest is read by people too."""
    return tuple(float(f"{value:.9g}") for value in values.tolist())
