"""The station layer of a continuous process of any kind: its own model is all that is known of it.

Every step the estimator is told what was applied since the last one and what is measured, and a plan is made
(`StationMpc`); in between, the setpoints stay asked for. A station that sleeps or is off is left alone, and
begun with anew when it is back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from controllers.mpc.station_task import StationTask, station_task
from controllers.mpc.tracking import StationAnswer, StationMemory
from twin.cycle import Situation
from twin.line import schema as s
from twin.line.model import Line
from twin.optim.ladder import Rung
from twin.optim.result import Floats
from twin.processes import oven
from twin.solves import Solve

LOST_STEPS = 3
"""After so many steps without a solve the estimator begins anew; assumption."""
AT_WORK = (s.IDLE, s.PROCESSING, s.BLOCKED, s.DOWN)


@dataclass(slots=True, eq=False)
class _Memory:
    station: StationMemory | None = None
    answer: StationAnswer | None = None
    solved_s: float = -math.inf
    ops: float = math.nan
    applied: list[Floats] = field(default_factory=list)
    fresh: bool = False
    status: str = "not yet solved"


class ProcessLayer:
    """One continuous station of a line, under `StationMpc`."""

    def __init__(self, line: Line, task: StationTask) -> None:
        self.name, self._task, self._mpc = task.name, task, task.mpc
        model, k = task.model, line.k
        ek = s.ELEMENTS_K + task.e * s.EK
        self._x_f, self._n_x = k[ek + s.X_F], len(model.states)
        self._places_i, self._part_f = k[ek + s.PLACES_I], k[s.K_PART_F] + s.PRODUCT
        self._mvs = [f"{task.name}.{q.name}" for q in model.mvs]
        self._told = [
            (n, f"env.{q.name}")
            for n, q in enumerate(model.dvs)
            if q.name in line.plant.disturbances
        ]
        self._masses = [n for n, q in enumerate(model.dvs) if q.name.startswith("carrier_")]
        self._memory = _Memory()

    @property
    def status(self) -> str:
        """How the last solve ended."""
        return f"{self.name} {self._memory.status}"

    @property
    def solve(self) -> Solve | None:
        """The solve made for this very decision."""
        memory = self._memory
        return memory.answer.answer.solve if memory.fresh and memory.answer else None

    def asked(self, situation: Situation) -> dict[str, float]:
        """Setpoints for this period."""
        memory, seen = self._memory, situation.observation
        memory.fresh = False
        state = seen[f"{self.name}.state"]
        if math.isnan(state) or int(state) not in AT_WORK:
            self._memory = _Memory(status="is not at work: setpoints stay")
            return {}
        memory.applied.append(np.array([situation.active.get(n, math.nan) for n in self._mvs]))
        if situation.time_s - memory.solved_s >= self._task.step_s - 1e-6:
            self._decide(situation)
        found = memory.answer
        if found is None or found.answer.rung is Rung.SHED:
            return {}
        moved = [move.mv for move in self._mpc.task.moves]
        return {f"{self.name}.{mv}": found.setpoints[mv] for mv in moved}

    def why(self, situation: Situation, setpoint: str) -> str:
        """In one sentence why one of its setpoints moves: what binds, what it saves, what it risks."""
        found = self._memory.answer
        plan = None if found is None else found.answer.plan
        if found is None or plan is None:
            return "no plan holds; saves nothing; risks what the station does by itself"
        answer, task = found.answer, self._mpc.task
        binds = "nothing binds, it is the cheapest way to what is wanted"
        if answer.binding:
            first = answer.binding[0]
            binds = f"the {'upper' if first.side == 'hi' else 'lower'} limit of {first.name} binds"
            binds += f" at {first.price:.2g} EUR a unit"
        here = answer.here
        now_kw = self._drawn_kw(here.x, here.u, here.d)
        then_kw = self._drawn_kw(plan.x[-1], plan.u[-1], here.d)
        saves = f"{'saves' if then_kw <= now_kw else 'takes'} {abs(then_kw - now_kw):.2f} kW at the end of the plan"
        known = zip(self._task.shown, self._mpc.deviations(found), strict=True)
        risks = ", ".join(f"{name} is known to {sd:.2g}" for name, sd in known)
        return f"{binds}; {saves}; risks {risks or task.model.name}"

    def _decide(self, situation: Situation) -> None:
        memory, task, seen = self._memory, self._task, situation.observation
        d = self._disturbances(situation)
        last = [row for row in memory.applied if np.isfinite(row).all()]
        u = np.mean(last, axis=0) if last else memory.applied[-1]
        late = situation.time_s - memory.solved_s > (LOST_STEPS + 0.5) * task.step_s
        if memory.station is None or late:
            at = np.array(situation.estimate.state.floats[self._x_f : self._x_f + self._n_x])
            known = np.where(np.isfinite(u), u, task.model.point().u)
            memory.station = self._mpc.begin(at, known)
        ops = seen[f"{self.name}.op_count"]
        left = ops > memory.ops  # false where either is not known
        y = np.array(
            [
                seen[f"{self.name}.{name}"] if left or name not in task.at_exit else math.nan
                for name in task.shown
            ]
        )
        memory.answer, memory.station = self._mpc.decide(
            memory.station, y, memory.applied[-1], task.references, d, applied=u
        )
        memory.solved_s, memory.ops, memory.fresh = situation.time_s, ops, True
        memory.applied.clear()
        memory.status = self._said(memory.answer)

    def _said(self, found: StationAnswer) -> str:
        """The status: whose setpoints these are, and what doubts the model."""
        answer = found.answer
        said = f"{answer.rung}: solved" if answer.optimised else f"fallback: {answer.rung}"
        doubt = f", surprise {found.belief.surprise:.1f}" if found.belief.surprise > 1.0 else ""
        return f"{said}{doubt}"

    def _disturbances(self, situation: Situation) -> Floats:
        """The model's DVs: what is measured, and what stands on the conveyor's places."""
        d = self._task.d.copy()
        for n, signal in self._told:
            d[n] = situation.observation[signal]
        state = situation.estimate.state
        for place, n in enumerate(self._masses):
            slot = state.ints[self._places_i + place]
            d[n] = state.floats[self._part_f + slot * s.P_FLOATS] if slot >= 0 else 0.0
        return d

    def _drawn_kw(self, x: Floats, u: Floats, d: Floats) -> float:
        """Electricity and gas that the station draws."""
        model = self._task.model
        y = model.numbers()(x, u, d, self._mpc.p)
        at = dict(zip(model.output_names, y, strict=True))
        return float(at["power_kw"] + at["gas_kw"])


def process_layers(line: Line) -> tuple[ProcessLayer, ...]:
    """The layers of all continuous stations with something to follow or keep, the shipped oven's left out.

    Raises ``PlantError`` for a task that cannot be.
    """
    found = []
    for e, element in enumerate(line.elements):
        if element.kind == s.CONVEYOR and element.process.module is not oven:
            task = station_task(line, e)
            if task is not None:
                found.append(ProcessLayer(line, task))
    return tuple(found)
