"""Checkpoints from which a training run goes on as if it had never been stopped, to the last bit of a weight.

One file: parameters of the networks and optimisers, counters, what is remembered of past decisions, the
state of the lines, and the state of every source of random numbers that the libraries draw from. It is taken
between two rounds of trying and learning, so that nothing is under way. It is read by torch with
``weights_only``: tensors and plain values, no pickled objects.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random  # noqa: TID251 - only its state: the libraries draw from it
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO, Protocol
from zipfile import is_zipfile

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from controllers.training.lines import under
from twin.store.quarantine import StoreError, sync_folder


class Kept(Protocol):
    """Lines whose state can be kept."""

    def snapshot(self) -> Mapping[str, NDArray[Any]]:
        """All that changes, as arrays."""
        ...

    def restore(self, held: Mapping[str, NDArray[Any]]) -> None:
        """Be as `snapshot` found them."""
        ...


FORMAT = 1
NAME = "checkpoint.pt"
ANEW = "another --out, or remove the folder of that seed to begin anew"
BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
COUNTERS = ("num_timesteps", "_n_updates", "_episode_num")


def save(path: Path, model: BaseAlgorithm, lines: Kept, facts: Mapping[str, Any]) -> None:
    """Write the checkpoint of a run that ``facts`` describe, as `replaced` does."""
    arrays = {f"env.{name}": value for name, value in lines.snapshot().items()}
    arrays |= {"last.obs": model._last_obs, "last.starts": model._last_episode_starts}
    told: dict[str, Any] = {name: getattr(model, name) for name in COUNTERS}
    told["pending"] = {name: float(value) for name, value in model.logger.name_to_value.items()}
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        told["buffer"] = [buffer.pos, buffer.full]
        end = buffer.buffer_size if buffer.full else buffer.pos
        arrays |= {f"buffer.{name}": getattr(buffer, name)[:end] for name in BUFFER}
    luck, words = _luck(model)
    record = {
        "format": FORMAT,
        "told": json.dumps({**told, "luck": words, "facts": facts}, sort_keys=True),
        "parameters": model.get_parameters(),
        "variables": {name: getattr(model, name).detach() for name in _variables(model)},
        "arrays": {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()},
        "luck": luck,
    }
    # By way of memory: where the disk is full torch's own writer ends in an error that does not say so.
    whole = io.BytesIO()
    torch.save(record, whole)
    with replaced(path) as file:
        file.write(whole.getbuffer())


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write what is kept into: it takes the place of the last one whole or not at all, and stays there.

    Raises ``OSError`` where the disk takes no more; what was kept before is still there then.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was read: what is told in words and numbers, and all tensors."""

    told: Mapping[str, Any]
    record: Mapping[str, Any]

    @property
    def steps(self) -> int:
        """How far the run had come."""
        return int(self.told["num_timesteps"])


def read(path: Path, facts: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint of the run that ``facts`` describe. Raises ``StoreError`` for any other file."""
    if not is_zipfile(path):  # torch would try to make something else of it
        raise StoreError(f"{path}: truncated or damaged: it is no archive", ANEW)
    try:
        record = torch.load(path, weights_only=True)
        told, form = json.loads(record["told"]), record["format"]
    except (
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        UnpicklingError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(f"{path}: truncated or damaged: {reason}", ANEW) from error
    if form != FORMAT:
        raise StoreError(f"{path}: has format {form}, this program reads {FORMAT}", ANEW)
    refuse_other(path, told["facts"], facts)
    return Checkpoint(told, record)


def refuse_other(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise ``StoreError`` for a file of a run that other facts describe."""
    names = sorted({**theirs, **ours})
    if differs := [name for name in names if theirs.get(name) != ours.get(name)]:
        raise StoreError(f"{path}: is of a run with other {' and '.join(differs)}", ANEW)


def restore(found: Checkpoint, model: BaseAlgorithm, lines: Kept) -> None:
    """Put model, its logger, lines and luck where the checkpoint has them."""
    record, told = found.record, found.told
    model.set_parameters(record["parameters"], exact_match=True, device="cpu")
    for name, value in record["variables"].items():
        getattr(model, name).data.copy_(value)
    for name in COUNTERS:
        setattr(model, name, told[name])
    for name, value in told["pending"].items():
        model.logger.record(name, value)  # noted of the last round, and not written down yet
    arrays = {name: value.numpy() for name, value in record["arrays"].items()}
    lines.restore(under("env.", arrays))
    model._last_obs, model._last_episode_starts = arrays["last.obs"], arrays["last.starts"]
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        buffer.pos, buffer.full = told["buffer"]
        for name, value in under("buffer.", arrays).items():
            getattr(buffer, name)[: len(value)] = value
    _restore_luck(model, record["luck"], told["luck"])


def weights_sha256(network: torch.nn.Module) -> str:
    """The digest of all weights: two runs are the same where this is."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _variables(model: BaseAlgorithm) -> list[str]:
    """Tensors beside the networks, such as the temperature of SAC."""
    _, names = model._get_torch_save_params()
    return [name for name in names if isinstance(getattr(model, name, None), torch.Tensor)]


def _luck(model: BaseAlgorithm) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Where Python's, numpy's and torch's random numbers are, and those that the library draws actions from."""
    version, words, gauss = random.getstate()
    kind, key, position, has_gauss, cached = np.random.get_state()  # noqa: TID251
    assert kind == "MT19937"
    tensors = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor(words, dtype=torch.int64),
        "numpy": torch.from_numpy(np.asarray(key, dtype=np.int64)),
    }
    generator = model.action_space.np_random.bit_generator
    return tensors, {
        "python": [version, gauss],
        "numpy": [int(position), int(has_gauss), float(cached)],
        "actions": _plain(generator.state),
    }


def _restore_luck(
    model: BaseAlgorithm, tensors: Mapping[str, torch.Tensor], told: Mapping[str, Any]
) -> None:
    version, gauss = told["python"]
    random.setstate((version, tuple(tensors["python"].tolist()), gauss))
    key: NDArray[Any] = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, *told["numpy"]))  # noqa: TID251
    torch.set_rng_state(tensors["torch"])
    model.action_space.np_random.bit_generator.state = told["actions"]


def _plain(state: Any) -> Any:
    """The state of a generator in plain Python, of which JSON keeps every digit."""
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return state.item() if isinstance(state, np.generic) else state
