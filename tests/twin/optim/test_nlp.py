from __future__ import annotations

from typing import Any

import casadi
import numpy as np
import pytest

from twin.optim import ProblemError, Status
from twin.optim.nlp import NlpProblem
from twin.optim.smooth import SmoothProblem
from twin.processes import load

ca: Any = casadi


def hs71() -> NlpProblem:
    """Problem 71 of Hock & Schittkowski (1981): optimum 17.0140173."""
    x = ca.SX.sym("x", 4)
    f = x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2]
    g = ca.vertcat(x[0] * x[1] * x[2] * x[3], ca.sumsqr(x))
    return NlpProblem(x, f, g, x_lo=1.0, x_hi=5.0, g_lo=[25.0, 40.0], g_hi=[np.inf, 40.0])


def test_a_published_optimum_is_found() -> None:
    solution = hs71().solve([1.0, 5.0, 5.0, 1.0])
    assert solution.status is Status.SOLVED
    assert solution.feasible
    assert solution.objective == pytest.approx(17.0140173, abs=1e-6)
    assert solution.x == pytest.approx([1.0, 4.7429994, 3.8211503, 1.3794082], abs=1e-6)
    assert solution.kkt_residual < 1e-5


def test_the_same_problem_has_the_same_answer_bit_for_bit() -> None:
    problem = hs71()
    first, second, other = (
        problem.solve([1.0, 5.0, 5.0, 1.0]),
        problem.solve([1.0, 5.0, 5.0, 1.0]),
        hs71().solve([1.0, 5.0, 5.0, 1.0]),
    )
    assert first.x.tobytes() == second.x.tobytes() == other.x.tobytes()


def test_a_warm_start_takes_fewer_iterations_and_follows_the_parameter() -> None:
    x, p = ca.SX.sym("x", 2), ca.SX.sym("p")
    problem = NlpProblem(
        x, ca.exp(x[0]) + ca.exp(x[1]), x[0] * x[1] - p, p, x_lo=0.1, g_lo=0.0, g_hi=np.inf
    )
    cold = problem.solve([5.0, 0.2], 4.0)
    warm = problem.solve([5.0, 0.2], 4.1, warm=cold)
    assert cold.x == pytest.approx([2.0, 2.0], abs=1e-6)
    assert warm.x == pytest.approx([4.1**0.5] * 2, abs=1e-6)
    assert warm.iterations < cold.iterations


def test_an_infeasible_problem_is_said_to_be_so() -> None:
    x = ca.SX.sym("x", 2)
    problem = NlpProblem(x, ca.sumsqr(x), ca.sumsqr(x), g_lo=-5.0, g_hi=-1.0)
    solution = problem.solve([1.0, 1.0])
    assert solution.status is Status.INFEASIBLE
    assert not solution.feasible
    assert "violated by" in solution.reason


def test_an_unfinished_solve_says_so() -> None:
    x = ca.SX.sym("x", 2)
    rosenbrock = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    solution = NlpProblem(x, rosenbrock, iteration_limit=3).solve([-1.2, 1.0])
    assert solution.status is Status.ITERATION_LIMIT
    assert solution.iterations == 3
    assert solution.kkt_residual > 1e-3


def test_a_model_that_cannot_be_evaluated_fails_and_is_not_feasible() -> None:
    x = ca.SX.sym("x")
    solution = NlpProblem(x, ca.log(x)).solve([-1.0])
    assert solution.status is Status.FAILED
    assert not solution.feasible


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_constraint_that_is_no_number_is_infinitely_violated(at: int, value: float) -> None:
    x = ca.SX.sym("x")
    problem = SmoothProblem(x, x**2, ca.vertcat(x, 2.0 * x), g_lo=-np.inf, g_hi=[1.0, 1.0])
    g = np.array([0.0, 3.0])
    assert problem.violation(np.zeros(1), g) == 2.0
    g[at] = value
    assert problem.violation(np.zeros(1), g) == np.inf
    assert problem.violation(np.array([value]), np.zeros(2)) == np.inf


def test_nan_and_wrong_lengths_are_refused() -> None:
    x, p = ca.SX.sym("x", 2), ca.SX.sym("p", 2)
    problem = NlpProblem(x, ca.sumsqr(x - p), p=p)
    with pytest.raises(ProblemError, match=r"parameters p: entries \[1\] are NaN"):
        problem.solve([0.0, 0.0], [1.0, np.nan])
    with pytest.raises(ProblemError, match="start x0"):
        problem.solve([np.nan, 0.0], [1.0, 1.0])
    with pytest.raises(ProblemError, match="expected 2 numbers"):
        problem.solve([0.0, 0.0], [1.0, 1.0, 1.0])
    with pytest.raises(ProblemError, match="infinite"):
        problem.solve([0.0, 0.0], [1.0, np.inf])
    with pytest.raises(ProblemError, match="bounds of x cross"):
        NlpProblem(x, ca.sumsqr(x), x_lo=1.0, x_hi=0.0)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    hs71().solve([1.0, 5.0, 5.0, 1.0])
    assert capfd.readouterr() == ("", "")


def test_a_process_model_is_optimised_within_its_quality_limits() -> None:
    """Least energy of a moulding shot at the reference's cycle and scrap: some 5 to 9 %."""
    model = load("moulding")
    point = model.point()
    lo = np.array([q.lo for q in model.mvs])
    span = np.array([q.hi for q in model.mvs]) - lo
    z = ca.SX.sym("z", len(model.mvs))
    y = model.symbols()(ca.SX(0, 1), lo + span * z, ca.SX(point.d), ca.SX(point.p))
    reference = model.numbers()(*point)
    limits = [36.0, 1e3 * (reference[3] + 0.001)]
    problem = NlpProblem(
        z, y[1] / reference[1], ca.vertcat(y[0], 1e3 * y[3]),
        x_lo=0.0, x_hi=1.0, g_lo=-np.inf, g_hi=limits,
    )  # fmt: skip
    solution = problem.solve((point.u - lo) / span)
    assert solution.status is Status.SOLVED
    assert 0.05 <= 1.0 - solution.objective <= 0.09
    best = model.numbers()(point.x, lo + span * solution.x, point.d, point.p)
    assert best[1] / reference[1] == pytest.approx(solution.objective, rel=1e-9)
    assert best[3] <= reference[3] + 0.001 + 1e-8
