"""One shift of a true line as the lower bound sees it: a row of stations, and all that will come known.

Only what the bound has been derived for is let through: stations that make one part after the other, alone
or several side by side, in a row from the source to the sink. Anything else is refused with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.stations import Cell, cells_of
from twin.config import Plant, StationSpec, load_plant, load_truth
from twin.config.elements import InspectionSpec, NeedsSpec
from twin.config.plant import ScenarioSpec
from twin.kernels import draws
from twin.line import schema as s
from twin.line.environment import ROW_S
from twin.line.model import Line, build_line
from twin.line.scenario import build_table, scenario_of
from twin.objective import Objective

Floats = NDArray[np.float64]
BLOCK_S = 900.0
"""Blocks are quarters of an hour, as the meter bills them."""


class NoBoundError(Exception):
    """The bound does not hold here; the message is the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Station:
    """One station of the row."""

    cell: Cell
    disturbances: tuple[Floats, ...]
    """Values of each disturbance of its model: the least, the middle and the greatest of the shift."""
    drifts: Floats
    can_sleep: bool
    waking_kwh: float
    """What waking takes at least beyond what the same time asleep would take."""
    gauge_sd: float
    """Noise of the gauge of its edge, as a share of a life."""


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """What comes in one shift, by blocks of a quarter of an hour; the last one may be shorter."""

    line: Line
    seed: int
    hours: float
    stages: tuple[tuple[Station, ...], ...]
    objective: Objective
    ordered: float
    blank_kg: float
    takt_least_s: float
    places: float
    """Parts that the line can hold."""
    lengths_s: Floats
    prices_eur_per_kwh: Floats
    """The least price at which the electricity of a block may be charged."""
    site_kw: Floats
    """The least load of the site beside the line."""
    quarters_are_metered: bool
    """Whether blocks are the quarters of the clock, and control periods end with them."""
    least_failure_rate: float


def known_shift(
    plant_name: str, utilisation: float, variant: str, scenario: str, seed: int, hours: float
) -> Shift:
    """All that comes in one shift. Raises ``NoBoundError`` where the bound does not hold."""
    plant = load_plant(plant_name)
    course = scenario_of(plant, scenario)
    _refuse(plant, course)
    line = build_line(plant, load_truth(plant_name, plant), variant, course.model_mismatch)
    table = build_table(plant, seed, draws.PLANT, hours, scenario, utilisation=utilisation)
    rows = np.array(table).reshape(-1, len(line.disturbances) + 2)
    until_s = hours * 3600.0
    until_then, rows = rows, rows[np.arange(len(rows)) * ROW_S < until_s]
    ends_s = np.append(np.arange(BLOCK_S, until_s - 1e-6, BLOCK_S), until_s)
    lengths_s = np.diff(ends_s, prepend=0.0)
    prices = _least(plant, line, until_then, ends_s, lengths_s, "price_eur_per_mwh") * 1e-3
    if (prices < 0.0).any():
        raise NoBoundError("a price of electricity is negative: to draw less would not be cheaper")
    has_site = "site_load_kw" in line.disturbances
    site = (
        _least(plant, line, until_then, ends_s, lengths_s, "site_load_kw")
        if has_site
        else 0.0 * prices
    )
    quarter = plant.energy.starts_at_h * 4.0
    period_s = plant.control.period_s
    return Shift(
        line=line,
        seed=seed,
        hours=hours,
        stages=_stages(line, rows, hours),
        objective=Objective.of(plant),
        ordered=float(rows[-1, -2]),
        blank_kg=float(plant.source.blank_kg),
        takt_least_s=plant.source.takt_s.operator[0],
        places=sum(max(float(b.capacity), 1.0) for b in plant.buffers) + len(plant.stations),
        lengths_s=lengths_s,
        prices_eur_per_kwh=prices,
        site_kw=site,
        quarters_are_metered=quarter == round(quarter) and BLOCK_S % period_s == 0.0,
        least_failure_rate=min(1.0, float(rows[:, -1].min())),
    )


