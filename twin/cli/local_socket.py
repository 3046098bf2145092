"""The socket of a running loop, in the folder of its run: how it is made, found, asked, and who asks."""

from __future__ import annotations

import json
import os
import pwd
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOCKET = "loop.sock"
ANSWER_S = 120.0
"""A turn may take its time when the line is lost; then the client is told to look again."""
STATUS_S = 10.0
"""A loop that lives says at once where it stands."""
_CREDENTIALS = struct.Struct("3i")
"""Process, user and group, as Linux tells them (``unix(7)``, SO_PEERCRED)."""

PROCESSES = Path("/proc")
_NO_LOGIN = 2**32 - 1
"""The kernel's word for a process that nobody logged in for."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a local socket, by the kernel's word.

    ``name`` is the account that the process runs under, ``login`` the one that a person logged in with: it
    stays the same through ``sudo`` and ``su``. Empty if there is none, as for a service.
    """

    name: str
    is_owner: bool
    login: str = ""

    def __str__(self) -> str:
        """As it goes on record: both accounts, where they differ."""
        if self.login in ("", self.name):
            return self.name
        return f"{self.name} (login {self.login})"


def peer_of(connection: socket.socket) -> Peer:
    """Who has opened a connection to us."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(told)
    return Peer(_account(uid), uid in (0, os.geteuid()), _login(pid))


def _login(pid: int) -> str:
    """The account that somebody logged in with to start a process (``proc(5)``, loginuid)."""
    try:
        uid = int((PROCESSES / str(pid) / "loginuid").read_text("ascii"))
    except (OSError, ValueError):  # a kernel without audit, or a process that is gone
        return ""
    return "" if uid == _NO_LOGIN else _account(uid)


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # an account of another machine, or of none
        return f"uid {uid}"


def bound(folder: Path) -> socket.socket:
    """A socket in the folder, its owner's alone. The way over /proc holds for long paths too."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    handle = os.open(folder, os.O_RDONLY)
    mask = os.umask(0o177)
    try:
        found.bind(short(folder, handle))
    except OSError:
        found.close()
        raise
    finally:
        os.umask(mask)
        os.close(handle)
    return found


def short(folder: Path, handle: int) -> str:
    """A path of the socket that fits into the 108 bytes that the kernel allows for it."""
    path = str(folder / SOCKET)
    if len(path.encode()) < 100:
        return path
    return f"/proc/self/fd/{handle}/{SOCKET}"


def ask(folder: Path, request: Mapping[str, object]) -> dict[str, Any]:
    """The client's side: one request to the loop of a run folder. ``OSError`` if nobody answers.

    A command waits for a turn of the loop, but not for a process that does not even tell its status.
    """
    if request.get("verb") != "status":
        ask(folder, {"verb": "status"})
    patience_s = STATUS_S if request.get("verb") == "status" else 2.0 * ANSWER_S + 5.0
    handle = os.open(folder, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
            found.settimeout(patience_s)
            found.connect(short(folder, handle))
            found.sendall(json.dumps(request).encode() + b"\n")
            with found.makefile("rb") as lines:
                answer = json.loads(lines.readline() or b"null")
    finally:
        os.close(handle)
    if not isinstance(answer, dict):
        raise ConnectionError("the loop went away without an answer")
    return answer


def is_served(folder: Path) -> bool:
    """Whether a loop answers in this folder; a socket that a killed one left behind does not."""
    if not (folder / SOCKET).exists():
        return False
    handle = os.open(folder, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
            found.settimeout(STATUS_S)
            found.connect(short(folder, handle))
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
