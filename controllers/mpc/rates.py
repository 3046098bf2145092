"""How fast the stations of a line can be in a plan, and what a part earns at each."""

from __future__ import annotations

from dataclasses import dataclass

from controllers.mpc.operating_point import Point
from controllers.mpc.stations import Cell
from controllers.mpc.tariff import BlockPrices
from twin.cycle import Situation

FASTEST = 0.82
"""How fast a station that has setpoints may catch up in a plan: share of its steady cycle; assumption."""

PROGRESS_EUR = 0.3
"""Worth of carrying one part through the whole line early, where no order is in danger: whatever stands behind
these stations rests sooner, and nobody foresees everything; assumption."""


@dataclass(frozen=True, slots=True, eq=False)
class Rate:
    """A station at the steady pace: its fastest useful cycle, and what a part earns beyond cost."""

    cycle_s: float
    margin_eur: float
    busy_kwh: float = 0.0
    """Electricity of a part beyond what the station draws waiting for as long."""


def rates_at(
    cells: tuple[Cell, ...], situation: Situation, point: Point, tariff: BlockPrices
) -> tuple[Rate, ...]:
    """Each station's fastest cycle, and what a part's work done saves there.

    That is its readiness for one pace, and a little for being early.
    """
    rates = []
    for cell, z in zip(cells, point.z, strict=True):
        own_s = point.pace_s / cell.share
        margin_eur = tariff.later * (cell.idle_kw - cell.standby_kw) * own_s / 3600.0
        margin_eur += PROGRESS_EUR / len(cells)
        u = cell.lo + z * (cell.hi - cell.lo)
        y = cell.model.numbers()(cell.half_worn, u, cell.disturbances(situation), cell.p)
        cycle_s = float(y[0] * cell.ratio(situation, "last_cycle_s"))
        busy_kwh = float(y[1] * cell.ratio(situation, "last_energy_kwh"))
        busy_kwh -= cell.idle_kw * cycle_s / 3600.0
        if cell.mvs:
            cycle_s = own_s * cell.availability * FASTEST
        rates.append(Rate(cycle_s, margin_eur, busy_kwh))
    return tuple(rates)


def fastest_s(cells: tuple[Cell, ...], rates: tuple[Rate, ...], point: Point) -> list[float]:
    """How fast each station can be for long, its usual failures included."""
    return [
        point.fastest_s / cell.share if cell.mvs else rate.cycle_s / cell.availability
        for cell, rate in zip(cells, rates, strict=True)
    ]
