"""Whether training works here, in seconds: a policy too small to be of use, and what is promised of any.

It is trained without a break, and again with a stop in between: the weights must be the same, and others than
before. Its bundle must pass the loader of a run, and drive a shift.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from controllers.policy.loader import load
from controllers.training import residual
from controllers.training.settings import PpoSpec, Settings
from controllers.training.task import Task
from twin.config import TunedPoint, load_plant
from twin.line.model import build_line
from twin.plugins import RefusedError

SETTINGS = Settings(
    ppo=PpoSpec(lines=16, rollout=128, batches=4, epochs=2, network=(16, 16)), judged_shifts=2
)
ROUND = 16 * 128


def smoke(plant: str, fixed: TunedPoint) -> dict[str, Any]:
    """What was found. Raises ``RefusedError`` for a promise that does not hold here."""
    with TemporaryDirectory() as place:
        whole, halved = (_task(plant, fixed, Path(place) / name) for name in ("whole", "halved"))
        first = residual.train(halved.until(ROUND))
        resumed = residual.train(halved.until(2 * ROUND))
        at_once = residual.train(whole.until(2 * ROUND))
        if resumed.weights_sha256 != at_once.weights_sha256:
            raise RefusedError("a run that was stopped and went on came to other weights")
        if resumed.weights_sha256 == first.weights_sha256:
            raise RefusedError("nothing was learned in a round")
        load(Path(resumed.bundle), build_line(load_plant(plant)))
    return {"plant": plant, **resumed.record(), "bundle": "passed the loader"}


def _task(plant: str, fixed: TunedPoint, folder: Path) -> Task:
    folder.mkdir()
    return Task(
        plant=plant, method="residual", algorithm="ppo", settings=SETTINGS,
        fixed=fixed, seed=1, steps=0, keep_every=ROUND, folder=folder, stop_file=folder / "stop",
    )  # fmt: skip
