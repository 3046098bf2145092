"""At most one loop of this machine moves a line: a lock beside the user's own files."""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from twin.cli.problems import CONFLICT, Problem


class Lease:
    """The right to close a loop over one endpoint. The kernel gives it back when we end."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint, self._server = endpoint, _server_of(endpoint)
        self._handle = -1

    def take(self) -> None:
        """Take it, or raise ``Problem`` if another process has it."""
        if self._handle >= 0:
            return
        handle = os.open(self._path(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
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

    def _path(self) -> Path:
        folder = Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache") / "takttwin"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = hashlib.sha256(self._server.encode()).hexdigest()[:16]
        return folder / f"{name}.lock"


def _server_of(endpoint: str) -> str:
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
