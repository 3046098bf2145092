"""Minimum up and down times: who may not go to sleep yet, and who may not wake yet.

A station with ``min_ready_s`` stays awake for at least so long once woken, one with ``min_standby_s``
asleep once it sleeps. The equipment does not enforce this; whoever gives orders has to keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from controllers.mpc.plans import LinePlan
from controllers.mpc.stations import Cell
from twin.cycle import Observation
from twin.line import schema as s


@dataclass(frozen=True, slots=True)
class Hold:
    """A station that has to stay as it is for a while."""

    ready: bool
    left_s: float

    def blocks(self, block_s: float) -> int:
        """Blocks of a plan that it reaches into."""
        return int(np.ceil(self.left_s / block_s - 1e-9))

    @property
    def why(self) -> str:
        """The sentence of the setpoint that keeps it so."""
        state, risk = (
            ("awake", "a rest that comes to nothing")
            if self.ready
            else ("asleep", "parts that wait")
        )
        least = "ready" if self.ready else "standby"
        return (
            f"it has to stay {state} for another {self.left_s:.0f} s (min_{least}_s);"
            f" saves a switch too soon; risks {risk}"
        )


Holds = Mapping[int, Hold]
"""By the station's number in the plan."""


@dataclass(slots=True)
class SwitchMemory:
    """Since when each station has been awake, or asleep; unknown before it was seen to change."""

    asleep: dict[str, bool] = field(default_factory=dict)
    since_s: dict[str, float] = field(default_factory=dict)

    def see(self, cells: tuple[Cell, ...], observation: Observation, time_s: float) -> Holds:
        """Who is held now. A change counts from when it is seen, so a hold errs on the long side."""
        found = {}
        for m, cell in enumerate(cells):
            if not cell.is_held:
                continue
            asleep = int(observation[f"{cell.name}.state"]) in {s.STANDBY, s.OFF}
            if asleep != self.asleep.get(cell.name, asleep):
                self.since_s[cell.name] = time_s
            self.asleep[cell.name] = asleep
            least_s = cell.spec.min_standby_s if asleep else cell.spec.min_ready_s
            left_s = self.since_s.get(cell.name, -np.inf) + least_s - time_s
            if left_s > 0.0:
                found[m] = Hold(not asleep, float(left_s))
        return found


def held(plan: LinePlan, holds: Holds, block_s: float) -> LinePlan:
    """The plan with nobody moved who is held."""
    if not holds:
        return plan
    ready = plan.ready.copy()
    for m, hold in holds.items():
        ready[: hold.blocks(block_s), m] = hold.ready
    return replace(plan, ready=ready)
