"""The policy bundles of a plant: where they lie, which keys are trusted, and the audit of both.

Beside ``PLANT.yaml``: the bundle in force of each controller, ``PLANT.rl.policy``, and a folder
``PLANT.policies`` with the trusted keys, what was in force before, and the audit. What is inside a bundle is
for ``controllers.policy`` to say; here it is a file.
"""

from __future__ import annotations

import getpass
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from twin.config import PolicyFile, TunedPoint

SUFFIX, TRUSTED = ".policy", "trusted"
KEPT = "policies"
"""Folder of a run with the bundles that it was begun with: whatever becomes of them, the run keeps these."""


def policies_folder(plant_file: Path) -> Path:
    """Where keys, history and audit of a plant's policies are."""
    return plant_file.with_name(f"{plant_file.stem}.policies")


def bundle_path(plant_file: Path, controller: str) -> Path:
    """Where the bundle in force is."""
    return plant_file.with_name(f"{plant_file.stem}.{controller}{SUFFIX}")


def found_policies(plant_file: Path) -> dict[str, PolicyFile]:
    """The bundles in force by controller, for trials on simulated lines."""
    found = {}
    for path in sorted(plant_file.parent.glob(f"{plant_file.stem}.*{SUFFIX}")):
        name = path.name[len(plant_file.stem) + 1 : -len(SUFFIX)]
        if name.isidentifier():
            found[name] = _file(path)
    return found


def trusted_keys(plant_file: Path) -> tuple[str, ...]:
    """The public keys that are trusted, as text."""
    folder = policies_folder(plant_file) / TRUSTED
    return tuple(path.read_text("utf-8") for path in sorted(folder.glob("*.pub")))


def for_run(
    point: TunedPoint,
    plant_file: Path,
    names: Sequence[str],
    *,
    given: Path | None,
    drives: bool,
    must_be_signed: bool,
    patience_s: float,
) -> TunedPoint:
    """The point with the bundles that these controllers take in a run, bound to what is trusted here.

    ``given`` stands for the bundle of each of them. A signature is required where a key is trusted.
    """
    keys = trusted_keys(plant_file)
    use = {
        "use": "drive" if drives else "advise",
        "keys": keys,
        "must_be_signed": must_be_signed or bool(keys),
        "patience_s": patience_s,
    }
    files = dict.fromkeys(names, _file(given)) if given is not None else point.policies
    bound = {name: file.model_copy(update=use) for name, file in files.items() if name in names}
    return point.model_copy(update={"policies": bound})


def keep(point: TunedPoint, folder: Path) -> TunedPoint:
    """Copy the bundles of a point into the folder of a run; the point with the paths of the copies."""
    from twin.plugins import RefusedError

    for name, file in point.policies.items():
        data = Path(file.path).read_bytes()
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise RefusedError(f"{file.path} was changed while the run began", "start it again")
        (folder / KEPT).mkdir(exist_ok=True)
        (folder / KEPT / f"{name}{SUFFIX}").write_bytes(data)
    return kept_in(point, folder)


def kept_in(point: TunedPoint, folder: Path | None) -> TunedPoint:
    """The point with the bundles of a run's folder; their paths inside it for None, as records have them."""
    root = Path() if folder is None else folder
    moved = {
        name: file.model_copy(update={"path": str(root / KEPT / f"{name}{SUFFIX}")})
        for name, file in point.policies.items()
    }
    return point.model_copy(update={"policies": moved})


def as_recorded(point: TunedPoint, folder: Path) -> TunedPoint:
    """The same for a replay, in which no clock is asked."""
    kept = kept_in(point, folder)
    policies = {n: file.model_copy(update={"patience_s": 0.0}) for n, file in kept.policies.items()}
    return kept.model_copy(update={"policies": policies})


def note(plant_file: Path, verb: str, reason: str) -> None:
    """Put on record what was done with a policy, or refused; durable on return."""
    from twin.clock import utc_now
    from twin.store.audit import Audit

    folder = policies_folder(plant_file)
    folder.mkdir(parents=True, exist_ok=True)
    with Audit(folder / "audit.sqlite") as audit:
        audit.command(verb, getpass.getuser(), reason, utc_now())


@contextmanager
def refusals_noted(plant_file: Path, what: str) -> Iterator[None]:
    """Put on record whatever a controller refuses inside the block; it stays refused."""
    from twin.plugins import RefusedError
    from twin.store.quarantine import StoreError

    try:
        yield
    except RefusedError as error:
        try:
            note(plant_file, "refuse", f"{what}: {error}")
        except (OSError, StoreError, sqlite3.Error) as fault:
            typer.echo(f"note: the refusal could not be put on record: {fault}", err=True)
        raise


def _file(path: Path) -> PolicyFile:
    from twin.config import PolicyFile

    return PolicyFile(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
