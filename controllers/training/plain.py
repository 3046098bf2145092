"""Reinforcement learning by itself: a policy that sets takt, standby and process setpoints alone.

It begins as the tuned constants, so that it need not first find out what anybody knows; or, where the settings
say so, as a clone of the MPC. The stations' time-outs stay where the constants have them: no action moves them, but
a station can be sent to sleep, or kept from it, at once.
"""

from __future__ import annotations

import numpy as np

from controllers.env.schema import Schema
from controllers.policy.manifest import RoleSpec
from controllers.training import checkpoint
from controllers.training.cloning import clone_of
from controllers.training.learning import First, actor_of, learned
from controllers.training.lines import scaled, training_lines
from controllers.training.result import Trained, exported, held
from controllers.training.task import Task

AWAKE = -0.5
"""Where standby begins: awake, and near enough to sleep for the first tries to get there."""


def train(task: Task) -> Trained:
    """The policy of one seed, in a bundle in the task's folder."""
    lines = training_lines(task.plant, task.chosen.lines, task.settings, task.fixed)
    first = None if (task.folder / checkpoint.NAME).is_file() else _first(task, lines.schema)
    model = learned(task, lines, first)
    role = RoleSpec(decision_period_s=task.decision_s, held=held(task.fixed))
    return exported(task, actor_of(model, lines), lines.schema, role)


def _first(task: Task, schema: Schema) -> First:
    """What is asked for before anything was learned."""
    if task.begins_as_clone:
        task.lessons.folder.mkdir(exist_ok=True)
        return clone_of(task.lessons)[0]
    fixed = scaled(schema, task.fixed.setpoints)
    is_standby = np.array([field.name.endswith(".standby") for field in schema.action])
    return np.where(is_standby, np.float32(AWAKE), fixed)
