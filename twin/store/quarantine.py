"""What happens to a store that cannot be opened: it is set aside whole, never deleted."""

from __future__ import annotations

import os
from pathlib import Path


class StoreError(Exception):
    """A store cannot do what was asked; the text says which file, why, and what to do next."""


def set_aside(path: Path, companions: tuple[str, ...], reason: str) -> str:
    """Move a damaged store and its companion files out of the way; the warning to show.

    ``companions`` are suffixes of files that belong to it (``".wal"``). The copy is named
    ``<name>.damaged-N`` with the first number that is free, so that no earlier copy is overwritten.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in (*companions, ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    sync_folder(path.parent)
    return (
        f"{path}: damaged, set aside as {aside.name} and started anew. "
        f"Earlier records are only in that copy; keep it, and check the disk. Cause: {reason}"
    )


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
