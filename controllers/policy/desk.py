"""What ``twin policy`` does to the bundles of a plant: each verb looks before it acts, and writes in one stroke.

The command line calls these by name, since ``twin`` does not import controllers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controllers.policy.approval import Shelf, approved, signed
from controllers.policy.bundle import Bundle, read_bundle
from controllers.policy.loader import Loaded, load
from controllers.policy.manifest import Approval, Step
from controllers.policy.signature import fingerprint, make_keys, public_key
from twin.line.model import Line


@dataclass(frozen=True, slots=True)
class Desk:
    """The policies of one plant. ``keys`` are trusted, as PEM: where there are any, bundles must be signed."""

    line: Line
    keys: Sequence[str] = ()

    def load(self, path: Path, *, must_be_signed: bool = False) -> Loaded:
        """The bundle as a run would take it. Raises ``RefusedError``, as all verbs do."""
        return load(path, self.line, keys=self.keys, must_be_signed=must_be_signed)

    def export(self, folder: Path, to: Path) -> dict[str, Any]:
        """A bundle from what a training run left in its folder, a draft."""
        from controllers.policy.export import export
        from controllers.policy.source import read_source

        export(read_source(folder)).write(to)
        return summary(self.load(to).bundle)

    def sign(self, path: Path, key: Path) -> dict[str, Any]:
        """Sign a bundle in its place."""
        found = signed(self.load(path).bundle, key)
        found.write(path)
        return summary(found)

    def approve(
        self, path: Path, step: dict[str, str], key: Path | None, shelf: tuple[Path, Path]
    ) -> dict[str, Any]:
        """Change how far a bundle may act, in its place; ``step`` has state, who, reason and utc."""
        to = Step(**{**step, "state": Approval(step["state"])})
        found, held = approved(self.load(path).bundle, to, key), Shelf(*shelf)
        if path.resolve() == held.in_force.resolve() and to.state is not Approval.DRAFT:
            held.put(found)
        else:
            found.write(path)
        return summary(found)

    def install(self, path: Path, shelf: tuple[Path, Path]) -> dict[str, Any]:
        """Put an approved bundle in force; ``shelf`` is the file in force and the folder of those before."""
        found = self.load(path, must_be_signed=bool(self.keys)).bundle
        Shelf(*shelf).put(found)
        return summary(found)

    def rollback(self, shelf: tuple[Path, Path]) -> dict[str, Any]:
        """Put the policy in force again that was so before the present one."""
        held = Shelf(*shelf)
        found = self.load(held.before(), must_be_signed=bool(self.keys)).bundle
        held.roll_back()
        return summary(found)


def inspect(path: Path) -> dict[str, Any]:
    """What a bundle says of itself, whole; whether it is true is for ``verify`` to say."""
    bundle = read_bundle(path)
    return {**summary(bundle), "manifest": bundle.manifest.model_dump(mode="json")}


def new_keys(folder: Path, name: str) -> dict[str, str]:
    """A new pair of keys."""
    secret, public = make_keys(folder, name)
    key = fingerprint(public_key(public.read_text("utf-8")))
    return {"private": str(secret), "public": str(public), "fingerprint": key}


def checked_key(pem: str) -> str:
    """The fingerprint of a public key."""
    return fingerprint(public_key(pem))


def summary(bundle: Bundle) -> dict[str, Any]:
    """The lines that people look for first."""
    manifest, signature = bundle.manifest, bundle.signature
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
        "fallback": manifest.role.fallback,
        "state": str(manifest.state),
        "signed_by": None if signature is None else fingerprint(signature.key),
        "parity": manifest.parity,
    }
