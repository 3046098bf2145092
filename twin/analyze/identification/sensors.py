"""What an instrument adds to what it measures: noise, lost samples, a slow drift.

The noise is taken from second differences of neighbouring samples, which a course that is smooth
between them does not touch; a sample that merely repeats the one before is no new sample. The drift
is the slope through the medians of short stretches; what is left of those is correlated in time, so
its interval is widened by the usual factor for a first-order process (Bence, Ecology 76 (1995) 628).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.finding import UNKNOWN, Interval
from twin.analyze.identification.record import Column

STRETCH_S = 300.0
LEAST = 20


@dataclass(frozen=True, slots=True)
class SensorFit:
    """One instrument: noise in its unit, the share of lost samples, drift in its unit per hour."""

    noise: Interval
    dropout: Interval
    drift_per_h: Interval
    held_share: float
    """Share of samples that repeat the one before: sample and hold."""


def fit_sensor(time_s: Column, values: Column, failed: float | None = None) -> SensorFit:
    """Noise, dropout and drift of one sampled signal.

    NaN is a lost sample; so is ``failed``, the number that a failed measurement reads, if any.
    """
    lost = ~np.isfinite(values)
    if failed is not None:
        lost |= values == failed
    t, y = time_s[~lost], values[~lost]
    is_new = np.diff(y, prepend=np.nan) != 0.0
    held = 1.0 - float(is_new.mean()) if y.size else math.nan
    return SensorFit(_noise(y[is_new]), share(int(lost.sum()), lost.size), _drift(t, y), held)


def share(count: int, of: int) -> Interval:
    """A share of so many, with the exact interval of Clopper and Pearson (Biometrika 26, 1934)."""
    from scipy.stats import beta

    if of < 1:
        return UNKNOWN
    lo = float(beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    hi = float(beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0
    return Interval(count / of, lo, hi, of)


def _noise(y: Column) -> Interval:
    from scipy.stats import chi2

    if y.size < LEAST:
        return UNKNOWN
    bent = np.diff(y, 2) / math.sqrt(6.0)
    noise = 1.4826 * float(np.median(np.abs(bent)))
    # A third of second differences are independent; a median is worth 0.37 of a mean square.
    freedom = max(0.37 * bent.size / 3.0 * 2.0, 2.0)
    lo, hi = (noise * math.sqrt(freedom / float(chi2.ppf(q, freedom))) for q in (0.975, 0.025))
    return Interval(noise, lo, hi, y.size)


def _drift(t: Column, y: Column) -> Interval:
    from scipy.stats import t as student

    if t.size < LEAST:
        return UNKNOWN
    stretch = np.floor((t - t[0]) / STRETCH_S).astype(int)
    numbers = [n for n in np.unique(stretch) if (stretch == n).sum() >= 3]
    if len(numbers) < 5:
        return UNKNOWN
    middle = np.array([float(np.median(y[stretch == n])) for n in numbers])
    hours = (np.array(numbers) + 0.5) * STRETCH_S / 3600.0
    h = hours - hours.mean()
    slope = float(h @ (middle - middle.mean()) / (h @ h))
    left = middle - middle.mean() - slope * h
    squares = float(left @ left)
    near = float(left[1:] @ left[:-1]) / squares if squares > 0.0 else 0.0
    near = min(max(near, 0.0), 0.95)
    freedom = max((len(numbers) - 2) * (1.0 - near) / (1.0 + near), 1.0)
    error = math.sqrt(squares / freedom / float(h @ h))
    half = float(student.ppf(0.975, freedom)) * error
    return Interval(slope, slope - half, slope + half, y.size)
