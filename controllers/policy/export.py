"""From a trained actor to a bundle: one graph from engineering units to engineering units.

The actor is built anew as a plain ``nn.Sequential``, since the modules of training do not all export, and
both scalings go into the graph. What comes out is compared with the trained network before anybody sees it.
The only file of this package that imports torch.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from controllers.policy.bundle import Bundle
from controllers.policy.manifest import CheckSpec, FieldSpec, Manifest, half_of, middle_of, outward
from controllers.policy.network import INPUT, OUTPUT, Network, metadata
from controllers.policy.source import Array, Source
from controllers.policy.training_range import range_of
from twin.kernels import draws
from twin.plugins import RefusedError

if TYPE_CHECKING:
    import torch

PARITY, PARITY_ROWS = 1e-5, 10_000
"""Largest allowed difference to the trained network, as a share of an action's range, and over how many."""
CHECKS = 8
"""Observations of the check vector."""
OPSET = 20
_SEED, _ENTITY = 20_261_126, 1


def export(source: Source) -> Bundle:
    """The bundle of a trained actor, a draft that nobody has signed.

    Raises `RefusedError` if the graph does not do what the network does, or a weight is no number.
    """
    facts = source.facts
    widths = [len(facts.spaces.observation), *(len(bias) for _, bias in source.layers)]
    if any(
        w.shape != (outs, ins)
        for (w, _), ins, outs in zip(source.layers, widths, widths[1:], strict=False)
    ):
        raise RefusedError(
            f"the layers {[w.shape for w, _ in source.layers]} do not fit each other or the schema"
        )
    if widths[-1] != len(facts.spaces.action):
        raise RefusedError(
            f"the actor has {widths[-1]} outputs, the schema {len(facts.spaces.action)} actions"
        )
    if not all(np.isfinite(array).all() for layer in source.layers for array in layer):
        raise RefusedError("a weight of the actor is not a finite number", "train it again")
    probes = _probes(source)
    draft = Manifest(
        plant=facts.plant,
        plant_hash=facts.plant_hash,
        spaces=facts.spaces,
        role=facts.role,
        training=facts.training,
        training_range=range_of(source.observations, facts.spaces),
        evaluation=facts.evaluation,
        parity=0.0,
        model_sha256="0" * 64,
        check_vector=CheckSpec(observations=(), actions=()),
    )
    model = _graph(source, draft)
    asked = Network(model, draft, "the export").act(probes)
    parity = _difference(asked, trained(source, probes), facts.spaces.action)
    if not parity <= PARITY:
        msg = f"the exported graph differs from the network by {parity:.2g} of an action's range, allowed {PARITY:g}"
        raise RefusedError(msg, "please report it with the versions of torch and onnxruntime")
    rows = probes[:CHECKS]
    check = CheckSpec(observations=_rows(rows), actions=_rows(asked[:CHECKS]))
    digest = hashlib.sha256(model).hexdigest()
    return Bundle(
        draft.model_copy(update={"parity": parity, "model_sha256": digest, "check_vector": check}),
        model,
    )


