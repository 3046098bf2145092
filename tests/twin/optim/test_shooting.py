from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.twin.optim.heated_tank import MODEL
from twin.optim.result import Floats
from twin.optim.shooting import Here, Shooting
from twin.optim.task import Aim, Band, Move, TrackingTask
from twin.processes import load

MOVES = (
    Move("heater_kw", 0.0, 80.0, rate_per_s=0.5, weight=1e-4),
    Move("inflow_kg_per_s", 0.3, 0.8, weight=1.0),
)


def tank(**changed: Any) -> TrackingTask:
    given: dict[str, Any] = {
        "moves": MOVES,
        "aims": (Aim("outlet_c", 1.0),),
        "bands": (Band("power_kw", hi=70.0, weight=5.0),),
        **changed,
    }
    return TrackingTask(MODEL, 10.0, 12, **given)


def here(reference: float = 45.0, x: Floats | None = None) -> Here:
    at = MODEL.point()
    return Here(at.x if x is None else x, at.u, np.array([reference]), at.d, np.zeros(0))


def test_sqp_by_both_solvers_and_ipopt_find_the_same_plan() -> None:
    shooting = Shooting(tank())
    p, guess = shooting.parameters(here()), shooting.guess(here())
    exact = shooting.nlp().solve(guess, p)
    for solver in ("hpipm", "piqp"):
        found = shooting.sqp().solve(guess, p, iterations=60, solver=solver)
        assert found.usable
        assert found.objective == pytest.approx(exact.objective, rel=1e-3)
        assert shooting.first(found.x, here().u) == pytest.approx(
            shooting.first(exact.x, here().u), abs=0.1
        )


def test_a_plan_keeps_the_model_the_limits_and_the_rates() -> None:
    shooting = Shooting(tank())
    found = shooting.sqp().solve(
        shooting.guess(here(70.0)), shooting.parameters(here(70.0)), iterations=30
    )
    plan = shooting.plan(found.x, here(70.0))
    at = MODEL.point()
    x = at.x.copy()
    for k, u in enumerate(plan.u):
        MODEL.stepper()(x, u, at.d, at.p, 10.0, x)
        assert plan.x[k + 1] == pytest.approx(x, abs=1e-4)
    steps = np.diff(np.vstack([at.u, plan.u]), axis=0)
    assert np.abs(steps[:, 0]).max() <= 5.0 + 1e-5
    assert steps[:, 0].max() > 4.9
    assert plan.u[:, 1].min() >= 0.3 - 1e-6
    assert (plan.u[:, 2] == 0.0).all()
    assert shooting.first(found.x, at.u) == pytest.approx(plan.u[0])


def test_blocked_setpoints_stay_until_their_block_ends() -> None:
    shooting = Shooting(tank(blocks=(2, 3, 3)))
    found = shooting.sqp().solve(shooting.guess(here()), shooting.parameters(here()), iterations=30)
    assert found.usable
    u = shooting.plan(found.x, here()).u[:, 0]
    assert (u[0:2] == u[0]).all()
    assert (u[2:5] == u[2]).all()
    assert (u[5:] == u[5]).all()
    assert len(np.unique(u)) == 3


def test_a_shifted_plan_is_the_plan_one_step_later() -> None:
    shooting = Shooting(tank())
    found = shooting.sqp().solve(shooting.guess(here()), shooting.parameters(here()), iterations=30)
    plan = shooting.plan(found.x, here())
    later = shooting.plan(shooting.shifted(found.x), here())
    assert later.u[:-1] == pytest.approx(plan.u[1:])
    assert later.x[1:-1] == pytest.approx(plan.x[2:])


def test_a_band_that_cannot_be_kept_gives_way_instead_of_the_solve() -> None:
    shooting = Shooting(tank(bands=(Band("outlet_c", 60.0, 65.0, weight=100.0),)))
    found = shooting.sqp().solve(shooting.guess(here()), shooting.parameters(here()), iterations=30)
    plan = shooting.plan(found.x, here())
    assert found.usable
    # Stages 1 to N: the band is too far away at first.
    assert plan.beyond[0, 0] == pytest.approx(60.0 - plan.x[1, 1], abs=1e-3)


def test_a_state_or_setpoint_off_its_limits_starts_at_the_nearest_one() -> None:
    shooting = Shooting(tank())
    at = MODEL.point()
    off = Here(
        np.array([140.0, -5.0]), np.array([95.0, 0.5, 0.0]), np.array([50.0]), at.d, np.zeros(0)
    )
    p = shooting.parameters(off)
    assert p[:5].tolist() == [100.0, 0.0, 80.0, 0.5, 0.0]
    assert shooting.sqp().solve(shooting.guess(off), p, iterations=30).usable


def test_a_per_part_model_is_planned_part_by_part() -> None:
    cutting = load("cutting")
    task = TrackingTask(
        cutting, 60.0, 4,
        (Move("cutting_speed_m_per_min", 200.0, 280.0, weight=1e-5), Move("feed_mm", 0.2, 0.35)),
        bands=(Band("roughness_um", hi=3.2, weight=10.0), Band("cycle_time_s", hi=50.0)),
        prices={"energy_kwh": 0.2, "wear_increment": 30.0},
    )  # fmt: skip
    shooting = Shooting(task)
    at = cutting.point()
    start = Here(at.x, at.u, np.zeros(0), at.d, np.zeros(0))
    found = shooting.nlp().solve(shooting.guess(start), shooting.parameters(start))
    plan = shooting.plan(found.x, start)
    assert found.usable
    cycle_time_s, _, _, _, worn, roughness_um, _ = cutting.numbers()(at.x, plan.u[0], at.d, at.p)
    assert cycle_time_s == pytest.approx(50.0, abs=0.01)
    assert roughness_um == pytest.approx(3.2, abs=0.01)
    assert plan.x[1] == pytest.approx([worn])
