"""At most one loop of this machine moves a line, whoever's it is: a lock where all accounts may put one.

It spares two loops of one machine the quarrel at the PLC, which has the last word all the same: remote
control there belongs to one session, of whichever machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from twin.cli.problems import CONFLICT, Problem

_log = logging.getLogger(__name__)
LOCKS = "TAKTTWIN_LOCKS"
"""Environment: another folder of locks than ``EVERYBODYS``, which all who share lines see."""
EVERYBODYS = Path("/run/lock")


class Lease:
    """The right to close a loop over one endpoint. The kernel gives it back when we end."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint, self._server = endpoint, server_of(endpoint)
        self._handle = -1

    def take(self) -> None:
        """Take it, or raise ``Problem`` if another process has it."""
        if self._handle >= 0:
            return
        handle = self._opened()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            msg = f"another process holds the loop of {self._endpoint}: this one stays advisory"
            raise Problem("conflict", msg, "open that loop first", code=CONFLICT) from None
        self._handle = handle

    def give_back(self) -> None:
        """Let others close it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _opened(self) -> int:
        """The lock's file, seen by every account if the machine lets us; said if not."""
        name = f"takttwin-{hashlib.sha256(self._server.encode()).hexdigest()[:16]}.lock"
        shared = Path(os.environ.get(LOCKS) or EVERYBODYS)
        try:
            return _opened(shared / name)
        except OSError as error:
            why = f"{shared}: {error.strerror}"
        own = Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache") / "takttwin"
        own.mkdir(parents=True, exist_ok=True, mode=0o700)
        _log.warning(
            "%s: the loop of %s is kept from other loops of this account alone, not from those of others",
            why,
            self._endpoint,
        )
        return _opened(own / name)


def _opened(path: Path) -> int:
    """A file to lock: one that is there may be another account's, and to look at it is enough.

    Where everybody may write, the kernel refuses to open another's file as if it were to be made.
    """
    looking = os.O_RDONLY | os.O_NOFOLLOW
    with suppress(FileNotFoundError):  # nobody has locked this server yet: we make it below
        return os.open(path, looking)
    try:
        handle = os.open(path, looking | os.O_CREAT | os.O_EXCL, 0o444)
    except FileExistsError:  # somebody was faster
        return os.open(path, looking)
    os.fchmod(handle, 0o444)  # whatever our mask says
    return handle


def server_of(endpoint: str) -> str:
    """Address and port behind an endpoint, however it is written; as it stands if nobody knows."""
    place = urlsplit(endpoint)
    try:
        found = socket.getaddrinfo(place.hostname, place.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return endpoint
    addresses = sorted(str(each[4][0]) for each in found)
    if any(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses):
        return f"loopback:{place.port}"
    return f"{addresses[0]}:{place.port}"
