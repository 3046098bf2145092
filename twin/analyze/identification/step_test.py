"""What to try on the line where its record is mute: small moves inside the operator's limits.

For each parameter that the record does not tell, every setpoint of its station is moved in thought,
up and down, by a quarter, half and the whole of the room that operator limits leave; the smallest move
is proposed whose parts would make the interval narrow enough, beside everything else that was fitted.
A move that leaves a quality band, or spoils noticeably more parts, is not proposed. States that were
never seen (asleep, waking up) are visited by asking for standby.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.evidence import ProcessFit
from twin.analyze.identification.finding import Finding, Verdict
from twin.analyze.identification.gains import floor
from twin.analyze.identification.parts import Parts
from twin.analyze.identification.record import Column
from twin.config.plant import SetpointSpec, StationSpec
from twin.line.model import Line
from twin.processes.model import ProcessModel

WANTED = 0.5
"""A test is to make the interval half as wide as the range known before."""
MOST_PARTS = 60
"""A test may take so many parts at each of its two levels."""
SPOILT = 0.01
"""A move may raise the share of spoilt parts by this; assumption."""
REST_S, RUNS_EMPTY_S = 300.0, 3600.0
"""A rest shorter than this is none; a conveyor runs empty before it rests. Assumptions."""
SAMPLES = 10
"""Readings in a state that tell its power well enough; assumption."""


@dataclass(frozen=True, slots=True)
class StepTest:
    """Move one setpoint from ``start`` to ``to`` and back, staying ``hold_s`` at each.

    ``ramp_s`` is the time that the move itself takes at the setpoint's rate limit. ``to`` is None
    where no move inside the limits would tell; ``why`` then says so.
    """

    parameter: str
    setpoint: str
    unit: str
    start: float
    to: float | None
    ramp_s: float
    hold_s: float
    why: str


def step_tests(
    line: Line, e: int, findings: Sequence[Finding], fit: ProcessFit | None, parts: Parts | None
) -> list[StepTest]:
    """The tests that would tell what the record of one station does not."""
    station = line.plant.stations[e - 1]
    mute = {one.path[1:] for one in findings if one.verdict is Verdict.NOT_INFORMATIVE}
    tests = _rests(line, station, mute)
    if fit is None or parts is None or not station.setpoints:
        return tests
    model = line.elements[e].process
    names = [q.name for q in model.parameters]
    for name in fit.left:
        if ("parameters", name) in mute:
            tests.append(_moves(station, model, fit, parts, names.index(name)))
    return tests


def _rests(line: Line, station: StationSpec, mute: set[tuple[str, ...]]) -> list[StepTest]:
    """Send the station to sleep once, if what it then draws, or its waking, was never seen."""
    asleep = [
        key
        for key in (("power", "standby_kw"), ("power", "warm_up_kw"), ("warm_up_s",))
        if key in mute
    ]
    if not asleep or not station.standby:
        return []
    hold_s = max(SAMPLES * line.plant.control.period_s, REST_S)
    if station.step_s is not None:
        hold_s += RUNS_EMPTY_S
    what = ", ".join(".".join(key) for key in asleep)
    why = f"it was never seen asleep or waking up ({what})"
    return [
        StepTest(
            f"{station.name}.{what}", f"{station.name}.standby", "1", 0.0, 1.0, 0.0, hold_s, why
        )
    ]


def _moves(
    station: StationSpec, model: ProcessModel, fit: ProcessFit, parts: Parts, at: int
) -> StepTest:
    q = model.parameters[at]
    given = station.parameters.get(q.name)
    width = q.hi - q.lo
    if given is not None and given.range is not None and given.range[0] < given.range[1]:
        width = given.range[1] - given.range[0]
    u, d = np.median(parts.u, axis=0), np.median(parts.d, axis=0)
    name = f"{station.name}.parameters.{q.name}"
    tried = []
    for share in (0.25, 0.5, 1.0):
        for n, mv in enumerate(model.mvs):
            spec = station.setpoints[mv.name]
            if spec.discrete:
                continue
            for end in spec.operator:
                to = float(u[n]) + share * (end - float(u[n]))
                needed, why = _needed(station, model, fit, (u, d), (n, to), at, width)
                tried.append((needed, n, to, why))
        best = min(tried, default=(math.inf, 0, 0.0, ""))
        if best[0] <= MOST_PARTS:
            return _proposed(station, model, fit, (u, d), best, name)
    barred = sorted({why for needed, _, _, why in tried if why and math.isfinite(needed)})
    why = "; ".join(barred) or "no setpoint of this station moves what it acts on beside the others"
    first = model.mvs[0]
    return StepTest(
        name, f"{station.name}.{first.name}", first.unit, float(u[0]), None, 0.0, 0.0, why
    )


def _proposed(
    station: StationSpec,
    model: ProcessModel,
    fit: ProcessFit,
    about: tuple[Column, Column],
    best: tuple[float, int, float, str],
    name: str,
) -> StepTest:
    needed, n, to, _ = best
    mv, start = model.mvs[n], float(about[0][n])
    spec: SetpointSpec = station.setpoints[mv.name]
    moved = about[0].copy()
    moved[n] = to
    cycle_s = float(_outputs(model, moved, about[1], fit.values)[0])
    ramp_s = abs(to - start) / spec.rate_per_s
    hold_s = math.ceil(max(needed, 5.0) * cycle_s / 60.0) * 60.0
    why = f"{math.ceil(needed)} parts there halve what is known of it"
    return StepTest(name, f"{station.name}.{mv.name}", mv.unit, start, to, ramp_s, hold_s, why)


def _needed(
    station: StationSpec,
    model: ProcessModel,
    fit: ProcessFit,
    about: tuple[Column, Column],
    move: tuple[int, float],
    at: int,
    width: float,
) -> tuple[float, str]:
    """Parts at the moved setpoint that would tell the parameter; infinite where none would.

    Two levels, the present one and the moved one; a common offset of every output stands for all
    else that was fitted.
    """
    u, d = about
    moved = u.copy()
    moved[move[0]] = move[1]
    mv = model.mvs[move[0]].name
    before, after = _outputs(model, u, d, fit.values), _outputs(model, moved, d, fit.values)
    places = {name: n for n, name in enumerate(model.output_names)}
    if after[3] > before[3] + SPOILT:
        return math.inf, f"moving {mv} would spoil parts"
    for name, sensor in station.sensors.items():
        if sensor.band is not None and name in places:
            lo, hi = sensor.band
            if not lo <= after[places[name]] <= hi:
                return math.inf, f"moving {mv} would leave the quality band of {name}"
    p = fit.values.copy()
    p[at] += 1e-4 * width
    change = (_outputs(model, moved, d, p) - after) - (_outputs(model, u, d, p) - before)
    told = 0.0
    for name, scatter in fit.scatter.items():
        least = max(scatter, floor(name, np.array([after[places[name]]])))
        told += float((change[places[name]] / 1e-4 / least) ** 2)
    if told <= 0.0:
        return math.inf, ""
    # Half of an interval of 4 standard errors; the difference of two means has twice the variance.
    return 2.0 * (4.0 / WANTED) ** 2 / told, ""


def _outputs(model: ProcessModel, u: Column, d: Column, p: Column) -> Column:
    return np.array(model.numbers()(np.zeros(len(model.states)), u, d, p))
