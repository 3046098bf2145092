from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.reactors import stirred
from tests.twin.optim.heated_tank import MODEL
from twin.analyze.kalman import Belief, Kalman, Noise, chi_square
from twin.optim import ProblemError
from twin.optim.linearised import Linearised
from twin.optim.result import Floats
from twin.optim.transition import Transition
from twin.processes import load

AT = MODEL.point()
SENSORS = {"outlet_c": 0.1, "water_c": 0.1}


def tank(
    disturbances: dict[str, float] | None = None, sensors: dict[str, float] | None = None
) -> Kalman:
    walk = {"inlet_c": 0.1} if disturbances is None else disturbances
    measured = SENSORS if sensors is None else sensors
    model = Linearised(Transition(MODEL, 10.0, tuple(walk)), tuple(measured))
    return Kalman(model, Noise(measured, walk, {}))


def course(
    kalman: Kalman, steps: int, inlet_c: float = 20.0, seed: int = 5, noise: float = 0.1
) -> tuple[Belief, Floats]:
    """The tank with another inlet than it is told; setpoints move, and noise is drawn from a seed."""
    rng = np.random.default_rng(seed)
    belief, x = kalman.begin(AT.x), AT.x.copy()
    for k in range(steps):
        u = AT.u + np.array([5.0 * (k % 7), 0.0, 0.0])
        MODEL.stepper()(x, u, np.array([inlet_c]), AT.p, 10.0, x)
        seen = {"outlet_c": x[1], "water_c": x[0]}
        y = np.array([seen[name] for name in kalman.model.measurements])
        belief = kalman.update(belief, u, AT.d, y + noise * rng.normal(size=len(y)))
    return belief, x


def test_a_disturbance_is_learned_and_the_truth_lies_within_what_is_said_of_it() -> None:
    kalman = tank()
    errors = []
    for seed in range(40):
        belief, x = course(kalman, 80, inlet_c=26.0, seed=seed)
        errors.append(np.append(belief.x - x, belief.w - 6.0) / belief.deviation)
    spread = np.sqrt(np.mean(np.square(errors), axis=0))
    assert np.abs(np.mean(errors, axis=0)).max() < 0.75
    assert (spread < 1.6).all()


def test_an_outlier_is_left_out_but_a_new_plant_is_believed_after_a_while() -> None:
    kalman = tank()
    belief, x = course(kalman, 60)
    wild = kalman.update(belief, AT.u, AT.d, np.array([x[1] + 30.0, x[0]]))
    assert wild.left_out[0]
    assert wild.x == pytest.approx(x, abs=2.0)
    assert wild.surprise > 1.0
    for _ in range(4):
        wild = kalman.update(wild, AT.u, AT.d, np.array([x[1] + 30.0, x[0]]))
    assert wild.x[1] > x[1] + 3.0


def test_after_a_real_step_every_sample_is_taken_until_one_is_inside_the_gate() -> None:
    kalman = tank()
    belief, x = course(kalman, 60)
    # Far beyond what the filter can follow: each sample lies outside the gate.
    refused = []
    for n in range(12):
        belief = kalman.update(belief, AT.u, AT.d, np.array([x[1] + 300.0 * (n + 1), x[0]]))
        assert abs(belief.innovation[0]) > 4.0
        refused.append(belief.left_out[0])
    assert refused == [True] * 3 + [False] * 9
    blind = kalman.update(belief, AT.u, AT.d, np.full(2, np.nan))
    assert blind.outside == belief.outside  # what was not measured is not inside
    after, _, _ = kalman.model.ahead(np.concatenate((belief.x, belief.w)), AT.u, AT.d)
    expected, _, _ = kalman.model.measured(after, AT.u, AT.d)
    belief = kalman.update(belief, AT.u, AT.d, expected)
    assert belief.outside == (0, 0)
    assert kalman.update(belief, AT.u, AT.d, expected + 1e4).left_out == (True, True)


def test_what_was_not_measured_teaches_nothing_and_makes_less_sure() -> None:
    kalman = tank()
    belief, _ = course(kalman, 60)
    blind = kalman.update(belief, AT.u, AT.d, np.full(2, np.nan))
    assert np.isnan(blind.innovation).all()
    assert blind.w == pytest.approx(belief.w)
    assert blind.deviation[-1] > belief.deviation[-1]
    half = kalman.update(belief, AT.u, AT.d, np.array([np.nan, belief.x[0]]))
    assert np.isfinite(half.x).all()


def test_the_covariance_stays_symmetric_and_positive() -> None:
    belief, _ = course(tank(), 300)
    assert belief.covariance == pytest.approx(belief.covariance.T, abs=1e-12)
    assert np.linalg.eigvalsh(belief.covariance).min() > 0.0


