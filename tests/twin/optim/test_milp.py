from __future__ import annotations

import math

import numpy as np
import pytest

from twin.optim import ProblemError, Status
from twin.optim.milp import MilpProblem


def on_off(machines: int, blocks: int, whole: int) -> MilpProblem:
    """Machines in series over an hour: on or off, two blocks of warm-up, buffers, two prices.

    Variables by machine and block: on, started, flow; then stocks and the backlog. Switching is
    decided in whole blocks for the first ``whole`` of them, in fractions after that.
    """
    problem = MilpProblem()
    h, start_kwh, minimum_blocks = 1.0 / blocks, 0.1, 4
    rate = [3.0 * (1.0 + 0.03 * ((7 * m) % 5)) for m in range(machines)]
    price = [0.16 if k < blocks // 2 else 0.22 for k in range(blocks)]
    on = [
        (*problem.add_variables(whole, hi=1.0, integer=True),
         *problem.add_variables(blocks - whole, hi=1.0))
        for _ in range(machines)
    ]  # fmt: skip
    started = [problem.add_variables(blocks, hi=1.0) for _ in range(machines)]
    flow = [problem.add_variables(blocks, hi=9.0) for _ in range(machines)]
    stock = [problem.add_variables(blocks, hi=10.0) for _ in range(machines - 1)]
    backlog = problem.add_variables(blocks)
    for m in range(machines):
        for k in range(blocks):
            problem.set_costs(
                {
                    on[m][k]: price[k] * h * (3.0 + 0.3 * (m % 4)),
                    started[m][k]: price[0] * start_kwh,
                    flow[m][k]: price[k] * 0.05,
                }
            )
            warming = {started[m][k - i]: rate[m] for i in range(min(2, k + 1))}
            problem.add_constraint({flow[m][k]: 1.0, on[m][k]: -rate[m], **warming}, hi=0.0)
            # All machines are on before the first block.
            before = {on[m][k - 1]: 1.0} if k else {}
            switched = {started[m][k]: 1.0, on[m][k]: -1.0, **before}
            problem.add_constraint(switched, lo=0.0 if k else -1.0)
            recent = {started[m][k - i]: 1.0 for i in range(min(minimum_blocks, k + 1))}
            problem.add_constraint({**recent, on[m][k]: -1.0}, hi=0.0)
    for k in range(blocks):
        for m in range(machines - 1):
            earlier = {stock[m][k - 1]: -1.0} if k else {}
            balance = {stock[m][k]: 1.0, flow[m][k]: -1.0, flow[m + 1][k]: 1.0, **earlier}
            first = 0.0 if k else 5.0
            problem.add_constraint(balance, lo=first, hi=first)
        problem.set_costs({backlog[k]: 0.05 if k < blocks - 1 else 5.0})
        earlier = {backlog[k - 1]: -1.0} if k else {}
        problem.add_constraint({backlog[k]: 1.0, flow[-1][k]: 1.0, **earlier}, lo=0.8 * 3.0)
    return problem


def test_the_analytic_optimum_of_a_linear_problem() -> None:
    # Maximise 3 a + 5 b: 2 a <= 8, 2 b <= 12, 3 a + 2 b <= 18 gives (2, 6), 36.
    problem = MilpProblem()
    a, b = problem.add_variable(cost=-3.0), problem.add_variable(cost=-5.0)
    problem.add_constraint({a: 2.0}, hi=8.0)
    problem.add_constraint({b: 2.0}, hi=12.0)
    problem.add_constraint({a: 3.0, b: 2.0}, hi=18.0)
    solution = problem.solve()
    assert solution.status is Status.SOLVED
    assert solution.x.tolist() == [2.0, 6.0]
    assert (solution.objective, solution.bound, solution.gap) == (-36.0, -36.0, 0.0)


def test_whole_numbers_differ_from_the_rounded_relaxation() -> None:
    # Maximise 5 a + 8 b: a + b <= 6, 5 a + 9 b <= 45. Relaxed (2.25, 3.75); whole (0, 5), 40.
    problem = MilpProblem()
    a, b = problem.add_variables(2, cost=np.array([-5.0, -8.0]), integer=True)
    problem.add_constraint({a: 1.0, b: 1.0}, hi=6.0)
    problem.add_constraint({a: 5.0, b: 9.0}, hi=45.0)
    solution = problem.solve(gap=0.0)
    assert solution.x.tolist() == [0.0, 5.0]
    assert solution.objective == -40.0
    assert solution.feasible
    assert math.isnan(solution.kkt_residual)


@pytest.mark.parametrize("integer", [False, True])
def test_an_infeasible_problem_is_said_to_be_so(integer: bool) -> None:
    problem = MilpProblem()
    a = problem.add_variable(hi=1.0, integer=integer)
    problem.add_constraint({a: 1.0}, lo=2.0)
    solution = problem.solve()
    assert solution.status is Status.INFEASIBLE
    assert not solution.feasible
    assert np.isnan(solution.x).all()
    assert "no solution" in solution.reason


def test_an_unbounded_problem_fails_with_its_reason() -> None:
    problem = MilpProblem()
    problem.add_variable(cost=-1.0)
    solution = problem.solve()
    assert solution.status is Status.FAILED
    assert "Unbounded" in solution.reason
    assert not solution.feasible


def test_ten_machines_over_an_hour_are_planned_the_same_way_twice() -> None:
    first, second = on_off(10, 24, 6).solve(), on_off(10, 24, 6).solve()
    assert first.status is Status.SOLVED
    assert first.usable
    assert first.gap is not None
    assert first.gap <= 0.01
    assert first.bound is not None
    assert first.bound <= first.objective
    assert first.x.tobytes() == second.x.tobytes()
    on = first.x[: 10 * 24].reshape(10, 24)
    assert np.abs(on[:, :6] - np.round(on[:, :6])).max() < 1e-6
    # Something is switched off, and no part is missing at the end.
    assert 0.0 < on.sum() < 240.0
    assert first.x[-1] == pytest.approx(0.0, abs=1e-6)


def test_switching_off_is_never_costlier_than_always_on() -> None:
    problem = on_off(4, 8, 8)
    best = problem.solve(gap=0.0)
    for column in range(4 * 8):
        problem.add_constraint({column: 1.0}, lo=1.0)
    always_on = problem.solve(gap=0.0)
    assert best.usable
    assert always_on.usable
    assert best.objective < always_on.objective


def test_a_known_plan_is_taken_as_a_start_and_never_lost() -> None:
    known = on_off(4, 8, 8).solve(gap=0.0)
    again = on_off(4, 8, 8).solve(node_limit=0, start=known.x)
    assert again.usable
    assert again.objective <= known.objective + 1e-9


def test_an_unfinished_search_says_so_and_keeps_its_bound() -> None:
    known = on_off(5, 12, 12).solve(gap=0.2)
    stopped = on_off(5, 12, 12).solve(node_limit=0, gap=0.0, start=known.x)
    assert stopped.status is Status.ITERATION_LIMIT
    assert stopped.usable
    assert stopped.bound is not None
    assert stopped.gap is not None
    assert stopped.bound <= stopped.objective <= known.objective
    assert stopped.gap > 0.0


def test_nan_and_unknown_variables_are_refused() -> None:
    problem = MilpProblem()
    a = problem.add_variable()
    with pytest.raises(ProblemError, match="coefficient nan"):
        problem.add_constraint({a: math.nan})
    with pytest.raises(ProblemError, match="no variable 7"):
        problem.add_constraint({7: 1.0})
    with pytest.raises(ProblemError, match="unusable"):
        problem.add_variable(cost=math.nan)
    with pytest.raises(ProblemError, match="unusable"):
        problem.add_constraint({a: 1.0}, lo=2.0, hi=1.0)
    with pytest.raises(ProblemError, match="hi: entries"):
        problem.add_variables(2, hi=[1.0, math.nan])
    with pytest.raises(ProblemError, match="start"):
        problem.solve(start=np.array([math.nan]))
    with pytest.raises(ProblemError, match="cost"):
        problem.set_costs({a: math.inf})


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    on_off(3, 6, 6).solve()
    assert capfd.readouterr() == ("", "")


def test_a_gap_may_be_measured_against_a_sum_of_ones_own() -> None:
    best = on_off(5, 12, 12).solve(gap=0.0)
    known = on_off(5, 12, 12).solve(gap=0.01, against=100.0)
    assert known.gap is not None
    assert known.bound is not None
    assert known.bound <= best.objective <= known.objective <= best.objective + 1.0
    assert known.gap == pytest.approx(max(known.objective - known.bound, 0.0) / 100.0)