def trained(source: Source, observations: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the trained network asks for: scaled outside, in double precision, run by torch."""
    import torch

    seen = source.facts.spaces.observation
    middle, half = middle_of(seen), half_of(seen)
    scaled = np.clip((observations - middle) / np.where(half > 0.0, half, 1.0), -1.0, 1.0)
    with torch.no_grad():
        rows = torch.from_numpy(scaled.astype(np.float32))
        out = torch.nn.Sequential(*_actor(source))(rows).numpy().astype(np.float64)
    centre, reach = outward(source.facts)
    found: NDArray[np.float64] = centre + reach * out
    return found


def layers_of(policy: Any) -> tuple[tuple[Array, Array], ...]:
    """The layers of an actor of stable-baselines3, PPO's or SAC's (``model.policy``), or of a Sequential."""
    import torch

    if hasattr(policy, "mlp_extractor"):
        parts = [policy.mlp_extractor.policy_net, policy.action_net]
    elif hasattr(policy, "actor"):
        parts = [policy.actor.latent_pi, policy.actor.mu]
    else:
        parts = [policy]
    linear = [m for part in parts for m in part.modules() if isinstance(m, torch.nn.Linear)]
    return tuple((_array(one.weight), _array(one.bias)) for one in linear)


def _graph(source: Source, manifest: Manifest) -> bytes:
    """The graph as ONNX: the same bytes for the same actor, wherever it is made."""
    import torch

    seen = manifest.spaces.observation
    half = half_of(seen)
    middle, reach = outward(manifest)
    module = torch.nn.Sequential(
        _affine(middle_of(seen), 1.0 / np.where(half > 0.0, half, 1.0), np.zeros(half.size)),
        torch.nn.Hardtanh(),
        *_actor(source),
        _affine(np.zeros(reach.size), reach, middle),
    ).eval()
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of packages that are not needed here
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch about itself
            made = torch.onnx.export(
                module,
                (torch.zeros(2, len(seen)),),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        log.setLevel(level)
    return _plain(made.model_proto, manifest)


def _plain(found: Any, manifest: Manifest) -> bytes:
    """The model without the exporter's notes: paths of this machine are nobody's business."""
    graph = found.graph
    for part in (
        *graph.node,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *graph.initializer,
        graph,
        found,
    ):
        del part.metadata_props[:]
        part.doc_string = ""
    for key, value in sorted(metadata(manifest).items()):
        entry = found.metadata_props.add()
        entry.key, entry.value = key, value
    data: bytes = found.SerializeToString(deterministic=True)
    return data


def _actor(source: Source) -> list[torch.nn.Module]:
    """The trained layers, from scaled observation to scaled action."""
    import torch

    kinds = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU}
    between = kinds[source.facts.activation]
    found: list[torch.nn.Module] = []
    for weight, bias in source.layers:
        found += [_linear(weight, bias), between()]
    found[-1] = torch.nn.Tanh() if source.facts.squash == "tanh" else torch.nn.Hardtanh()
    return found


def _linear(weight: NDArray[Any], bias: NDArray[Any]) -> torch.nn.Linear:
    import torch

    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.asarray(weight, dtype=np.float32)))
        layer.bias.copy_(torch.from_numpy(np.asarray(bias, dtype=np.float32)))
    return layer


def _affine(
    before: NDArray[np.float64], gain: NDArray[np.float64], after: NDArray[np.float64]
) -> torch.nn.Module:
    """Each number less what comes before, times its gain, plus what comes after."""
    import torch

    class Affine(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            for name, values in (("before", before), ("gain", gain), ("after", after)):
                self.register_buffer(name, torch.from_numpy(values.astype(np.float32)))

        def forward(self, x: Any) -> Any:
            return (x - self.before) * self.gain + self.after

    return Affine()


def _probes(source: Source) -> NDArray[np.float64]:
    """Observations to compare on: those of training, and others anywhere in the declared limits.

    Half of them each; a tenth of the others lies beyond the limits, where both must clip alike.
    """
    fields = source.facts.spaces.observation
    count = PARITY_ROWS // 2
    luck = np.array(
        [draws.uniform(_SEED, draws.WHAT_IF, _ENTITY, 0, n) for n in range(count * len(fields))]
    ).reshape(count, -1)
    anywhere = middle_of(fields) + 1.1 * half_of(fields) * (2.0 * luck - 1.0)
    own = np.resize(source.observations, (PARITY_ROWS - count, len(fields)))
    return np.concatenate([own, anywhere])


def _difference(
    one: NDArray[np.float64], other: NDArray[np.float64], fields: Iterable[FieldSpec]
) -> float:
    """The largest difference as a share of the action's range; NaN counts as no number should."""
    half = half_of(fields)
    return float(np.max(np.abs(one - other) / np.where(half > 0.0, 2.0 * half, 1.0)))


def _rows(rows: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in rows.tolist())


def _array(tensor: Any) -> Array:
    found: Array = tensor.detach().cpu().numpy().astype(np.float32)
    return found
