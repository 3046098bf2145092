"""Parameters of a process model, as it declares them, fitted to what was measured of its parts.

Weighted nonlinear least squares over all outputs at once, each weighted by the scatter that it shows.
What the record cannot tell apart is found before anything is fitted, see ``candidates``. A parameter
whose residuals go on growing in time may drift. Letters in the equations:

    p   parameters     r   residuals over their scatter     J   dr/dp, scaled     c   a column of J
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from twin.analyze.identification.candidates import Candidate, candidates, choose
from twin.analyze.identification.finding import UNKNOWN, Finding, Interval, finding
from twin.analyze.identification.parts import Parts
from twin.analyze.identification.record import Column
from twin.config.plant import StationSpec
from twin.processes.model import ProcessModel

RESOLUTION: Mapping[str, float] = {"cycle_time_s": 0.01, "energy_kwh": 0.001}
"""Steps of the PLC's cycle clock and energy meter; assumption: 10 ms, 1 W h."""
DRIFTS = 6.0
"""Standard errors from which a growing residual is taken for a drift; assumption."""
LEAST_PARTS = 12
ROUNDS = 6
NOT_COMPARED = ("material_kg", "defect_probability", "wear_increment")
"""Outputs that no instrument shows of a single part."""


@dataclass(frozen=True, slots=True, eq=False)
class ProcessFit:
    """A process model fitted to one station's parts.

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
    """When the parts of each output's residuals were begun."""


@dataclass(slots=True, eq=False)
class _Problem:
    """Residuals of one station's parts under any parameters, and the scatter of each output."""

    function: Callable[..., tuple[float, ...]]
    x: Column
    parts: Parts
    p: Column
    outputs: Sequence[tuple[str, int]]
    hours: Column
    scatter: dict[str, float]
    known: dict[str, NDArray[np.bool_]]

    def predicted(self, p: Column, drifts: Mapping[int, float]) -> Column:
        """Outputs of all parts, one column each."""
        places = [place for _, place in self.outputs]
        out = np.empty((self.hours.size, len(places)))
        moved = p.copy()
        for n in range(self.hours.size):
            for at, share in drifts.items():
                moved[at] = p[at] * (1.0 + share * self.hours[n])
            made = self.function(self.x[n], self.parts.u[n], self.parts.d[n], moved)
            out[n] = [made[place] for place in places]
        return out

    def errors(self, p: Column, drifts: Mapping[int, float]) -> dict[str, Column]:
        """Measured less predicted, by output, in its unit; those that were seen."""
        out = self.predicted(p, drifts)
        return {
            name: (self.parts.outputs[name] - out[:, n])[self.known[name]]
            for n, (name, _) in enumerate(self.outputs)
        }

    def residuals(self, p: Column, drifts: Mapping[int, float]) -> Column:
        """The same, over the scatter of each output, one after the other."""
        errors = self.errors(p, drifts)
        return np.concatenate([errors[name] / self.scatter[name] for name, _ in self.outputs])

    def jacobian(self, steps: Sequence[tuple[int, float]], drifts: Mapping[int, float]) -> Column:
        """Change of the residuals with parameters, per step; central differences."""
        columns = []
        for at, step in steps:
            sides = []
            for sign in (1.0, -1.0):
                p = self.p.copy()
                p[at] += sign * 1e-4 * step
                sides.append(self.residuals(p, drifts))
            columns.append((sides[0] - sides[1]) / 2e-4)
        return np.stack(columns, axis=1) if columns else np.empty((0, 0))


def fit_process(
    station: StationSpec,
    model: ProcessModel,
    p: Column,
    parts: Parts,
    x: Column,
    handled: frozenset[str] = frozenset(),
) -> ProcessFit | None:
    """Fit what the parts tell of a station's process model; None if there are too few of them.

    ``x`` are the states that each part was begun with, a row a part. ``handled`` are parameters
    that somebody else estimates.
    """
    problem = _problem(station, model, p, parts, x)
    if problem is None:
        return None
    able = [one for one in candidates(station, model, p) if one.quantity.name not in handled]
    chosen, left = choose(problem.jacobian([(one.at, one.width) for one in able], {}), able)
    fitted, drifts, cov = _fitted(problem, chosen)
    return _told(station, problem, (chosen, left), fitted, drifts, cov)


