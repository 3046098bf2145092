from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.twin.optim.heated_tank import MODEL
from twin.optim.ladder import Answer, Ladder, Memory, Rung
from twin.optim.result import Floats, Solution, Status
from twin.optim.shooting import Here, Shooting
from twin.optim.task import Aim, Band, Move, TrackingTask

TASK = TrackingTask(
    MODEL, 10.0, 8,
    (
        Move("heater_kw", 0.0, 80.0, rate_per_s=0.5, weight=1e-4),
        Move("inflow_kg_per_s", 0.3, 0.8, weight=1.0),
    ),
    aims=(Aim("outlet_c", 1.0),),
    bands=(Band("outlet_c", hi=60.0, weight=20.0),),
)  # fmt: skip
AT = MODEL.point()
HERE = Here(AT.x, AT.u, np.array([45.0]), AT.d, np.zeros(0))


@pytest.fixture
def ladder() -> Ladder:
    return Ladder(Shooting(TASK), hold_steps=2)


def warm(ladder: Ladder) -> Memory:
    answer, memory = ladder.solve(HERE, Memory())
    assert answer.rung is Rung.IPOPT
    return memory


def fails(ladder: Ladder, *rungs: Rung) -> None:
    """From now on these solvers answer with rubbish that they call a failure."""
    sqp, nlp = ladder._sqp.solve, ladder._nlp.solve

    def rubbish(x: Any, name: str) -> Solution:
        return Solution(
            np.full(len(x), np.nan), np.nan, Status.FAILED, 1, np.nan, False, f"{name} broken", name
        )

    def by_sqp(x0: Any, *args: Any, **options: Any) -> Solution:
        name = f"sqp/{options['solver']}"
        return rubbish(x0, name) if name in rungs else sqp(x0, *args, **options)

    def by_ipopt(x0: Any, *args: Any, **options: Any) -> Solution:
        return rubbish(x0, "ipopt") if Rung.IPOPT in rungs else nlp(x0, *args, **options)

    ladder._sqp.solve = by_sqp  # type: ignore[method-assign]
    ladder._nlp.solve = by_ipopt  # type: ignore[method-assign]


def test_the_first_solve_is_ipopts_and_the_next_by_hpipm(ladder: Ladder) -> None:
    answer, memory = ladder.solve(HERE, warm(ladder))
    assert answer.rung is Rung.HPIPM
    assert answer.optimised
    assert 0 <= answer.iterations <= 3
    assert answer.kkt_residual < 1e-2
    assert memory.failures == 0


@pytest.mark.parametrize(
    ("broken", "rung"),
    [
        ((Rung.HPIPM,), Rung.PIQP),
        ((Rung.HPIPM, Rung.PIQP), Rung.IPOPT),
        ((Rung.HPIPM, Rung.PIQP, Rung.IPOPT), Rung.SHIFTED),
    ],
)
def test_each_rung_stands_in_for_those_above(
    ladder: Ladder, broken: tuple[Rung, ...], rung: Rung
) -> None:
    memory = warm(ladder)
    wanted, _ = ladder.solve(HERE, memory)
    fails(ladder, *broken)
    answer, _ = ladder.solve(HERE, memory)
    assert answer.rung is rung
    assert answer.u == pytest.approx(wanted.u, abs=1.0)
    assert [reason.split()[0] for reason in answer.reasons[: len(broken)]] == list(broken)


def test_without_solvers_the_plan_is_followed_to_its_end_then_held_then_shed(
    ladder: Ladder,
) -> None:
    first, memory = ladder.solve(HERE, Memory())
    plan = first.plan
    assert plan is not None
    fails(ladder, Rung.HPIPM, Rung.PIQP, Rung.IPOPT)
    rungs, u, here = [], [], replace(HERE, u=first.u)
    for _ in range(12):
        answer, memory = ladder.solve(here, memory)
        rungs.append(answer.rung)
        u.append(answer.u)
        here = replace(here, u=answer.u)
    assert rungs == [Rung.SHIFTED] * 7 + [Rung.HOLD] * 2 + [Rung.SHED] * 3
    assert np.array(u[:7])[:, 0] == pytest.approx(plan.u[1:, 0], abs=1e-6)
    assert all((later == u[6]).all() for later in u[7:])


def test_setpoints_in_force_beyond_their_limits_are_not_held_there(ladder: Ladder) -> None:
    unknown = replace(HERE, x=np.full(len(HERE.x), np.nan))
    at = ladder.shooting.moved

    def held(*told: float) -> Floats:
        u = HERE.u.copy()
        u[list(at)] = told
        answer, _ = ladder.solve(replace(unknown, u=u), Memory())
        assert answer.rung is Rung.HOLD
        return answer.u[list(at)]

    assert held(83.0, 0.29) == pytest.approx([80.0, 0.3])
    assert held(95.0, 0.5) == pytest.approx([90.0, 0.5])  # 5 kW a step are allowed
    assert held(40.0, 0.5) == pytest.approx([40.0, 0.5])


def test_after_several_failures_the_next_solve_starts_cold(ladder: Ladder) -> None:
    spoilt = replace(warm(ladder), point=np.full(ladder.shooting.n, 0.9), failures=3)
    guess = ladder.shooting.guess(HERE)
    seen = []
    sqp = ladder._sqp.solve

    def watched(x0: Any, *args: Any, **options: Any) -> Solution:
        seen.append(x0)
        return sqp(x0, *args, **options)

    ladder._sqp.solve = watched  # type: ignore[method-assign]
    answer, _ = ladder.solve(HERE, spoilt)
    assert answer.optimised
    assert (seen[0] == guess).all()


def test_a_plan_of_another_task_is_not_followed(ladder: Ladder) -> None:
    answer, _ = ladder.solve(HERE, Memory(point=np.zeros(7)))
    assert answer.rung is Rung.IPOPT


