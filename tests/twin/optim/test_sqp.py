from __future__ import annotations

from typing import Any

import casadi
import numpy as np
import pytest

from twin.optim import ProblemError, Status
from twin.optim.nlp import NlpProblem
from twin.optim.sqp import OcpStages, SqpProblem
from twin.processes import load

ca: Any = casadi
QPS = pytest.mark.parametrize("qp", ["qrqp", "piqp"])


def circle(qp: str = "qrqp", feasibility_tolerance: float = 1e-6) -> SqpProblem:
    """Point of the unit circle nearest to p, from outside: p / |p|."""
    x, p = ca.SX.sym("x", 2), ca.SX.sym("p", 2)
    return SqpProblem(
        x, r=x - p, g=ca.sumsqr(x), p=p, g_lo=-np.inf, g_hi=1.0, qp=qp,
        feasibility_tolerance=feasibility_tolerance,
    )  # fmt: skip


@QPS
def test_gauss_newton_finds_the_analytic_optimum(qp: str) -> None:
    solution = circle(qp).solve([0.3, -0.2], [3.0, 4.0])
    assert solution.status is Status.SOLVED
    assert solution.solver == f"sqp/{qp}"
    assert solution.x == pytest.approx([0.6, 0.8], abs=1e-5)
    assert solution.objective == pytest.approx(8.0, abs=1e-4)
    assert solution.feasible
    assert solution.kkt_residual <= 1e-6
    # Stationarity: x - p + 2 multiplier x = 0.
    assert solution.multipliers == pytest.approx([2.0], abs=1e-4)


def test_the_exact_hessian_is_made_convex() -> None:
    x = ca.SX.sym("x", 2)
    saddle = SqpProblem(x, f=x[0] ** 4 - x[0] ** 2 + x[0] * x[1] + x[1] ** 2, x_lo=-2.0, x_hi=2.0)
    solution = saddle.solve([0.1, 0.05])
    assert solution.solver == "sqp/qrqp"
    assert solution.status is Status.SOLVED
    # y = -x/2, then 4 x^3 = 5/2 x.
    assert abs(solution.x[0]) == pytest.approx((5.0 / 8.0) ** 0.5, abs=1e-5)


def test_a_warm_start_needs_one_iteration_after_a_small_change() -> None:
    problem = circle(feasibility_tolerance=1e-4)
    cold = problem.solve([0.3, -0.2], [3.0, 4.0])
    warm = problem.solve([0.3, -0.2], [3.01, 4.0], warm=cold, iterations=1)
    assert warm.iterations == 1
    assert warm.status is Status.ITERATION_LIMIT
    assert warm.solver == "sqp/qrqp"
    assert warm.usable
    assert warm.x == pytest.approx(np.array([3.01, 4.0]) / np.hypot(3.01, 4.0), abs=2e-3)


def test_the_same_problem_has_the_same_answer_bit_for_bit() -> None:
    problem = circle()
    answers = [problem.solve([0.3, -0.2], [3.0, 4.0]) for _ in range(2)]
    answers.append(circle().solve([0.3, -0.2], [3.0, 4.0]))
    assert len({answer.x.tobytes() for answer in answers}) == 1


def test_ipopt_takes_over_and_is_named_when_a_step_cannot_be_solved() -> None:
    x = ca.SX.sym("x", 2)
    # At the start the linearised constraints contradict each other; the problem itself is feasible.
    problem = SqpProblem(
        x,
        r=x - 1.0,
        g=ca.vertcat(x[0] ** 2, x[0] - x[1] ** 2),
        g_lo=[0.25, 0.0],
        g_hi=[np.inf, 0.0],
        x_lo=[-1.0, -1.0],
        x_hi=2.0,
    )
    alone = problem.solve([0.0, 0.1], fall_back=False)
    assert alone.status is Status.FAILED
    assert not alone.feasible
    solution = problem.solve([0.0, 0.1])
    assert solution.solver == "ipopt"
    assert solution.reason.startswith("SQP: ")
    assert solution.status is Status.SOLVED
    assert solution.x == pytest.approx([1.0, 1.0], abs=1e-5)


def test_an_infeasible_problem_is_said_to_be_so() -> None:
    x = ca.SX.sym("x", 2)
    problem = SqpProblem(x, r=x, g=ca.sumsqr(x), g_lo=-5.0, g_hi=-1.0)
    solution = problem.solve([1.0, 1.0])
    assert solution.status is Status.INFEASIBLE
    assert not solution.feasible


def test_a_model_that_is_not_finite_is_not_solved() -> None:
    x = ca.SX.sym("x")
    solution = SqpProblem(x, f=ca.log(x)).solve([-1.0], fall_back=False)
    assert solution.status is Status.FAILED
    assert "not finite" in solution.reason
    assert not solution.feasible


def test_nan_is_refused() -> None:
    with pytest.raises(ProblemError, match="parameters p"):
        circle().solve([0.0, 0.0], [np.nan, 1.0])
    with pytest.raises(ProblemError, match="start x0"):
        circle().solve([np.nan, 0.0], [1.0, 1.0])


def shooting(horizon: int, *, structured: bool) -> SqpProblem:
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
    return SqpProblem(
        ca.vertcat(*w), r=ca.vertcat(*r), g=ca.vertcat(*g), p=start, x_lo=lo, x_hi=hi, stages=stages
    )


def test_structured_and_dense_steps_reach_the_same_control_plan_as_ipopt() -> None:
    start, guess = [1.5, 0.0], np.zeros(2 + 3 * 20)
    structured = shooting(20, structured=True).solve(guess, start)
    dense = shooting(20, structured=False).solve(guess, start)
    assert (structured.solver, dense.solver) == ("sqp/hpipm", "sqp/qrqp")
    assert structured.status is dense.status is Status.SOLVED
    assert structured.x == pytest.approx(dense.x, abs=1e-4)
    problem = shooting(20, structured=False).problem
    reference = NlpProblem(
        problem.x, problem.f, problem.g, problem.p, x_lo=problem.x_lo, x_hi=problem.x_hi
    ).solve(guess, start)
    assert dense.objective == pytest.approx(reference.objective, rel=1e-5)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for qp in ("qrqp", "piqp"):
        circle(qp).solve([0.3, -0.2], [3.0, 4.0])
    shooting(5, structured=True).solve(np.zeros(17), [1.5, 0.0])
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
    problem = SqpProblem(
        z, f=y[1] / reference[1], g=ca.vertcat(y[0], 1e3 * y[3]),
        x_lo=0.0, x_hi=1.0, g_lo=-np.inf, g_hi=limits,
    )  # fmt: skip
    solution = problem.solve((point.u - lo) / span)
    assert solution.status is Status.SOLVED
    assert 0.05 <= 1.0 - solution.objective <= 0.09
    best = model.numbers()(point.x, lo + span * solution.x, point.d, point.p)
    assert best[1] / reference[1] == pytest.approx(solution.objective, rel=1e-9)
    assert best[3] <= reference[3] + 0.001 + 1e-8
