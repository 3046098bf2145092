"""Reinforcement learning on top of a base: a policy that adds to what another controller asks for.

What it adds is bounded, by default to 15 % of each setpoint's range either way; where it adds nothing the
base drives, and so it does before anything was learned. The usual base is `fixed`: its setpoints and time-outs
never change, so that training goes through thousands of shifts side by side. On the MPC it sees one shift
after another, each of which takes the MPC's own time. A standby is on or off: half a range would change it,
and a smaller authority leaves it to the base.
"""

from __future__ import annotations

import numpy as np

from controllers.env.single import LineEnv
from controllers.mpc import Mpc
from controllers.policy.manifest import RoleSpec
from controllers.training.learning import Lines, actor_of, learned
from controllers.training.lines import drawn_in, training_lines
from controllers.training.loop_lines import LoopLines
from controllers.training.result import Trained, exported
from controllers.training.task import Task
from twin.line.engine import EngineChoice


def train(task: Task) -> Trained:
    """The policy of one seed, in a bundle in the task's folder."""
    chosen = task.settings.residual
    lines = _lines(task)
    nothing = np.zeros(len(lines.schema.action), dtype=np.float32)
    model = learned(task, lines, nothing)
    role = RoleSpec(
        decision_period_s=task.decision_s, base=chosen.base, authority=2.0 * chosen.authority
    )
    return exported(task, actor_of(model, lines), lines.schema, role)


def _lines(task: Task) -> Lines:
    """Where it learns: beside each other over `fixed`, one by one over the MPC."""
    chosen = task.settings.residual
    if chosen.base == "fixed":
        return training_lines(
            task.plant, task.chosen.lines, task.settings, task.fixed, authority=chosen.authority
        )
    drawn = drawn_in(task.settings)
    env = LineEnv(task.plant, randomisation=drawn, engine=EngineChoice.AUTO)
    return LoopLines(env, lambda line: Mpc(line, task.fixed), 2.0 * chosen.authority)