def test_a_plan_that_costs_far_more_than_its_start_is_not_believed(ladder: Ladder) -> None:
    memory = warm(ladder)
    sqp = ladder._sqp.solve

    def spoilt(here: Here) -> Any:
        """A solver that is right in itself, but for other references than it was asked for."""

        def solve(x0: Any, p: Any, *args: Any, **options: Any) -> Solution:
            found = sqp(x0, ladder.shooting.parameters(here), *args, **options)
            return replace(found, multipliers=np.zeros_like(found.multipliers))

        return solve

    ladder._sqp.solve = spoilt(replace(HERE, references=np.array([90.0])))  # type: ignore[method-assign]
    answer, _ = ladder.solve(HERE, memory)
    assert answer.rung is Rung.IPOPT
    assert "merit" in answer.reasons[0]


def test_what_a_solver_says_of_itself_is_not_believed(ladder: Ladder) -> None:
    memory = warm(ladder)
    sqp = ladder._sqp.solve

    def boasts(*args: Any, **options: Any) -> Solution:
        return replace(sqp(*args, **options), x=np.zeros(ladder.shooting.n), kkt_residual=0.0)

    ladder._sqp.solve = boasts  # type: ignore[method-assign]
    answer, _ = ladder.solve(HERE, memory)
    assert answer.rung is Rung.IPOPT
    assert "not feasible" in answer.reasons[0]


@pytest.mark.parametrize("seconds", range(8))
def test_no_rung_begins_after_the_deadline(ladder: Ladder, seconds: int) -> None:
    memory = warm(ladder)
    clock: Iterator[int] = count()
    moved = replace(HERE, references=np.array([55.0]))
    answer, _ = ladder.solve(moved, memory, time_s=lambda: next(clock), deadline_s=float(seconds))
    # The clock goes on by a second whenever it is asked: once a rung, once an iteration.
    assert next(clock) <= seconds + 4
    assert np.isfinite(answer.u).all()
    assert answer.rung is Rung.SHIFTED or seconds >= 2
    assert answer.optimised or seconds < 4


def test_ipopt_is_interrupted_by_the_clock(ladder: Ladder) -> None:
    clock: Iterator[int] = count()
    answer, memory = ladder.solve(HERE, Memory(), time_s=lambda: next(clock), deadline_s=3.0)
    assert answer.rung is Rung.HOLD
    assert "User_Requested_Stop" in answer.reasons[0]
    assert answer.u.tolist() == AT.u.tolist()
    assert (memory.failures, memory.held) == (0, 1)
    # What there was no time for by IPOPT is done by Gauss-Newton steps the next time.
    answer, _ = ladder.solve(HERE, memory)
    assert answer.rung is Rung.HPIPM


@pytest.mark.parametrize("name", ["x", "u", "references", "d"])
def test_an_unknown_start_is_named_and_the_plan_is_followed(ladder: Ladder, name: str) -> None:
    memory = warm(ladder)
    unknown = replace(HERE, **{name: np.full(len(getattr(HERE, name)), np.nan)})
    answer, _ = ladder.solve(unknown, memory)
    assert answer.rung is Rung.SHIFTED
    assert answer.reasons[0].endswith("unknown")
    assert np.isfinite(answer.u).all()


def test_binding_limits_have_prices_in_money_per_unit(ladder: Ladder) -> None:
    def optimum(limit_c: float) -> tuple[Answer, float]:
        task = replace(TASK, bands=(Band("outlet_c", hi=limit_c, weight=100.0),))
        own = Ladder(Shooting(task), iterations=30)
        here = replace(HERE, references=np.array([50.0]))
        answer, _ = own.solve(here, Memory())
        assert answer.point is not None
        cost, _ = own._sqp.problem.values(answer.point, own.shooting.parameters(here))
        return answer, cost * own.shooting.money

    (tight, dear_eur), (_, cheap_eur) = optimum(44.0), optimum(44.01)
    price = {(b.name, b.side): b.price for b in tight.binding}["outlet_c", "hi"]
    # What a hundredth of a kelvin more is worth, by solving twice.
    assert price == pytest.approx((dear_eur - cheap_eur) / 0.01, rel=0.02)


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)


@pytest.fixture(scope="module")
def shared() -> tuple[Ladder, Memory]:
    own = Ladder(Shooting(TASK))
    return own, own.solve(HERE, Memory())[1]


@settings(
    max_examples=60, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(x=st.tuples(numbers, numbers), u=st.tuples(numbers, numbers), wanted=numbers, inlet=numbers)
def test_whatever_comes_in_finite_setpoints_within_the_rates_come_out(
    shared: tuple[Ladder, Memory],
    x: tuple[float, float],
    u: tuple[float, float],
    wanted: float,
    inlet: float,
) -> None:
    ladder, memory = shared
    force: Floats = np.array([*u, 0.0], dtype=np.float64)
    here = Here(np.array(x), force, np.array([wanted]), np.array([inlet]), np.zeros(0))
    for known in (memory, Memory()):
        answer, _ = ladder.solve(here, known)
        assert np.isfinite(answer.u).all()
        if np.isfinite(force[0]):
            assert abs(answer.u[0] - force[0]) <= 5.0 * (1.0 + 1e-9) + 1e-6 * abs(force[0])


def test_the_same_step_has_the_same_answer_bit_for_bit() -> None:
    def run() -> bytes:
        own = Ladder(Shooting(TASK))
        memory, here, found = Memory(), HERE, b""
        for _ in range(4):
            answer, memory = own.solve(here, memory)
            here = replace(here, u=answer.u)
            found += answer.u.tobytes()
        return found

    solve: Callable[[], bytes] = run
    assert solve() == solve()
