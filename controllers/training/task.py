"""One training run with one seed: all that decides what comes of it, for any process to take.

Spread over processes or a cluster by ``twin.spread``; a run comes out the same wherever it is done.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from controllers.env.schema import decision_s_of
from controllers.training.settings import PpoSpec, SacSpec, Settings
from controllers.training.stop import Stop
from controllers.tuning import SELECTION_SEEDS
from twin.config import TunedPoint, load_plant
from twin.store.run_folder import package_versions

Method = Literal["rl", "residual", "bc"]
PACKAGES = ("gymnasium", "numba", "numpy", "stable-baselines3", "takttwin", "torch")
"""Those whose version may move a weight."""

METRICS = "metrics.jsonl"
THREADS = 1
"""Of torch in each process that trains: more are slower on such networks, and change the last bits."""


@dataclass(frozen=True, slots=True)
class Exam:
    """On which shifts a policy is judged when it has been trained: those of the seeds from ``first_seed`` on.

    ``utilisation`` is what is demanded, the plant's where it is None. In the end this is an evaluation, on the line
    as it truly is. A search of settings is none and may not know that: it judges ``is_held_out``, on lines and
    demands that are drawn as in training, but from the ends of their ranges.
    """

    first_seed: int = SELECTION_SEEDS[0]
    utilisation: float | None = None
    is_held_out: bool = False


@dataclass(frozen=True)
class Task:
    """What is trained, on what, with which seed, and where it is kept.

    ``method`` is the controller that it makes; ``fixed`` are the tuned constants of the plant, what its
    actions count from or are compared with. The folder must exist. ``stop_file`` asks all tasks of a run to
    stop. ``exam`` moves no weight.
    """

    plant: str
    method: Method
    algorithm: Literal["ppo", "sac"]
    settings: Settings
    fixed: TunedPoint
    seed: int
    steps: int
    keep_every: int
    folder: Path
    stop_file: Path
    exam: Exam = Exam()

    @property
    def chosen(self) -> PpoSpec | SacSpec:
        """The settings of the algorithm."""
        return self.settings.algorithm(self.algorithm)

    @property
    def decision_s(self) -> float:
        """Plant time between two decisions, in the environment and in the role of the bundle alike."""
        return decision_s_of(load_plant(self.plant))

    @property
    def stop(self) -> Stop:
        """Where it is said that all should stop."""
        return Stop(self.stop_file)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be this run's."""
        own = {"rl": ("rl",), "residual": ("residual",), "bc": ("cloning",)}[self.method]
        used = {*own} if self.method == "bc" else {*own, self.algorithm, "effort", "paired"}
        if self.begins_as_clone:
            used.add("cloning")
        unused = {*Settings.model_fields} - {"worlds"} - used
        plant = load_plant(self.plant)
        return {
            "plant": plant.name,
            "plant_hash": plant.config_hash,
            "method": self.method,
            "algorithm": self.algorithm,
            "settings": self.settings.model_dump(mode="json", exclude=unused),
            "fixed": dict(self.fixed.setpoints),
            "seed": self.seed,
            "versions": package_versions(PACKAGES),
        }

    @property
    def begins_as_clone(self) -> bool:
        """Whether plain learning goes on from a clone of the MPC."""
        return self.method == "rl" and self.settings.rl.begin == "mpc"

    @property
    def under_way(self) -> Task:
        """What is being done now: the lessons first, where it begins as a clone."""
        if self.begins_as_clone and self.lessons.done < self.lessons.rounds:
            return self.lessons
        return self

    @property
    def lessons(self) -> Task:
        """The run that makes the clone which this one begins as."""
        return replace(self, method="bc", folder=self.folder / "clone")

    @property
    def rounds(self) -> int:
        """What has to be done, in the unit of the diary: decisions, or lessons."""
        cloning = self.settings.cloning
        return cloning.rounds * cloning.shifts if self.method == "bc" else self.steps

    @property
    def done(self) -> int:
        """How much of it the diary tells of."""
        path = self.folder / METRICS
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        told = [line for line in lines if line.endswith("}")]
        return int(json.loads(told[-1])["steps"]) if told else 0

    def until(self, steps: int) -> Task:
        """The same run, ending earlier or later."""
        return replace(self, steps=steps)
