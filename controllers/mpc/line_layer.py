"""The line layer: how much each station makes, and when it sleeps, over the next hour.

A flow model on blocks of the line period, solved as a mixed-integer program by HiGHS:

    b_j(k+1) = b_j(k) + sum q_in - sum q_out            buffers, inside their room
    q_m(k)  <= ready_m(k) q_max - what warm-ups take   flow needs a station that is awake
    wake_m(k) >= ready_m(k) - ready_m(k-1)
    sum_k q_source(k) <= open orders
    4 sum_k in quarter E(k) <= base + excess            E: what a block takes from the grid, kWh
    made    <= past_m + sum_k q_m(k) + what comes after the plan       the stage furthest behind

    min  sum  price(k) (standby power + (idle - standby) ready + warm-ups) - worth_m(k) q_m
         + demand charge * excess - worth of an order * made             see controllers.mpc.progress

What a part itself costs is paid whenever it is made: only how much dearer that is than later counts. ``worth_m`` is what having that
work done now saves later: the station's own readiness for one pace. So a station that gets work runs, one that has
none for long enough sleeps, and when nothing is left to do everything sleeps. How fast a station
runs is not decided here but by the steady pace, see ``controllers.mpc.operating_point``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.outlook import Outlook
from controllers.mpc.peak import PER_HOUR, PeakCharge
from controllers.mpc.plans import LinePlan, all_ready
from controllers.mpc.progress import Progress, to_come
from controllers.mpc.rates import Rate
from controllers.mpc.stations import Cell, Prices
from controllers.mpc.tariff import BlockPrices
from twin.optim.milp import MilpProblem

BLOCKS = 12
DELAY = 0.02
"""Share of its worth that work loses with each block it waits. Working now or later takes the same
energy, so without this a plan would put everything off to the end of its hour; assumption."""
WHOLE_BLOCKS = 4
"""Blocks in which a station is either ready or not; later ones may be planned in part."""
GAP, LEAST_EUR = 0.01, 0.01
"""A plan may be dearer than the best by this share of what the line takes waiting all the while, but of no less
than so much: stations that draw nothing have nothing to save."""
NODES = 200


class LineLayer:
    """The flow model of one line."""

    def __init__(
        self,
        room: Mapping[str, float],
        source_to: str,
        takt_lo_s: float,
        block_s: float,
        blocks: int = BLOCKS,
    ) -> None:
        self._room = dict(room)
        self._source_to = source_to
        self._takt_lo_s = takt_lo_s
        self._block_s = block_s
        self._blocks = blocks

    def solve(
        self,
        cells: tuple[Cell, ...],
        outlook: Outlook,
        rates: tuple[Rate, ...],
        prices: Prices,
        tariff: BlockPrices,
        peak: PeakCharge | None = None,
        other_kw: float = 0.0,
        progress: Progress | None = None,
    ) -> LinePlan:
        """The best plan found; its status is HiGHS's own word. Everybody ready if none is usable.

        ``other_kw`` is what the line draws beside these stations: it counts for the peak.
        """
        milp = MilpProblem()
        hours = self._block_s / 3600.0
        n, blocks = len(cells), self._blocks
        ready = np.zeros((blocks, n), dtype=int)
        flows: list[list[int]] = []
        wakes = np.zeros((blocks, n), dtype=int)
        drawn_kwh: list[dict[int, float]] = [{} for _ in range(blocks)]
        for k in range(blocks):
            row, price = [], float(tariff.blocks[k])
            for m, cell in enumerate(cells):
                gap_eur = price * (cell.idle_kw - cell.standby_kw) * hours
                lo, hi = self._allowed(outlook, k, m)
                whole = k < WHOLE_BLOCKS or cell.is_held  # least times say nothing of half a rest
                ready[k, m] = milp.add_variable(lo, hi, gap_eur, integer=whole)
                wake_eur = price * (cell.warm_up_kw - cell.idle_kw) * cell.warm_up_s / 3600.0
                wake_eur += cell.spec.restart_scrap_parts * prices.scrap_eur
                wake = wakes[k, m] = milp.add_variable(0.0, 1.0, max(wake_eur, 1e-4))
                before = {} if k == 0 else {int(ready[k - 1, m]): 1.0}
                asleep = -1.0 if k == 0 and outlook.awake[m] else 0.0
                milp.add_constraint({wake: 1.0, int(ready[k, m]): -1.0, **before}, lo=asleep)
                able = min(max(1.0 - (outlook.blocked_blocks[m] - k), 0.0), 1.0)
                worth_eur = rates[m].margin_eur * (1.0 - DELAY * k)
                worth_eur -= (price - tariff.later) * rates[m].busy_kwh
                most = able * cell.availability * self._block_s / rates[m].cycle_s
                flow = self._flow(milp, cell, most, worth_eur, int(ready[k, m]), wakes[: k + 1, m])
                row.append(flow)
                drawn_kwh[k] |= {
                    int(ready[k, m]): (cell.idle_kw - cell.standby_kw) * hours,
                    wake: (cell.warm_up_kw - cell.idle_kw) * cell.warm_up_s / 3600.0,
                    flow: rates[m].busy_kwh,
                }
            flows.append(row)
        for m, cell in enumerate(cells):
            if cell.is_held:
                self._hold(milp, cell, ready[:, m].tolist(), bool(outlook.awake[m]))
        self._buffers(milp, cells, flows, outlook)
        if progress is not None and progress.stages:
            self._progress(milp, progress, flows)
        if peak is not None:
            rest_kw = sum(cell.standby_kw for cell in cells) + other_kw
            _charge_peak(milp, peak, drawn_kwh, rest_kw * hours)
        hour_eur = tariff.later * sum(cell.idle_kw for cell in cells) * hours * blocks
        solution = milp.solve(node_limit=NODES, gap=GAP, against=max(hour_eur, LEAST_EUR))
        if not solution.usable:
            status = f"fallback: highs: {solution.reason}, everybody ready"
            return all_ready(blocks, n, self._takt_lo_s, status)
        parts = solution.x[np.array(flows)]
        gap_percent = math.ceil(100.0 * min(solution.gap or 0.0, 9.99) - 1e-6)
        status = f"highs: {solution.status}, within {gap_percent} % of the bound"
        return LinePlan(solution.x[ready] > 0.5, parts, self._takt_lo_s, status)

    def _allowed(self, outlook: Outlook, k: int, m: int) -> tuple[float, float]:
        """Bounds of a station's readiness in a block."""
        hold = outlook.holds.get(m)
        if hold is None or k >= hold.blocks(self._block_s):
            return 0.0, 1.0
        return (1.0, 1.0) if hold.ready else (0.0, 0.0)

    def _hold(self, milp: MilpProblem, cell: Cell, ready: list[int], awake: bool) -> None:
        """Minimum up and down times: a change in block k binds the blocks after it.

        ready(i) >= ready(k) - ready(k-1) for up times, ready(i) <= 1 - (ready(k-1) - ready(k)) for
        down times.
        """
        for least_s, sign in ((cell.spec.min_ready_s, 1.0), (cell.spec.min_standby_s, -1.0)):
            reach = math.ceil(least_s / self._block_s - 1e-9)
            for k, column in enumerate(ready):
                before = {} if k == 0 else {ready[k - 1]: -1.0}
                start = 1.0 if k == 0 and awake else 0.0
                for later in ready[k + 1 : k + reach]:
                    # sign * (ready(k) - ready(k-1)) <= ready(later), or 1 - ready(later)
                    terms = {c: sign * v for c, v in ({column: 1.0} | before).items()}
                    room = sign * start + (0.0 if sign > 0.0 else 1.0)
                    milp.add_constraint(terms | {later: -sign}, hi=room)

    def _flow(
        self,
        milp: MilpProblem,
        cell: Cell,
        most: float,
        worth_eur: float,
        ready: int,
        wakes: NDArray[np.int_],
    ) -> int:
        """Parts of one station in one block, ``most`` if it is ready all the time.

        ``wakes`` are the changes to ready up to this block: a warm-up takes from the block in which it
        begins, and from those after it while it lasts.
        """
        parts = milp.add_variable(0.0, most, -worth_eur)
        terms = {parts: 1.0, ready: -most}
        for ago, wake in enumerate(wakes[::-1].tolist()):
            share = min(cell.warm_up_s / self._block_s - ago, 1.0)
            if share > 0.0:
                terms[wake] = most * share
        milp.add_constraint(terms, hi=0.0)
        return parts

    def _progress(self, milp: MilpProblem, progress: Progress, flows: list[list[int]]) -> None:
        """The parts that come to their end by the end of the shift, bound by each stage.

        Counted from what the stage furthest behind would reach at its best.
        """
        block_s, blocks = self._block_s, self._blocks
        after_s = progress.left_s - blocks * block_s
        reach = [
            past + to_come(stage, progress.left_s)
            for stage, past in zip(progress.stages, progress.past, strict=True)
        ]
        best = min(reach)
        made = milp.add_variable(-math.inf, 0.0, -progress.eur_per_part)
        for stage, past in zip(progress.stages, progress.past, strict=True):
            if not stage.cells:
                continue  # what no station here has a part in goes on by itself
            terms = {made: 1.0}
            for k in range(blocks):
                counts = min(max(progress.left_s / block_s - k, 0.0), 1.0)
                if counts > 0.0:
                    terms |= {flows[k][m]: -counts for m in stage.cells}
            milp.add_constraint(terms, hi=past + to_come(stage, after_s) - best)

    def _buffers(
        self,
        milp: MilpProblem,
        cells: tuple[Cell, ...],
        flows: list[list[int]],
        outlook: Outlook,
    ) -> None:
        levels: dict[str, dict[int, float]] = {name: {} for name in self._room}
        source: dict[int, float] = {}
        for k in range(self._blocks):
            release = milp.add_variable(0.0, self._block_s / self._takt_lo_s, 1e-5 * k)
            source[release] = 1.0
            if self._source_to in levels:
                levels[self._source_to][release] = 1.0
            for m, cell in enumerate(cells):
                flow = flows[k][m]
                if cell.takes_from in levels:
                    levels[cell.takes_from][flow] = -1.0
                if cell.gives_to in levels:
                    levels[cell.gives_to][flow] = 1.0
            for name, room in self._room.items():
                start = outlook.levels[name]
                milp.add_constraint(dict(levels[name]), lo=-start, hi=max(room - start, 0.0))
        milp.add_constraint(source, hi=max(outlook.open_orders, 0.0))


def _charge_peak(
    milp: MilpProblem, peak: PeakCharge, drawn_kwh: list[dict[int, float]], rest_kwh: float
) -> None:
    """One variable for the highest quarter above the base, and a row for each quarter.

    ``drawn_kwh`` is what each block takes by variable, beyond ``rest_kwh`` that it takes anyway.
    """
    excess_kw = milp.add_variable(0.0, math.inf, peak.eur_per_kw)
    for shares, begun_kwh in zip(peak.shares, peak.begun_kwh, strict=True):
        terms = {excess_kw: -1.0}
        for share, drawn in zip(shares.tolist(), drawn_kwh, strict=True):
            if share > 0.0:
                terms |= {column: PER_HOUR * share * kwh for column, kwh in drawn.items()}
        fixed_kwh = float(begun_kwh) + rest_kwh * float(shares.sum())
        milp.add_constraint(terms, hi=peak.base_kw - PER_HOUR * fixed_kwh)