def _problem(
    station: StationSpec, model: ProcessModel, p: Column, parts: Parts, x: Column
) -> _Problem | None:
    whole = np.asarray(np.isfinite(x).all(axis=1))
    parts, x = parts.only(whole), x[whole]
    if parts.op.size < LEAST_PARTS:
        return None
    places = {name: n for n, name in enumerate(model.output_names) if name not in NOT_COMPARED}
    known = {name: np.isfinite(parts.outputs[name]) for name in places if name in parts.outputs}
    if station.cycle_scatter is not None:  # what scatters from part to part tells its mean badly
        known.pop("cycle_time_s"), known.pop("energy_kwh")
    known = {name: seen for name, seen in known.items() if seen.sum() >= LEAST_PARTS}
    if not known:
        return None
    scatter = {}
    for name in known:
        sensor = station.sensors.get(name)
        scatter[name] = (sensor.noise_sd if sensor else 0.0) or floor(name, parts.outputs[name])
    outputs = [(name, places[name]) for name in known]
    hours = parts.begin_s / 3600.0
    return _Problem(model.numbers(), x, parts, p.copy(), outputs, hours, scatter, known)


def floor(name: str, values: Column) -> float:
    """The least scatter that an output can have: that of its instrument's steps."""
    if name in RESOLUTION:
        return RESOLUTION[name] / math.sqrt(12.0)
    return 1e-6 * max(float(np.nanmax(np.abs(values))), 1e-6)


def _fitted(
    problem: _Problem, chosen: Sequence[Candidate]
) -> tuple[Column, dict[int, float], Column]:
    """The parameters of best fit, what drifts, and the covariance of both together."""
    drifting: list[int] = []
    theta = np.zeros(len(chosen))
    while True:
        theta, cov = _least_squares(problem, chosen, drifting, theta)
        more = _drift(problem, chosen, drifting, theta)
        if more is None or len(drifting) == 2:
            break
        drifting.append(more)
        theta = np.append(theta, 0.0)
    p, drifts = _unpacked(problem, chosen, drifting, theta)
    return p, drifts, cov


def _unpacked(
    problem: _Problem, chosen: Sequence[Candidate], drifting: Sequence[int], theta: Column
) -> tuple[Column, dict[int, float]]:
    p = problem.p.copy()
    for one, value in zip(chosen, theta, strict=False):
        p[one.at] = one.nominal + one.width * value
    rates = theta[len(chosen) :]
    return p, {at: 0.01 * float(rate) for at, rate in zip(drifting, rates, strict=True)}


def _least_squares(
    problem: _Problem, chosen: Sequence[Candidate], drifting: Sequence[int], theta: Column
) -> tuple[Column, Column]:
    """Fit, then take each output's scatter from what is left, until that settles."""
    from scipy.optimize import least_squares

    if not theta.size:
        _rescale(problem, problem.p, {}, 0)
        return theta, np.empty((0, 0))
    lo = [(one.quantity.lo - one.nominal) / one.width for one in chosen]
    hi = [(one.quantity.hi - one.nominal) / one.width for one in chosen]
    free = [np.inf] * len(drifting)
    bounds = (np.array([*lo, *(-f for f in free)]) - 1e-9, np.array([*hi, *free]) + 1e-9)
    J = np.empty((0, theta.size))
    for _ in range(ROUNDS):
        solved = least_squares(
            lambda v: problem.residuals(*_unpacked(problem, chosen, drifting, v)),
            theta, bounds=bounds, jac="3-point", method="trf", x_scale="jac", xtol=1e-12,
        )  # fmt: skip
        theta, J = solved.x, solved.jac
        before = dict(problem.scatter)
        _rescale(problem, *_unpacked(problem, chosen, drifting, theta), theta.size)
        if all(abs(math.log(problem.scatter[name] / was)) < 0.02 for name, was in before.items()):
            break
    cov: Column = np.asarray(np.linalg.pinv(J.T @ J), dtype=np.float64)
    return theta, cov


