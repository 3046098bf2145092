"""Luck is a pure function of its key, and looks like luck."""

from __future__ import annotations

import math

import numpy as np
import pytest

from twin.kernels import draws

SOURCES = 20_000
FAR = 4.5
"""Standard errors beyond which chance is no excuse; there are some dozens of checks here."""
GOLDEN, M1, M2, MASK = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 2**64 - 1


def by_hand(*key: int) -> float:
    """The same number from Python's own integers."""
    z = 0
    for n, part in enumerate(key):
        z = part + GOLDEN if n == 0 else z + part * GOLDEN
        z &= MASK
        z = ((z ^ (z >> 30)) * M1) & MASK
        z = ((z ^ (z >> 27)) * M2) & MASK
        z ^= z >> 31
    return ((z >> 11) + 0.5) / 2**53


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ((0, 0, 0, 0, 0), 0.33272554967218143),
        ((1, 1, 1, 0, 0), 0.20130180163645633),
        ((1, 2, 1, 0, 0), 0.6422062990986588),
        ((20260, 1, 5, 3, 123456), 0.08275057348912035),
        ((2**62, 17, 10_042, 8, 2**40), 0.6193515372107481),
    ],
    ids=str,
)
def test_uniform_draws_stay_what_they_are(key: tuple[int, ...], value: float) -> None:
    assert draws.uniform(*key) == by_hand(*key) == value


def test_other_laws_are_made_of_uniform_draws() -> None:
    key = (7, 1, 2, draws.REPAIR)
    assert draws.exponential(*key, 5, 30.0) == pytest.approx(-30.0 * math.log(by_hand(*key, 5)))
    first, second = by_hand(*key, 10), by_hand(*key, 11)
    normal = math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)
    assert draws.normal(*key, 5) == pytest.approx(normal)
    spread = math.sqrt(math.log(1.0 + 0.5**2))
    lognormal = 30.0 * math.exp(spread * normal - spread**2 / 2.0)
    assert draws.lognormal(*key, 5, 30.0, 0.5) == pytest.approx(lognormal)
    assert draws.lognormal(*key, 5, 30.0, 0.0) == 30.0


def series(vary: int, seed: int = 1) -> np.ndarray:
    """Draws along one part of the key, the others fixed."""
    key = [seed, 1, 2, 3, 4]
    values = []
    for n in range(SOURCES):
        key[vary] = n
        values.append(draws.uniform(*key))
    return np.array(values)


@pytest.mark.parametrize("vary", range(5), ids=["seed", "world", "entity", "purpose", "index"])
def test_draws_are_uniform_along_every_part_of_the_key(vary: int) -> None:
    values = series(vary)
    assert values.min() > 0.0
    assert values.max() < 1.0
    # Kolmogorov: sup |F_n - F| * sqrt(n) exceeds 2.2 with a chance of 1e-4.
    ranks = np.arange(SOURCES) / SOURCES
    distance = np.abs(np.sort(values) - ranks).max() + 1.0 / SOURCES
    assert distance * math.sqrt(SOURCES) < 2.2
    # Pairs of neighbours fill the square: chi-square with 99 degrees of freedom.
    cells = np.histogram2d(values[:-1:2], values[1::2], bins=10, range=[[0, 1], [0, 1]])[0]
    expected = SOURCES / 2 / 100
    chi_square = float(((cells - expected) ** 2 / expected).sum())
    assert abs(chi_square - 99.0) < FAR * math.sqrt(2 * 99.0)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """In standard errors."""
    return float(np.corrcoef(one, other)[0, 1] * math.sqrt(len(one)))


@pytest.mark.parametrize("vary", range(4), ids=["seed", "world", "entity", "purpose"])
def test_streams_of_neighbouring_keys_are_independent(vary: int) -> None:
    key, near = [3, 1, 2, 3], [3, 1, 2, 3]
    near[vary] += 1
    one = np.array([draws.uniform(*key, n) for n in range(SOURCES)])
    other = np.array([draws.uniform(*near, n) for n in range(SOURCES)])
    assert abs(correlation(one, other)) < FAR
    assert abs(correlation(one[1:], other[:-1])) < FAR
    assert not set(one) & set(other)


def test_no_two_keys_of_a_small_line_share_a_draw() -> None:
    values = {
        draws.uniform(seed, world, entity, purpose, index)
        for seed in range(4)
        for world in (1, 2, 16, 17)
        for entity in range(8)
        for purpose in range(9)
        for index in range(20)
    }
    assert len(values) == 4 * 4 * 8 * 9 * 20


def test_moments() -> None:
    key, n = (5, 1, 2, draws.CYCLE), SOURCES
    exponential = np.array([draws.exponential(*key, k, 20.0) for k in range(n)])
    assert abs(exponential.mean() - 20.0) < FAR * 20.0 / math.sqrt(n)
    assert exponential.std() == pytest.approx(20.0, rel=0.05)
    normal = np.array([draws.normal(*key, k) for k in range(n)])
    assert abs(normal.mean()) < FAR / math.sqrt(n)
    assert abs(normal.var() - 1.0) < FAR * math.sqrt(2.0 / n)
    assert abs((normal**3).mean()) < FAR * math.sqrt(15.0 / n)
    lognormal = np.array([draws.lognormal(*key, k, 20.0, 0.4) for k in range(n)])
    assert abs(lognormal.mean() - 20.0) < FAR * 8.0 / math.sqrt(n)
    assert lognormal.std() / lognormal.mean() == pytest.approx(0.4, rel=0.05)
