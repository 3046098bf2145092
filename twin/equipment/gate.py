"""Who comes in at a server and what they may do there; every refusal is told to a witness.

The OPC UA library asks for a client's certificate only where the client shows one with its request for a
session, and takes a request that came over the unencrypted channel meant for discovery. So this is where
the door is: a session needs a certificate that somebody trusts, that is valid now, that names the
application it is shown by, and that is the one of its encrypted channel; and then a user with a password.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole

from twin.clock import monotonic_us
from twin.equipment.opcua_types import name_of
from twin.equipment.pki import CertificateError, Pki, now, parsed, thumbprint
from twin.equipment.tally import Kind, Tally, source_of
from twin.equipment.users import Doorman, Role, UsersError
from twin.printable import printable

_log = logging.getLogger(__name__)
LONGEST_TEXT = 1_000
"""Characters of a row: whoever writes ten thousand nodes at once does not fill the disk either."""
LONGEST_USER = 64
"""Characters of the name that somebody gives at the door: he may give any."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody at the door, as far as is known: the name of the user, the certificate, the address."""

    user: str
    shown: bytes | None
    peer: object

    @property
    def source(self) -> str:
        """Where he comes from; how one who is not let in is told from others."""
        return source_of(self.peer)

    def __str__(self) -> str:
        host = self.peer[0] if isinstance(self.peer, tuple) and self.peer else self.peer
        shown = f"certificate {thumbprint(self.shown)[:16]}" if self.shown else "no certificate"
        return f"{printable(self.user, LONGEST_USER) or 'unknown'}, {shown}, {host}"


class Witness(Protocol):
    """Where it is told who was let in or refused: an audit."""

    def __call__(self, what: str, who: str, why: str) -> None:
        """One thing that happened now."""
        ...


@dataclass
class KnownUser(User):
    """A user as the library has it, with the role that the line knows."""

    may: Role = Role.viewer


@dataclass(slots=True)
class Gate:
    """The door of one server. ``rules`` is filled once the server's nodes are there.

    It is also the library's user manager: the one who turns names and passwords into users.
    """

    pki: Pki
    doorman: Doorman
    witness: Witness
    clock: Callable[[], int] = monotonic_us
    rules: Mapping[ua.NodeId, tuple[str, Role]] = field(default_factory=dict)
    """By node: its path, and the role that a change of it needs at least."""
    visitor: Visitor | None = None
    """Who shows a name and a password just now: the library does not pass it on."""
    _why: str = ""
    _tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self._tally = Tally(self._witness, self.clock)

    def admit(self, der: bytes | None, application: ua.ApplicationDescription) -> None:
        """Whether an application may ask for a session. Raises ``ServiceError``."""
        if not der:
            raise self._no(
                ua.StatusCodes.BadSecurityPolicyRejected,
                "no certificate was shown, as over a channel in the clear",
            )
        try:
            shown = parsed(der)
        except CertificateError:
            why = "what was shown is no certificate"
            raise self._no(ua.StatusCodes.BadCertificateInvalid, why) from None
        if not self.pki.trusts(der):
            self.pki.reject(der)
            raise self._no(ua.StatusCodes.BadCertificateUntrusted, "the certificate is not trusted")
        if refused := shown.refused(now()):
            why = f"the certificate is {refused}"
            raise self._no(ua.StatusCodes.BadCertificateTimeInvalid, why)
        if shown.uri != application.ApplicationUri:
            why = f"the certificate is that of {shown.uri or 'nobody'}"
            raise self._no(ua.StatusCodes.BadCertificateUriInvalid, why)

    def same_channel(self, shown: bytes | None, of_channel: bytes | None) -> None:
        """Whether whoever activates a session holds the key of the certificate shown for it."""
        if not of_channel or shown != of_channel:
            why = "the certificate shown is not that of the channel"
            raise self._no(ua.StatusCodes.BadSecurityChecksFailed, why)

    def get_user(
        self,
        iserver: Any,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        """The user if the password is right; the library refuses on None."""
        if not username or password is None:
            self._why = "no user is named"
            return None
        try:
            source = "" if self.visitor is None else self.visitor.source
            role, self._why = self.doorman.role(username, password, source)
        except UsersError as error:
            role, self._why = None, str(error)
            _log.warning("nobody is let in: %s", error)
        return None if role is None else KnownUser(UserRole.User, username, role)

    def may(self, user: User, node: ua.NodeId, verb: str, who: Visitor) -> bool:
        """Whether a user may write a variable or call a method; if not, it is told."""
        known = self.rules.get(node)
        if known is None:
            if verb == "call" and node.NamespaceIndex == 0:
                return True  # the standard's own methods, which tell a client of its subscriptions
            self.refused(f"{verb} {node.to_string()}", who, "nobody may change it from outside")
            return False
        path, least = known
        role = user.may if isinstance(user, KnownUser) else None
        if role is not None and role >= least:
            return True
        self.refused(f"{verb} {path}", who, f"needs the role {least.name}")
        return False

    def path(self, node: ua.NodeId) -> str:
        """A node as it goes on record."""
        return self.rules[node][0] if node in self.rules else str(node.to_string())

    def junk(self, peer: object, why: str) -> None:
        """Tell that a connection was ended whose bytes made no sense."""
        host = source_of(peer)
        self._tally.take(Kind.JUNK, host, (Kind.JUNK.title, host, why))

    def turned_away(self, error: ServiceError | ua.UaError, who: Visitor) -> None:
        """Tell that a session was refused."""
        code = getattr(error, "code", 0)
        why = self._why or "no user is named"
        self._why = ""
        row = (f"{Kind.STRANGER.title} ({name_of(code)})", str(who), why)
        self._tally.take(Kind.STRANGER, who.source, row)

    def came_in(self, what: str, who: Visitor, why: str) -> None:
        """Tell that a session has begun, or that another user has it now."""
        self._tally.take(Kind.SESSION, _party(who), (what, str(who), why))

    def refused(self, what: str, who: Visitor, why: str) -> None:
        """Tell what a user asked for and did not get."""
        self._tally.take(Kind.REFUSED, _party(who), (f"refused: {what}"[:200], str(who), why))

    def granted(self, what: str, who: Visitor, change: str) -> None:
        """Tell what a user has done, and what it changed."""
        row = (what[:200], str(who), change[:LONGEST_TEXT])
        self._tally.take(Kind.GRANTED, _party(who), row)

    def look(self) -> None:
        """Tell what was counted in a minute that is over."""
        self._tally.look()

    def close(self) -> None:
        """Tell what has not been told."""
        self._tally.settle()

    def _witness(self, what: str, who: str, why: str) -> None:
        """Put it on record, as text that is a line whatever names a client has thought of."""
        what, who, why = (printable(text, LONGEST_TEXT) for text in (what, who, why))
        try:
            self.witness(what, who, why)
        except Exception:  # noqa: BLE001  (a full disk must not open or close the door)
            _log.exception("not on record: %s, %s: %s", what, who, why)

    def _no(self, code: int, why: str) -> ServiceError:
        self._why = why
        return ServiceError(code)


def _party(who: Visitor) -> str:
    return f"{who.user}, {who.source}"
