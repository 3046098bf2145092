"""The grid meter of one plant: what the line and the rest of the site draw, and what a peak costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from controllers.mpc.peak import GridMemory, PeakCharge, into_quarter_s, peak_charge
from controllers.mpc.rates import Rate
from controllers.mpc.stations import Cell
from twin.config import Plant
from twin.cycle import Situation

SITE = "env.site_load_kw"


class Grid:
    """Constants of the plant's grid meter and demand charge, EUR a kW and shift."""

    def __init__(
        self, plant: Plant, cells: tuple[Cell, ...], eur_per_kw: float, blocks: int
    ) -> None:
        self._eur_per_kw, self._blocks = eur_per_kw, blocks
        self._block_s, self._shift_s = plant.control.line_period_s, plant.shift_h * 3600.0
        self._starts_at_h = plant.energy.starts_at_h
        own = {cell.name for cell in cells}
        self._others = tuple(f"{st.name}.power_kw" for st in plant.stations if st.name not in own)

    def read(self, situation: Situation, memory: GridMemory) -> None:
        """Keep what the meter shows now."""
        seen = situation.observation
        if SITE in seen.index and not math.isnan(seen[SITE]):
            memory.site_kw = seen[SITE]
        kwh, site_kw = seen["line.energy_kwh"], _site_kw(memory)
        memory.book(situation.time_s, kwh, site_kw, self._starts_at_h, self._shift_s)

    def charge(
        self,
        situation: Situation,
        memory: GridMemory,
        cells: tuple[Cell, ...],
        rates: Sequence[Rate],
        pace_most_s: float,
    ) -> PeakCharge | None:
        """The demand charge of a plan that begins now; None where none is charged.

        Whatever the plan, the open orders need the mean power of the slowest pace that makes them.
        """
        if self._eur_per_kw <= 0.0:
            return None
        part_kwh = 0.0
        for cell, rate in zip(cells, rates, strict=True):
            awake_kwh = (cell.idle_kw - cell.standby_kw) * rate.cycle_s / 3600.0
            part_kwh += cell.share * (rate.busy_kwh + awake_kwh)
        asleep_kw = self.beside_kw(situation, memory) + sum(cell.standby_kw for cell in cells)
        return peak_charge(
            self._eur_per_kw,
            asleep_kw + part_kwh * 3600.0 / pace_most_s,
            memory,
            into_quarter_s(situation.time_s, self._starts_at_h),
            _site_kw(memory),
            self._block_s,
            self._blocks,
        )

    def paid_kw(self, memory: GridMemory) -> float:
        """What the line may draw over a quarter of an hour without a new peak, beside the rest of the site."""
        return memory.paid_kw - _site_kw(memory)

    def beside_kw(self, situation: Situation, memory: GridMemory) -> float:
        """What is drawn beside the per-part stations, on the site and in the line."""
        return _site_kw(memory) + self.other_kw(situation)

    def other_kw(self, situation: Situation) -> float:
        """What the line draws beside the per-part stations: an oven's fans, for instance."""
        known = [_known(situation, name) for name in self._others]
        return sum(known)


def _site_kw(memory: GridMemory) -> float:
    """The rest of the site as it was last known; nothing where it never was."""
    return 0.0 if math.isnan(memory.site_kw) else memory.site_kw


def _known(situation: Situation, name: str) -> float:
    """A power now; one that is unknown counts as nothing: a plan can do nothing about it."""
    seen = situation.observation
    value = seen[name] if name in seen.index else math.nan
    return 0.0 if math.isnan(value) else value
