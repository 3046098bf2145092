from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest

from twin.feedback.study import Precision, Stopping, interval
from twin.feedback.study.stopping import FEWEST
from twin.feedback.study.study import running
from twin.kernels import draws


def drawn_until(share: float, value: Callable[[int], float]) -> list[float]:
    stopping, values = Stopping(Precision(share, ("x",))), list[float]()
    while True:
        values.append(value(len(values)))
        if stopping.book({"x": values[-1]}):
            return values


def shifted_exponential(seed: int, n: int) -> float:
    return 5.0 + draws.exponential(seed, 1, 1, 0, n, 2.0)


def scattered(seed: int, n: int) -> float:
    return 10.0 + 2.5 * draws.normal(seed, 1, 0, 0, n)


@pytest.mark.parametrize(
    ("law", "mean", "at_least"),
    [(scattered, 10.0, 0.94), (shifted_exponential, 7.0, 0.91)],
    ids=["normal", "skewed"],
)
def test_intervals_hold_the_mean_about_as_often_as_they_say(
    law: Callable[[int, int], float], mean: float, at_least: float
) -> None:
    """Of 1000 studies, 950 should. A skewed law takes two points: the interval is Student's."""
    held, shifts = 0, 0
    for seed in range(1000):
        values = drawn_until(0.05, partial(law, seed))
        found = interval(values)
        assert found.share is not None
        assert found.share <= 0.05
        held += abs(found.mean - mean) <= (found.half_width or 0.0)
        shifts += len(values)
    assert at_least <= held / 1000 <= 0.975
    assert shifts / 1000 < 150  # about (1.96 · cv / 0.05)², 96 and 125, and five more


def test_no_study_ends_after_a_few_equal_shifts() -> None:
    assert len(drawn_until(0.01, lambda _: 3.0)) == FEWEST + 5


def test_a_mean_of_zero_is_precise_only_without_scatter() -> None:
    assert len(drawn_until(0.01, lambda _: 0.0)) == FEWEST + 5
    stopping = Stopping(Precision(0.01, ("x",)))
    assert not any(stopping.book({"x": (-1.0) ** n}) for n in range(2000))


def test_the_widest_of_several_figures_decides() -> None:
    stopping = Stopping(Precision(0.05, ("calm", "wild")))
    values = [10.0 + 2.0 * draws.normal(3, 1, 0, 0, n) for n in range(400)]
    ended = next(n for n, x in enumerate(values) if stopping.book({"calm": 1.0, "wild": x}))
    assert ended + 1 == len(drawn_until(0.05, lambda n: values[n]))


def test_what_it_will_take_is_known_about() -> None:
    stopping = Stopping(Precision(0.05, ("x",)))
    for n in range(30):
        stopping.book({"x": 10.0 + 2.5 * draws.normal(5, 1, 0, 0, n)})
    expected = stopping.expected()
    assert expected is not None
    assert 50 < expected < 200  # (1.96 · 0.25 / 0.05)² = 96


def test_an_interval_by_hand() -> None:
    """1, 2, 3: mean 2, spread 1, Student's quantile for two degrees of freedom 4.30265."""
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half_width == pytest.approx(4.3026527 / math.sqrt(3.0), rel=1e-7)
    assert interval([4.0]).half_width is None
    with pytest.raises(ValueError, match="nothing"):
        interval([])


def test_the_way_of_an_interval_ends_where_it_stands() -> None:
    values = [float(n % 7) for n in range(1234)]
    way = running(values)
    assert len(way) <= 201
    assert way[-1] == interval(values)
    assert way[0] == interval(values[:2])
