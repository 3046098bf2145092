"""State estimation of a station by an extended Kalman filter, disturbances and slow parameters included.

The filter is fed with the setpoints that were *applied*, not with those that were asked for, so a
clip or a refusal is no surprise to it. Disturbances and slow parameters walk at random. Letters (as
in Simon, Optimal State Estimation, 2006):

    z  states x and learned disturbances w     P  covariance of z      Q  of its noise in one step
    y  measured outputs                        R  covariance of their noise
    e  innovation, measured minus expected     S  covariance of e      K  gain
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from twin.optim.linearised import Linearised
from twin.optim.result import Floats, ProblemError
from twin.optim.transition import BIAS
from twin.processes.model import ProcessModel

__all__ = ["Belief", "Kalman", "Noise", "chi_square", "refuse_undetectable", "spans"]


@dataclass(frozen=True, slots=True)
class Noise:
    """How much is not known: standard deviations, each in the quantity's own unit.

    ``measured`` names every measured output with the noise of its sensor. ``walk`` is by how much a
    disturbance or slow parameter changes in one step; ``state`` the same for states, a thousandth of
    their range where none is given.
    """

    measured: Mapping[str, float]
    walk: Mapping[str, float]
    state: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is believed of a station: mean and covariance of states and disturbances.

    ``innovation`` is in standard deviations, NaN where nothing was measured; ``surprise`` is the
    chi-square of all, outliers too, over its 99 % quantile: beyond 1 the model or a sensor is in
    doubt. ``outside`` counts for how many of its measurements in a row each output was outside the gate, up
    to one more than is borne with.
    """

    x: Floats
    w: Floats
    covariance: Floats
    innovation: Floats
    surprise: float
    outside: tuple[int, ...]

    @property
    def left_out(self) -> tuple[bool, ...]:
        """Which outputs are refused as outliers, for the time being."""
        return tuple(0 < count <= PATIENCE for count in self.outside)

    @property
    def deviation(self) -> Floats:
        """Standard deviations of states, then of disturbances."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance), 0.0))


GATE = 0.9999
"""A measurement less likely than that is left out, as an outlier of its sensor ..."""
PATIENCE = 3
"""... but for so many in a row only: after that the plant has changed, and not the sensor, and all are
taken until one lies inside the gate again."""
TOLD_APART = 1e-6
"""Share of the largest singular value below which disturbances have the same effect."""


class Kalman:
    """The filter of one station; it holds no state, beliefs go in and come out.

    ``walk`` and ``noise`` are the deviations of z in one step and of the measurements; ``lo`` and
    ``hi`` are limits of z: those within which the model holds, and disturbances no larger than what
    they disturb can be.

    Raises `ProblemError` where a disturbance cannot be told from others or is not seen at all, and
    for noises that are missing, negative or of unknown quantities.
    """

    def __init__(self, model: Linearised, noise: Noise) -> None:
        self.model = model
        t = model.transition
        refuse_undetectable(model)
        x_span, w_span, _ = spans(model)
        states = {q.name: 1e-3 * s for q, s in zip(t.model.states, x_span, strict=True)}
        _refuse_noise(model, noise)
        state = np.array([noise.state.get(name, s) for name, s in states.items()])
        walk = np.array([noise.walk[name] for name in t.disturbances])
        self.walk = np.concatenate((state, walk))
        self._Q = np.diag(self.walk**2)
        self.noise = np.array([noise.measured[name] for name in model.measurements])
        self._R = np.diag(self.noise**2)
        self._first = np.diag(np.concatenate((0.05 * x_span, 0.05 * w_span)) ** 2)
        self.lo, self.hi = _limits(model)

    def begin(self, x: Floats | None = None) -> Belief:
        """Belief before anything was measured: the model's reference, a twentieth of ranges unsure."""
        t = self.model.transition
        mean = t.model.point().x if x is None else np.asarray(x, dtype=np.float64)
        n = self.model.n_y
        return Belief(mean, np.zeros(t.n_w), self._first, np.full(n, np.nan), 0.0, (0,) * n)

    def update(self, belief: Belief, u: Floats, d: Floats, y: Floats) -> Belief:
        """One step further: ``u`` was applied in it, ``y`` measured at its end (NaN: nothing was).

        A part's measurement belongs to the state in which it was made, so per-part models correct
        first and then go on by a part.
        """
        z, P = np.concatenate((belief.x, belief.w)), belief.covariance
        if not (np.isfinite(u).all() and np.isfinite(d).all()):
            raise ProblemError("applied setpoints and disturbances must be finite to go on from")
        if self.model.transition.per_part:
            z, P, seen = self._correct(belief, z, P, u, d, y)
            z, P = self._predict(z, P, u, d)
        else:
            z, P = self._predict(z, P, u, d)
            z, P, seen = self._correct(belief, z, P, u, d, y)
        n_x = self.model.transition.n_x
        z = np.clip(z, self.lo, self.hi)
        return Belief(z[:n_x], z[n_x:], P, *seen)

    def known(self, belief: Belief, x: Mapping[str, float]) -> Belief:
        """The belief after an event that sets states: an edge was changed, a tank filled.

        Raises `ProblemError` for a state that the model does not have, or a value off its limits.
        """
        states = self.model.transition.model.states
        at = {q.name: n for n, q in enumerate(states)}
        wrong = [
            f"{n} = {v}"
            for n, v in x.items()
            if n not in at or not states[at[n]].lo <= v <= states[at[n]].hi
        ]
        if wrong:
            raise ProblemError(
                f"{self.model.transition.model.name!r} cannot have {', '.join(wrong)}"
            )
        mean, P = belief.x.copy(), belief.covariance.copy()
        for name, value in x.items():
            n = at[name]
            mean[n] = value
            P[n, :] = P[:, n] = 0.0
            P[n, n] = self._Q[n, n]
        return replace(belief, x=mean, covariance=P)

    def _predict(self, z: Floats, P: Floats, u: Floats, d: Floats) -> tuple[Floats, Floats]:
        after, A, _ = self.model.ahead(z, u, d)
        if not (np.isfinite(after).all() and np.isfinite(A).all()):
            # The model fails here; nothing is learned from it, and less is known.
            return z, P + self._Q
        return after, A @ P @ A.T + self._Q

    def _correct(
        self, belief: Belief, z: Floats, P: Floats, u: Floats, d: Floats, y: Floats
    ) -> tuple[Floats, Floats, tuple[Floats, float, tuple[int, ...]]]:
        expected, C, _ = self.model.measured(z, u, d)
        e = y - expected
        S = C @ P @ C.T + self._R
        sigmas = e / np.sqrt(np.diagonal(S))
        known = np.isfinite(sigmas)
        doubtful = known & (sigmas**2 > chi_square(GATE, 1))
        # What was not measured is neither inside nor outside.
        count = np.where(doubtful, np.minimum(np.array(belief.outside) + 1, PATIENCE + 1), 0)
        count = np.where(known, count, belief.outside)
        outside = tuple(int(n) for n in count)
        used = known & ((count == 0) | (count > PATIENCE))
        surprise = 0.0
        if known.any():
            S_known = S[np.ix_(known, known)]
            square = float(e[known] @ np.linalg.solve(S_known, e[known]))
            surprise = square / chi_square(0.99, int(known.sum()))
        if not used.any():
            return z, P, (sigmas, surprise, outside)
        C, R = C[used], self._R[np.ix_(used, used)]
        S = S[np.ix_(used, used)]
        K = np.linalg.solve(S, C @ P).T
        z = z + K @ e[used]
        # Joseph's form stays symmetric and positive in spite of rounding.
        I_KC = np.eye(len(z)) - K @ C
        P = I_KC @ P @ I_KC.T + K @ R @ K.T
        return z, P, (sigmas, surprise, outside)


