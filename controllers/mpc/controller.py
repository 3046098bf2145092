"""The MPC as a controller: when each layer runs, and what is asked of the line.

Every line period, when a station breaks down or comes back and when a rush order comes, the line layer
plans; its plan, what is left of the plan before, and running everything at the best steady pace or
as fast as it goes are then driven on forks of the twin in the same what-if worlds, and the cheapest one
is kept. In between, the station
layer moves process setpoints. A solve that is not usable changes nothing: the last plan holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controllers.mpc.grid import Grid
from controllers.mpc.holds import Holds, SwitchMemory, held
from controllers.mpc.last_parts import rests
from controllers.mpc.line_layer import BLOCKS, LineLayer
from controllers.mpc.operating_point import HURRY, OperatingPoint, Point, with_shares
from controllers.mpc.outlook import Outlook, outlook_of
from controllers.mpc.oven_layer import ovens_of
from controllers.mpc.peak import GridMemory
from controllers.mpc.plans import LinePlan, candidates, distinct, standby_setpoints
from controllers.mpc.process_layer import process_layers
from controllers.mpc.progress import carried_by, leads, progress_of, winding_down
from controllers.mpc.rates import fastest_s, rates_at
from controllers.mpc.reasons import ContinuousLayer, Course, explained
from controllers.mpc.station_layer import StationLayer
from controllers.mpc.stations import (
    Prices,
    cells_of,
    leads_at,
    per_part_at,
    prices_of,
    refuse_idle_moves,
)
from controllers.mpc.tariff import BlockPrices, block_prices
from controllers.mpc.trial import WORLDS, Trial
from controllers.waking import all_awake
from twin.config import TunedPoint
from twin.cycle import Action, Forecast, Situation
from twin.line import schema as s
from twin.line.model import Line
from twin.objective import Objective
from twin.signals import Role
from twin.solves import Solve

FALLBACK = "fallback:"
"""How the status begins of a part whose solve was not usable."""
EDGE_SAFETY = 0.97
"""Share of the tuned setpoints' edges that the operating point may plan with: what is kept back is for edges that wear
faster at other setpoints than the model says. On the machining line they are 0 to 3 % fewer for it (tuning seeds)."""
SLOW = 0.5
"""Who warms up for longer than this share of a block is missed when work comes early; assumption."""
RUSH_BLOCKS = 0.5
"""Orders that come at once are an event if they take longer than this many blocks at the fastest
takt; assumption."""
TOO_OLD_BLOCKS = 1.5
"""A plan that was made longer ago is none to go on with; assumption."""
SPARE = 0.97
"""Share of the time left that the steady pace may use for the open orders."""


@dataclass(slots=True)
class _Memory:
    planned_s: float = -1e9
    states: tuple[int, ...] = ()
    point: Point | None = None
    plan: LinePlan | None = None
    ahead: tuple[float, ...] = ()
    """How many times the pace each station may take in the next plan."""
    reason: str = ""
    point_status: str = "not yet planned"
    plan_status: str = ""
    station_statuses: dict[int, str] = field(default_factory=dict)
    """How the solves of this turn ended that were not usable."""
    own_reasons: dict[str, str] = field(default_factory=dict)
    """Why setpoints are asked for in this turn about which the plan has no say."""
    forecast: Forecast | None = None
    ordered: float = 0.0
    switches: SwitchMemory = field(default_factory=SwitchMemory)
    holds: Holds = field(default_factory=dict)
    grid: GridMemory = field(default_factory=GridMemory)
    forecast_s: float = 0.0
    """The forecast that was last seen, and when it was new."""
    solves: dict[str, Solve] = field(default_factory=dict)
    """Those of this turn."""


class Mpc:
    """Line layer and station layer over the per-part stations of a line."""

    worlds = WORLDS
    """What-if worlds in which each plan is driven."""

    def __init__(self, line: Line, tuned: TunedPoint, blocks: int = BLOCKS) -> None:
        plant = line.plant
        self._plant = plant
        self._nominal = self._cells = cells_of(line)
        refuse_idle_moves(line, self._cells)
        self._moving = tuple(m for m, cell in enumerate(self._cells) if cell.mvs)
        self._objective = Objective.of(plant)
        self._block_s, self._blocks = plant.control.line_period_s, blocks
        self._shift_s = plant.shift_h * 3600.0
        self._blank_kg = float(plant.source.blank_kg)
        takt = plant.source.takt_s
        self._takt_lo_s = takt.operator[0]
        self._time_outs = {
            name: v for name, v in tuned.setpoints.items() if name.endswith("standby_after_s")
        }
        self._operating = OperatingPoint(
            self._cells,
            self._takt_lo_s,
            charges_peak=self._objective.peak_eur_per_kw > 0.0,
        )
        self._grid = Grid(plant, self._cells, self._objective.peak_eur_per_kw, blocks)
        self._stations = {m: StationLayer(self._cells[m], m) for m in self._moving}
        self._ovens = ovens_of(line)
        self._processes = process_layers(line)
        self._continuous: tuple[ContinuousLayer, ...] = (*self._ovens, *self._processes)
        # What a conveyor empties lies outside the flow model of the per-part stations.
        carried = {st.takes_from for st in plant.stations if st.step_s is not None}
        self._carried = carried_by(plant)
        room = {b.name: float(b.capacity) for b in plant.buffers if b.name not in carried}
        self._buffers = tuple(room)
        self._steady: dict[str, float] = {}
        self._line = LineLayer(room, plant.source.gives_to, self._takt_lo_s, self._block_s, blocks)
        self._tuned_part = per_part_at(self._cells, tuned.setpoints)
        self._setpoints = tuned.setpoints
        # Edges that turn out weak or strong strike the tuned constants alike, so nothing is made up for: who spares
        # edges after bad luck, and spends them after good luck, steers by what is gone.
        has_edges = any(cell.edge_eur > 0.0 for cell in self._cells)
        self._budget_eur = EDGE_SAFETY * self._tuned_part.edges_eur if has_edges else 1e3
        self._memory = _Memory()

    def decide(self, situation: Situation) -> Action:
        """Setpoints for this period."""
        memory = self._memory
        memory.solves, memory.station_statuses, memory.own_reasons = {}, {}, {}
        self._cells = with_shares(tuple(c.learned(situation) for c in self._nominal), memory.point)
        self._grid.read(situation, memory.grid)
        prices = prices_of(
            self._objective,
            situation,
            self._blank_kg,
            self._tuned_part.added_kg,
            self._grid.paid_kw(memory.grid),
        )
        states = tuple(int(situation.observation[f"{c.name}.state"]) for c in self._cells)
        if memory.forecast is not situation.forecast:
            memory.forecast, memory.forecast_s = situation.forecast, situation.time_s
        memory.holds = memory.switches.see(self._cells, situation.observation, situation.time_s)
        ordered = situation.observation["line.ordered_count"]
        rush = ordered - memory.ordered > RUSH_BLOCKS * self._block_s / self._takt_lo_s
        memory.ordered = ordered
        due = situation.time_s - memory.planned_s >= self._block_s - 1e-6
        broke = [a == s.DOWN for a in states] != [b == s.DOWN for b in memory.states]
        if due or broke or rush or memory.plan is None:
            self._plan(situation, prices)
        memory.states = states
        setpoints = self._asked(situation, prices)
        why = self._why(situation, setpoints)
        action = Action(setpoints, memory.reason, self._status(), why=why, solves=memory.solves)
        return all_awake(action, situation)  # a conveyor has no cell, and at first there is no plan

    def _status(self) -> str:
        """How each part of the MPC stands now; those that fell back come first."""
        memory = self._memory
        doubt = memory.grid.doubt if self._objective.peak_eur_per_kw > 0.0 else ""
        said = [memory.point_status, memory.plan_status, *memory.station_statuses.values(), doubt]
        said += [layer.status for layer in self._continuous]
        return "; ".join(sorted(filter(None, said), key=lambda s: not s.startswith(FALLBACK)))

    def _why(self, situation: Situation, asked: Mapping[str, float]) -> Mapping[str, str]:
        """A sentence for each move."""
        memory = self._memory
        if memory.plan is None or memory.point is None:
            return {}
        course = Course(
            memory.plan,
            self._block_now(situation),
            self._block_s,
            memory.point,
            self._missing(situation),
            self._left_s(situation),
            {m: self._target_s(m) for m in self._moving},
            {m: solve for m, own in self._stations.items() if (solve := own.last_solve)},
            memory.own_reasons,
        )
        return explained(situation, asked, self._cells, self._continuous, course)

    def _block_now(self, situation: Situation) -> int:
        """The block of the plan that this moment lies in."""
        passed = (situation.time_s - self._memory.planned_s) / self._block_s
        return min(int(passed + 1e-9), self._blocks - 1)

    # --- line layer ----------------------------------------------------------------------------

    def _plan(self, situation: Situation, prices: Prices) -> None:
        """Find the steady pace, plan the hours around it, and keep what is cheapest on forks of the twin."""
        memory = self._memory
        cycles = [c.ratio(situation, "last_cycle_s") for c in self._cells]
        point = self._point(situation, prices, cycles)
        if point is None:
            return
        cells = self._cells = with_shares(self._cells, point)
        block_s = self._block_s
        self._steady = self._steady_setpoints(point)
        tariff = self._tariff(situation, prices)
        rates = rates_at(cells, situation, point, tariff)
        outlook = self._outlook(situation, memory.holds)
        progress = progress_of(
            cells,
            fastest_s(cells, rates, point),
            situation.observation,
            self._shift_s - situation.time_s % self._shift_s,
            (outlook.blocked_blocks * block_s).tolist(),
            prices.backlog_eur,
            self._carried,
        )
        memory.ahead = leads(
            progress,
            leads_at(cells, self._setpoints, cycles),
            winding_down(progress, cells, point.pace_s, self._ends_within_s(situation)),
        )
        pace_most_s = max(self._pace_most_s(situation), point.pace_s)
        peak = self._grid.charge(situation, memory.grid, cells, rates, pace_most_s)
        other_kw = self._grid.other_kw(situation)
        fresh = self._line.solve(cells, outlook, rates, prices, tariff, peak, other_kw, progress)
        trial = Trial(
            situation, cells, rates, prices, tariff, block_s, peak, self._steady, progress, self.worlds,
        )  # fmt: skip
        slow = (m for m, c in enumerate(cells) if c.warm_up_s > SLOW * block_s)
        plans, never_dearer_than = candidates(
            fresh,
            self._left_of_plan(situation),
            max(point.pace_s, self._takt_lo_s),
            self._takt_lo_s,
            frozenset((*slow, *progress.behind)),
            outlook.awake if peak is not None else None,
        )
        plan = self._cheapest(trial, plans, never_dearer_than)
        memory.plan, memory.planned_s = plan, situation.time_s
        doubt = f"{FALLBACK} {tariff.doubt}; " if tariff.doubt else ""
        memory.plan_status = f"{doubt}{fresh.status}; kept {plan.status}"
        memory.reason = f"pace {point.pace_s:.1f} s a part{self._asleep(plan)}"

    def _point(self, situation: Situation, prices: Prices, cycles: Sequence[float]) -> Point | None:
        """The steady pace of now; the last one where there is none to be found, None where there never was one."""
        memory = self._memory
        energies = [c.ratio(situation, "last_energy_kwh") for c in self._cells]
        point = self._operating.solve(
            self._cells,
            list(zip(cycles, energies, strict=True)),
            [c.disturbances(situation) for c in self._cells],
            prices,
            self._pace_most_s(situation),
            self._budget_eur,
            self._tuned_part.defects,
            self._objective.peak_eur_per_kw / max(self._missing(situation), 1.0),
            max(memory.grid.highest_kw - self._grid.beside_kw(situation, memory.grid), 0.0),
            memory.ahead,
        )
        memory.solves["steady pace"] = point.solve
        memory.point_status = point.status
        if point.usable:
            memory.point = point
        else:
            kept = "none yet" if memory.point is None else "last point kept"
            memory.point_status = f"{FALLBACK} steady pace {point.status}, {kept}"
        return memory.point

    def _left_of_plan(self, situation: Situation) -> LinePlan | None:
        """What is left of the last plan; None where there is none, or it is too old to be one."""
        memory = self._memory
        too_old = situation.time_s - memory.planned_s > TOO_OLD_BLOCKS * self._block_s
        if memory.plan is None or too_old:
            return None
        return memory.plan.shifted(self._block_now(situation))

    def _cheapest(
        self, trial: Trial, plans: Sequence[LinePlan], never_dearer_than: Sequence[LinePlan]
    ) -> LinePlan:
        """The plan to keep, with what running warm-ups and minimum times already settle."""
        holds = self._memory.holds
        carried = {held(plan, holds, self._block_s).key for plan in never_dearer_than}
        return trial.best(distinct(held(plan, holds, self._block_s) for plan in plans), carried)

    def _asleep(self, plan: LinePlan) -> str:
        """Who rests in the first block, for the reason."""
        if plan.dozes:
            return ""
        asleep = [c.name for m, c in enumerate(self._cells) if not plan.ready[0, m]]
        return f"; standby: {', '.join(asleep)}" if asleep else ""

    def _ends_within_s(self, situation: Situation) -> float:
        """How far away the end of the work may be to be in sight: a plan; where orders go on coming, none is."""
        lasts_s = self._blocks * self._block_s
        goes_on = self._plant.demand.arrive == "evenly"
        left_s = self._shift_s - situation.time_s % self._shift_s
        return 0.0 if goes_on and left_s > lasts_s else lasts_s

    def _left_s(self, situation: Situation) -> float:
        """Time of this shift that may be used for the open orders."""
        return max(SPARE * self._shift_s - situation.time_s % self._shift_s, 60.0)

    def _missing(self, situation: Situation) -> float:
        """Orders that are open."""
        seen = situation.observation
        return max(seen["line.ordered_count"] - seen["line.good_count"], 0.0)

    def _pace_most_s(self, situation: Situation) -> float:
        """The slowest pace that still makes the open orders before the shift ends."""
        missing = self._missing(situation)
        if missing < 1.0:
            return 1e4
        # Asked for a pace that is out of reach by far, the steady pace would have no answer at all.
        return max(self._left_s(situation) / missing, HURRY * self._takt_lo_s)

    def _outlook(self, situation: Situation, holds: Holds) -> Outlook:
        """Where a plan starts from."""
        seen, now_s = situation.observation, situation.time_s
        return outlook_of(self._cells, self._buffers, seen, now_s, self._block_s, holds)

    def _tariff(self, situation: Situation, prices: Prices) -> BlockPrices:
        """Prices of the blocks of a plan that begins now."""
        return block_prices(
            situation.forecast,
            situation.time_s - self._memory.forecast_s,
            prices.energy_eur_per_kwh,
            self._block_s,
            self._blocks,
            self._shift_s - situation.time_s % self._shift_s,
        )

    def _steady_setpoints(self, point: Point) -> dict[str, float]:
        """Process setpoints of the operating point."""
        asked: dict[str, float] = {}
        for cell, z in zip(self._cells, point.z, strict=True):
            asked |= cell.unscaled(z)
        return asked

    def _target_s(self, m: int) -> float:
        """The cycle time that a station should keep: that of the steady course, or at most that of its pace."""
        point = self._memory.point
        assert point is not None
        cell = self._cells[m]
        if cell.keeps_course:
            return point.cycles_s[m]
        return point.pace_s * point.ahead[m] / cell.share * cell.availability

    # --- station layer -------------------------------------------------------------------------

    def _asked(self, situation: Situation, prices: Prices) -> dict[str, float]:
        memory = self._memory
        asked = {**self._time_outs, "line.takt_s": self._takt_lo_s}
        for oven in self._ovens:
            asked |= oven.asked(situation, prices)
        for process in self._processes:
            asked |= process.asked(situation)
        for layer in self._continuous:
            if layer.solve is not None:
                memory.solves[layer.name] = layer.solve
        if memory.plan is None or memory.point is None:
            return asked
        asked["line.takt_s"] = memory.plan.takt_s
        asked |= standby_setpoints(self._cells, memory.plan, self._block_now(situation))
        for m in self._moving:
            move = self._stations[m].solve(
                situation, self._cells[m], prices, memory.point, self._target_s(m)
            )
            if move.fresh:
                memory.solves[self._cells[m].name] = move.solve
            if move.usable:
                asked |= self._cells[m].unscaled(move.z)
            else:
                name = self._cells[m].name
                memory.station_statuses[m] = f"{FALLBACK} {name} {move.status}, setpoints held"
        asked |= self._overrides(situation, memory.point.pace_s, prices)
        known = {s.name for s in situation.signals if s.role is Role.MV}
        return {name: value for name, value in asked.items() if name in known}

    def _overrides(self, situation: Situation, pace_s: float, prices: Prices) -> dict[str, float]:
        """Who sleeps and wakes whatever the plan says, each with a reason of its own."""
        memory, asked = self._memory, dict[str, float]()
        ending = rests(self._cells, self._buffers, situation, pace_s, prices)
        for name, rest in ending.items():
            asked[name], memory.own_reasons[name] = rest.asked, rest.why
        for m, hold in memory.holds.items():
            name = f"{self._cells[m].name}.standby"
            asked[name], memory.own_reasons[name] = 0.0 if hold.ready else 1.0, hold.why
        return asked
