from __future__ import annotations

import numpy as np
import pytest

from tests.twin.optim.heated_tank import MODEL
from twin.analyze.kalman import Kalman, Noise
from twin.analyze.moving_horizon import MovingHorizon
from twin.optim import ProblemError
from twin.optim.linearised import Linearised
from twin.optim.result import Floats
from twin.optim.transition import Transition

AT = MODEL.point()
NOISE = Noise({"outlet_c": 0.1, "water_c": 0.1}, {"inlet_c": 0.1}, {})


def model() -> Linearised:
    return Linearised(Transition(MODEL, 10.0, ("inlet_c",)), ("outlet_c", "water_c"))


def measured(steps: int, inlet_c: float) -> list[tuple[Floats, Floats, Floats]]:
    """Setpoints, measurements and true states of the tank, noise from a seed."""
    rng = np.random.default_rng(3)
    x, found = AT.x.copy(), []
    for k in range(steps):
        u = AT.u + np.array([3.0 * (k % 5), 0.0, 0.0])
        MODEL.stepper()(x, u, np.array([inlet_c]), AT.p, 10.0, x)
        found.append((u, x[::-1] + 0.1 * rng.normal(size=2), x.copy()))
    return found


def test_on_a_linear_model_it_agrees_with_the_filter() -> None:
    window, kalman = MovingHorizon(model(), NOISE, steps=6), Kalman(model(), NOISE)
    belief, filtered = window.begin(AT.x), kalman.begin(AT.x)
    for u, y, _ in measured(40, 26.0):
        belief, filtered = window.update(belief, u, AT.d, y), kalman.update(filtered, u, AT.d, y)
    assert belief.reason == "SQP: converged"
    assert belief.x == pytest.approx(filtered.x, abs=0.02)
    assert belief.w == pytest.approx(filtered.w, abs=0.05)
    assert (belief.deviation == filtered.deviation).all()


def test_it_keeps_the_limits_of_the_states_which_the_filter_only_clips() -> None:
    window = MovingHorizon(model(), NOISE, steps=5)
    belief = window.begin(AT.x)
    for _ in range(12):
        belief = window.update(belief, AT.u, AT.d, np.array([104.0, 104.0]))
    z = np.array([step.z for step in belief.steps])
    assert z[:, :2].max() <= 100.0 + 1e-6


def test_gaps_and_outliers_are_left_out_of_the_window() -> None:
    window = MovingHorizon(model(), NOISE, steps=6)
    belief = window.begin(AT.x)
    for k, (u, y, x) in enumerate(measured(40, 20.0)):
        seen = y.copy()
        if k % 4 == 1:
            seen[0] = np.nan
        if k == 38:
            seen[1] += 40.0
        belief = window.update(belief, u, AT.d, seen)
        if k > 10:
            assert belief.x == pytest.approx(x, abs=0.6)


def test_where_the_window_cannot_be_solved_the_filter_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = MovingHorizon(model(), NOISE, steps=3)
    belief = window.begin(AT.x)
    assert belief.reason == "nothing measured yet"
    nan = np.full(12, np.nan)
    for k, (u, y, _) in enumerate(measured(6, 20.0)):
        if k == 5:
            known = window._window.solve

            def broken(*args: object, _known=known) -> object:
                _, found = _known(*args)
                return nan.reshape(4, 3), found

            monkeypatch.setattr(window._window, "solve", broken)
        belief = window.update(belief, u, AT.d, y)
    assert belief.reason.startswith("filter alone")
    assert belief.x.tolist() == belief.filtered.x.tolist()


def test_a_window_without_steps_is_refused() -> None:
    with pytest.raises(ProblemError, match="remembers nothing"):
        MovingHorizon(model(), NOISE, steps=0)