def test_a_wrong_model_surprises() -> None:
    kalman = tank({}, {"outlet_c": 0.1, "water_c": 0.1})
    assert course(kalman, 40)[0].surprise < 1.0
    assert course(kalman, 3, inlet_c=35.0)[0].surprise > 1.0


def test_slow_parameters_are_learned_like_disturbances() -> None:
    transition = Transition(stirred.MODEL, 18.0, ("feed_warmer_k", "feed_a"))
    kalman = Kalman(
        Linearised(transition, ("b_mol_per_l", "temperature_c")),
        Noise(
            {"b_mol_per_l": 0.002, "temperature_c": 0.05},
            {"feed_warmer_k": 0.2, "feed_a": 0.01},
            {},
        ),
    )
    at = stirred.MODEL.point(feed_a=5.3, feed_per_h=18.0)
    x, belief = at.x.copy(), kalman.begin()
    for _ in range(150):
        for _ in range(2):
            stirred.MODEL.stepper()(x, at.u, np.array([10.0]), at.p, 9.0, x)
        belief = kalman.update(belief, at.u, at.d, x[1:3])
    assert belief.w == pytest.approx([10.0, 0.2], rel=0.03)


def test_a_part_is_corrected_with_the_wear_that_it_was_made_with() -> None:
    cutting = load("cutting")
    model = Linearised(Transition(cutting, 60.0, ("hardness_rel",)), ("energy_kwh",))
    kalman = Kalman(model, Noise({"energy_kwh": 0.0005}, {"hardness_rel": 0.01}, {"wear_mm": 1e-5}))
    at = cutting.point()
    belief, wear = kalman.begin(), 0.0
    for _ in range(20):
        out = cutting.numbers()(np.array([wear]), at.u, np.array([1.2]), at.p)
        wear += out[4]
        belief = kalman.update(belief, at.u, at.d, np.array([out[1]]))
    assert belief.x[0] == pytest.approx(wear, rel=0.2)
    assert belief.w[0] == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    ("disturbances", "sensors", "said"),
    [
        ({"inlet_c": 0.1, "heater_kw": 0.1}, SENSORS, "inlet_c, heater_kw cannot be told apart"),
        ({"lamp_kw": 0.1}, SENSORS, "lamp_kw cannot be told apart"),
        (
            {"inlet_c": 0.1, "bias.outlet_c": 0.1},
            {"outlet_c": 0.1},
            "inlet_c, bias.outlet_c cannot be told apart by measuring outlet_c",
        ),
    ],
)
def test_disturbances_that_cannot_be_told_apart_are_named(
    disturbances: dict[str, float], sensors: dict[str, float], said: str
) -> None:
    with pytest.raises(ProblemError, match=said):
        tank(disturbances, sensors)


def test_two_disturbances_with_effects_of_their_own_are_told_apart() -> None:
    belief, _ = course(tank({"inlet_c": 0.1, "bias.outlet_c": 0.1}), 400, inlet_c=23.0)
    assert belief.w == pytest.approx([3.0, 0.0], abs=0.5)


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        (Noise(SENSORS, {}, {}), "inlet_c"),
        (Noise({"outlet_c": 0.1}, {"inlet_c": 0.1}, {}), "water_c"),
        (Noise({**SENSORS, "outlet_c": 0.0}, {"inlet_c": 0.1}, {}), "outlet_c"),
        (Noise(SENSORS, {"inlet_c": -1.0}, {}), "inlet_c"),
        (Noise(SENSORS, {"inlet_c": 0.1}, {"steam_c": 1.0}), "steam_c"),
    ],
)
def test_noise_that_is_missing_unknown_or_impossible_is_named(noise: Noise, said: str) -> None:
    model = Linearised(Transition(MODEL, 10.0, ("inlet_c",)), tuple(SENSORS))
    with pytest.raises(ProblemError, match=said):
        Kalman(model, noise)


def test_unknown_measurements_and_unknown_inputs_are_refused() -> None:
    with pytest.raises(ProblemError, match="steam_c"):
        Linearised(Transition(MODEL, 10.0), ("steam_c",))
    kalman = tank()
    with pytest.raises(ProblemError, match="finite"):
        kalman.update(kalman.begin(), np.full(3, np.nan), AT.d, np.zeros(2))


def test_beliefs_are_records() -> None:
    belief = tank().begin()
    assert replace(belief, surprise=2.0).surprise == 2.0
    assert belief.surprise == 0.0


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 6.635), (2, 9.210), (5, 15.086), (20, 37.566)]
)
def test_quantiles_of_chi_square(freedom: int, quantile: float) -> None:
    assert chi_square(0.99, freedom) == pytest.approx(quantile, rel=0.01)
