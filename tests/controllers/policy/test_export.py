"""From an actor to a graph that does the same, in engineering units, without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.policy import export as exporting
from controllers.policy.export import export, layers_of, trained
from controllers.policy.network import Network
from controllers.policy.source import read_source
from tests.controllers.policy.bundles import PLANT, bundle, observations, source
from twin.plugins import RefusedError


def act(found: Any, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return Network(found.model, found.manifest, "it").act(rows)


def test_the_graph_scales_as_training_did() -> None:
    """Against the network by hand, in double precision, from the declared limits."""
    made, fields = source(PLANT), source(PLANT).facts.spaces
    rows = observations(PLANT)[::50] * 1.3  # some lie beyond the limits, where both clip
    lo, hi = (np.array([getattr(f, end) for f in fields.observation]) for end in ("lo", "hi"))
    x = np.clip((2.0 * rows - lo - hi) / (hi - lo), -1.0, 1.0)
    for n, (weight, bias) in enumerate(made.layers):
        x = x @ weight.astype(np.float64).T + bias
        x = np.tanh(x) if n < len(made.layers) - 1 else np.clip(x, -1.0, 1.0)
    lo, hi = (np.array([getattr(f, end) for f in fields.action]) for end in ("lo", "hi"))
    expected = 0.5 * ((1.0 - x) * lo + (1.0 + x) * hi)
    assert np.max(np.abs(act(bundle(PLANT), rows) - expected) / (hi - lo)) < 1e-5


def test_one_row_gives_what_many_give() -> None:
    rows = observations(PLANT)[:32]
    many = act(bundle(PLANT), rows)
    one = np.concatenate([act(bundle(PLANT), row[None, :]) for row in rows])
    assert np.allclose(many, one, rtol=1e-6)


@pytest.mark.parametrize("squash", ["clip", "tanh"])
def test_parity_is_in_the_manifest_and_small(squash: str) -> None:
    found = export(source(PLANT, squash))
    assert 0.0 < found.manifest.parity <= 1e-5


def test_the_same_actor_gives_the_same_bytes_and_no_path_of_this_machine() -> None:
    again = export(source(PLANT))
    assert again.to_bytes() == bundle(PLANT).to_bytes()
    assert str(Path.home()).encode() not in again.model
    assert b"controllers" not in again.model


def test_a_graph_that_does_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(*arguments: Any) -> np.ndarray[Any, Any]:
        found = trained(*arguments)
        found[17] += 0.01
        return found

    monkeypatch.setattr(exporting, "trained", off)
    with pytest.raises(RefusedError, match="differs from the network by"):
        export(source(PLANT))


def test_an_actor_that_is_none_is_refused() -> None:
    made = source(PLANT)
    (first, bias), *rest = made.layers
    spoiled = first.copy()
    spoiled[0, 0] = np.inf
    for layers, reason in (
        (((spoiled, bias), *rest), "not a finite number"),
        (((first[:, 1:], bias), *rest), "do not fit"),
        (made.layers[:-1], "has 8 outputs"),
    ):
        with pytest.raises(RefusedError, match=reason):
            export(replace(made, layers=layers))
    with pytest.raises(ValueError, match="say too little"):
        export(replace(made, observations=made.observations[:50]))


def test_a_residual_asks_for_offsets_within_its_authority() -> None:
    rows, found = observations(PLANT)[:200], bundle(PLANT, base="fixed")
    half = np.array([0.5 * (f.hi - f.lo) for f in found.manifest.spaces.action])
    offsets = act(found, rows)
    assert np.all(np.abs(offsets) <= 0.1 * half * (1.0 + 1e-6))
    whole = act(bundle(PLANT), rows)
    middle = np.array([0.5 * (f.hi + f.lo) for f in found.manifest.spaces.action])
    assert np.allclose(whole, middle + 10.0 * offsets, atol=1e-4 * np.max(half))


def test_a_source_survives_its_files(tmp_path: Path) -> None:
    source(PLANT).save(tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["actor.npz", "facts.json"]
    assert export(read_source(tmp_path / "run")).to_bytes() == bundle(PLANT).to_bytes()


def test_a_source_with_a_pickle_in_it_is_refused(tmp_path: Path) -> None:
    source(PLANT).save(tmp_path)
    np.savez(tmp_path / "actor.npz", observations=np.array([{"a": 1}], dtype=object))
    with pytest.raises(
        RefusedError, match="holds no trained actor: Object arrays cannot be loaded"
    ):
        read_source(tmp_path)
    with pytest.raises(RefusedError, match="holds no trained actor"):
        read_source(tmp_path / "nowhere")


@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_the_actors_of_stable_baselines_export(algorithm: str) -> None:
    library = pytest.importorskip("stable_baselines3")
    gymnasium = pytest.importorskip("gymnasium")
    import torch

    made = source(PLANT)
    seen, asked = len(made.facts.spaces.observation), len(made.facts.spaces.action)

    class Nowhere(gymnasium.Env):  # type: ignore[misc,name-defined]
        observation_space = gymnasium.spaces.Box(-1.0, 1.0, (seen,), np.float32)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (asked,), np.float32)

    model = getattr(library, algorithm)("MlpPolicy", Nowhere(), policy_kwargs={"net_arch": [16, 16]}, seed=3, device="cpu")  # fmt: skip
    squash, activation = ("clip", "tanh") if algorithm == "PPO" else ("tanh", "relu")
    facts = made.facts.model_copy(update={"squash": squash, "activation": activation})
    found = export(replace(made, facts=facts, layers=layers_of(model.policy)))
    rows = observations(PLANT)[::30]
    fields = made.facts.spaces
    lo, hi = (np.array([getattr(f, end) for f in fields.observation]) for end in ("lo", "hi"))
    scaled = np.clip((2.0 * rows - lo - hi) / (hi - lo), -1.0, 1.0).astype(np.float32)
    with torch.no_grad():
        shares, _ = model.predict(scaled, deterministic=True)
    lo, hi = (np.array([getattr(f, end) for f in fields.action]) for end in ("lo", "hi"))
    expected = 0.5 * ((1.0 - shares) * lo + (1.0 + shares) * hi)
    assert np.max(np.abs(act(found, rows) - expected) / (hi - lo)) < 1e-5