def _rescale(problem: _Problem, p: Column, drifts: Mapping[int, float], free: int) -> None:
    """Each output's scatter as it shows, each paying its share of the fitted parameters."""
    errors = problem.errors(p, drifts)
    total = sum(error.size for error in errors.values())
    for name, error in errors.items():
        left = max(error.size * (1.0 - free / total), 1.0)
        least = floor(name, problem.parts.outputs[name])
        problem.scatter[name] = max(math.sqrt(float(error @ error) / left), least)


def _drift(
    problem: _Problem, chosen: Sequence[Candidate], drifting: Sequence[int], theta: Column
) -> int | None:
    """The parameter whose drift would explain most of what is left, if it explains enough."""
    if not chosen or float(np.ptp(problem.hours)) < 0.5:
        return None
    p, drifts = _unpacked(problem, chosen, drifting, theta)
    r = problem.residuals(p, drifts)
    held = _about(problem, p)
    J = held.jacobian([(one.at, one.width) for one in chosen], drifts)
    slow = np.concatenate([problem.hours[problem.known[name]] for name, _ in problem.outputs])
    Q, _ = np.linalg.qr(
        np.column_stack(
            [J, *(J[:, [n]] * slow[:, None] for n, one in enumerate(chosen) if one.at in drifting)]
        )
    )
    scores = {}
    for n, one in enumerate(chosen):
        if one.at in drifting or p[one.at] == 0.0:
            continue
        c = J[:, n] * slow
        c = c - Q @ (Q.T @ c)
        length = float(np.linalg.norm(c))
        if length > 1e-9:
            scores[one.at] = abs(float(c @ r)) / length
    at = max(scores, key=scores.__getitem__, default=None)
    return at if at is not None and scores[at] > DRIFTS else None


def _about(problem: _Problem, p: Column) -> _Problem:
    """The same parts about other parameters."""
    return replace(problem, p=p)


def _told(
    station: StationSpec,
    problem: _Problem,
    split: tuple[Sequence[Candidate], Sequence[Candidate]],
    p: Column,
    drifts: Mapping[int, float],
    cov: Column,
) -> ProcessFit:
    from scipy.stats import t

    chosen, left = split
    errors = problem.errors(p, drifts)
    count = max((error.size for error in errors.values()), default=0)
    freedom = max(count - len(chosen) - len(drifts), 1)
    half = float(t.ppf(0.975, freedom)) * np.sqrt(np.diag(cov)) if cov.size else np.array([])
    names = {one.at: one.quantity.name for one in chosen}
    found = []
    for n, one in enumerate(chosen):
        value, wide = float(p[one.at]), float(half[n]) * one.width
        found.append(_of(station, one, Interval(value, value - wide, value + wide, count)))
    told = [one for one in left if one.rank in (0, 2)]
    found += [_of(station, one, UNKNOWN) for one in told]
    moving = {
        names[at]: Interval(share, share - float(wide), share + float(wide), count)
        for (at, share), wide in zip(drifts.items(), 0.01 * half[len(chosen) :], strict=True)
    }
    J = _about(problem, p).jacobian([(one.at, one.width) for one in chosen], drifts)
    values = np.asarray(np.linalg.svd(J, compute_uv=False) if J.size else [], dtype=np.float64)
    return ProcessFit(
        tuple(found), p, values, tuple(one.quantity.name for one in told), moving,
        dict(problem.scatter), errors,
        {name: problem.hours[problem.known[name]] for name in errors},
    )  # fmt: skip


def _of(station: StationSpec, one: Candidate, found: Interval) -> Finding:
    q = one.quantity
    nominal = station.parameters.get(q.name, one.nominal)
    return finding((station.name, "parameters", q.name), q.unit, nominal, found, width=q.hi - q.lo)
