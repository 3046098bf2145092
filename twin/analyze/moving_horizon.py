"""State estimation by a moving window: what the last steps say together, inside the model's limits.

The same seam as `Kalman`: beliefs go in and come out. A Kalman filter runs along; it says how sure
one was at the beginning of the window (the arrival cost), how sure one is now, and it takes over
where the window cannot be solved. Outliers that it leaves out are left out here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from twin.analyze.kalman import Belief, Kalman, Noise, spans
from twin.optim.linearised import Linearised
from twin.optim.result import Floats
from twin.optim.window import EstimationWindow

__all__ = ["MovingHorizon", "WindowBelief"]


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One step of the past: the filter's belief before it, what was applied, and what was measured."""

    before: Belief
    u: Floats
    d: Floats
    y: Floats
    z: Floats
    """The best estimate of its end, to start the next solve from."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowBelief:
    """A belief (see `Belief`) with the window that it rests on; ``reason`` says how the solve ended."""

    now: Belief
    steps: tuple[_Step, ...]
    filtered: Belief
    reason: str

    @property
    def x(self) -> Floats:
        """States."""
        return self.now.x

    @property
    def w(self) -> Floats:
        """Learned disturbances."""
        return self.now.w

    @property
    def covariance(self) -> Floats:
        """Covariance of both, that of the filter that runs along."""
        return self.now.covariance

    @property
    def surprise(self) -> float:
        """That of the filter that runs along."""
        return self.now.surprise

    @property
    def deviation(self) -> Floats:
        """Standard deviations of both, those of the filter that runs along."""
        return self.now.deviation


class MovingHorizon:
    """The estimator of one station over a window of ``steps`` steps; raises like `Kalman`."""

    def __init__(
        self, model: Linearised, noise: Noise, steps: int = 10, iterations: int = 3
    ) -> None:
        self._kalman = Kalman(model, noise)
        self.walk = self._kalman.walk
        self._steps, self._iterations = steps, iterations
        x_span, w_span, _ = spans(model)
        span = np.concatenate((x_span, w_span))
        self._least = 1e-6 * span
        self._window = EstimationWindow(
            model.transition, model.measurements, steps, (self._kalman.lo, self._kalman.hi, span),
            np.maximum(self._kalman.walk, self._least), self._kalman.noise,
        )  # fmt: skip

    def begin(self, x: Floats | None = None) -> WindowBelief:
        """Belief before anything was measured."""
        first = self._kalman.begin(x)
        return WindowBelief(first, (), first, "nothing measured yet")

    def known(self, belief: WindowBelief, x: Mapping[str, float]) -> WindowBelief:
        """The belief after an event that sets states: a window cannot look past it, so it begins anew."""
        now = self._kalman.known(belief.now, x)
        return WindowBelief(now, (), now, "states set")

    def update(self, belief: WindowBelief, u: Floats, d: Floats, y: Floats) -> WindowBelief:
        """One step further: ``u`` was applied in it, ``y`` measured at its end (NaN: nothing was)."""
        filtered = self._kalman.update(belief.filtered, u, d, y)
        used = np.where(filtered.left_out, np.nan, y)
        z = np.concatenate((filtered.x, filtered.w))
        steps = (*belief.steps, _Step(belief.filtered, u, d, used, z))[-self._steps :]
        if len(steps) < self._steps:
            return WindowBelief(filtered, steps, filtered, "filter alone; the window is filling")
        first = steps[0].before
        prior = np.concatenate((first.x, first.w))
        P = first.covariance + np.diag(self._least**2)
        root = np.linalg.inv(np.linalg.cholesky(P))
        past = tuple(
            np.array(column) for column in zip(*((s.u, s.d, s.y) for s in steps), strict=True)
        )
        guess = np.vstack([prior, *(step.z for step in steps)])
        course, found = self._window.solve(prior, root, past, guess, self._iterations)
        if not (found.usable and np.isfinite(course).all()):
            return WindowBelief(filtered, steps, filtered, f"filter alone; {found.reason}")
        n_x = len(filtered.x)
        now = replace(filtered, x=course[-1, :n_x], w=course[-1, n_x:])
        steps = tuple(replace(step, z=z) for step, z in zip(steps, course[1:], strict=True))
        return WindowBelief(now, steps, filtered, found.reason)
