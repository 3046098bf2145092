"""Bands are kept clear by what is not known of the values ahead, and by nothing where all is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controllers.mpc.tracking import StationMpc
from tests.twin.optim.heated_tank import MODEL
from twin.analyze.back_off import LEFT, BackOff
from twin.analyze.kalman import Noise
from twin.optim import ProblemError
from twin.optim.task import Band, Move, TrackingTask
from twin.optim.transition import Transition

AT = MODEL.point()
LO_C = 45.0
CHEAP = TrackingTask(
    MODEL, 10.0, 12, (Move("heater_kw", 0.0, 80.0, weight=1e-5),),
    bands=(Band("outlet_c", lo=LO_C, hi=60.0, weight=5.0),), prices={"power_kw": 1e-3},
    disturbances=("inlet_c",),
)  # fmt: skip
NOISE = Noise({"outlet_c": 0.2}, {"inlet_c": 0.3}, {"water_c": 0.05, "wall_c": 0.05})


def violations(back_off_sd: float, seed: int) -> tuple[float, float]:
    """Share of steps below the band, and mean heat, in an hour of an inlet that walks as the noise says."""
    mpc = StationMpc(replace(CHEAP, back_off_sd=back_off_sd), NOISE)
    rng = np.random.default_rng(seed)
    x, u, memory, inlet = np.array([47.0, 47.0]), AT.u, mpc.begin(np.array([47.0, 47.0])), 20.0
    below, heat = [], []
    for _ in range(360):
        inlet = min(max(inlet + NOISE.walk["inlet_c"] * rng.normal(), 12.0), 28.0)
        MODEL.stepper()(x, u, np.array([inlet]), AT.p, 10.0, x)
        x += 0.05 * rng.normal(size=2)
        y = x[[1]] + NOISE.measured["outlet_c"] * rng.normal(size=1)
        answer, memory = mpc.decide(memory, y, u, np.zeros(0))
        u = answer.answer.u
        below.append(x[1] < LO_C)
        heat.append(u[0])
    return float(np.mean(below[30:])), float(np.mean(heat[30:]))


def test_under_noise_it_leaves_its_band_less_often_and_pays_for_that() -> None:
    without, with_it = (np.mean([violations(sd, seed) for seed in (1, 2)], axis=0) for sd in (0, 2))
    assert without[0] > 0.2  # the cheapest point is the edge itself
    assert with_it[0] < 0.25 * without[0]
    assert without[1] < with_it[1] < 1.2 * without[1]


def test_without_any_doubt_nothing_changes_bit_for_bit() -> None:
    sure = Noise({"outlet_c": 0.2}, {"inlet_c": 0.0}, {"water_c": 0.0, "wall_c": 0.0})
    found = []
    for back_off_sd in (0.0, 3.0):
        mpc = StationMpc(replace(CHEAP, back_off_sd=back_off_sd), sure)
        memory = mpc.begin(AT.x, AT.u)
        memory = replace(memory, belief=replace(memory.belief, covariance=np.zeros((3, 3))))
        u = AT.u
        for y in (40.3, 41.0, 42.0):
            answer, memory = mpc.decide(memory, np.array([y]), u, np.zeros(0))
            u = answer.answer.u
            found.append((back_off_sd, u[0]))
    assert [u for sd, u in found if sd] == [u for sd, u in found if not sd]


def test_the_spread_ahead_is_that_of_many_courses() -> None:
    t = Transition(MODEL, 10.0, ("inlet_c",))
    walk, P = np.array([0.05, 0.05, 0.3]), np.diag([0.4, 0.2, 0.5]) ** 2
    back_off = BackOff(t, CHEAP.bands, 2.0, walk)
    found = back_off.clear(np.array([50.0, 50.0, 0.0]), P, AT.u, AT.d, 8)
    rng = np.random.default_rng(3)
    z = np.array([50.0, 50.0, 0.0]) + rng.normal(size=(4000, 3)) @ np.sqrt(P)
    out = np.zeros(2)
    for k in range(8):
        for row in z:
            MODEL.stepper()(row[:2].copy(), AT.u, AT.d + row[2], AT.p, 10.0, out)
            row[:2] = out
        z += walk * rng.normal(size=z.shape)
        assert found[k, 0] == pytest.approx(2.0 * z[:, 1].std(), rel=0.06)
    assert (np.diff(found[:, 0]) > 0.0).all()


def test_a_band_never_closes_however_little_is_known() -> None:
    t = Transition(MODEL, 10.0, ("inlet_c",))
    back_off = BackOff(t, CHEAP.bands, 3.0, np.full(3, 5.0))
    found = back_off.clear(np.array([50.0, 50.0, 0.0]), np.eye(3) * 400.0, AT.u, AT.d, 6)
    assert found.max() == pytest.approx((1.0 - LEFT) * 7.5)
    with pytest.raises(ProblemError, match="back_off_sd"):
        replace(CHEAP, back_off_sd=-1.0)
