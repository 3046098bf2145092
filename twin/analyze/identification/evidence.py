"""Weighted nonlinear least squares over whatever a station's record offers as evidence.

Each output is weighted by the scatter that it shows, never below its instrument's step. A parameter
whose residuals go on growing in time may drift; it is then fitted as p (1 + share * hours). Letters:

    p   parameters     r   residuals over their scatter     J   dr/dp, scaled     c   a column of J
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from twin.analyze.identification.candidates import Candidate, choose
from twin.analyze.identification.finding import UNKNOWN, Finding, Interval, finding
from twin.analyze.identification.record import Column
from twin.config.plant import StationSpec

DRIFTS = 4.5
"""Standard errors from which a growing residual is taken for a drift; assumption."""
MOST_DRIFTS = 2
ROUNDS = 6
SETTLED = 0.02
"""A scatter that changes by less than this share is settled."""
STEP = 1e-5
"""Of the width of a parameter: how far it is moved for a difference."""


class Evidence(Protocol):
    """What was measured of a station, and what its process model says of that.

    ``p`` are the parameters to begin with (behind those of the model may come others, such as what
    the states were at the beginning), ``scatter`` the scatter of each output, ``hours`` when each of
    its residuals was taken, ``evaluations`` how often a fit may ask for them, ``tolerance`` by how
    little it may still move, against the widths of parameters, when it ends.
    """

    p: Column
    scatter: dict[str, float]
    hours: Mapping[str, Column]
    evaluations: int
    tolerance: float

    def errors(self, p: Column, drifts: Mapping[int, float]) -> dict[str, Column]:
        """Measured less predicted, by output, in its unit."""
        ...

    def least(self, name: str) -> float:
        """The least scatter that an output can have: that of its instrument's steps."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ProcessFit:
    """A process model fitted to one station's record.

    ``singular_values`` are those of the scaled Jacobian of what was fitted. ``left`` names what the
    record cannot tell, ``drifts_per_h`` what moved in the course of it, as a share each hour.
    """

    findings: tuple[Finding, ...]
    values: Column
    singular_values: Column
    left: tuple[str, ...]
    drifts_per_h: Mapping[str, Interval] = field(default_factory=dict)
    scatter: Mapping[str, float] = field(default_factory=dict)
    residuals: Mapping[str, Column] = field(default_factory=dict)
    shown_hours: Mapping[str, Column] = field(default_factory=dict)
    """When each of the residuals was taken."""


@dataclass(frozen=True, slots=True)
class _Free:
    """What is fitted: candidates, and which of them drift besides."""

    chosen: tuple[Candidate, ...]
    drifting: tuple[int, ...] = ()

    def unpacked(self, p: Column, theta: Column) -> tuple[Column, dict[int, float]]:
        """Parameters and drifts at scaled values: widths from nominal, and percents an hour."""
        p = p.copy()
        for one, value in zip(self.chosen, theta, strict=False):
            p[one.at] = one.nominal + one.width * value
        rates = theta[len(self.chosen) :]
        return p, {at: 0.01 * float(r) for at, r in zip(self.drifting, rates, strict=True)}


def fit(
    station: StationSpec, evidence: Evidence, able: Sequence[Candidate], own: int
) -> ProcessFit:
    """Choose what the evidence tells, fit it, and judge it.

    The first ``own`` parameters are the model's; findings are of those alone.
    """
    steps = [(one.at, one.width) for one in able]
    chosen, left = choose(jacobian(evidence, evidence.p, steps, {}), able)
    free = _Free(tuple(chosen))
    theta = np.zeros(len(chosen))
    while True:
        theta, variance = _least_squares(evidence, free, theta)
        more = _drift(evidence, free, theta, own)
        if more is None or len(free.drifting) == MOST_DRIFTS:
            break
        free = _Free(free.chosen, (*free.drifting, more))
        theta = np.append(theta, 0.0)
    return _told(
        station, evidence, free, [one for one in left if one.at < own], theta, variance, own
    )


def residuals(evidence: Evidence, p: Column, drifts: Mapping[int, float]) -> Column:
    """Errors over the scatter of each output, one output after the other."""
    errors = evidence.errors(p, drifts)
    return np.concatenate([error / evidence.scatter[name] for name, error in errors.items()])


def jacobian(
    evidence: Evidence,
    p: Column,
    steps: Sequence[tuple[int, float]],
    drifts: Mapping[int, float],
) -> Column:
    """Change of the residuals with parameters, per step; central differences."""
    columns = []
    for at, step in steps:
        sides = []
        for sign in (1.0, -1.0):
            moved = p.copy()
            moved[at] += sign * STEP * step
            sides.append(residuals(evidence, moved, drifts))
        columns.append((sides[0] - sides[1]) / (2.0 * STEP))
    return np.stack(columns, axis=1) if columns else np.empty((0, 0))


