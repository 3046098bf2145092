from __future__ import annotations

from typing import Any

import casadi
import numpy as np
import pytest

from twin.optim import ProblemError, Status
from twin.optim.nlp import NlpProblem
from twin.optim.realtime import OcpStages, RealTimeSqp

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


def shooting(horizon: int, *, structured: bool) -> RealTimeSqp:
    """Bring a pendulum-like state to rest: x_0, u_0, x_1, ... with the start as parameter."""
    w, g, r = [], [], []
    start = ca.SX.sym("start", 2)
    lo: list[float] = []
    hi: list[float] = []
    x = ca.SX.sym("x0", 2)
    w.append(x)
    lo += [-10.0, -10.0]
    hi += [10.0, 10.0]
    g_first = x - start
    for k in range(horizon):
        u = ca.SX.sym(f"u{k}")
        following = ca.SX.sym(f"x{k + 1}", 2)
        w += [u, following]
        lo += [-1.0, -10.0, -10.0]
        hi += [1.0, 10.0, 10.0]
        ahead = ca.vertcat(x[0] + 0.1 * x[1], x[1] + 0.1 * (u - ca.sin(x[0])))
        g.append(ahead - following)
        if k == 0:
            g.append(g_first)
        r += [x, 0.1 * u]
        x = following
    r.append(3.0 * x)
    stages = OcpStages(horizon, 2, 1, (2, *[0] * horizon)) if structured else None
    return RealTimeSqp(
        ca.vertcat(*w), ca.vertcat(*r), g=ca.vertcat(*g), p=start, x_lo=lo, x_hi=hi, stages=stages
    )


def test_structured_and_dense_steps_reach_the_same_control_plan_as_ipopt() -> None:
    start, guess = [1.5, 0.0], np.zeros(2 + 3 * 20)
    structured = shooting(20, structured=True).solve(guess, start, iterations=30)
    dense = shooting(20, structured=False).solve(guess, start, iterations=30)
    assert (structured.solver, dense.solver) == ("sqp/hpipm", "sqp/piqp")
    assert structured.status is dense.status is Status.SOLVED
    assert structured.x == pytest.approx(dense.x, abs=1e-4)
    problem = shooting(20, structured=False).problem
    reference = NlpProblem(
        problem.x, problem.f, problem.g, problem.p, x_lo=problem.x_lo, x_hi=problem.x_hi
    ).solve(guess, start)
    assert dense.objective == pytest.approx(reference.objective, rel=1e-5)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    circle().solve([0.3, -0.2], [3.0, 4.0])
    shooting(5, structured=True).solve(np.zeros(17), [1.5, 0.0])
    assert capfd.readouterr() == ("", "")
