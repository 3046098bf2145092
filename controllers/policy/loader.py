"""The door that a bundle has to pass before it comes near a line.

In this order: the file is whole and as it was written, it is signed by somebody trusted where that is
required, it was made for this plant and for the schema that this program packs, its network holds numbers
and nothing but a network, and it still asks for what it asked for when it was exported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from controllers.env.schema import schema_of
from controllers.policy.bundle import AGAIN, Bundle, read_bundle
from controllers.policy.manifest import SchemaSpec, half_of
from controllers.policy.network import Network
from controllers.policy.signature import fingerprint, public_key
from controllers.policy.source import spaces_of
from controllers.policy.training_range import TrainingRange
from twin.line.model import Line
from twin.line.tags import line_signals
from twin.plugins import RefusedError
from twin.signals import Role

REPLAYED = 1e-5
"""Largest difference of the check vector's replay, as a share of an action's range: other processors round otherwise."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A bundle that has passed, ready to decide."""

    bundle: Bundle
    network: Network
    training_range: TrainingRange


def load(
    path: Path,
    line: Line,
    *,
    sha256: str = "",
    keys: Sequence[str] = (),
    must_be_signed: bool = False,
) -> Loaded:
    """The policy in a file, for this line. Raises `RefusedError` with what is wrong and what to do.

    ``keys`` are the public keys that are trusted, as PEM.
    """
    bundle = read_bundle(path, sha256)
    return checked(bundle, str(path), line, keys=keys, must_be_signed=must_be_signed)


def checked(
    bundle: Bundle,
    place: str,
    line: Line,
    *,
    keys: Sequence[str] = (),
    must_be_signed: bool = False,
) -> Loaded:
    """A bundle that lies in a file, or is to come into one (``place``), for this line; as `load`."""
    _check_signature(bundle, place, keys, must_be_signed=must_be_signed)
    _check_plant(bundle, place, line)
    network = Network(bundle.model, bundle.manifest, place)
    try:
        ranges = TrainingRange(bundle.manifest.training_range, bundle.manifest.spaces)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise RefusedError(f"{place}: {error}", AGAIN) from error
    _replay(bundle, place, network)
    return Loaded(bundle, network, ranges)


def _check_signature(
    bundle: Bundle, place: str, keys: Sequence[str], *, must_be_signed: bool
) -> None:
    """A signature that does not hold is refused everywhere, a missing or foreign one where it is required."""
    signature, trusted = bundle.signature, [public_key(key) for key in keys]
    if signature is not None and not signature.holds(bundle.manifest.text()):
        raise RefusedError(f"{place}: its signature is not one of this manifest", AGAIN)
    if not must_be_signed:
        return
    if not trusted:
        raise RefusedError(
            f"{place}: a signature is required and no key is trusted", "twin policy trust FILE.pub"
        )
    if signature is None:
        raise RefusedError(f"{place}: is not signed", "twin policy sign BUNDLE --key FILE.key")
    if signature.key not in trusted:
        msg = f"{place}: signed by {fingerprint(signature.key)}, who is not trusted here"
        raise RefusedError(msg, f"trusted: {', '.join(map(fingerprint, trusted))}")


def _check_plant(bundle: Bundle, place: str, line: Line) -> None:
    """The very plant file, and the very schema, digest and all."""
    manifest, plant = bundle.manifest, line.plant
    if (manifest.plant, manifest.plant_hash) != (plant.name, plant.config_hash):
        msg = f"{place}: made for {manifest.plant} ({manifest.plant_hash}), this is {plant.name} ({plant.config_hash})"
        raise RefusedError(msg, "train it for this plant file: twin train")
    ours, theirs = spaces_of(schema_of(line, manifest.role.decision_period_s)), manifest.spaces
    if ours != theirs:
        msg = f"{place}: sees or asks for other things than this program packs: {_first(ours, theirs)}"
        raise RefusedError(msg, "train it with this version: twin train")
    foreign = set(manifest.role.held) - {
        signal.name for signal in line_signals(line) if signal.role is Role.MV
    }
    if foreign:
        raise RefusedError(
            f"{place}: holds {min(foreign)}, which the line cannot be asked for",
            "train it for this plant file: twin train",
        )


def _first(ours: SchemaSpec, theirs: SchemaSpec) -> str:
    """The first difference between two schemas."""
    if ours.version != theirs.version:
        return f"version {theirs.version}, not {ours.version}"
    pairs = zip_longest((*ours.observation, *ours.action), (*theirs.observation, *theirs.action))
    for one, other in pairs:
        if one != other:
            return f"{other or 'nothing'} for {one or 'nothing'}"
    return f"digest {theirs.digest}"


def _replay(bundle: Bundle, place: str, network: Network) -> None:
    """Whether the network asks for what it asked for at its export.

    Row by row, as a run does: together, many rows could need memory that one does not.
    """
    check = bundle.manifest.check_vector
    asked = np.concatenate([network.act(np.array([row])) for row in check.observations])
    half = half_of(bundle.manifest.spaces.action)
    off = np.max(np.abs(asked - np.array(check.actions)) / np.where(half > 0.0, 2.0 * half, 1.0))
    if not off <= REPLAYED:
        msg = f"{place}: asks for something else than when it was exported, by {off:.2g} of an action's range"
        raise RefusedError(msg, AGAIN)
