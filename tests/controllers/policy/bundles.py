"""Small policies for tests: an untrained actor with random weights, and what it would have seen in training."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.env.schema import schema_of
from controllers.policy.bundle import Bundle
from controllers.policy.manifest import Approval, RoleSpec, Step, TrainingSpec
from controllers.policy.observing import Observing
from controllers.policy.source import ActorSpec, Source, spaces_of
from tests.controllers.policy import bad_graphs
from tests.twin.analyze.in_step import drive, loop_of, nominal, plant_of, plc_of, true
from twin.config import PolicyFile, TunedPoint, untuned
from twin.cycle import Action, Situation
from twin.kernels import draws

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")
TURNS = 900
PLANT = "molding_cell"
"""The shipped plant whose shifts are quickest to simulate."""


class Wandering:
    """Asks for anything inside the operator's limits, and notes what a policy would have seen."""

    def __init__(self, plant: str) -> None:
        line = nominal(plant)
        schema = schema_of(line)
        self.fields = schema.action
        self.observing, self.seen = Observing(line, spaces_of(schema), 60.0), list[Any]()
        self.asked: dict[str, float] = {}

    def decide(self, situation: Situation) -> Action:
        n = len(self.seen)
        self.observing.listen(situation.observation)
        sight = self.observing.seen(situation.observation, self.asked or situation.active)
        assert not sight.unknown
        self.seen.append(sight.shown)
        for k, field in enumerate(self.fields):
            luck = draws.uniform(7, draws.WHAT_IF, k, 0, n)
            if n % 5 == 0 or not self.asked:
                luck = float(luck < 0.1) if field.name.endswith(".standby") else luck
                self.asked[field.name] = field.lo + luck * (field.hi - field.lo)
        return Action(dict(self.asked))


@cache
def observations(plant: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What was seen on a wandering course."""
    wandering = Wandering(plant)
    line = nominal(plant)
    drive(plc_of(true(plant), hours=20.0), loop_of(wandering, line=line), TURNS)
    return np.array(wandering.seen)


@cache
def source(
    plant: str = PLANT, squash: Any = "clip", seed: int = 1, base: str | None = None
) -> Source:
    """An actor of 8 and 8 neurons for a plant; it asks for something near the middle of each range."""
    schema = schema_of(nominal(plant))
    luck = np.random.default_rng(seed)
    widths = [len(schema.observation), 8, 8, len(schema.action)]
    layers = tuple(
        (
            luck.normal(0.0, 0.1, (outs, ins)).astype(np.float32),
            luck.normal(0.0, 0.1, outs).astype(np.float32),
        )
        for ins, outs in pairwise(widths)
    )
    facts = ActorSpec(
        plant=plant_of(plant).name,
        plant_hash=plant_of(plant).config_hash,
        spaces=spaces_of(schema),
        role=RoleSpec(decision_period_s=60.0, base=base, authority=0.1, return_after=3),
        training=TrainingSpec(
            environment="takttwin/Line-v0",
            algorithm="ppo",
            hyperparameters={"learning_rate": 3e-4, "batch_size": 2048},
            seeds=(seed,),
            steps=0,
            threads=1,
            versions={"numpy": np.__version__},
            git_commit="",
        ),
        activation="tanh",
        squash=squash,
    )
    return Source(facts, layers, observations(plant))


@cache
def bundle(
    plant: str = PLANT, state: Approval = Approval.DRAFT, seed: int = 1, base: str | None = None
) -> Bundle:
    """The exported bundle, in a state of approval."""
    if state is not Approval.DRAFT:
        found = bundle(plant, Approval.DRAFT, seed, base)
        step = Step(state=state, who="test", reason="test", utc="2026-01-01T00:00:00.000+00:00")
        return replace(found, manifest=found.manifest.model_copy(update={"approvals": (step,)}))
    from controllers.policy.export import export

    return export(source(plant, seed=seed, base=base))


def widened(found: Bundle, *, of_shown: bool = False) -> Bundle:
    """The same, trained everywhere inside the declared limits: only what a test does leads out of the range."""
    limits = found.manifest.spaces.observation
    ranges = found.manifest.training_range.model_copy(
        update={
            "lowest": tuple(f.lo - 1.0 for f in limits),
            "highest": tuple(f.hi + 1.0 for f in limits),
            "distance_limit": 1e9,
            "of_shown": of_shown,
        }
    )
    return replace(found, manifest=found.manifest.model_copy(update={"training_range": ranges}))


def placed(found: Bundle, path: Path, **how: Any) -> PolicyFile:
    """The bundle in a file, as a run finds it."""
    found.write(path)
    return PolicyFile(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), **how)


def point(plant: str, name: str, found: PolicyFile) -> TunedPoint:
    """The recipe with a policy."""
    return untuned(plant_of(plant)).model_copy(update={"policies": {name: found}})


def with_model(found: Bundle, model: bytes) -> Bundle:
    """Another network in a bundle that says so: only a look at the network itself can tell."""
    digest = hashlib.sha256(model).hexdigest()
    return replace(
        found, manifest=found.manifest.model_copy(update={"model_sha256": digest}), model=model
    )


def edited(found: Bundle, edit: Callable[[Any], object]) -> Bundle:
    """A bundle after an edit of its graph."""
    import onnx

    model = onnx.load_model_from_string(found.model)
    edit(model)
    return with_model(found, model.SerializeToString(deterministic=True))


class Bomb:
    """Unpickled, it leaves a file behind; nobody may ever unpickle it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("unpickled"),)


