"""Luck as a pure function: ``draw(seed, world, entity, purpose, index)``.

Every source of randomness of a line (the failures of one station, the tool lives of another) has
its own stream, and the k-th draw of a stream does not depend on what else was drawn. Two
controllers that act differently therefore meet the same luck. ``world`` separates the plant from
its twin and from each what-if, so that no fork can know the plant's future.

The mixing step is the 64-bit finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014), applied
once per key.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

PLANT, TWIN, JUDGE = 1, 2, 3
WHAT_IF = 16
"""The k-th what-if world is ``WHAT_IF + k``."""

# Purposes: what a stream is for.
(
    TIME_TO_FAILURE,
    REPAIR,
    TOOL_LIFE,
    DEFECT,
    NOISE,
    DISTURBANCE,
    RESIDUAL,
    DROPOUT,
    CYCLE,
    REPAIR_LEFT,
    INSPECTION,
    STRIKE,
    STRIKE_REPAIR,
    STRIKE_LEFT,
    FACTOR,
    GUESS,
    LEARNED,
    CYCLE_LEFT,
    RESAMPLE,
    RANDOMISED,
) = range(20)
# New ones come at the end: a stream must not change because another one is added.


@njit(cache=True)
def _mixed(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def stream(seed: int, world: int, entity: int, purpose: int) -> np.uint64:
    """What all draws of one stream have in common: whoever draws often from it may keep it."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    z = _mixed(np.uint64(seed) + golden)
    z = _mixed(z + np.uint64(world) * golden)
    z = _mixed(z + np.uint64(entity) * golden)
    return _mixed(z + np.uint64(purpose) * golden)


@njit(cache=True)
def uniform_of(own: np.uint64, index: int) -> float:
    """The number of that index in a stream, in the open interval (0, 1)."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    z = _mixed(np.uint64(own) + np.uint64(index) * golden)
    return (np.float64(z >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@njit(cache=True)
def uniform(seed: int, world: int, entity: int, purpose: int, index: int) -> float:
    """A number in the open interval (0, 1)."""
    return uniform_of(stream(seed, world, entity, purpose), index)


@njit(cache=True)
def uniforms(seed: int, world: int, entity: int, purpose: int, count: int) -> NDArray[np.float64]:
    """The first ``count`` numbers of a stream."""
    own, found = stream(seed, world, entity, purpose), np.empty(count)
    for index in range(count):
        found[index] = uniform_of(own, index)
    return found


@njit(cache=True)
def exponential(seed: int, world: int, entity: int, purpose: int, index: int, mean: float) -> float:
    """An exponential time with the given mean."""
    return exponential_of(uniform(seed, world, entity, purpose, index), mean)


@njit(cache=True)
def exponential_of(luck: float, mean: float) -> float:
    """The exponential time that a uniform number stands for."""
    return -mean * math.log(luck)


@njit(cache=True)
def normal(seed: int, world: int, entity: int, purpose: int, index: int) -> float:
    """A standard normal number (Box and Muller 1958, cosine branch)."""
    radius = math.sqrt(-2.0 * math.log(uniform(seed, world, entity, purpose, 2 * index)))
    return radius * math.cos(2.0 * math.pi * uniform(seed, world, entity, purpose, 2 * index + 1))


@njit(cache=True)
def lognormal(
    seed: int, world: int, entity: int, purpose: int, index: int, mean: float, cv: float
) -> float:
    """A lognormal number with the given mean and coefficient of variation."""
    variance = math.log(1.0 + cv * cv)
    z = normal(seed, world, entity, purpose, index)
    return mean * math.exp(math.sqrt(variance) * z - 0.5 * variance)
