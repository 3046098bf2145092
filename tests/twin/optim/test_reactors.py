"""The benchmark's reactors are process models like anybody's, and the product controls them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.reactors.problems import PROBLEMS, Problem
from twin.optim.ladder import Ladder, Memory, Rung
from twin.optim.shooting import Here, Shooting
from twin.processes.check import check_process_model

EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)


@EACH
def test_a_reactor_keeps_the_contract_of_process_models(problem: Problem) -> None:
    check_process_model(problem.task.model, points=8)


@EACH
def test_ten_steps_on_the_nominal_plant_need_ipopt_once_and_keep_the_prediction(
    problem: Problem,
) -> None:
    task, model = problem.task, problem.task.model
    ladder, memory, at = Ladder(Shooting(task)), Memory(), problem.task.model.point()
    x, u, wanted = at.x.copy(), np.array(problem.u), np.full(len(task.aims), 0.6)
    rungs, plans, states = [], [], []
    for _ in range(10):
        answer, memory = ladder.solve(Here(x.copy(), u, wanted, at.d, np.zeros(0)), memory)
        rungs.append(answer.rung)
        plans.append(answer.plan)
        states.append(x.copy())
        u = answer.u
        for _ in range(round(task.step_s / problem.plant_step_s)):
            model.stepper()(x, u, at.d, at.p, problem.plant_step_s, x)
    assert rungs[0] is Rung.IPOPT
    assert set(rungs[1:]) == {Rung.HPIPM}
    spans = np.array([q.hi - q.lo for q in model.states])
    errors = []
    for plan, (_, after) in zip(plans, pairwise(states), strict=False):
        assert plan is not None
        errors.append(np.max(np.abs(plan.x[1] - after) / spans))
    # The cold heat exchanger of the polymerisation warms by 47 K in the first step: fast states are
    # damped by one implicit step and not followed.
    assert errors[0] < 0.03
    assert max(errors[1:]) < 5e-3
