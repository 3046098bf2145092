"""Reinforcement learning by itself: a policy that sets takt, standby and process setpoints alone.

It begins as the tuned constants, so that it need not first find out what anybody knows. The stations' time-outs
stay where those have them: no action moves them, but a station can be sent to sleep, or kept from it, at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controllers.env.schema import DECISION_S, Schema
from controllers.policy.manifest import RoleSpec
from controllers.training.learning import actor_of, learned
from controllers.training.lines import scaled, training_lines
from controllers.training.result import Trained, exported, held
from controllers.training.task import Task

AWAKE = -0.5
"""Where standby begins: awake, and near enough to sleep for the first tries to get there."""


def train(task: Task) -> Trained:
    """The policy of one seed, in a bundle in the task's folder."""
    lines = training_lines(task.plant, task.chosen.lines, task.settings, task.fixed)
    model = learned(task, lines, _first(lines.schema, scaled(lines.schema, task.fixed.setpoints)))
    role = RoleSpec(decision_period_s=DECISION_S, held=held(task.fixed))
    return exported(task, actor_of(model, lines), lines.schema, role)


def _first(schema: Schema, fixed: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is asked for before anything was learned."""
    is_standby = np.array([field.name.endswith(".standby") for field in schema.action])
    return np.where(is_standby, np.float32(AWAKE), fixed)