def _refuse(plant: Plant, course: ScenarioSpec) -> None:
    """Name what the bound has not been derived for."""
    if course.dropout or course.sensor_drift_per_h:
        raise NoBoundError(
            "figures are read through faulty sensors, and may come out lower than true"
        )
    for station in plant.stations:
        reason = _refused(station)
        if reason:
            raise NoBoundError(f"{station.name} {reason}")
    if plant.supplies or plant.elements or plant.source.mixed_by:
        raise NoBoundError("components, custom elements and mixed products are not bounded")
    if float(plant.source.scrap_return_eur_per_kg) > float(plant.source.blank_eur_per_kg):
        raise NoBoundError("scrap brings more than its material costs")
    if "price_eur_per_mwh" not in plant.disturbances:
        raise NoBoundError("the plant has no price of electricity")


def _refused(station: StationSpec) -> str:
    """Why a station is none that the bound knows; empty where it is one."""
    reasons = {
        "is continuous: no bound has been derived for its gas": station.step_s is not None,
        "joins, takes apart, batches or sets up": bool(
            station.also_takes or station.also_gives or station.batch or station.setup
        ),
        "needs people or services, or does not take parts in their order": bool(
            station.needs != NeedsSpec() or station.service or station.picks != "fifo"
        ),
        "reworks, or its inspection errs": station.inspection != InspectionSpec(),
        "has cycles that scatter, or several places": bool(
            station.cycle_scatter is not None or station.places != 1
        ),
        "has sensors that drop out": any(spec.dropout for spec in station.sensors.values()),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _least(
    plant: Plant, line: Line, rows: Floats, ends_s: Floats, lengths_s: Floats, name: str
) -> Floats:
    """The least of a disturbance in each block and a control period about it."""
    values, slack_s = rows[:, line.disturbances.index(name)], plant.control.period_s
    found = []
    for end_s, length_s in zip(ends_s, lengths_s, strict=True):
        first = max(int((end_s - length_s - slack_s) // ROW_S), 0)
        found.append(values[first : int((end_s + slack_s) // ROW_S) + 1].min())
    return np.array(found)


def _stages(line: Line, rows: Floats, hours: float) -> tuple[tuple[Station, ...], ...]:
    """The stations in the order of the flow, those side by side together."""
    plant, cells = line.plant, cells_of(line)
    stages, at, placed = [], plant.source.gives_to, 0
    while at != plant.sink:
        stage = [cell for cell in cells if cell.takes_from == at]
        if not stage or len({cell.gives_to for cell in stage}) != 1 or placed >= len(cells):
            raise NoBoundError(f"the stations behind {at!r} are no row")
        stages.append(tuple(_station(line, cell, rows, hours) for cell in stage))
        at, placed = stage[0].gives_to, placed + len(stage)
    if placed != len(cells):
        raise NoBoundError("not all stations stand in one row")
    return tuple(stages)


def _station(line: Line, cell: Cell, rows: Floats, hours: float) -> Station:
    power_kw = max(cell.warm_up_kw - cell.standby_kw, 0.0)
    warm_up_s = min(cell.warm_up_s, float(cell.spec.warm_up_s))
    p_c, n_p = line.k[s.ELEMENTS_K + cell.e * s.EK + s.P_C], len(cell.p)
    tried = []
    for n, quantity in enumerate(cell.model.dvs):
        values = np.array([cell.d[n]])
        if quantity.name in line.disturbances:
            values = rows[:, line.disturbances.index(quantity.name)]
        elif quantity.name == "shift_elapsed_h":
            values = np.array([0.0, min(hours, line.plant.shift_h)])
        lo, hi = float(values.min()), float(values.max())
        tried.append(np.unique([lo, 0.5 * (lo + hi), hi]))
    gauge = cell.spec.sensors.get("tool_use")
    return Station(
        cell=cell,
        disturbances=tuple(tried),
        drifts=np.array(line.c[p_c + n_p : p_c + 2 * n_p]),
        can_sleep=cell.spec.standby,
        waking_kwh=power_kw * warm_up_s / 3600.0,
        gauge_sd=gauge.noise_sd if gauge is not None else 0.0,
    )
