"""Laws of times, and how sure their numbers are: how often things fail, how long repairs take.

Exponential means have exact intervals (Garwood 1936, Biometrika 28, 437, for counts in a given
time). Lognormal means have likelihood intervals; with an unknown scatter the cutoff is the one that
makes the interval of a normal mean exact, n ln(1 + t^2 / (n - 1)) with Student's t. Letters:

    m   mean, s          sigma   standard deviation of the logarithm, sigma^2 = ln(1 + cv^2)
    n   whole times      S       their sum, and that of the censored ones
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.finding import UNKNOWN, Interval
from twin.analyze.identification.record import Column

TAIL = 0.025
STRONG = 6.0
"""How much the information criterion must speak for another law than the declared one; assumption."""
FIXED_CV = 1e-3
"""Times that differ by less than this share are the same time."""
LEAST_FOR_LAW = 8


def between_failures(count: int, exposure_s: float) -> Interval:
    """Mean exposure between failures that come at a constant rate, from their count."""
    from scipy.stats import chi2

    if exposure_s <= 0.0:
        return UNKNOWN
    lo = 2.0 * exposure_s / chi2.ppf(1.0 - TAIL, 2 * count + 2)
    if count == 0:
        return Interval(math.nan, float(lo), math.inf, 0)
    hi = 2.0 * exposure_s / chi2.ppf(TAIL, 2 * count)
    return Interval(exposure_s / count, float(lo), float(hi), count)


def exponential_mean(whole: Column, censored: Column) -> Interval:
    """Mean of exponential times, some of which were not over."""
    from scipy.stats import chi2

    n, S = whole.size, float(whole.sum() + censored.sum())
    if n == 0 or S <= 0.0:
        return UNKNOWN
    lo, hi = (2.0 * S / float(chi2.ppf(q, 2 * n)) for q in (1.0 - TAIL, TAIL))
    return Interval(S / n, lo, hi, n)


def lognormal_likelihood(m: float, sigma: float, whole: Column, censored: Column) -> float:
    """Logarithm of the likelihood of a mean and a scatter."""
    from scipy.stats import norm

    mu = math.log(m) - 0.5 * sigma * sigma
    z = (np.log(whole) - mu) / sigma
    total = float(norm.logpdf(z).sum() - np.log(whole).sum()) - whole.size * math.log(sigma)
    if censored.size:
        total += float(norm.logsf((np.log(censored) - mu) / sigma).sum())
    return total


def lognormal_mean(whole: Column, censored: Column, cv: float | None) -> Interval:
    """Mean of lognormal times by profile likelihood; ``cv`` is their scatter if it is known."""
    from scipy.optimize import minimize_scalar
    from scipy.stats import chi2, t

    n = whole.size
    if n < (1 if cv is not None else 2):
        return UNKNOWN
    start = math.log(float(whole.mean()))
    if cv is not None:
        sigma = sigma_of(cv)
        cutoff = 0.5 * float(chi2.ppf(0.95, 1))

        def profile(log_m: float) -> float:
            return lognormal_likelihood(math.exp(log_m), sigma, whole, censored)

    else:
        cutoff = 0.5 * n * math.log1p(float(t.ppf(1.0 - TAIL, n - 1)) ** 2 / (n - 1))

        def profile(log_m: float) -> float:
            best = minimize_scalar(
                lambda log_s: (
                    -lognormal_likelihood(math.exp(log_m), math.exp(log_s), whole, censored)
                ),
                bounds=(math.log(1e-4), math.log(6.0)),
                method="bounded",
            )
            return -float(best.fun)

    top = minimize_scalar(lambda x: -profile(x), bracket=(start - 0.5, start + 0.5))
    log_m, peak = float(top.x), -float(top.fun)
    lo, hi = (_edge(profile, log_m, peak - cutoff, side) for side in (-1.0, 1.0))
    return Interval(math.exp(log_m), math.exp(lo), math.exp(hi) if hi < 50.0 else math.inf, n)


def _edge(profile: Callable[[float], float], top: float, level: float, side: float) -> float:
    """Where a profile falls below a level, going to one side; infinite if it never does."""
    from scipy.optimize import brentq

    step = 0.05
    near = top
    while step < 30.0:
        far = top + side * step
        if profile(far) < level:
            return float(brentq(lambda x: profile(x) - level, near, far, xtol=1e-6))
        near, step = far, 2.0 * step
    return side * math.inf


def lognormal_cv(whole: Column) -> Interval:
    """Scatter of whole lognormal times, as standard deviation over mean."""
    from scipy.stats import chi2

    n = whole.size
    if n < 2:
        return UNKNOWN
    squares = (n - 1) * float(np.log(whole).var(ddof=1))
    found, lo, hi = (
        cv_of(math.sqrt(squares / float(freedom)))
        for freedom in (n - 1, chi2.ppf(1.0 - TAIL, n - 1), chi2.ppf(TAIL, n - 1))
    )
    return Interval(found, lo, hi, n)


def sigma_of(cv: float) -> float:
    """Standard deviation of the logarithm of times with this scatter."""
    return math.sqrt(math.log1p(cv * cv))


def cv_of(sigma: float) -> float:
    """Scatter of times whose logarithm has this standard deviation; infinite beyond all measure."""
    return math.sqrt(math.expm1(sigma * sigma)) if sigma < 20.0 else math.inf


@dataclass(frozen=True, slots=True)
class TimeLaw:
    """Which law times follow, their mean, and their scatter where the law leaves it free."""

    law: str
    mean: Interval
    cv: Interval
    cv_used: float
    """The scatter that the interval of the mean was computed with; NaN if it was estimated."""


def time_law(whole: Column, censored: Column, declared: str, declared_cv: float) -> TimeLaw:
    """The law that the times speak for: the declared one unless the evidence against it is strong.

    The declared scatter is kept as known while it lies in the interval that the times give it.
    """
    whole = whole[whole > 0.0]
    if whole.size >= 2 and whole.std() < FIXED_CV * whole.mean() and not censored.size:
        mean, half = float(whole.mean()), 1.96 * float(whole.std()) / math.sqrt(whole.size)
        fixed = Interval(mean, mean - half, mean + half, whole.size)
        return TimeLaw("fixed", fixed, Interval(0.0, 0.0, FIXED_CV, whole.size), 0.0)
    law = _likelier(whole, censored, declared, declared_cv)
    cv = lognormal_cv(whole)
    if law == "exponential":
        return TimeLaw(law, exponential_mean(whole, censored), cv, 1.0)
    is_kept = not cv.is_closed or cv.lo <= declared_cv <= cv.hi
    used = declared_cv if is_kept and declared_cv > 0.0 else None
    found = lognormal_mean(whole, censored, used)
    return TimeLaw(law, found, cv, math.nan if used is None else used)


def _likelier(whole: Column, censored: Column, declared: str, declared_cv: float) -> str:
    """Lognormal or exponential, by Akaike's criterion for small samples."""
    n = whole.size
    if n < LEAST_FOR_LAW:
        return declared
    m = float(whole.sum() + censored.sum()) / n
    of_exponential = 2.0 * (n * math.log(m) + n) + 2.0 + 4.0 / (n - 2)
    free = lognormal_mean(whole, censored, None)
    sigma = float(np.log(whole).std())
    best = max(
        lognormal_likelihood(free.estimate, scatter, whole, censored)
        for scatter in (sigma, sigma_of(declared_cv or 1.0))
    )
    of_lognormal = -2.0 * best + 4.0 + 12.0 / (n - 3)
    if declared == "exponential":
        return "lognormal" if of_exponential - of_lognormal > STRONG else declared
    return "exponential" if of_lognormal - of_exponential > STRONG else declared
