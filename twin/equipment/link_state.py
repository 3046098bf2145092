"""How the connection to a line stands, and which of its troubles a person has to settle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from asyncua import ua

from twin.config import PlantError
from twin.equipment.opcua_link import OpenNetwork, WrongServer
from twin.equipment.opcua_security import Unknown
from twin.equipment.pki import CertificateError, Known

HARD = frozenset(
    {
        ua.StatusCodes.BadCertificateHostNameInvalid,
        ua.StatusCodes.BadCertificateInvalid,
        ua.StatusCodes.BadCertificateRevoked,
        ua.StatusCodes.BadCertificateTimeInvalid,
        ua.StatusCodes.BadCertificateUntrusted,
        ua.StatusCodes.BadCertificateUriInvalid,
        ua.StatusCodes.BadCertificateUseNotAllowed,
        ua.StatusCodes.BadIdentityTokenInvalid,
        ua.StatusCodes.BadIdentityTokenRejected,
        ua.StatusCodes.BadSecurityChecksFailed,
        ua.StatusCodes.BadSecurityModeRejected,
        ua.StatusCodes.BadSecurityPolicyRejected,
        ua.StatusCodes.BadUserAccessDenied,
    }
)
"""Answers by which a server that is well lets us not in: they pass when somebody has done something."""


def is_hard(error: BaseException) -> bool:
    """Whether only a person can end this: wrong plant, wrong user, a certificate that is not trusted.

    Everything else is transient: nobody there, no answer, a session or channel that has ended. A
    connection is tried again in both cases, but in the hard one at leisure, and it is shown as such.
    """
    if isinstance(error, WrongServer | OpenNetwork | Unknown | CertificateError | PlantError):
        return True
    cause = error.__cause__
    codes = (getattr(one, "code", None) for one in (error, cause))
    return any(code in HARD for code in codes)


@dataclass(frozen=True, slots=True)
class LinkState:
    """The connection to a line at one instant. Counts are since ``connect``, over all sessions.

    ``dropped`` are values and events that the server reported to have thrown away, ``late`` values
    that came after newer ones. ``heard`` counts notifications by subscription, ``silent_s`` is how
    long each has said nothing, not even that it lives (wall time). ``ages_s`` is how old each
    sampled signal is, plant time; NaN for one that was never heard of. ``certificates`` are those that the
    newest session was begun with, by side: client and server; none in the clear.
    """

    connected: bool
    trouble: str
    is_hard: bool
    sessions: int
    losses: int
    dropped: int
    late: int
    heard: Mapping[str, int]
    silent_s: Mapping[str, float]
    ages_s: Mapping[str, float]
    certificates: Mapping[str, Known] = field(default_factory=dict)


@dataclass(slots=True)
class LinkCounts:
    """What is counted over all sessions of one connection."""

    sessions: int = 0
    losses: int = 0
    dropped: int = 0
    late: int = 0
    heard: Counter[str] = field(default_factory=Counter)
