"""Holm's correction against its textbook form, and what it does to a saving."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from twin.feedback.compare import ENERGY_COST, GAS, Comparison, student_t, two_sided_p
from twin.feedback.study.holm import CLAIMS, confidences, corrected


@pytest.mark.parametrize("freedom", [1, 2, 5, 29, 120])
def test_p_is_scipys(freedom: int) -> None:
    for t in (0.0, 0.3, 2.0, -3.5, 8.0):
        expected = 2.0 * stats.t.sf(abs(t), freedom)
        assert two_sided_p(t, freedom) == pytest.approx(expected, abs=1e-12)


def test_the_worked_example() -> None:
    """Four p values: adjusted 0.02, 0.03, 0.06, 0.06, so two of them hold at 5 %."""
    found = confidences({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    expected = {"d": 1 - 0.05 / 4, "a": 1 - 0.05 / 3, "c": 1 - 0.05 / 2, "b": 1 - 0.05 / 2}
    assert found == pytest.approx(expected)
    assert list(found) == ["d", "a", "c", "b"]


def test_intervals_and_adjusted_p_values_say_the_same() -> None:
    luck = np.random.default_rng(5)
    for _ in range(200):
        p = luck.uniform(0.0, 0.06, 6)
        order = np.argsort(p)
        adjusted = np.maximum.accumulate(p[order] * np.arange(6, 0, -1))
        levels = confidences({str(n): float(p[n]) for n in range(6)})
        for n, of in zip(order, adjusted, strict=True):
            assert (p[n] <= 1.0 - levels[str(n)]) == (of <= 0.05)


def comparison(name: str, difference: float, half: float, verdict: str) -> Comparison:
    return Comparison(
        "mpc", "fixed", name, "1", 30, 1.0 + difference, 1.0, difference, 100.0 * difference,
        difference - half, difference + half, verdict,
    )  # fmt: skip


def test_a_saving_among_many_figures_has_to_be_a_surer_one() -> None:
    first, *others = CLAIMS
    found = {name: comparison(name, 0.0, 0.1, "inconclusive") for name in others}
    found[first] = comparison(first, -0.1, 0.09, "better")
    alone = corrected({first: found[first]}, {first: 29})[first]
    among = corrected(found, dict.fromkeys(found, 29))[first]
    assert alone.compared.verdict == "better"
    assert (alone.low, alone.high) == pytest.approx((-0.19, -0.01))
    assert among.compared.verdict == "inconclusive"
    assert "once 10 figures are looked at" in among.compared.reason
    half = 0.09 * student_t(29, 1.0 - 0.05 / 10) / student_t(29)
    assert (among.low, among.high) == pytest.approx((-0.1 - half, -0.1 + half))
    assert among.p == pytest.approx(2.0 * stats.t.sf(0.1 / 0.09 * student_t(29), 29))


def test_a_line_without_gas_makes_no_claim_of_the_cost_of_energy() -> None:
    found = {name: comparison(name, -0.1, 0.05, "better") for name in CLAIMS}
    found[GAS] = comparison(GAS, 0.0, 0.0, "equal")
    assert set(corrected(found, dict.fromkeys(found, 29))) == set(CLAIMS) - {GAS, ENERGY_COST}
    found[GAS] = comparison(GAS, 0.1, 0.05, "worse")
    assert ENERGY_COST in corrected(found, dict.fromkeys(found, 29))


def test_a_sure_saving_stays_and_a_figure_that_never_differs_costs_nothing() -> None:
    first, second, *others = CLAIMS
    found = {name: comparison(name, 0.0, 0.0, "equal") for name in others}
    found[first] = comparison(first, -0.1, 0.05, "better")
    found[second] = comparison(second, -0.1, 0.0, "better")  # the same in every shift
    judged = corrected(found, dict.fromkeys(found, 29))
    assert set(judged) == {first, second}
    assert {one.compared.verdict for one in judged.values()} == {"better"}
    assert judged[second].p == 0.0
