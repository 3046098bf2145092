"""What happens to a store that cannot be opened: it is set aside whole, never deleted."""

from __future__ import annotations

import os
import re
from pathlib import Path

CAUSES = (
    ("no space left", "no space is left on the disk", "free space on the disk"),
    ("disk is full", "no space is left on the disk", "free space on the disk"),
    ("file too large", "the file may not grow any more", "raise the limit of file sizes"),
)
"""What the system says when a store cannot grow, what it means, and what to do about it."""
RESTORE = "restore the folder of the run from a copy; nothing in it was changed"


class StoreError(Exception):
    """A store cannot do what was asked: which file and why, and in ``hint`` what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def cause_of(error: Exception) -> tuple[str, str]:
    """Why a store failed, without the name that its engine has for it, and what to do about it."""
    text = " ".join(str(error).split())
    for sign, meaning, remedy in CAUSES:
        if sign in text.lower():
            return meaning, f"{remedy}; what was acknowledged is safe"
    return re.sub(r"^(\w+ )*Error: ", "", text), ""


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