def chi_square(share: float, freedom: int) -> float:
    """Quantile of the chi-square distribution: exact for one degree of freedom, else by Wilson and Hilferty (1931).

    That is within 0.3 % at 0.99 and 1.4 % from 0.5 to 0.99; up to 5 % too high at 0.9999, and of no use
    for small shares of few degrees.
    """
    if freedom == 1:
        return NormalDist().inv_cdf(0.5 + 0.5 * share) ** 2
    spread = 2.0 / (9.0 * freedom)
    return float(freedom * (1.0 - spread + NormalDist().inv_cdf(share) * spread**0.5) ** 3)


def spans(model: Linearised) -> tuple[Floats, Floats, Floats]:
    """Ranges of states, disturbances and measured outputs, by which their effects are compared."""
    declared = model.transition.model
    y = {q.name: q.hi - q.lo for q in model.transition.visible}
    every = {q.name: q.hi - q.lo for q in (*declared.mvs, *declared.dvs, *declared.parameters)}
    every |= {BIAS + name: span for name, span in y.items()}
    vectors = (
        [q.hi - q.lo for q in declared.states],
        [every[name] for name in model.transition.disturbances],
        [y[name] for name in model.measurements],
    )
    x, w, measured = (np.array([span or 1.0 for span in v], dtype=np.float64) for v in vectors)
    return x, w, measured


