"""What training leaves for an export: the actor's weights, what it saw, and how it came about.

Two files in the folder of a training run, ``actor.npz`` and ``facts.json``: arrays and text, no pickle. So
a policy can be exported later, and again, by whoever has the folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from controllers.env.schema import Schema
from controllers.policy.manifest import FactsSpec, FieldSpec, SchemaSpec
from twin.plugins import RefusedError
from twin.store.run_folder import RunFolder

ACTOR, FACTS = "actor.npz", "facts.json"
Array = NDArray[np.float32]


class ActorSpec(FactsSpec):
    """The facts of a training run, and what stands between and behind the actor's layers."""

    activation: Literal["tanh", "relu", "elu"]
    squash: Literal["clip", "tanh"]
    """How the last layer comes into [-1, 1]: PPO's mean is clipped, SAC's goes through a tanh."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An actor that maps scaled observations to scaled actions, with all that its manifest needs.

    ``layers`` are (weight, bias) with weight (outputs, inputs), as torch has them. ``observations`` are a
    sample of those that training saw, engineering units, one row each: the training range is theirs.
    """

    facts: ActorSpec
    layers: tuple[tuple[Array, Array], ...]
    observations: NDArray[np.float64]

    def save(self, folder: Path) -> None:
        """Put it into a folder; each file appears whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {"observations": self.observations}
        for n, (weight, bias) in enumerate(self.layers):
            arrays |= {f"weight_{n}": weight, f"bias_{n}": bias}
        draft = folder / f".{ACTOR}.{os.getpid()}.tmp"
        try:
            with draft.open("wb") as file:
                np.savez(file, **arrays)
            draft.replace(folder / ACTOR)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        RunFolder(folder).write_json(FACTS, self.facts.model_dump(mode="json"))


def read_source(folder: Path) -> Source:
    """What a training run left. Raises `RefusedError` for anything else."""
    hint = "give the folder of a training run: twin train writes it"
    try:
        facts = ActorSpec.model_validate_json((folder / FACTS).read_text("utf-8"), strict=True)
        with np.load(folder / ACTOR, allow_pickle=False) as held:
            arrays = dict(held)
        count = (len(arrays) - 1) // 2
        layers = tuple((arrays[f"weight_{n}"], arrays[f"bias_{n}"]) for n in range(count))
        found = Source(facts, layers, arrays["observations"])
    except (OSError, ValueError, KeyError) as error:
        why = getattr(error, "strerror", None) or (str(error).splitlines() or [repr(error)])[0]
        raise RefusedError(f"{folder}: holds no trained actor: {why}", hint) from error
    return found


def spaces_of(schema: Schema) -> SchemaSpec:
    """An environment's schema as a manifest holds it."""
    return SchemaSpec(
        observation=tuple(_field(field) for field in schema.observation),
        action=tuple(_field(field) for field in schema.action),
        version=schema.version,
        digest=schema.digest(),
    )


def _field(field: Any) -> FieldSpec:
    return FieldSpec(name=field.name, unit=field.unit, lo=field.lo, hi=field.hi, lag_s=field.lag_s)
