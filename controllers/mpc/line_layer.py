"""The line layer: how much each station makes, and when it sleeps, over the next hour.

A flow model on blocks of the line period, solved as a mixed-integer program by HiGHS:

    b_j(k+1) = b_j(k) + sum q_in - sum q_out            buffers, inside their room
    q_m(k)  <= ready_m(k) q_max - what a warm-up takes   flow needs a station that is awake
    wake_m(k) >= ready_m(k) - ready_m(k-1)
    sum_k q_source(k) <= open orders

    min  sum  price (standby power + (idle - standby) ready + warm-ups) + cost_m(q_m) - worth_m q_m
              + small price of buffers away from half full

``cost_m`` is convex and piecewise linear: the station layer's best cost of a part at several cycle
times. ``worth_m`` is what having that work done now is worth later: its cost at the best steady
pace plus the shadow price of the station's time. So a station that limits the line runs, one that
does not may sleep, and when nothing is left to do everything sleeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.stations import Cell, Prices
from twin.cycle import Observation
from twin.line import schema as s
from twin.optim.milp import MilpProblem

BLOCKS = 12
BUFFER_EUR = 0.002
"""Price of one part away from a half-full buffer for one block; assumption, see docs."""
WHOLE_BLOCKS = 4
"""Blocks in which a station is either ready or not; later ones may be planned in part."""
GAP = 0.01
NODES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """A station's choices: cycle times (slow to fast), cost of a part at each, worth of a part."""

    cycle_s: NDArray[np.float64]
    cost_eur: NDArray[np.float64]
    worth_eur: float


