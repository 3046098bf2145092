"""The people and programs that a server knows: name, role, and a hash of the password.

One user a line, ``name:role:hash``. The hash is scrypt's (RFC 7914) with the cost that OWASP's cheat
sheet on password storage names as its least (N = 2^14, r = 8, p = 5: some 0.2 s on one core), written
with its own parameters, so that the cost can be raised without a new password for all. The file is read
at every login: who is added or removed, is so at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from twin.clock import monotonic_us
from twin.equipment.pki import write_private

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
SHORTEST = 8
"""Characters that a password must have."""
LONGEST = 1024
"""More than this is no password, but work for the server."""
TRIES, PAUSE_US = 5, 60_000_000
"""After so many wrong passwords in a row from one place a name is refused there unheard for this long."""
MOST_GUESSED = 1_024
"""Pairs of name and place of which wrong passwords are remembered: the newest."""
_N, _R, _P, _BYTES = 2**14, 8, 5, 32
_MEMORY = 64 * 2**20


class Role(IntEnum):
    """What a user may do at the line; each may do what the one before may."""

    viewer = 1
    """Read, browse, subscribe."""
    operator = 2
    """Take remote control, write setpoints, reset a shed; what a control loop needs."""
    engineer = 3
    """Give and take the permit for remote control."""


class UsersError(ValueError):
    """Users that cannot be used as they are."""

    hint = "twin user add writes the file, for its owner alone"


@dataclass(frozen=True, slots=True)
class Account:
    """One user."""

    name: str
    role: Role
    hashed: str


def hashed(password: str) -> str:
    """A new salt and the hash of a password with it. Raises ``UsersError`` for one too short."""
    if not SHORTEST <= len(password) <= LONGEST or not password.isprintable():
        msg = f"a password has {SHORTEST} to {LONGEST} characters that can be seen"
        raise UsersError(msg)
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_scrypt(password, salt, _N, _R, _P))}"


def matches(password: str, known: str) -> bool:
    """Whether a password is the one behind a hash."""
    if len(password) > LONGEST:
        return False
    _, n, r, p, salt, expected = known.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(expected))


def read_users(path: Path) -> dict[str, Account]:
    """The users in a file; none if there is no file.

    Raises ``UsersError`` for a line that is no user, and for a file that others may read or change.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsersError(f"{path}: others may open it; run: chmod 600 {path}")
    users: dict[str, Account] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(":")
        role, _, known = rest.partition(":")
        if not (NAME.fullmatch(name) and role in Role.__members__ and _is_hash(known)):
            raise UsersError(
                f"{path}:{number}: expected name:role:hash, as twin user add writes it"
            )
        if name in users:
            raise UsersError(f"{path}:{number}: {name} is there twice")
        users[name] = Account(name, Role[role], known)
    return users


def write_users(path: Path, users: dict[str, Account]) -> None:
    """Replace the file of users."""
    lines = [f"{one.name}:{one.role.name}:{one.hashed}\n" for one in users.values()]
    write_private(path, "".join(lines).encode())


def account(name: str, role: str, password: str) -> Account:
    """A user. Raises ``UsersError`` for a name, role or password that cannot be."""
    if not NAME.fullmatch(name):
        raise UsersError(f"{name!r} is no user's name: letters, digits, '.', '_', '-' and '@'")
    if role not in Role.__members__:
        raise UsersError(f"there is no role {role!r}; there are: {', '.join(Role.__members__)}")
    return Account(name, Role[role], hashed(password))


@dataclass(slots=True)
class Doorman:
    """Looks names and passwords up for a server, and slows down who guesses.

    It is slowed down by name *and* place: a name that was locked for all would let anybody who guesses lock
    the operators out.
    """

    path: Path
    clock: Callable[[], int] = monotonic_us
    _key: bytes = field(default_factory=lambda: os.urandom(32))
    _seen: dict[str, bytes] = field(default_factory=dict)
    """Who has been let in already: hashing anew at each reconnect would hold up the server."""
    _wrong: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """By name and place: wrong passwords in a row, and when the last one came; the oldest first."""

    def role(self, name: str, password: str, source: str = "") -> tuple[Role | None, str]:
        """The role of a user, or None and why not. Raises ``UsersError`` if the file is unusable."""
        known = read_users(self.path).get(name)
        if known is None:
            return None, "no such user"
        tries, last_us = self._wrong.get((name, source), (0, 0))
        if tries >= TRIES and self.clock() - last_us < PAUSE_US:
            return None, f"{tries} wrong passwords in a row: wait a minute"
        token = hmac.digest(self._key, f"{known.hashed}\n{password}".encode(), "sha256")
        if not hmac.compare_digest(self._seen.get(name, b""), token):
            if not matches(password, known.hashed):
                self._remember((name, source), tries + 1)
                return None, "wrong password"
            self._seen[name] = token
        self._wrong.pop((name, source), None)
        return known.role, ""

    def _remember(self, of: tuple[str, str], tries: int) -> None:
        self._wrong.pop(of, None)
        self._wrong[of] = (tries, self.clock())
        if len(self._wrong) > MOST_GUESSED:
            del self._wrong[next(iter(self._wrong))]


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=_BYTES)


def _is_hash(text: str) -> bool:
    return (
        re.fullmatch(r"scrypt\$\d{1,7}\$\d\d?\$\d\d?\$[\w+/=]{16,}\$[\w+/=]{40,}", text) is not None
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
