"""What a training run leaves: the actor with its facts, and the bundle that is made of them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from controllers.env import ID
from controllers.env.schema import Schema
from controllers.policy.export import export, layers_of
from controllers.policy.manifest import RoleSpec, TrainingSpec
from controllers.policy.source import ActorSpec, Source, spaces_of
from controllers.training.checkpoint import weights_sha256
from controllers.training.judging import judged
from controllers.training.lines import TIME_OUT
from controllers.training.spent import spent_s
from controllers.training.task import THREADS, Task
from twin.config import TunedPoint
from twin.plugins import RefusedError

BUNDLE = "trained.policy"


@dataclass(frozen=True, slots=True)
class Trained:
    """One seed's run: how far it came, the digest of its weights, and its bundle."""

    seed: int
    steps: int
    weights_sha256: str
    bundle: str
    evaluation: dict[str, Any]
    """The CPU time that it took; against `fixed`, see ``judging``, but for a base that needs a loop."""

    def record(self) -> dict[str, Any]:
        """For the file of a run."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A trained network with what an export has to know of it, and a sample of what it saw (engineering units)."""

    network: torch.nn.Module
    activation: Literal["tanh", "relu"]
    squash: Literal["clip", "tanh"]
    observations: NDArray[np.float64]
    steps: int


def exported(task: Task, actor: Actor, schema: Schema, role: RoleSpec) -> Trained:
    """Leave the actor of a finished run in its folder, and the bundle beside it.

    Raises ``RefusedError`` for an actor that has seen too little, or cannot be exported.
    """
    facts = task.facts
    spec = ActorSpec(
        plant=facts["plant"],
        plant_hash=facts["plant_hash"],
        spaces=spaces_of(schema),
        role=role,
        training=TrainingSpec(
            environment=ID,
            algorithm="dagger" if task.method == "bc" else task.algorithm,
            hyperparameters=_flat(facts["settings"]),
            seeds=(task.seed,),
            steps=actor.steps,
            threads=THREADS,
            versions=facts["versions"],
            git_commit=source_commit(),
        ),
        activation=actor.activation,
        squash=actor.squash,
    )
    source = Source(spec, layers_of(actor.network), actor.observations)
    source.save(task.folder)
    try:
        bundle = export(source)
    except ValueError as error:
        raise RefusedError(f"no bundle was made: {error}", "train longer: --steps") from error
    evaluation: dict[str, Any] = {}
    if role.base in {None, "fixed"}:
        evaluation = judged(bundle, task)
    spent = spent_s(task.folder) + spent_s(task.lessons.folder)
    evaluation["training_cpu_h"] = spent / 3600.0
    manifest = bundle.manifest.model_copy(update={"evaluation": evaluation})
    bundle = replace(bundle, manifest=manifest)
    bundle.write(task.folder / BUNDLE)
    digest = weights_sha256(actor.network)
    return Trained(task.seed, actor.steps, digest, str(task.folder / BUNDLE), evaluation)


def source_commit(of: Path = Path(__file__)) -> str:
    """The commit that a file of this package is run from, ``-dirty`` if files differ; empty where no checkout has it.

    A package that is installed somewhere inside another project's checkout is not that project's.
    """
    git = shutil.which("git")
    if git is None:
        return ""

    def told(*asked: str) -> str:
        found = subprocess.run(  # noqa: S603  (nothing of it comes from outside)
            [git, "-C", str(of.parent), *asked], capture_output=True, text=True, check=False
        )
        return found.stdout.strip() if found.returncode == 0 else ""

    if not told("ls-files", "--error-unmatch", "--", of.name):
        return ""
    return told("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def held(fixed: TunedPoint) -> dict[str, float]:
    """The setpoints that a policy does not decide, as they were in training: time-outs."""
    return {name: value for name, value in fixed.setpoints.items() if name.endswith(TIME_OUT)}


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings, one name each: a manifest holds plain values, and a list is told as text."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}": said for key, said in _flat(value).items()}
        else:
            found[name] = " ".join(map(str, value)) if isinstance(value, list) else value
    return found
