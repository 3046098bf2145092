"""What both sides of an OPC UA link need to be safe: encryption, certificates, users.

Only encrypted and signed channels are taken, with the three security policies that are not deprecated. A
client takes no server whose certificate was not pinned before; a server takes no client whose certificate
it does not trust, and no user without a password. See decision 0015.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncua import Client, Server, ua
from asyncua.crypto import security_policies

from twin.equipment.bounded_server import BoundedServer
from twin.equipment.callers import Lobby
from twin.equipment.gate import Gate, Witness
from twin.equipment.pki import (
    Known,
    Pki,
    first_of_chain,
    now,
    parsed,
    read_certificate,
    write_private,
)
from twin.equipment.users import Doorman, account, read_users, write_users

INSECURE_URI = "urn:takttwin:emulator"
"""What a server without certificates is called."""
POLICIES: dict[str, tuple[Any, ua.SecurityPolicyType]] = {
    "Aes256_Sha256_RsaPss": (
        security_policies.SecurityPolicyAes256Sha256RsaPss,
        ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
    ),
    "Aes128_Sha256_RsaOaep": (
        security_policies.SecurityPolicyAes128Sha256RsaOaep,
        ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ),
    "Basic256Sha256": (
        security_policies.SecurityPolicyBasic256Sha256,
        ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ),
}
"""The security policies in use, the strongest first."""
OWN_USER = "loop"


class Unknown(ConnectionRefusedError):  # noqa: N818  (what the server is)
    """A server that we do not trust, or that does not encrypt: refused on our side."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class ServerSecurity:
    """What a server needs to be safe: certificates, users, and who is told of refusals."""

    pki: Pki
    users: Path
    witness: Witness


@dataclass(frozen=True, slots=True)
class ClientSecurity:
    """What a client needs: its certificates, user and password, and the server's certificate if given.

    Without ``server`` the server must be among the trusted ones of ``pki``, without ``user`` the user is
    the one that is kept for that server. ``policy`` is one of ``POLICIES``; empty: the strongest offered.
    """

    pki: Pki
    server: Path | None = None
    user: str = ""
    password: str = ""
    policy: str = ""


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine; names other than localhost count as foreign."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def open_server() -> Server:
    """A server for this machine alone: no encryption, no users."""
    server = BoundedServer(Lobby(None))
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    server.set_identity_tokens([ua.AnonymousIdentityToken])
    return server


def closed_server(security: ServerSecurity) -> tuple[Server, Gate]:
    """A server that encrypts and knows its users, with its gate; see ``certify`` for what follows.

    Raises ``UsersError`` for a file of users that cannot be used, ``ValueError`` for none in it.
    """
    if not read_users(security.users):
        msg = f"a server needs at least one user, and there is none in {security.users}"
        raise ValueError(msg)
    gate = Gate(security.pki, Doorman(security.users), security.witness)
    server = BoundedServer(Lobby(gate))
    server.set_security_policy([kind for _, kind in POLICIES.values()])
    server.set_identity_tokens([ua.UserNameIdentityToken])
    return server, gate


async def certify(server: Server, pki: Pki) -> None:
    """Load the server's own certificate, made on first use. Raises ``CertificateError``."""
    own = pki.own()
    await server.set_application_uri(own.uri)
    await server.load_certificate(own.path)
    await server.load_private_key(pki.key)


async def secure_client(client: Client, security: ClientSecurity, timeout_s: float) -> None:
    """Encrypt, show our own certificate, and insist on the server's.

    Raises ``Unknown`` for a server that is not to be talked to, ``CertificateError`` for a certificate of
    our own that is not valid.
    """
    own = security.pki.own()
    client.application_uri = own.uri
    shown, policy = await _shown(client.server_url.geturl(), security.policy, timeout_s)
    _insist(shown, security)
    user, password = security.user, security.password
    if not user:
        user, password = _login(security.pki, shown)
    await client.set_security(
        POLICIES[policy][0],
        own.path,
        security.pki.key,
        server_certificate=shown.der,
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    client.set_user(user)
    client.set_password(password)


def certificates_of(client: Client) -> dict[str, Known]:
    """Both certificates of an encrypted connection, by side, client and server; none of one in the clear."""
    policy = client.security_policy
    shown = {"client": policy.host_certificate, "server": policy.peer_certificate}
    return {side: parsed(first_of_chain(der)) for side, der in shown.items() if der}


async def _shown(url: str, wanted: str, timeout_s: float) -> tuple[Known, str]:
    """The certificate that a server shows, and the policy to talk to it by.

    What is said before encryption may be anybody's word: it only tells whom to insist on next.
    """
    endpoints = await Client(url, timeout_s).connect_and_get_server_endpoints()
    encrypted = {
        endpoint.SecurityPolicyUri: endpoint.ServerCertificate
        for endpoint in endpoints
        if endpoint.SecurityMode is ua.MessageSecurityMode.SignAndEncrypt
    }
    for name, (policy, _) in POLICIES.items():
        if encrypted.get(policy.URI) and wanted in ("", name):
            return parsed(first_of_chain(encrypted[policy.URI])), name
    offered = sorted({str(one.SecurityPolicyUri).rpartition("#")[2] for one in endpoints})
    msg = f"{url}: no encryption that is taken here is offered, but {', '.join(offered)}"
    raise Unknown(
        msg, "for an emulator of this machine that was started with --insecure: the same here"
    )


def _insist(shown: Known, security: ClientSecurity) -> None:
    """Raises ``Unknown`` unless the server's certificate is the one that we were told to trust."""
    pki = security.pki
    if security.server is not None:
        if read_certificate(security.server).der != shown.der:
            msg = f"the server shows another certificate than {security.server}: {shown.thumbprint}"
            raise Unknown(msg, "find out why before you trust it")
    elif not pki.trusts(shown.der):
        pki.reject(shown.der)
        msg = (
            f"the server's certificate is not trusted: {shown.subject}, SHA-256 {shown.thumbprint}"
        )
        hint = "compare with `twin cert list` there, then: "
        raise Unknown(msg, f"{hint}twin cert trust {shown.thumbprint[:16]} --pki {pki.folder}")
    if doubt := shown.refused(now()):
        raise Unknown(f"the server's certificate is {doubt}", "its owner has to make a new one")


def _login(pki: Pki, server: Known) -> tuple[str, str]:
    try:
        user, _, password = pki.login(server.thumbprint).read_text("utf-8").strip().partition(":")
    except FileNotFoundError:
        msg = "no user is named for this server"
        hint = "set TAKTTWIN_USER and TAKTTWIN_PASSWORD in the environment"
        raise Unknown(msg, hint) from None
    return user, password


def introduce(server: Pki, client: Pki) -> bool:
    """Make two sides of one owner known to each other, once: certificates, and a user with a login.

    Whoever may read both folders may be both sides anyhow: so the first start of an emulator and a loop of
    the same account needs nobody's help. False if the server has users already: then a person decides.
    """
    with _alone(server.folder):
        if read_users(server.users):
            return False
        theirs, ours = server.own(), client.own()
        server.trust(ours)
        client.trust(theirs)
        password = secrets.token_urlsafe(24)
        write_private(client.login(theirs.thumbprint), f"{OWN_USER}:{password}\n".encode())
        write_users(server.users, {OWN_USER: account(OWN_USER, "operator", password)})
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else does the same in this folder meanwhile."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
