"""Scores of controllers on the same shifts: what is typical, what is rare, and how sure that is.

Values have an axis of training seeds, one of cells (scenario, utilisation, variant) and one of shifts.
Training seeds and shifts are luck and are drawn again, each on its own: a policy that was drawn meets all
shifts that were drawn, and a shift that was drawn stands for its seed in every cell and under every
controller, since one seed brings related luck to all of them. So intervals are a little too wide, never too
narrow (Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1 (2007) 386). Cells are the strata: each
is in every draw, once.

Interquartile mean, optimality gap and performance profile: Agarwal et al., Deep reinforcement learning at the
edge of the statistical precipice, NeurIPS 2021. BCa interval: Efron, Better bootstrap confidence intervals,
JASA 82 (1987) 171. The same values give the same bytes: all draws come from one fixed key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from twin.feedback.compare import CONFIDENCE, ROUNDING
from twin.kernels.draws import JUDGE, RESAMPLE, uniforms
from twin.kernels.normal import normal_quantile, normal_share

TIMES = 10_000
"""How often all is drawn again."""
KEY = 20_260
"""Of all draws."""
SHIFTS, OURS, THEIRS = 0, 1, 2
"""What is drawn: shifts, training seeds of a controller, those of its rival."""
TAIL = 0.1

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def record(self) -> dict[str, float]:
        """As plain data."""
        return {"value": self.value, "low": self.low, "high": self.high}


@cache
def drawn(n: int, what: int) -> NDArray[np.int64]:
    """Numbers below ``n``, as many as there are, drawn with replacement: a row for each time."""
    luck = uniforms(KEY, JUDGE, what, RESAMPLE, TIMES * n)
    found: NDArray[np.int64] = (luck * n).astype(np.int64).reshape(TIMES, n)
    found.flags.writeable = False
    return found


@cache
def shares(n: int, what: int) -> Floats:
    """How much each of the n counts in the mean of a row: its share of what was drawn."""
    flat = (np.arange(TIMES)[:, None] * n + drawn(n, what)).ravel()
    found: Floats = np.bincount(flat, minlength=TIMES * n).reshape(TIMES, n) / n
    found.flags.writeable = False
    return found


def interquartile_mean(values: Floats) -> Floats:
    """The mean of the middle half of the last axis; a quarter, rounded down, is cut off at each end."""
    n = values.shape[-1]
    kept: Floats = np.sort(values, axis=-1)[..., n // 4 : n - n // 4].mean(axis=-1)
    return kept


def optimality_gap(scores: Floats) -> Floats:
    """How far scores stay below 1 on average over the last axis; above 1 nothing is made good."""
    found: Floats = (1.0 - np.minimum(scores, 1.0)).mean(axis=-1)
    return found


def tail_mean(values: Floats, share: float = TAIL) -> Floats:
    """The mean of the lowest ``share`` of the last axis (conditional value at risk).

    Where the share ends within a value, that one counts in part: Acerbi and Tasche, On the coherence of
    expected shortfall, Journal of Banking and Finance 26 (2002) 1487.
    """
    ordered = np.sort(values, axis=-1)
    within = share * values.shape[-1]
    part = np.clip(within - np.arange(values.shape[-1]), 0.0, 1.0)
    found: Floats = (ordered * part).sum(axis=-1) / within
    return found


def profile(values: Floats, levels: Sequence[float]) -> list[float]:
    """Which share of all values lies at each level or above."""
    return [float((values >= level).mean()) for level in levels]


def percentiles(value: float, replicates: Floats) -> Estimate:
    """The value with the interval in which 95 % of its replicates lie."""
    low, high = np.quantile(replicates, [0.5 - 0.5 * CONFIDENCE, 0.5 + 0.5 * CONFIDENCE])
    return Estimate(value, float(low), float(high))


def mean_of(values: Floats, axes: Sequence[int]) -> Estimate:
    """The mean of a table, its axes drawn again by ``axes``, with the BCa interval.

    Bias-corrected and accelerated: which percentiles are taken depends on how far the replicates lie beside
    the mean, and on the skewness of the influence that each seed has (for several axes as for several samples).
    """
    value = float(values.mean())
    means = [_along(values, axis) for axis in range(values.ndim)]
    if all(float(np.ptp(of)) <= ROUNDING * abs(value) for of in means):
        return Estimate(value, value, value)
    replicates = redrawn(values, axes)
    below = float(((replicates < value) + 0.5 * (replicates == value)).mean())
    bias = normal_quantile(below)
    influences = [(of - value) / of.size for of in means if of.size > 1]
    cubes = math.fsum(float((of**3).sum()) for of in influences)
    squares = math.fsum(float((of**2).sum()) for of in influences)
    acceleration = cubes / (6.0 * squares**1.5)
    ends = []
    for share in (0.5 - 0.5 * CONFIDENCE, 0.5 + 0.5 * CONFIDENCE):
        z = bias + normal_quantile(share)
        ends.append(normal_share(bias + z / (1.0 - acceleration * z)))
    low, high = np.quantile(replicates, ends)
    return Estimate(value, float(low), float(high))


def redrawn(values: Floats, axes: Sequence[int]) -> Floats:
    """The mean of a table for each time that its axes are drawn again; ``axes`` names what each is."""
    if len(axes) != values.ndim:
        raise ValueError(f"{len(axes)} axes are named, the table has {values.ndim}")
    first, *others = axes
    found: Floats = np.einsum("i...,bi->b...", values, shares(values.shape[0], first))
    for what in others:
        found = np.einsum("bi...,bi->b...", found, shares(found.shape[1], what))
    return found


def _along(values: Floats, axis: int) -> Floats:
    """The mean of each place of an axis."""
    found: Floats = values.mean(axis=tuple(n for n in range(values.ndim) if n != axis))
    return found


@dataclass(frozen=True, slots=True)
class Crossed:
    """A mean over crossed seeds with its standard error and degrees of freedom."""

    mean: float
    error: float
    freedom: int


def crossed(values: Floats) -> Crossed:
    """The mean of a table of which every axis is luck: training seeds, those of a rival, shifts.

    Each axis of more than one seed adds the variance of its own means over their number. What the axes do
    together is then counted more than once, so the error is a little too large, never too small; for a
    single axis it is the usual one. Degrees of freedom by Satterthwaite (Biometrics Bulletin 2 (1946) 110),
    rounded down.
    """
    parts = [
        (float(of.var(ddof=1)) / of.size, of.size - 1)
        for of in (_along(values, axis) for axis in range(values.ndim))
        if of.size > 1
    ]
    if not parts:
        raise ValueError("one value has no error: give two shifts or more")
    variance = math.fsum(part for part, _ in parts)
    if variance == 0.0:
        return Crossed(float(values.mean()), 0.0, max(free for _, free in parts))
    below = math.fsum(part**2 / free for part, free in parts)
    freedom = max(1, math.floor(variance**2 / below * (1.0 + ROUNDING)))
    return Crossed(float(values.mean()), math.sqrt(variance), freedom)
