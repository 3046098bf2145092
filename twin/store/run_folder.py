"""The folder of one run: what went into it, its stores and its results, the same bytes each time.

No calendar time, no random number: two runs with the same inputs write the same files, so that a
difference between two folders is a difference between two runs.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from twin.store.quarantine import RESTORE, StoreError, sync_folder

MANIFEST = "manifest.json"
"""What went into a run; a folder with it is a run's."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What a file or a run may be called: no separators, no leading dot."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """An existing run folder. Files are written through it, and only inside it."""

    folder: Path

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.folder.name

    @property
    def historian(self) -> Path:
        """File of the historian."""
        return self.folder / "historian.duckdb"

    @property
    def audit(self) -> Path:
        """File of the audit."""
        return self.folder / "audit.sqlite"

    @property
    def segments(self) -> Path:
        """Folder of the closed Parquet segments."""
        return self.folder / "segments"

    def place(self, name: str) -> Path:
        """The path of a file in the folder; ``name`` may have subfolders, divided by ``/``.

        Raises :class:`StoreError` for a name that would lead outside, also by a symbolic link.
        """
        parts = name.split("/")
        path = self.folder.joinpath(*parts)
        if not all(NAME.fullmatch(part) for part in parts) or not path.resolve().is_relative_to(
            self.folder.resolve()
        ):
            msg = (
                f"{name!r} is no place in run {self.run_id}: use letters, digits, '.', '_' and "
                "'-', and no link that leads outside"
            )
            raise StoreError(msg)
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write a file that appears whole or not at all, and survives a loss of power."""
        path = self.place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, text)
        return path

    def write_json(self, name: str, data: object) -> Path:
        """Write data as JSON with sorted keys; see :func:`stable_json`."""
        return self.write_text(name, stable_json(data, name))

    def read_json(self, name: str) -> object:
        """Read a JSON file of the run back."""
        path = self.place(name)
        try:
            return json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            msg = f"{path}: cannot be read: {error}"
            raise StoreError(msg, RESTORE) from error


def create(
    root: Path,
    plant_name: str,
    *,
    plant_hash: str,
    seed: int,
    command: Sequence[str],
    versions: Mapping[str, str],
    arguments: Mapping[str, object] | None = None,
    stamp: str = "",
) -> RunFolder:
    """Make a new run folder with its ``manifest.json``; it appears with the manifest or not at all.

    It is called ``[<stamp>-]<plant>-<digest>-<counter>``: the digest (8 digits of SHA-256) is that
    of everything in the manifest, the counter tells runs of the same inputs apart.
    Raises :class:`StoreError` for a plant name or stamp that is no plain name.
    """
    for word in (plant_name, *((stamp,) if stamp else ())):
        if not NAME.fullmatch(word):
            msg = f"{word!r} cannot be part of a run's name: use letters, digits, '.', '_' and '-'"
            raise StoreError(msg)
    manifest: dict[str, object] = {
        "plant": plant_name,
        "plant_hash": plant_hash,
        "seed": seed,
        "command": list(command),
        "versions": dict(versions),
        "arguments": dict(arguments or {}),
    }
    digest = _digest(manifest)
    stem = f"{stamp}-{plant_name}-{digest}" if stamp else f"{plant_name}-{digest}"
    if root.exists() and not root.is_dir():
        msg = f"{root} is a file; runs need a folder"
        raise StoreError(msg)
    root.mkdir(parents=True, exist_ok=True)
    draft = root / f".{stem}-{os.getpid()}.tmp"
    draft.mkdir(exist_ok=True)
    counter = 1
    while True:
        run_id = f"{stem}-{counter:03d}"
        _write(draft / MANIFEST, stable_json({"id": run_id, **manifest}, "manifest"))
        if not (root / run_id).exists():
            try:
                # A folder that holds something is never replaced: of two processes one succeeds.
                draft.rename(root / run_id)
            except OSError as error:
                if not (root / run_id).exists():
                    msg = f"{root / run_id}: cannot be created: {error}"
                    raise StoreError(msg) from error
            else:
                sync_folder(root)
                return RunFolder(root / run_id)
        counter += 1


def is_as_written(manifest: Mapping[str, object]) -> bool:
    """Whether the facts of a manifest are still those that its run's name was made of. ``KeyError`` without a name."""
    facts = {key: value for key, value in manifest.items() if key != "id"}
    return str(manifest["id"]).split("-")[-2:-1] == [_digest(facts)]


def _digest(manifest: Mapping[str, object]) -> str:
    return hashlib.sha256(stable_json(manifest, "manifest").encode()).hexdigest()[:8]


def open_run(root: Path, run_id: str) -> RunFolder:
    """An existing run by its name; :class:`StoreError` if there is none under ``root``."""
    folder = root / run_id
    if not NAME.fullmatch(run_id) or not (folder / MANIFEST).is_file():
        held = sorted(path.parent.name for path in root.glob(f"[!.]*/{MANIFEST}"))
        msg = f"no run {run_id!r} in {root}; there are: {', '.join(held) or 'none'}"
        raise StoreError(msg)
    if not folder.resolve().is_relative_to(root.resolve()):
        msg = f"run {run_id!r} leads outside {root}"
        raise StoreError(msg)
    return RunFolder(folder)


def package_versions(names: Sequence[str]) -> dict[str, str]:
    """Installed versions by distribution name; a package that is not there is left out."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def stable_json(data: object, place: str = "") -> str:
    """JSON text with sorted keys and all digits of each float: same data, same bytes.

    Records (dataclasses) become objects, arrays and tuples lists, None null. A number that is not
    finite raises ``ValueError`` naming its place: what is unknown must be said by None.
    """
    return json.dumps(_plain(data, place), indent=2, sort_keys=True, allow_nan=False) + "\n"


def _plain(data: object, place: str) -> object:
    if isinstance(data, np.generic | np.ndarray):
        data = data.tolist()
    if isinstance(data, float):
        if not math.isfinite(data):
            msg = f"{place}: {data} is not a finite number; give None for what is unknown"
            raise ValueError(msg)
        return data
    if data is None or isinstance(data, bool | int | str):
        return data
    if is_dataclass(data) and not isinstance(data, type):
        data = asdict(data)
    if isinstance(data, Mapping):
        return {str(key): _plain(value, f"{place}.{key}") for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value, f"{place}[{number}]") for number, value in enumerate(data)]
    msg = f"{place}: a {type(data).__name__} has no place in a result file"
    raise TypeError(msg)


def _write(path: Path, text: str) -> None:
    """Replace a file by way of a draft beside it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        msg = f"{path}: cannot be written: {error}"
        raise StoreError(msg) from error
    sync_folder(path.parent)