def _least_squares(evidence: Evidence, free: _Free, theta: Column) -> tuple[Column, Column]:
    """Fit, then take each output's scatter from what is left, until that settles.

    Returns the scaled values and their variances.
    """
    from scipy.optimize import least_squares

    if not theta.size:
        _rescale(evidence, evidence.p, {}, 0)
        return theta, np.empty(0)
    lo = [(one.quantity.lo - one.nominal) / one.width for one in free.chosen]
    hi = [(one.quantity.hi - one.nominal) / one.width for one in free.chosen]
    open_ = [np.inf] * len(free.drifting)
    bounds = (np.array([*lo, *(-end for end in open_)]) - 1e-9, np.array([*hi, *open_]) + 1e-9)
    theta = np.clip(theta, *bounds)

    def r(v: Column) -> Column:
        return residuals(evidence, *free.unpacked(evidence.p, v))

    def slopes(v: Column) -> Column:
        at = r(v)
        return np.stack([(r(v + STEP * one) - at) / STEP for one in np.eye(v.size)], axis=1)

    J = np.empty((0, theta.size))
    for _ in range(ROUNDS):
        solved = least_squares(
            r, theta, slopes, bounds, method="trf", x_scale="jac",
            xtol=evidence.tolerance, ftol=evidence.tolerance, max_nfev=evidence.evaluations,
        )  # fmt: skip
        theta, J = solved.x, solved.jac
        before = dict(evidence.scatter)
        _rescale(evidence, *free.unpacked(evidence.p, theta), theta.size)
        moved = [abs(math.log(evidence.scatter[name] / was)) for name, was in before.items()]
        if max(moved) < SETTLED:
            break
    return theta, _variance(J)


def _variance(J: Column) -> Column:
    """Variance of each fitted number, from the Jacobian; infinite where nothing depends on it.

    By singular values of its scaled columns, so that none comes out below nothing.
    """
    length = np.linalg.norm(J, axis=0)
    is_told = length > 0.0
    found = np.full(length.size, np.inf)
    _, s, Vt = np.linalg.svd(J[:, is_told] / length[is_told], full_matrices=False)
    s = np.maximum(s, 1e-12)
    found[is_told] = ((Vt / s[:, None]) ** 2).sum(axis=0) / length[is_told] ** 2
    return found


def _rescale(evidence: Evidence, p: Column, drifts: Mapping[int, float], free: int) -> None:
    """Each output's scatter as it shows, each paying its share of the fitted parameters."""
    errors = evidence.errors(p, drifts)
    total = sum(error.size for error in errors.values())
    for name, error in errors.items():
        left = max(error.size * (1.0 - free / total), 1.0)
        evidence.scatter[name] = max(math.sqrt(float(error @ error) / left), evidence.least(name))


def _drift(evidence: Evidence, free: _Free, theta: Column, own: int) -> int | None:
    """The parameter whose drift would explain most of what is left, if it explains enough."""
    slow = np.concatenate(list(evidence.hours.values()))
    if not free.chosen or float(np.ptp(slow)) < 0.5:
        return None
    p, drifts = free.unpacked(evidence.p, theta)
    r = residuals(evidence, p, drifts)
    J = jacobian(evidence, p, [(one.at, one.width) for one in free.chosen], drifts)
    moving = [n for n, one in enumerate(free.chosen) if one.at in free.drifting]
    Q, _ = np.linalg.qr(np.column_stack([J, J[:, moving] * slow[:, None]]))
    scores = {}
    for n, one in enumerate(free.chosen):
        if one.at in free.drifting or one.at >= own or p[one.at] == 0.0:
            continue
        c = J[:, n] * slow
        c = c - Q @ (Q.T @ c)
        length = float(np.linalg.norm(c))
        if length > 1e-9:
            scores[one.at] = abs(float(c @ r)) / length
    at = max(scores, key=scores.__getitem__, default=None)
    return at if at is not None and scores[at] > DRIFTS else None


def _told(
    station: StationSpec,
    evidence: Evidence,
    free: _Free,
    left: Sequence[Candidate],
    theta: Column,
    variance: Column,
    own: int,
) -> ProcessFit:
    from scipy.stats import t

    p, drifts = free.unpacked(evidence.p, theta)
    errors = evidence.errors(p, drifts)
    count = max((error.size for error in errors.values()), default=0)
    freedom = max(count - theta.size, 1)
    half = float(t.ppf(0.975, freedom)) * np.sqrt(variance)
    found = []
    for n, one in enumerate(free.chosen):
        if one.at < own:
            value, wide = float(p[one.at]), float(half[n]) * one.width
            found.append(_of(station, one, Interval(value, value - wide, value + wide, count)))
    open_ = [one for one in left if one.rank in (0, 2)]
    found += [_of(station, one, UNKNOWN) for one in open_]
    names = {one.at: one.quantity.name for one in free.chosen}
    widths = 0.01 * half[len(free.chosen) :]
    moving = {
        names[at]: Interval(share, share - float(wide), share + float(wide), count)
        for (at, share), wide in zip(drifts.items(), widths, strict=True)
    }
    J = jacobian(evidence, p, [(one.at, one.width) for one in free.chosen], drifts)
    values = np.asarray(np.linalg.svd(J, compute_uv=False) if J.size else [], dtype=np.float64)
    mute = tuple(one.quantity.name for one in open_)
    scatter, hours = dict(evidence.scatter), dict(evidence.hours)
    return ProcessFit(tuple(found), p[:own], values, mute, moving, scatter, errors, hours)


def _of(station: StationSpec, one: Candidate, found: Interval) -> Finding:
    q = one.quantity
    nominal = station.parameters.get(q.name, one.nominal)
    return finding((station.name, "parameters", q.name), q.unit, nominal, found, width=q.hi - q.lo)