@dataclass(frozen=True, slots=True, eq=False)
class LinePlan:
    """Block by block: which stations are ready, and how many parts each makes."""

    ready: NDArray[np.bool_]
    parts: NDArray[np.float64]
    status: str

    def shifted(self) -> LinePlan:
        """The same plan, one block later; the last block is repeated."""
        return LinePlan(
            np.vstack([self.ready[1:], self.ready[-1:]]),
            np.vstack([self.parts[1:], self.parts[-1:]]),
            "shifted",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """The line at the start of a plan: who can work from which block on, buffers, open orders."""

    awake: NDArray[np.bool_]
    blocked_blocks: NDArray[np.float64]
    """Blocks (with fractions) for which a station is expected to stay down."""
    levels: Mapping[str, float]
    open_orders: float


class LineLayer:
    """The flow model of one line."""

    def __init__(
        self,
        cells: tuple[Cell, ...],
        room: Mapping[str, float],
        source_to: str,
        takt_lo_s: float,
        block_s: float,
    ) -> None:
        self._cells = cells
        self._room = dict(room)
        self._source_to = source_to
        self._source_most = block_s / takt_lo_s
        self._block_s = block_s

    def solve(self, outlook: Outlook, rates: tuple[Rates, ...], prices: Prices) -> LinePlan:
        """The best plan found; its status is HiGHS's own word."""
        milp = MilpProblem()
        h, hours = self._block_s, self._block_s / 3600.0
        price = prices.energy_eur_per_kwh
        n = len(self._cells)
        ready = np.zeros((BLOCKS, n), dtype=int)
        flows: list[list[list[int]]] = []
        for k in range(BLOCKS):
            row = []
            for m, cell in enumerate(self._cells):
                gap_eur = price * (cell.idle_kw - cell.standby_kw) * hours
                ready[k, m] = milp.add_variable(0.0, 1.0, gap_eur, integer=k < WHOLE_BLOCKS)
                wake_eur = price * (cell.warm_up_kw - cell.idle_kw) * cell.warm_up_s / 3600.0
                wake = milp.add_variable(0.0, 1.0, max(wake_eur, 1e-4))
                before = {} if k == 0 else {int(ready[k - 1, m]): 1.0}
                asleep = -1.0 if k == 0 and outlook.awake[m] else 0.0
                milp.add_constraint({wake: 1.0, int(ready[k, m]): -1.0, **before}, lo=asleep)
                row.append(self._flow(milp, k, m, rates[m], outlook, int(ready[k, m]), wake))
            flows.append(row)
        self._buffers(milp, flows, outlook)
        # Costs less worths are near nothing; the gap is to be measured against the hour's energy.
        hour_eur = price * sum(cell.idle_kw for cell in self._cells) * hours * BLOCKS
        milp.add_variable(1.0, 1.0, -hour_eur)
        solution = milp.solve(node_limit=NODES, gap=GAP)
        if not solution.usable:
            return LinePlan(
                np.ones((BLOCKS, n), dtype=bool), np.zeros((BLOCKS, n)), str(solution.reason)
            )
        parts = np.array(
            [[sum(solution.x[v] for v in flows[k][m]) for m in range(n)] for k in range(BLOCKS)]
        )
        return LinePlan(solution.x[ready] > 0.5, parts, f"highs: {solution.status}")

    def _flow(
        self,
        milp: MilpProblem,
        k: int,
        m: int,
        rates: Rates,
        outlook: Outlook,
        ready: int,
        wake: int,
    ) -> list[int]:
        """Parts of one station in one block, in segments of rising cost."""
        cell, h = self._cells[m], self._block_s
        able = min(max(1.0 - (outlook.blocked_blocks[m] - k), 0.0), 1.0) * cell.availability
        most = able * h / rates.cycle_s  # parts a block at each cycle time, slow to fast
        costs = most * rates.cost_eur
        segments = []
        below, below_eur = 0.0, 0.0
        for parts, eur in zip(most, costs, strict=True):
            width = parts - below
            if width > 1e-9:
                slope = (eur - below_eur) / width - rates.worth_eur
                segments.append(milp.add_variable(0.0, width, slope))
            below, below_eur = parts, eur
        lost = most[-1] * min(cell.warm_up_s / h, 1.0)
        milp.add_constraint(
            {**dict.fromkeys(segments, 1.0), ready: -most[-1], wake: lost}, hi=0.0
        )
        return segments

    def _buffers(
        self, milp: MilpProblem, flows: list[list[list[int]]], outlook: Outlook
    ) -> None:
        levels: dict[str, dict[int, float]] = {name: {} for name in self._room}
        source: dict[int, float] = {}
        for k in range(BLOCKS):
            release = milp.add_variable(0.0, self._source_most, 1e-5 * k)
            source[release] = 1.0
            if self._source_to in levels:
                levels[self._source_to][release] = 1.0
            for m, cell in enumerate(self._cells):
                for flow in flows[k][m]:
                    if cell.takes_from in levels:
                        levels[cell.takes_from][flow] = -1.0
                    if cell.gives_to in levels:
                        levels[cell.gives_to][flow] = 1.0
            for name, room in self._room.items():
                start = outlook.levels[name]
                milp.add_constraint(dict(levels[name]), lo=-start, hi=max(room - start, 0.0))
                if name != self._source_to:
                    off = milp.add_variable(0.0, room, BUFFER_EUR)
                    middle = 0.5 * room - start
                    milp.add_constraint({**levels[name], off: -1.0}, hi=middle)
                    milp.add_constraint({**levels[name], off: 1.0}, lo=middle)
        milp.add_constraint(source, hi=max(outlook.open_orders, 0.0))


def outlook_of(
    cells: tuple[Cell, ...],
    buffers: tuple[str, ...],
    observation: Observation,
    down_blocks: NDArray[np.float64],
) -> Outlook:
    """Where the plan starts from."""
    states = [int(observation[f"{cell.name}.state"]) for cell in cells]
    awake = np.array([state not in (s.STANDBY, s.OFF) for state in states])
    levels = {name: observation[f"{name}.level"] for name in buffers}
    released = observation["line.released_count"] - observation["line.scrap_count"]
    open_orders = observation["line.ordered_count"] - released
    return Outlook(awake, down_blocks, levels, max(open_orders, 0.0))
