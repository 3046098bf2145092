"""Who takes part in an evaluation: controllers by name, and policies, one contender a training seed."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.cli.problems import UNFIT, Problem, pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twin.config import TunedPoint

ORACLE = "oracle"
SUFFIX = ".policy"
MANIFEST = "manifest.json"
MOST_BYTES = 2**24
"""No manifest of a policy is nearly that large."""
NO_BUNDLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    LookupError,
    OverflowError,
    ValueError,
    TypeError,
    AttributeError,
)
"""What reading a file as a bundle raises where it is none, or a damaged one."""


@dataclass(frozen=True, slots=True)
class TrainedPolicy:
    """The policy of one training seed, as its bundle's manifest has it."""

    path: str
    training_seeds: tuple[int, ...]
    """Usually one."""
    sha256: str
    """Of the network: the name of the policy in tables. Signing and approving the bundle do not change it."""
    file_sha256: str
    behaviour_sha256: str = ""
    """Of all in the manifest that makes it the controller that it is: role and training range too. Empty for a
    line that was written before this was noted."""
    training_cpu_h: float | None = None

    @property
    def label(self) -> str:
        """Its training seed as part of a contender's name."""
        return "-".join(map(str, self.training_seeds))

    def record(self) -> dict[str, Any]:
        """What a line of an evaluation says of it."""
        told = {
            "path": self.path,
            "training_seeds": list(self.training_seeds),
            "sha256": self.sha256,
            "training_cpu_h": self.training_cpu_h,
        }
        if self.behaviour_sha256:
            told["behaviour_sha256"] = self.behaviour_sha256
        return told

    def given_to(self, point: TunedPoint, controller: str) -> TunedPoint:
        """The point from which that controller takes this policy, for a trial."""
        from twin.config import PolicyFile

        file = PolicyFile(path=self.path, sha256=self.file_sha256)
        return point.model_copy(update={"policies": {**point.policies, controller: file}})


@dataclass(frozen=True, slots=True)
class Contender:
    """Who drives: the name in all tables, and a policy where it plays one."""

    name: str
    policy: TrainedPolicy | None = None


def contenders(names: Sequence[str], plant_file: Path) -> tuple[Contender, ...]:
    """All that were named; ``oracle`` is all that makes it, and the bound beside it.

    ``rl@PLACE`` is a controller with the policy of a bundle, or one contender for each bundle of a folder,
    named ``rl:3`` by the training seed. ``rl`` alone plays the bundle beside the plant file, if there is one.
    """
    from twin.cli.ceiling import ALL
    from twin.plugins import controller_names

    found: list[Contender] = []
    for name in names:
        controller, at, place = name.partition("@")
        if name == ORACLE:
            found += [Contender(one) for one in ALL]
            continue
        pick(controller, controller_names() if at else (*controller_names(), ORACLE), "controller")
        beside = plant_file.with_name(f"{plant_file.stem}.{controller}{SUFFIX}")
        if at:
            policies = [policy_of(bundle) for bundle in _bundles(Path(place))]
            found += [Contender(f"{controller}:{one.label}", one) for one in policies]
        else:
            found.append(Contender(controller, policy_of(beside) if beside.is_file() else None))
    labels = [one.name for one in found]
    twice = next((label for label in labels if labels.count(label) > 1), "")
    if twice:
        msg = f"{twice} is there twice: two bundles of one controller name the same training seed"
        raise Problem("usage", msg, "leave one of them out")
    refuse_second_names([one.name for one in found if one.policy is None and one.name not in ALL])
    return tuple(found)


def refuse_second_names(names: Sequence[str]) -> None:
    """``Problem`` where one controller is meant by two names: its shifts would be compared with themselves."""
    from twin.plugins import find_controller

    known: dict[Any, str] = {}
    for name in names:
        first = known.setdefault(find_controller(name), name)
        if first != name:
            msg = f"{first} and {name} are two names of one controller"
            raise Problem("usage", msg, "leave one of them out")


def policy_of(bundle: Path) -> TrainedPolicy:
    """The facts of a bundle. ``Problem`` for a file that has none; the controller itself looks closer."""
    from twin.config import behaviour_sha256

    data = bundle.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(MANIFEST) as file:
            manifest = json.loads(file.read(MOST_BYTES))
        cpu_h = manifest.get("evaluation", {}).get("training_cpu_h")
        return TrainedPolicy(
            str(bundle),
            tuple(int(seed) for seed in manifest["training"]["seeds"]),
            str(manifest["model_sha256"]),
            hashlib.sha256(data).hexdigest(),
            behaviour_sha256(manifest),
            None if cpu_h is None else float(cpu_h),
        )
    except NO_BUNDLE as error:
        msg = f"{bundle} is no policy bundle: {error}"
        raise Problem("policy", msg, "train it again, or leave it out", code=UNFIT) from error


def _bundles(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = sorted(place.glob(f"*{SUFFIX}"))
    if not found:
        hint = f"after @ comes a bundle, or a folder of them: NAME{SUFFIX}"
        raise Problem("usage", f"there is no policy at {str(place)!r}", hint)
    return found