def _limits(model: Linearised) -> tuple[Floats, Floats]:
    t = model.transition
    _, w_span, _ = spans(model)
    parameters = {q.name: q for q in t.model.parameters}
    lo, hi = [q.lo for q in t.model.states], [q.hi for q in t.model.states]
    for name, span in zip(t.disturbances, w_span, strict=True):
        q = parameters.get(name)
        room = (
            (-span, span)
            if q is None or q.default is None
            else (q.lo - q.default, q.hi - q.default)
        )
        lo.append(float(room[0]))
        hi.append(float(room[1]))
    return np.array(lo), np.array(hi)


def refuse_undetectable(model: Linearised) -> None:
    """Raise `ProblemError`, with names, where a disturbance has no effect of its own.

    The rank condition of Pannocchia and Rawlings (AIChE J. 49 (2003) 426) at the model's reference:
    a constant disturbance with a state that answers it must not leave all measurements as they are.
    """
    t = model.transition
    if not t.n_w:
        return
    x_span, w_span, y_span = spans(model)
    at, u = _reference(t.model)
    z = np.concatenate((at, np.zeros(t.n_w)))
    d = t.model.point().d
    _, A, _ = model.ahead(z, u, d)
    _, C, _ = model.measured(z, u, d)
    z_span = np.concatenate((x_span, w_span))
    moves = (A[: t.n_x] - np.eye(t.n_x, t.n_x + t.n_w)) * z_span / x_span[:, None]
    if t.per_part:
        # Wear goes on whatever is learned; a part's state is known from the parts before.
        moves = np.eye(t.n_x, t.n_x + t.n_w)
    seen = C * z_span / y_span[:, None]
    M = np.vstack((moves, seen))
    _, sizes, rows = np.linalg.svd(M)
    sizes = np.concatenate((sizes, np.zeros(M.shape[1] - len(sizes))))
    hidden = rows[sizes <= TOLD_APART * max(float(sizes[0]), 1e-300)]
    share = np.abs(hidden[:, t.n_x :]).max(axis=0, initial=0.0)
    names = [name for name, size in zip(t.disturbances, share, strict=True) if size > 1e-3]
    if names:
        raise ProblemError(
            f"process model {t.model.name!r}: {', '.join(names)} cannot be told apart by measuring"
            f" {', '.join(model.measurements)}; learn fewer, or measure more"
        )


def _reference(model: ProcessModel) -> tuple[Floats, Floats]:
    at = model.point()
    return at.x, at.u


def _refuse_noise(model: Linearised, noise: Noise) -> None:
    t = model.transition
    lacking = [n for n in t.disturbances if n not in noise.walk]
    lacking += [n for n in model.measurements if n not in noise.measured]
    if lacking:
        raise ProblemError(f"noise of {t.model.name!r}: say how large that of {lacking} is")
    known = {*t.disturbances, *model.measurements, *(q.name for q in t.model.states)}
    given = {**noise.measured, **noise.walk, **noise.state}
    unknown = sorted(given.keys() - known)
    bad = sorted(n for n, s in given.items() if not 0.0 <= s < np.inf)
    bad += sorted(n for n in model.measurements if not noise.measured[n] > 0.0)
    if unknown or bad:
        raise ProblemError(
            f"noise of {t.model.name!r}: unknown {unknown}, not a positive number {bad}"
        )
