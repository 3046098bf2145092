"""The MPC as a controller: when each layer runs, and what is asked of the line.

Every line period, and when a station breaks down or comes back, the line layer plans; its plan, the
plan before shifted by one block, and running everything at the best steady pace are then driven on
forks of the twin in the same what-if worlds, and the cheapest one is kept. In between, the station
layer moves process setpoints. A solve that is not usable changes nothing: the last plan holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.line_layer import (
    BLOCKS,
    LineLayer,
    LinePlan,
    Outlook,
    Rates,
    outlook_of,
)
from controllers.mpc.operating_point import OperatingPoint, Point
from controllers.mpc.station_layer import StationLayer, StationMove
from controllers.mpc.stations import Cell, Prices, cells_of, prices_of
from twin.cycle import Action, Situation
from twin.line import schema as s
from twin.line.model import Line
from twin.objective import Objective
from twin.signals import Role

HASTE = 0.2
"""Premium on a station's shadow price: time in hand is worth more than the steady course says,
because breakdowns come; it also keeps a line with time to spare from putting work off. Assumption.
"""
WORLDS = 6
"""What-if worlds in which each plan is driven."""
PACES = (1.3, 1.12, 1.0, 0.93, 0.87)
"""Cycle times offered to the line layer, as shares of the steady one."""
SPARE = 0.97
"""Share of the time left that the steady pace may use for the open orders."""


@dataclass(slots=True)
class _Memory:
    planned_s: float = -1e9
    states: tuple[int, ...] = ()
    point: Point | None = None
    plan: LinePlan | None = None
    moves: tuple[StationMove, ...] = ()
    reason: str = ""
    status: str = "not yet planned"


class Mpc:
    """Line layer and station layer over the per-part stations of a line."""

    def __init__(self, line: Line, tuned: Mapping[str, float]) -> None:
        plant = line.plant
        self._plant = plant
        self._cells = cells_of(line)
        self._moving = tuple(m for m, cell in enumerate(self._cells) if cell.mvs)
        self._objective = Objective.of(plant)
        takt = plant.source.takt_s
        self._takt_lo_s = takt.operator[0]
        self._tuned = dict(tuned)
        self._operating = OperatingPoint(
            self._cells, self._objective.tool_excess_factor, self._takt_lo_s
        )
        self._stations = {m: StationLayer(self._cells[m]) for m in self._moving}
        room = {b.name: float(b.capacity) for b in plant.buffers}
        self._buffers = tuple(room)
        self._line = LineLayer(
            self._cells, room, plant.source.gives_to, self._takt_lo_s, plant.control.line_period_s
        )
        self._edges_at_start: dict[str, float] = {}
        self._memory = _Memory()

    def decide(self, situation: Situation) -> Action:
        """Setpoints for this period."""
        memory = self._memory
        prices = prices_of(self._objective, situation, float(self._plant.source.blank_kg))
        states = tuple(int(situation.observation[f"{c.name}.state"]) for c in self._cells)
        due = situation.time_s - memory.planned_s >= self._plant.control.line_period_s - 1e-6
        broke = [a == s.DOWN for a in states] != [b == s.DOWN for b in memory.states]
        if due or broke or memory.plan is None:
            self._plan(situation, prices)
        memory.states = states
        setpoints = self._asked(situation, prices)
        return Action(setpoints, memory.reason, memory.status)

    # --- line layer ----------------------------------------------------------------------------

    def _plan(self, situation: Situation, prices: Prices) -> None:
        memory = self._memory
        point = self._operating.solve(
            situation, prices, self._pace_most_s(situation), self._budget_eur(situation)
        )
        if not point.usable:
            memory.status = f"fallback: {point.status}, last plan kept"
            if memory.point is None:
                return
            point = memory.point
        memory.point = point
        rates, moves = self._rates(situation, prices, point)
        outlook = outlook_of(
            self._cells, self._buffers, situation.observation, self._down_blocks(situation)
        )
        fresh = self._line.solve(outlook, rates, prices)
        n = len(self._cells)
        steady = LinePlan(
            np.ones((BLOCKS, n), dtype=bool), np.full((BLOCKS, n), np.nan), "steady pace"
        )
        plans = [fresh, steady]
        late = situation.time_s - memory.planned_s > 1.5 * self._plant.control.line_period_s
        if memory.plan is not None and not late:
            plans.append(memory.plan.shifted())
        costs = [self._driven(situation, prices, plan, rates, moves) for plan in plans]
        best = int(np.argmin(costs))
        memory.plan, memory.planned_s = plans[best], situation.time_s
        memory.status = f"{point.status}; {fresh.status}; kept {plans[best].status}"
        asleep = [c.name for m, c in enumerate(self._cells) if not memory.plan.ready[0, m]]
        sleep = f"; standby: {', '.join(asleep)}" if asleep else ""
        memory.reason = f"pace {point.pace_s:.1f} s a part{sleep}"

    def _pace_most_s(self, situation: Situation) -> float:
        """The slowest pace that still makes the open orders before the shift ends."""
        seen = situation.observation
        shift_s = self._plant.shift_h * 3600.0
        left_s = SPARE * shift_s - situation.time_s % shift_s
        missing = seen["line.ordered_count"] - seen["line.good_count"]
        if missing < 1.0:
            return 1e4
        return max(left_s, 60.0) / missing

    def _budget_eur(self, situation: Situation) -> float:
        """What edges may cost per part from here on: the plan's budget less what was used."""
        seen, plant = situation.observation, self._plant
        tools = [c for c in self._cells if c.edge_eur > 0.0]
        if plant.tooling is None or not tools:
            return 1e3
        used = 0.0
        for cell in tools:
            use = seen[f"{cell.name}.tool_use"]
            now = seen[f"{cell.name}.tool_changes"] + (0.0 if use != use else use)
            self._edges_at_start.setdefault(cell.name, now)
            used += cell.edge_eur * (now - self._edges_at_start[cell.name])
        made = max(seen["line.good_count"], 0.0)
        left = max(seen["line.ordered_count"] - made, 1.0)
        budget = self._budget_per_part()
        # Late luck must not be chased: the rest of the shift is at least a fifth of it.
        whole = max(seen["line.ordered_count"], 1.0)
        spread = max(left, 0.2 * whole)
        return budget + (budget * made - used) / spread

    def _budget_per_part(self) -> float:
        return self._objective.tool_budget_eur_per_part

    def _rates(
        self, situation: Situation, prices: Prices, point: Point
    ) -> tuple[tuple[Rates, ...], dict[int, tuple[StationMove, ...]]]:
        rates, moves = [], {}
        for m, cell in enumerate(self._cells):
            own_s = point.pace_s / cell.share
            if m in self._stations:
                targets = [own_s * cell.availability * share for share in PACES]
                solved = tuple(
                    self._stations[m].solve(situation, prices, point.edge_factor, t)
                    for t in targets
                )
                moves[m] = solved
                cycles = np.array([move.cycle_s for move in solved])
                costs = np.array([move.cost_eur for move in solved])
                for k in range(1, len(cycles)):  # equal or slower than asked: keep them apart
                    cycles[k] = min(cycles[k], cycles[k - 1] - 1e-3)
                steady_cost = float(costs[2])
            else:
                u, d = np.zeros(0), cell.disturbances(situation)
                y = cell.model.numbers()(np.zeros(len(cell.model.states)), u, d, cell.p)
                cycle = y[0] * cell.ratio(situation, "last_cycle_s")
                steady_cost = prices.energy_eur_per_kwh * y[1]
                cycles, costs = np.array([cycle]), np.array([steady_cost])
            worth = steady_cost + (1.0 + HASTE) * point.worth_eur_per_s[m] * point.pace_s
            # Costs are beyond those of waiting ready for the same time.
            waits = prices.energy_eur_per_kwh * cell.idle_kw * cycles / 3600.0
            rates.append(Rates(cycles, costs - waits, worth - float(waits[min(2, len(waits) - 1)])))
        return tuple(rates), moves

    def _down_blocks(self, situation: Situation) -> NDArray[np.float64]:
        """How long each broken station is expected to stay down, in blocks."""
        block_s = self._plant.control.line_period_s
        blocks = np.zeros(len(self._cells))
        for m, cell in enumerate(self._cells):
            seen = situation.observation
            if int(seen[f"{cell.name}.state"]) != s.DOWN:
                continue
            since = seen[f"{cell.name}.state_since_s"]
            blocks[m] = _repair_left_s(cell, situation.time_s - since) / block_s
        return blocks

    def _driven(
        self,
        situation: Situation,
        prices: Prices,
        plan: LinePlan,
        rates: tuple[Rates, ...],
        moves: dict[int, tuple[StationMove, ...]],
    ) -> float:
        """Mean cost of a plan over the what-if worlds, less the worth of the work done."""
        block_s = self._plant.control.line_period_s
        total = 0.0
        for world in range(WORLDS):
            fork = situation.fork(world)
            before = fork.meters()
            for k in range(BLOCKS):
                asked = self._block(plan, k, situation, moves)
                fork.advance(asked, situation.time_s + (k + 1) * block_s)
            after = fork.meters()
            total += prices.energy_eur_per_kwh * (
                after["line.energy_kwh"] - before["line.energy_kwh"]
            )
            for m, cell in enumerate(self._cells):
                name = cell.name
                ops = after[f"{name}.op_count"] - before[f"{name}.op_count"]
                idle_eur = prices.energy_eur_per_kwh * cell.idle_kw / 3600.0
                cycle = float(rates[m].cycle_s[min(2, len(rates[m].cycle_s) - 1)])
                total -= ops * (rates[m].worth_eur + idle_eur * cycle)
                if cell.life_mm:
                    edges = after[f"{name}.tool_changes"] - before[f"{name}.tool_changes"]
                    edges += after[f"{name}.tool_use"] - before[f"{name}.tool_use"]
                    point = self._memory.point
                    assert point is not None
                    total += edges * cell.edge_eur * point.edge_factor
        return total / WORLDS

    def _block(
        self,
        plan: LinePlan,
        k: int,
        situation: Situation,
        moves: dict[int, tuple[StationMove, ...]],
    ) -> dict[str, float]:
        """The setpoints of one block of a plan."""
        asked: dict[str, float] = {}
        for m, cell in enumerate(self._cells):
            if cell.spec.standby:
                asked[f"{cell.name}.standby"] = 0.0 if plan.ready[k, m] else 1.0
            if m in moves:
                wanted = self._target_s(plan, k, m)
                found = [v for v in moves[m] if v.usable]
                if found:
                    near = min(found, key=lambda v: abs(v.cycle_s - wanted))
                    asked |= cell.unscaled(near.z)
        return asked

    def _target_s(self, plan: LinePlan, k: int, m: int) -> float:
        """The cycle time that makes a block's parts; the steady one where none are planned."""
        cell, point = self._cells[m], self._memory.point
        assert point is not None
        steady = point.pace_s / cell.share * cell.availability
        parts = plan.parts[k, m]
        if not parts > 0.5:
            return steady
        block_s = self._plant.control.line_period_s
        wanted = block_s * cell.availability / float(parts)
        return min(max(wanted, PACES[-1] * steady), PACES[0] * steady)

    # --- station layer -------------------------------------------------------------------------

    def _asked(self, situation: Situation, prices: Prices) -> dict[str, float]:
        memory = self._memory
        asked = {name: v for name, v in self._tuned.items() if name.endswith("standby_after_s")}
        asked["line.takt_s"] = self._takt_lo_s
        if memory.plan is None or memory.point is None:
            return asked
        block_s = self._plant.control.line_period_s
        k = min(int((situation.time_s - memory.planned_s) / block_s + 1e-9), BLOCKS - 1)
        for m, cell in enumerate(self._cells):
            if cell.spec.standby:
                asked[f"{cell.name}.standby"] = 0.0 if memory.plan.ready[k, m] else 1.0
        for m in self._moving:
            move = self._stations[m].solve(
                situation, prices, memory.point.edge_factor, self._target_s(memory.plan, k, m)
            )
            if move.usable:
                asked |= self._cells[m].unscaled(move.z)
            else:
                memory.status = f"fallback: {self._cells[m].name} {move.status}, setpoints held"
        known = {s.name for s in situation.signals if s.role is Role.MV}
        return {name: value for name, value in asked.items() if name in known}


def _repair_left_s(cell: Cell, elapsed_s: float) -> float:
    """Mean time still to go: a mixture of the station's repairs, weighted by what has passed.

    A repair of one kind outlives ``elapsed_s`` about as exp(-elapsed / mean) (assumption: the
    lognormal's tail is replaced by an exponential one).
    """
    total = weights = 0.0
    for failure in cell.spec.failures.values():
        mean = float(failure.mean_repair_s)
        weight = np.exp(-elapsed_s / mean) / float(failure.mean_between_s)
        total += weight * mean
        weights += weight
    return float(total / weights) if weights > 0.0 else 0.0


__all__ = ["Mpc", "Outlook"]
