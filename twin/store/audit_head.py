"""The newest link of an audit's chain, noted in a small file beside it.

A chain cannot know how long it was. This file can: whoever cuts off the chain's end, drops it or puts an
older copy in its place must think of this file too. It has a line a head (number and hash); the last is kept
up with the chain in place, and the ones before are heads that were found missing when the audit was opened:
they stay, and so does the finding.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

from twin.clock import monotonic_us

_log = logging.getLogger(__name__)
SUFFIX = ".head"
SYNC_EVERY_US = 1_000_000
"""The chain is synced to the disk with each commit, its head once a second: it may lag, never lead."""
_LINE = re.compile(r"(\d{20}):([0-9a-f]{64})")
_BYTES = 20 + 1 + 64 + 1
"""Of a line: in place, and within one sector of a disk."""


def head_file(audit: Path) -> Path:
    """Where the head of an audit is noted."""
    return audit.with_name(audit.name + SUFFIX)


def heads(audit: Path) -> list[str]:
    """The heads that the chain of an audit must hold; none where none were noted.

    A line that is no head comes as it is: no chain holds that.
    """
    try:
        lines = head_file(audit).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = [_LINE.fullmatch(line) for line in lines]
    return [
        line if known is None else f"{int(known[1])}:{known[2]}"
        for line, known in zip(lines, found, strict=True)
    ]


class HeadFile:
    """Keeps the head of one audit up with its chain, as long as the audit is open for writing.

    Several may: each notes a head only once its rows are committed. A disk that fails here is told in the
    log; the audit itself goes on.
    """

    def __init__(self, audit: Path, holds: Callable[[str], bool]) -> None:
        known = []
        try:
            known = heads(audit)
        except OSError as error:
            _log.warning("%s: cannot be read: %s", head_file(audit), error)
        self.missing = "" if not known or holds(known[-1]) else known[-1]
        """A head that was noted and that the chain does not hold; empty when all is well."""
        self._path = head_file(audit)
        self._handle = -1
        self._at = _BYTES * max(0, len(known) - (not self.missing))
        self._noted = ""
        self._synced_us: int | None = None
        self._is_failing = False

    def note(self, number: int, digest: str) -> None:
        """Note the newest link, which is durable already."""
        try:
            self._write(f"{number:020d}:{digest}\n")
        except OSError as error:
            if not self._is_failing:
                _log.warning("%s: cannot be written: %s", self._path, error)
            self._is_failing = True

    def close(self) -> None:
        """Bring it to the disk."""
        if self._handle < 0:
            return
        try:
            os.fdatasync(self._handle)
        except OSError as error:
            _log.warning("%s: cannot be written: %s", self._path, error)
        os.close(self._handle)
        self._handle = -1

    def _write(self, line: str) -> None:
        if line == self._noted:
            return
        if self._handle < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
            self._handle = os.open(self._path, flags, 0o600)
        os.pwrite(self._handle, line.encode(), self._at)
        self._noted, self._is_failing = line, False
        now_us = monotonic_us()
        if self._synced_us is None or now_us - self._synced_us >= SYNC_EVERY_US:
            os.fdatasync(self._handle)
            self._synced_us = now_us
