"""Training runs by method, and what comes of each: the door for the command line."""

from __future__ import annotations

from typing import Any

from controllers.training.learning import Stopped
from controllers.training.task import Task


def train(task: Task) -> dict[str, Any]:
    """One seed's run, in this process: the record of what came of it; ``stopped`` if it has to go on later.

    Raises ``StoreError`` for a checkpoint that is damaged or another run's, ``RefusedError`` for an actor that
    cannot be exported.
    """
    from controllers.training import cloning, plain, residual

    methods = {"rl": plain.train, "residual": residual.train, "bc": cloning.train}
    try:
        with task.stop.watched():
            return methods[task.method](task).record() | {"stopped": 0}
    except Stopped:
        return {"seed": task.seed, "stopped": task.stop.number}
