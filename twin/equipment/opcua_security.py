"""Who may talk to whom over OPC UA: certificates in a folder, users in a file.

A folder ``pki`` holds ``own/`` (certificate and key, made on first use), ``trusted/`` (certificates
of the other side, put there by a person) and ``rejected/`` (those that came and were unknown).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncua import Client, Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import security_policies
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.permission_rules import User, UserRole
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from cryptography.x509.oid import ExtendedKeyUsageOID

from twin.equipment.callers import Lobby

SERVER_URI, CLIENT_URI = "urn:takttwin:emulator", "urn:takttwin:client"
_CLIENT_POLICIES: dict[str, Any] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_SERVER_POLICIES = [
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
]


@dataclass(frozen=True, slots=True)
class ServerSecurity:
    """What a server needs to be safe: its folder of certificates, and passwords by user."""

    pki: Path
    users: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClientSecurity:
    """What a client needs: its folder of certificates, the server's one, a user and password."""

    pki: Path
    server_certificate: Path
    user: str
    password: str
    policy: str = "Basic256Sha256"


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine; names other than localhost count as foreign."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_users(path: Path) -> dict[str, str]:
    """Passwords by user from lines ``user:password``; the file must be its owner's alone."""
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        msg = f"{path} holds passwords and others may open it; run: chmod 600 {path}"
        raise PermissionError(msg)
    users = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        user, colon, password = line.strip().partition(":")
        if not (user and colon and password):
            msg = f"{path}:{number}: expected user:password"
            raise ValueError(msg)
        users[user] = password
    return users


def users_from_environment() -> dict[str, str]:
    """The one user of ``TAKTTWIN_USER`` and ``TAKTTWIN_PASSWORD``; empty if they are not set."""
    user, password = os.environ.get("TAKTTWIN_USER"), os.environ.get("TAKTTWIN_PASSWORD")
    return {user: password} if user and password else {}


async def own_certificate(pki: Path, uri: str) -> tuple[Path, Path]:
    """Certificate and key of this side, made if they are missing; the key is its owner's alone."""
    own = pki / "own"
    own.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate, key = own / "certificate.der", own / "key.pem"
    use = ExtendedKeyUsageOID.SERVER_AUTH if uri == SERVER_URI else ExtendedKeyUsageOID.CLIENT_AUTH
    await setup_self_signed_certificate(
        key, certificate, uri, socket.gethostname(), [use], {"organizationName": "takttwin"}
    )
    key.chmod(0o600)
    return certificate, key


class Users:
    """The server's list of users. Nobody is an administrator from outside."""

    def __init__(self, users: Mapping[str, str] | None) -> None:
        self._users = users

    def get_user(
        self,
        iserver: Any,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        """The user if the password is right; without a list, anybody (insecure by request)."""
        if self._users is None:
            return User(role=UserRole.User)
        if username is None or password is None or username not in self._users:
            return None
        known = self._users[username].encode()
        if not hmac.compare_digest(known, password.encode()):
            return None
        return User(role=UserRole.User, name=username)


def open_server() -> Server:
    """A server for this machine alone: no encryption, no users."""
    server = Server(Lobby(user_manager=Users(None)))  # type: ignore[arg-type]
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    server.set_identity_tokens([ua.AnonymousIdentityToken])
    return server


def closed_server(security: ServerSecurity) -> Server:
    """A server that encrypts and knows its users; see ``certify`` for what follows its start."""
    if not security.users:
        msg = "a secure server needs at least one user: give a file of users, or the environment"
        raise ValueError(msg)
    server = Server(Lobby(user_manager=Users(security.users)))  # type: ignore[arg-type]
    server.set_security_policy(_SERVER_POLICIES)
    server.set_identity_tokens([ua.UserNameIdentityToken])
    return server


async def certify(server: Server, security: ServerSecurity) -> None:
    """Load the server's certificate, and accept clients only with a certificate that is trusted."""
    certificate, key = await own_certificate(security.pki, SERVER_URI)
    await server.load_certificate(certificate)
    await server.load_private_key(key)
    trusted, rejected = security.pki / "trusted", security.pki / "rejected"
    for folder in (trusted, rejected):
        folder.mkdir(exist_ok=True, mode=0o700)

    async def check(shown: Certificate, _: ua.ApplicationDescription) -> None:
        der = shown.public_bytes(Encoding.DER)
        if not any(der == known.read_bytes() for known in trusted.glob("*.der")):
            name = hashlib.sha256(der).hexdigest()[:32]
            (rejected / f"{name}.der").write_bytes(der)
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    server.set_certificate_validator(check)


async def secure_client(client: Client, security: ClientSecurity) -> None:
    """Encrypt, show our own certificate, and insist on the server's."""
    client.application_uri = CLIENT_URI
    certificate, key = await own_certificate(security.pki, CLIENT_URI)
    await client.set_security(
        _CLIENT_POLICIES[security.policy],
        certificate,
        key,
        server_certificate=str(security.server_certificate),
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    client.set_user(security.user)
    client.set_password(security.password)
