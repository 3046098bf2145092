"""How far a policy may act, who said so, and the way back to the one before.

Beside a plant file ``PLANT.yaml`` the bundle in force for the controller ``rl`` is ``PLANT.rl.policy``; what
was approved and put in force before is kept in ``PLANT.policies/rl/``, numbered. Nothing there is deleted:
what was rolled back is renamed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from controllers.policy.bundle import Bundle, read_bundle
from controllers.policy.manifest import Approval, Step
from controllers.policy.signature import signed_by
from twin.plugins import RefusedError

ORDER = tuple(Approval)
KEPT, WITHDRAWN = ".policy", ".withdrawn"


def approved(bundle: Bundle, step: Step, key: Path | None) -> Bundle:
    """The bundle one step further in its approval, or any number of steps back.

    The manifest changes with it, so a bundle that was signed has to be signed anew: ``key`` is the private
    key's file. Raises `RefusedError` for a step that leaves one out, and for a signature that would be lost.
    """
    at, to = ORDER.index(bundle.manifest.state), ORDER.index(step.state)
    if not step.reason.strip():
        raise RefusedError("an approval needs a reason", "--reason TEXT")
    if to == at:
        raise RefusedError(f"the policy is {step.state} already")
    if to > at + 1:
        msg = f"the policy is {ORDER[at]}: {step.state} comes after {ORDER[to - 1]}"
        raise RefusedError(msg, f"first: twin policy approve --to {ORDER[at + 1]}")
    if bundle.signature is not None and key is None:
        msg = "the bundle is signed, and another state needs another signature"
        raise RefusedError(msg, "--key FILE.key")
    steps = (*bundle.manifest.approvals, step)
    found = replace(
        bundle, manifest=bundle.manifest.model_copy(update={"approvals": steps}), signature=None
    )
    return found if key is None else signed(found, key)


def signed(bundle: Bundle, key: Path) -> Bundle:
    """The same bundle with a signature by the private key of a file."""
    return replace(bundle, signature=signed_by(bundle.manifest.text(), key))


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is and was in force for one controller of a plant."""

    in_force: Path
    history: Path

    def put(self, bundle: Bundle) -> None:
        """Put a bundle in force and keep it. Raises `RefusedError` for a draft."""
        if bundle.manifest.state is Approval.DRAFT:
            raise RefusedError(
                "a draft is not put in force", "first: twin policy approve --to shadow"
            )
        self.history.mkdir(parents=True, exist_ok=True)
        newest = max((_number(path) for path in self.history.iterdir()), default=0)
        bundle.write(self.history / f"{newest + 1:04d}{KEPT}")
        bundle.write(self.in_force)

    def kept(self) -> list[Path]:
        """What was in force and not withdrawn, oldest first."""
        return sorted(self.history.glob(f"*{KEPT}"))

    def before(self) -> Path:
        """The policy that was in force before the present one. Raises `RefusedError` if there is none."""
        kept, now = self.kept(), read_bundle(self.in_force)
        same = [n for n, path in enumerate(kept) if path.read_bytes() == now.to_bytes()]
        for path in reversed(kept[: same[-1]] if same else kept):
            if read_bundle(path).manifest.model_sha256 != now.manifest.model_sha256:
                return path
        raise RefusedError(f"no other policy was in force before {self.in_force}")

    def roll_back(self) -> Path:
        """Put the one before in force again; those that came after it are withdrawn. The file it came from."""
        found = self.before()
        read_bundle(found).write(self.in_force)
        for path in self.kept():
            if path.name > found.name:
                path.rename(path.with_suffix(WITHDRAWN))
        return found


def _number(path: Path) -> int:
    """The number of a kept bundle; 0 for what is none."""
    found = re.match(r"\d+", path.name)
    return int(found[0]) if found else 0
