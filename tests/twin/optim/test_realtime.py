from __future__ import annotations

from typing import Any

import casadi
import numpy as np
import pytest

from twin.optim import ProblemError, Status
from twin.optim.realtime import RealTimeSqp

ca: Any = casadi


def circle() -> RealTimeSqp:
    """Point of the unit circle nearest to p, from outside: p / |p|."""
    x, p = ca.SX.sym("x", 2), ca.SX.sym("p", 2)
    return RealTimeSqp(x, x - p, g=ca.sumsqr(x), p=p, g_lo=-np.inf, g_hi=1.0)


def test_steps_find_the_analytic_optimum_and_its_multiplier() -> None:
    found = circle().solve([0.8, 0.6], [1.5, 2.0], iterations=30)
    assert found.usable
    assert found.solver == "sqp/piqp"
    assert found.x == pytest.approx([0.6, 0.8], abs=1e-3)
    # Stationarity: x - p + 2 multiplier x = 0.
    assert found.multipliers == pytest.approx([0.75], abs=1e-3)


def test_a_bad_step_is_damped_and_the_damping_goes_into_the_next_solve() -> None:
    # Gauss-Newton goes wild where the residual bends and its slope is nearly zero.
    x = ca.SX.sym("x", 1)
    problem = RealTimeSqp(x, ca.vertcat(0.1 + x[0] ** 2, 0.1 * x[0]), x_lo=-1.0, x_hi=1.0)
    plain = problem.solve([0.02], iterations=1)
    assert plain.damping > 0.0
    again = problem.solve(plain.x, iterations=200, damping=plain.damping)
    assert again.x == pytest.approx([0.0], abs=1e-2)


def test_the_same_problem_has_the_same_answer_bit_for_bit() -> None:
    problem = circle()
    answers = [problem.solve([0.3, -0.2], [3.0, 4.0]) for _ in range(2)]
    answers.append(circle().solve([0.3, -0.2], [3.0, 4.0]))
    assert len({answer.x.tobytes() for answer in answers}) == 1


def test_it_stops_between_iterations_when_told() -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    found = circle().solve([0.3, -0.2], [3.0, 4.0], iterations=30, stop=stop)
    assert found.iterations == 2
    assert found.reason.startswith("SQP: out of time")


def test_a_model_that_is_not_finite_fails_in_words() -> None:
    x = ca.SX.sym("x", 1)
    found = RealTimeSqp(x, ca.log(x)).solve([-1.0])
    assert found.status is Status.FAILED
    assert not found.usable
    assert "not finite" in found.reason


def test_contradictory_linear_constraints_fail_in_words() -> None:
    x = ca.SX.sym("x", 1)
    found = RealTimeSqp(x, x, g=ca.vertcat(x, x), g_lo=[1.0, -5.0], g_hi=[5.0, -1.0]).solve([0.0])
    assert not found.usable
    with pytest.raises(ProblemError, match="NaN"):
        RealTimeSqp(x, x).solve([np.nan])
