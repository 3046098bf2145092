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
from twin.equipment.users import Doorman, Role, UsersError

_log = logging.getLogger(__name__)
MINUTE_US = 60_000_000
MOST_A_MINUTE = 60
"""Refusals a minute that are told one by one: nobody fills the disk of a server by knocking."""


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
    _why: str = ""
    _since_us: int = 0
    _told: int = 0

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
            role, self._why = self.doorman.role(username, password)
        except UsersError as error:
            role, self._why = None, str(error)
            _log.warning("nobody is let in: %s", error)
        return None if role is None else KnownUser(UserRole.User, username, role)

    def may(self, user: User, node: ua.NodeId, verb: str, who: str) -> bool:
        """Whether a user may write a variable or call a method; if not, it is told."""
        known = self.rules.get(node)
        if known is None:
            if verb == "call" and node.NamespaceIndex == 0:
                return True  # the standard's own methods, which tell a client of its subscriptions
            self.tell(
                f"refused: {verb} {node.to_string()}", who, "nobody may change it from outside"
            )
            return False
        path, least = known
        role = user.may if isinstance(user, KnownUser) else None
        if role is not None and role >= least:
            return True
        self.tell(f"refused: {verb} {path}", who, f"needs the role {least.name}")
        return False

    def turned_away(self, error: ServiceError | ua.UaError, who: str) -> None:
        """Tell that a session was refused."""
        code = getattr(error, "code", 0)
        why = self._why or "no user is named"
        self._why = ""
        self.tell(f"refused: session ({name_of(code)})", who, why)

    def tell(self, what: str, who: str, why: str) -> None:
        """Tell the witness, but not more than it can bear; how many were not told is told later."""
        now_us = self.clock()
        if now_us - self._since_us >= MINUTE_US:
            untold, self._since_us, self._told = self._told - MOST_A_MINUTE, now_us, 0
            if untold > 0:
                self._witness("refused", "several", f"{untold} more within a minute")
        self._told += 1
        if self._told <= MOST_A_MINUTE:
            self._witness(what, who, why)

    def close(self) -> None:
        """Tell what has not been told."""
        if self._told > MOST_A_MINUTE:
            untold, self._told = self._told - MOST_A_MINUTE, 0
            self._witness("refused", "several", f"{untold} more within a minute")

    def _witness(self, what: str, who: str, why: str) -> None:
        try:
            self.witness(what, who, why)
        except Exception:  # noqa: BLE001  (a full disk must not open or close the door)
            _log.exception("not on record: %s, %s: %s", what, who, why)

    def _no(self, code: int, why: str) -> ServiceError:
        self._why = why
        return ServiceError(code)


def who_is(user: str | None, der: bytes | None, peer: object) -> str:
    """A client as it goes on record: user, start of its certificate's thumbprint, address."""
    host = peer[0] if isinstance(peer, tuple) and peer else peer
    shown = f"certificate {thumbprint(der)[:16]}" if der else "no certificate"
    return f"{user or 'unknown'}, {shown}, {host}"
