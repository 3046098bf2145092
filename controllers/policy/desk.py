"""What ``twin policy`` does to the bundles of a plant: each verb looks before it acts, and writes in one stroke.

The command line calls these by name, since ``twin`` does not import controllers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controllers.policy.approval import Shelf, approved, signed
from controllers.policy.bundle import Bundle, read_bundle, whole_bundle
from controllers.policy.loader import Loaded, checked, load
from controllers.policy.manifest import Approval, Step
from controllers.policy.signature import fingerprint, make_keys, public_key
from twin.line.model import Line
from twin.plugins import RefusedError


@dataclass(frozen=True, slots=True)
class Desk:
    """The policies of one plant. ``keys`` are trusted, as PEM: where there are any, bundles must be signed."""

    line: Line
    keys: Sequence[str] = ()

    def load(self, path: Path, *, must_be_signed: bool = False) -> Loaded:
        """The bundle as a run would take it. Raises ``RefusedError``, as all verbs do."""
        return load(path, self.line, keys=self.keys, must_be_signed=must_be_signed)

    def export(self, folder: Path, to: Path) -> dict[str, Any]:
        """A bundle from what a training run left in its folder, a draft. It is written if a run would take it."""
        from controllers.policy.export import export
        from controllers.policy.source import read_source

        self._refuse_in_force(to)
        found = self._looked_at(export(read_source(folder)), to)
        found.write(to)
        return summary(found)

    def sign(self, path: Path, key: Path, shelf: tuple[Path, Path]) -> dict[str, Any]:
        """Sign a bundle in its place."""
        return summary(self._amended(signed(self.load(path).bundle, key), path, Shelf(*shelf)))

    def approve(
        self, path: Path, step: dict[str, str], key: Path | None, shelf: tuple[Path, Path]
    ) -> dict[str, Any]:
        """Change how far a bundle may act, in its place; ``step`` has state, who, reason and utc."""
        to = Step(**{**step, "state": Approval(step["state"])})
        found = approved(self.load(path).bundle, to, key)
        return summary(self._amended(found, path, Shelf(*shelf)))

    def install(self, path: Path, shelf: tuple[Path, Path]) -> dict[str, Any]:
        """Put an approved bundle in force; ``shelf`` is the file in force and the folder of those before."""
        found = self.load(path, must_be_signed=bool(self.keys)).bundle
        Shelf(*shelf).put(found)
        return summary(found)

    def rollback(self, shelf: tuple[Path, Path]) -> dict[str, Any]:
        """Put the policy in force again that was so before the present one; what was passed over is told."""
        held = Shelf(*shelf)
        found = held.before(lambda path: self.load(path, must_be_signed=bool(self.keys)).bundle)
        held.roll_back(found)
        return {**summary(found.bundle), "passed_over": list(found.passed_over) or None}

    def _amended(self, found: Bundle, path: Path, held: Shelf) -> Bundle:
        """Write a changed bundle in its place: what is in force only as a run would take it."""
        in_force = held.holds(path)
        found = self._looked_at(found, path, must_be_signed=in_force and bool(self.keys))
        if in_force:
            held.amend(found)
        else:
            found.write(path)
        return found

    def _looked_at(self, found: Bundle, place: Path, *, must_be_signed: bool = False) -> Bundle:
        """What is about to be written, read back from its bytes and looked at as a run would."""
        whole, keys = whole_bundle(found.to_bytes(), str(place)), self.keys
        return checked(
            whole, str(place), self.line, keys=keys, must_be_signed=must_be_signed
        ).bundle

    def _refuse_in_force(self, to: Path) -> None:
        """A draft is not written over what is in force for a plant, but for another draft of this one."""
        plant_stem, dot, _ = to.stem.rpartition(".")
        if not (dot and to.is_file() and to.with_name(f"{plant_stem}.yaml").is_file()):
            return
        hint = "export to another file, then: twin policy install"
        manifest, plant = read_bundle(to).manifest, self.line.plant
        if (manifest.plant, manifest.plant_hash) != (plant.name, plant.config_hash):
            raise RefusedError(f"{to}: is in force for another plant, {manifest.plant}", hint)
        if manifest.state is not Approval.DRAFT:
            raise RefusedError(f"{to}: is in force as {manifest.state}", hint)


def inspect(path: Path) -> dict[str, Any]:
    """What a bundle says of itself, whole; whether it is true is for ``verify`` to say."""
    bundle = read_bundle(path)
    holds = None if bundle.signature is None else bundle.signature.holds(bundle.manifest.text())
    return {
        **summary(bundle),
        "signature_holds": holds,
        "manifest": bundle.manifest.model_dump(mode="json"),
    }


def new_keys(folder: Path, name: str) -> dict[str, str]:
    """A new pair of keys."""
    secret, public = make_keys(folder, name)
    key = fingerprint(public_key(public.read_text("utf-8")))
    return {"private": str(secret), "public": str(public), "fingerprint": key}


def checked_key(pem: str) -> str:
    """The fingerprint of a public key."""
    return fingerprint(public_key(pem))


def summary(bundle: Bundle) -> dict[str, Any]:
    """The lines that people look for first. Who signed it is told of a signature that holds, and of no other."""
    manifest, signature = bundle.manifest, bundle.signature
    holds = signature is not None and signature.holds(manifest.text())
    return {
        "plant": manifest.plant,
        "plant_hash": manifest.plant_hash,
        "policy": manifest.model_sha256,
        "algorithm": manifest.training.algorithm,
        "environment": manifest.training.environment,
        "schema": {"version": manifest.spaces.version, "digest": manifest.spaces.digest},
        "seeds": list(manifest.training.seeds),
        "steps": manifest.training.steps,
        "base": manifest.role.base,
        "fallback": manifest.role.stand_in,
        "state": str(manifest.state),
        "signed_by": fingerprint(signature.key) if signature is not None and holds else None,
        "parity": manifest.parity,
    }
