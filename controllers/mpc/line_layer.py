"""The line layer: how much each station makes, and when it sleeps, over the next hour.

A flow model on blocks of the line period, solved as a mixed-integer program by HiGHS:

    b_j(k+1) = b_j(k) + sum q_in - sum q_out            buffers, inside their room
    q_m(k)  <= ready_m(k) q_max - what a warm-up takes   flow needs a station that is awake
    wake_m(k) >= ready_m(k) - ready_m(k-1)
    sum_k q_source(k) <= open orders

    min  sum  price (standby power + (idle - standby) ready + warm-ups) - worth_m q_m

What a part itself costs is paid whenever it is made, and drops out. ``worth_m`` is what having that
work done now saves later: the station's own readiness for one pace. So a station that gets work runs, one that has
none for long enough sleeps, and when nothing is left to do everything sleeps. How fast a station
runs is not decided here but by the steady pace, see ``controllers.mpc.operating_point``.
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
DELAY = 0.02
"""Share of its worth that work loses with each block it waits. Working now or later takes the same
energy, so without this a plan would put everything off to the end of its hour; assumption."""
WHOLE_BLOCKS = 4
"""Blocks in which a station is either ready or not; later ones may be planned in part."""
GAP = 0.01
NODES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Rate:
    """A station at the steady pace: its fastest useful cycle, and what a part earns beyond cost."""

    cycle_s: float
    margin_eur: float


@dataclass(frozen=True, slots=True, eq=False)
class LinePlan:
    """Block by block: which stations are ready, how many parts each makes; and the release takt.

    A station that is not ready sleeps whatever comes. In a plan that ``dozes`` it sleeps as soon as
    it has nothing to do and wakes by itself when it has; those that are ready doze off after their
    break-even time.
    """

    ready: NDArray[np.bool_]
    parts: NDArray[np.float64]
    takt_s: float
    status: str
    dozes: bool = False

    def shifted(self) -> LinePlan:
        """The same plan, one block later; the last block is repeated."""
        return LinePlan(
            np.vstack([self.ready[1:], self.ready[-1:]]),
            np.vstack([self.parts[1:], self.parts[-1:]]),
            self.takt_s,
            "shifted",
            self.dozes,
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
        room: Mapping[str, float],
        source_to: str,
        takt_lo_s: float,
        block_s: float,
    ) -> None:
        self._room = dict(room)
        self._source_to = source_to
        self._takt_lo_s = takt_lo_s
        self._block_s = block_s

    def solve(
        self, cells: tuple[Cell, ...], outlook: Outlook, rates: tuple[Rate, ...], prices: Prices
    ) -> LinePlan:
        """The best plan found; its status is HiGHS's own word."""
        milp = MilpProblem()
        hours = self._block_s / 3600.0
        price = prices.energy_eur_per_kwh
        n = len(cells)
        ready = np.zeros((BLOCKS, n), dtype=int)
        flows: list[list[int]] = []
        for k in range(BLOCKS):
            row = []
            for m, cell in enumerate(cells):
                gap_eur = price * (cell.idle_kw - cell.standby_kw) * hours
                ready[k, m] = milp.add_variable(0.0, 1.0, gap_eur, integer=k < WHOLE_BLOCKS)
                wake_eur = price * (cell.warm_up_kw - cell.idle_kw) * cell.warm_up_s / 3600.0
                wake_eur += cell.spec.restart_scrap_parts * prices.scrap_eur
                wake = milp.add_variable(0.0, 1.0, max(wake_eur, 1e-4))
                before = {} if k == 0 else {int(ready[k - 1, m]): 1.0}
                asleep = -1.0 if k == 0 and outlook.awake[m] else 0.0
                milp.add_constraint({wake: 1.0, int(ready[k, m]): -1.0, **before}, lo=asleep)
                able = min(max(1.0 - (outlook.blocked_blocks[m] - k), 0.0), 1.0)
                row.append(self._flow(milp, k, cell, able, rates[m], int(ready[k, m]), wake))
            flows.append(row)
        self._buffers(milp, cells, flows, outlook)
        # Costs less worths are near nothing; the gap is to be measured against the hour's energy.
        hour_eur = price * sum(cell.idle_kw for cell in cells) * hours * BLOCKS
        milp.add_variable(1.0, 1.0, -hour_eur)
        solution = milp.solve(node_limit=NODES, gap=GAP)
        if not solution.usable:
            always, none = np.ones((BLOCKS, n), dtype=bool), np.zeros((BLOCKS, n))
            return LinePlan(always, none, self._takt_lo_s, str(solution.reason))
        parts = solution.x[np.array(flows)]
        status = f"highs: {solution.status}"
        return LinePlan(solution.x[ready] > 0.5, parts, self._takt_lo_s, status)

    def _flow(
        self,
        milp: MilpProblem,
        k: int,
        cell: Cell,
        able: float,
        rate: Rate,
        ready: int,
        wake: int,
    ) -> int:
        """Parts of one station in one block, of which it is repaired for the share ``able``."""
        h = self._block_s
        most = able * cell.availability * h / rate.cycle_s
        parts = milp.add_variable(0.0, most, -rate.margin_eur * (1.0 - DELAY * k))
        lost = most * min(cell.warm_up_s / h, 1.0)
        milp.add_constraint({parts: 1.0, ready: -most, wake: lost}, hi=0.0)
        return parts

    def _buffers(
        self,
        milp: MilpProblem,
        cells: tuple[Cell, ...],
        flows: list[list[int]],
        outlook: Outlook,
    ) -> None:
        levels: dict[str, dict[int, float]] = {name: {} for name in self._room}
        source: dict[int, float] = {}
        for k in range(BLOCKS):
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
