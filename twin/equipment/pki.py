"""A folder of certificates: our own, those that a person trusts, those that came and were unknown.

``own/`` holds certificate and key of this side, made on first use. ``trusted/`` holds certificates of
the other side, one a file; it is read at every connection, so that what is trusted or taken away counts
at once. ``rejected/`` keeps what was shown by strangers, for a person to look at.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from twin.clock import utc_now

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

DAYS = 1095
"""How long a new certificate is valid: three years, so that a line is not down for it each spring."""
SOON = timedelta(days=30)
"""From when on it is said that a certificate will expire."""
MOST_REJECTED = 100
"""Strangers' certificates that are kept; what comes beyond them is refused all the same."""
CLIENT, SERVER = "client", "server"
_USE = {CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH, SERVER: ExtendedKeyUsageOID.SERVER_AUTH}


class CertificateError(ValueError):
    """A certificate that cannot be used, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Known:
    """A certificate in a file: whose it is, how it is told from others, how long it is valid."""

    path: Path
    der: bytes
    subject: str
    uri: str
    """The ApplicationUri in its SubjectAltName; empty if there is none."""
    begins: datetime
    ends: datetime

    @property
    def thumbprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal digits."""
        return thumbprint(self.der)

    def refused(self, at: datetime) -> str:
        """Why it is not to be used at this time; empty if it may be."""
        if at < self.begins:
            return f"not valid before {self.begins:%Y-%m-%d}"
        return f"expired since {self.ends:%Y-%m-%d}" if at > self.ends else ""

    def doubt(self, at: datetime) -> str:
        """The same, or that it will expire soon."""
        soon = f"valid until {self.ends:%Y-%m-%d} only" if at + SOON > self.ends else ""
        return self.refused(at) or soon


def now() -> datetime:
    """The calendar time, by which certificates are valid or not."""
    return datetime.fromisoformat(utc_now())


def thumbprint(der: bytes) -> str:
    """SHA-256 of a certificate, in hexadecimal digits."""
    return hashlib.sha256(der).hexdigest()


def first_of_chain(der: bytes) -> bytes:
    """The first of several certificates that stand one behind the other: an application's own."""
    return der[: int.from_bytes(der[2:4], "big") + 4]


def parsed(data: bytes, path: Path = Path()) -> Known:
    """A certificate in DER or PEM. Raises ``CertificateError`` for anything else."""
    pem = data.lstrip().startswith(b"-----BEGIN")
    uris: list[str] = []
    try:
        found = (x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate)(data)
    except ValueError as error:
        raise CertificateError(f"{path} is no certificate", "give a file in DER or PEM") from error
    with suppress(x509.ExtensionNotFound):  # it names no application: there is no ApplicationUri
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return Known(
        path,
        found.public_bytes(Encoding.DER),
        found.subject.rfc4514_string(),
        uris[0] if uris else "",
        found.not_valid_before_utc,
        found.not_valid_after_utc,
    )


def read_certificate(path: Path) -> Known:
    """The certificate in a file. Raises ``CertificateError`` if there is none in it."""
    return parsed(path.read_bytes(), path)


@dataclass(frozen=True, slots=True)
class Pki:
    """The folder of one side; ``side`` is ``client`` or ``server``."""

    folder: Path
    side: str

    @property
    def certificate(self) -> Path:
        """Our own certificate."""
        return self.folder / "own" / "certificate.der"

    @property
    def key(self) -> Path:
        """The key that belongs to it; its owner's alone."""
        return self.folder / "own" / "key.pem"

    @property
    def users(self) -> Path:
        """The users that a server knows; see ``twin.equipment.users``."""
        return self.folder / "users"

    @property
    def audit(self) -> Path:
        """Where a server puts on record whom it has let in and whom it has refused."""
        return self.folder / "audit.sqlite"

    def own(self) -> Known:
        """Our own certificate, made if there is none.

        Raises ``CertificateError`` for one that is not valid now: a new one is a person's decision,
        since the other side has to trust it anew.
        """
        if not (self.certificate.is_file() and self.key.is_file()):
            return self.renew()
        found = read_certificate(self.certificate)
        if refused := found.refused(now()):
            hint = f"make a new one: twin cert new --pki {self.folder} --side {self.side}"
            raise CertificateError(f"{self.certificate}: {refused}", hint)
        if mode := self.key.stat().st_mode & 0o077:
            hint = f"chmod 600 {self.key}"
            raise CertificateError(f"{self.key}: others may use this key (mode {mode:03o})", hint)
        return found

    def renew(self, days: int = DAYS, host: str = "") -> Known:
        """Make a new key and certificate in the place of what there is.

        The ApplicationUri names this machine, so that no two installations have the same; ``host`` is
        another name than its own by which clients may call it.
        """
        from asyncua.crypto.cert_gen import (
            dump_private_key_as_pem,
            generate_private_key,
            generate_self_signed_app_certificate,
        )

        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.certificate.parent.mkdir(exist_ok=True, mode=0o700)
        name = socket.gethostname()
        uri = f"urn:{name}:takttwin:{self.side}"
        hosts = dict.fromkeys((name, "localhost", *((host,) if host else ())))
        alternatives = [x509.UniformResourceIdentifier(uri), *map(x509.DNSName, hosts)]
        key: RSAPrivateKey = generate_private_key()
        certificate = generate_self_signed_app_certificate(
            key,
            f"takttwin {self.side} on {name}",
            {"organizationName": "takttwin"},
            alternatives,
            [_USE[self.side]],
            days,
        )
        write_private(self.key, dump_private_key_as_pem(key))
        write_private(self.certificate, certificate.public_bytes(Encoding.DER), 0o644)
        return read_certificate(self.certificate)

    def trusted(self) -> list[Known]:
        """Whom we trust."""
        return list(_certificates(self.folder / "trusted"))

    def rejected(self) -> list[Known]:
        """Who came and was unknown."""
        return list(_certificates(self.folder / "rejected"))

    def trusts(self, der: bytes) -> bool:
        """Whether somebody has put exactly this certificate among the trusted."""
        return any(der == known.der for known in self.trusted())

    def trust(self, known: Known) -> Path:
        """Put a certificate among the trusted, and take it from the rejected."""
        path = self._place("trusted", known.der)
        write_private(path, known.der, 0o644)
        self._place("rejected", known.der).unlink(missing_ok=True)
        return path

    def reject(self, der: bytes) -> None:
        """Keep a stranger's certificate for a person to look at."""
        path = self._place("rejected", der)
        if not path.exists() and len(list(path.parent.glob("*.der"))) < MOST_REJECTED:
            write_private(path, der, 0o644)

    def login(self, server: str) -> Path:
        """Where user and password for the server with this thumbprint are kept."""
        return self.folder / "logins" / server[:32]

    def _place(self, folder: str, der: bytes) -> Path:
        return self.folder / folder / f"{thumbprint(der)[:32]}.der"


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that is there whole or not at all, and is never open to others meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _certificates(folder: Path) -> Iterator[Known]:
    """What can be read there, by name; a file that is no certificate trusts nobody."""
    for path in sorted([*folder.glob("*.der"), *folder.glob("*.pem")]):
        try:
            yield read_certificate(path)
        except (CertificateError, FileNotFoundError):
            continue