def zipped(**members: bytes) -> bytes:
    """A zip as other programs write it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)
    return buffer.getvalue()


BAD = (
    "another answer",
    "another network",
    "another network, owned up to",
    "another plant",
    "a bare pickle",
    "a model of another library",
    "a slope that is no number",
    "a step that nothing fits through",
    "an unknown key",
    "a pickle as its network",
    "empty",
    "no network",
    "numbers of another kind",
    "something else inside",
    "sparse weights",
    "swells",
    "swells at many places",
    "swells, and denies it",
    "tampered",
    "tampered outside its contents",
    "truncated",
    "weights in another file",
    "weights left over",
    "weights that are no numbers",
    "wrong schema",
)


@cache
def bad_files() -> dict[str, tuple[bytes, str]]:
    """Files that must never come near a line: what is in them, and what the refusal says."""
    good = bundle(PLANT)
    data = good.to_bytes()
    middle = data.index(b'"plant_hash"') + 20
    schema = good.manifest.spaces
    renamed = schema.model_copy(
        update={
            "observation": (
                schema.observation[0].model_copy(update={"name": "line.mood"}),
                *schema.observation[1:],
            )
        }
    )
    other_schema = good.manifest.model_copy(update={"spaces": renamed})
    check = good.manifest.check_vector
    moved = tuple(tuple(value + 1.0 for value in row) for row in check.actions)
    other_check = good.manifest.model_copy(
        update={"check_vector": check.model_copy(update={"actions": moved})}
    )
    found = {
        "another plant": (bundle("paint_cure_line").to_bytes(), "made for paint_cure_line"),
        "tampered": (data[:middle] + b"f" + data[middle + 1 :], "truncated or damaged"),
        "tampered outside its contents": (data.replace(b"\x21\x00", b"\x22\x00", 1), "changed after it was written"),
        "truncated": (data[: len(data) // 2], "truncated or damaged"),
        "empty": (b"", "truncated or damaged"),
        "a bare pickle": (pickle.dumps(Bomb()), "begins like a pickle"),
        "a pickle as its network": (with_model(good, pickle.dumps(Bomb())).to_bytes(), "begins like a pickle"),
        "a model of another library": (zipped(data=b"{}", policy__pth=pickle.dumps(Bomb())), "pickles, which are never read"),
        "something else inside": (zipped(policy__onnx=good.model, notes__txt=b"hi"), "a bundle holds manifest.json"),
        "wrong schema": (replace(good, manifest=other_schema).to_bytes(), "line.mood"),
        "weights that are no numbers": (edited(good, bad_graphs.with_nan).to_bytes(), "is not a finite number"),
        "sparse weights": (edited(good, bad_graphs.with_sparse_weights).to_bytes(), "the network keeps weights as sparse tensors"),
        "weights in another file": (edited(good, bad_graphs.with_weights_elsewhere).to_bytes(), "the network keeps its weights in another file"),
        "weights left over": (edited(good, bad_graphs.with_weights_left_over).to_bytes(), "is no ONNX model"),
        "numbers of another kind": (edited(good, bad_graphs.with_bfloat16).to_bytes(), "is not a finite number"),
        "a slope that is no number": (edited(good, bad_graphs.with_nan_slope).to_bytes(), "alpha of LeakyRelu is not a finite number"),
        "swells": (edited(good, bad_graphs.with_swelling).to_bytes(), "the network works out more numbers"),
        "swells at many places": (edited(good, bad_graphs.with_many_swelling).to_bytes(), "the network works out more numbers"),
        "swells, and denies it": (edited(good, bad_graphs.with_hidden_size).to_bytes(), "the network works out more numbers"),
        "a step that nothing fits through": (edited(good, bad_graphs.with_shapes_that_do_not_fit).to_bytes(), "steps of the network do not fit"),
        "another network": (replace(good, model=bundle(PLANT, seed=2).model).to_bytes(), "is not the network that the manifest names"),
        "another network, owned up to": (with_model(good, bundle(PLANT, seed=2).model).to_bytes(), "something else than when it was exported"),
        "no network": (with_model(good, b"\x08\x0a").to_bytes(), "is no ONNX model"),
        "another answer": (replace(good, manifest=other_check).to_bytes(), "something else than when it was exported"),
        "an unknown key": (zipped(manifest__json=good.manifest.text().replace("{", '{"mood": 1,', 1).encode(), policy__onnx=good.model), "mood"),
    }  # fmt: skip
    assert found.keys() == set(BAD)
    return found
