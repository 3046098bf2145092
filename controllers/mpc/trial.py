"""Plans driven on forks of the twin: what each would cost, before one of them is believed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from controllers.mpc.peak import PeakCharge
from controllers.mpc.plans import LinePlan, standby_setpoints
from controllers.mpc.progress import Progress
from controllers.mpc.rates import Rate
from controllers.mpc.stations import Cell, Prices
from controllers.mpc.tariff import BlockPrices
from twin.cycle import Situation

WORLDS = 6
"""What-if worlds in which each plan is driven."""
FIRST_WORLDS = 2
"""Worlds for all plans where there are too many for ``DRIVES``; the best one and those that no other
may be dearer than then see as many of the others as there are drives left for."""
DRIVES = 24
"""Most drives of an hour in one decision: eight worlds times three plans."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """All that the plans of one moment have in common."""

    situation: Situation
    cells: tuple[Cell, ...]
    rates: tuple[Rate, ...]
    prices: Prices
    tariff: BlockPrices
    block_s: float
    peak: PeakCharge | None
    """The demand charge; None where there is none."""
    steady: Mapping[str, float]
    """Process setpoints of the operating point."""
    progress: Progress
    worlds: int = WORLDS

    def best(self, plans: list[LinePlan], carried: Collection[bytes] = ()) -> LinePlan:
        """The cheapest on the mean of all worlds driven, the first of them if several are.

        ``carried`` are keys of plans that are never left out early: whatever is chosen is no dearer
        than they are in the same worlds.
        """
        if len(plans) == 1:
            return plans[0]
        costs, few = np.zeros(len(plans)), range(self.worlds)
        if len(plans) * self.worlds > DRIVES:
            few = range(FIRST_WORLDS)
        for n, plan in enumerate(plans):
            for world in few:
                costs[n] = self._driven(plan, world, float(costs[n]))
        if len(few) == self.worlds:
            return plans[int(np.argmin(costs / self.worlds))]
        more = range(FIRST_WORLDS, self.worlds)
        drives = DRIVES - len(plans) * FIRST_WORLDS
        order = np.argsort(costs, kind="stable").tolist()
        first = order[:1] + [n for n in order[1:] if plans[n].key in carried]
        others = [n for n in order if n not in first]
        best = np.sort(first + others[: max(drives // len(more) - len(first), 0)])
        for n in best.tolist():
            for world in more[: drives // len(best)]:
                costs[n] = self._driven(plans[n], world, float(costs[n]))
        return plans[int(best[np.argmin(costs[best])])]

    def _driven(self, plan: LinePlan, world: int, total: float) -> float:
        """``total`` and the cost of a plan in one what-if world, less the worth of the work done."""
        fork = self.situation.fork(world)
        before = fork.meters()
        kwh = [before["line.energy_kwh"]]
        blocks = len(plan.ready)
        now_s, missed_eur = self.situation.time_s, None
        for k in range(blocks):
            asked = {"line.takt_s": plan.takt_s, **self.steady} if k == 0 else {}
            asked |= standby_setpoints(self.cells, plan, k)
            if missed_eur is None and (k + 1) * self.block_s >= self.progress.left_s:
                fork.advance(asked, now_s + self.progress.left_s)
                missed_eur, asked = self.progress.missed_eur(fork.meters(), 0.0), {}
            fork.advance(asked, now_s + (k + 1) * self.block_s)
            if k < blocks - 1 and not (self.tariff.is_flat and self.peak is None):
                kwh.append(fork.energy_kwh())
        after = fork.meters()
        if missed_eur is None:
            rest_s = self.progress.left_s - blocks * self.block_s
            missed_eur = self.progress.missed_eur(after, rest_s)
        total += missed_eur
        kwh += [after["line.energy_kwh"]] * (blocks + 1 - len(kwh))
        total += self.tariff.electricity_eur(np.array(kwh))
        if self.peak is not None:
            total += self.peak.charge_eur(np.array(kwh))
        # A part that is scrapped has to be made again, at every station.
        lost = after["line.scrap_count"] - before["line.scrap_count"]
        total += lost * self.prices.scrap_eur
        for m, cell in enumerate(self.cells):
            name = cell.name
            ops = after[f"{name}.op_count"] - before[f"{name}.op_count"] - cell.share * lost
            # Work done is not work to do: it earns the energy beyond standby that it takes.
            total -= ops * (self.rates[m].margin_eur + self._busy_eur(cell, after))
        return total

    def _busy_eur(self, cell: Cell, meters: Mapping[str, float]) -> float:
        """Energy of a part beyond what the station would draw waiting for the same time, later."""
        cycle_s, energy_kwh = (
            meters[f"{cell.name}.last_cycle_s"],
            meters[f"{cell.name}.last_energy_kwh"],
        )
        return self.tariff.later * (energy_kwh - cell.idle_kw * cycle_s / 3600.0)
