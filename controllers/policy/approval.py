"""How far a policy may act, who said so, and the way back to the one before.

Beside a plant file ``PLANT.yaml`` the bundle in force for the controller ``rl`` is ``PLANT.rl.policy``; what
was approved and put in force before is kept in ``PLANT.policies/rl/``, numbered. Nothing there is deleted:
what was rolled back is renamed, and so is what was kept of a policy that may act less far since.
"""

from __future__ import annotations

import re
from collections.abc import Callable
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
class Before:
    """A kept policy that can come into force again, and in words what had to be passed over for it."""

    path: Path
    bundle: Bundle
    passed_over: tuple[str, ...]


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
        self.amend(bundle)

    def amend(self, bundle: Bundle) -> None:
        """Let what is in force go on as this bundle. A draft is not kept.

        Copies of the same policy that may act further are withdrawn first: the way back raises nobody.
        """
        state = bundle.manifest.state
        for path in self.kept():
            found = _readable(path)
            if (
                found is not None
                and found.manifest.behaviour == bundle.manifest.behaviour
                and ORDER.index(found.manifest.state) > ORDER.index(state)
            ):
                _withdraw(path)
        if state is not Approval.DRAFT:
            self.history.mkdir(parents=True, exist_ok=True)
            newest = max(map(_number, self.history.iterdir()), default=0)
            bundle.write(self.history / f"{newest + 1:04d}{KEPT}")
        bundle.write(self.in_force)

    def holds(self, path: Path) -> bool:
        """Whether a file is the one in force."""
        return path.resolve() == self.in_force.resolve()

    def kept(self) -> list[Path]:
        """What was in force and not withdrawn, oldest first."""
        return sorted(self.history.glob(f"*{KEPT}"), key=_number)

    def before(self, check: Callable[[Path], Bundle]) -> Before:
        """The policy that was in force before the present one, the newest that ``check`` lets through.

        ``check`` reads a kept file as a run would, and raises `RefusedError` for one that must not act. A file
        in force that cannot be read is as none: then the newest kept one is meant, whichever it is. Raises
        `RefusedError` if there is none.
        """
        kept, over = self.kept(), list[str]()
        try:
            now = read_bundle(self.in_force)
        except RefusedError as error:
            now = None
            over.append(str(error))
        same = [n for n, path in enumerate(kept) if now is not None and _readable(path) == now]
        for path in reversed(kept[: same[-1]] if same else kept):
            try:
                found = check(path)
            except RefusedError as error:
                over.append(str(error))
                continue
            if now is None or found.manifest.behaviour != now.manifest.behaviour:
                return Before(path, found, tuple(over))
        said = "".join(f"; {one}" for one in over)
        raise RefusedError(f"no other policy was in force before {self.in_force}{said}")

    def roll_back(self, to: Before) -> None:
        """Put the one before in force again, as it was looked at; what came after it is withdrawn."""
        to.bundle.write(self.in_force)
        for path in self.kept():
            if _number(path) > _number(to.path):
                _withdraw(path)


def _readable(path: Path) -> Bundle | None:
    """A kept bundle; None for a damaged one, which never comes into force again."""
    try:
        return read_bundle(path)
    except RefusedError:
        return None


def _withdraw(path: Path) -> None:
    path.rename(path.with_suffix(WITHDRAWN))


def _number(path: Path) -> int:
    """The number of a kept bundle; 0 for what is none."""
    found = re.match(r"\d+", path.name)
    return int(found[0]) if found else 0
