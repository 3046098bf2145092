"""Certificates that no library would make: of another time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from twin.equipment.pki import Known, Pki, now, read_certificate, write_private


def expired(pki: Pki) -> Known:
    """Put a certificate of 2019 in the place of a side's own, with the key that it has."""
    own = pki.own()
    key = load_pem_private_key(pki.key.read_bytes(), None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "takttwin of old")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2019, 2, 2, tzinfo=UTC))
        .not_valid_after(datetime(2020, 2, 2, tzinfo=UTC))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(own.uri)]), critical=False
        )
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    write_private(pki.certificate, made.public_bytes(Encoding.DER), 0o644)
    assert key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return read_certificate(pki.certificate)


def ending_in(days: float) -> Known:
    """A certificate as it is known, which ends so many days from now."""
    ends = now() + timedelta(days=days)
    return Known(Path("own.der"), b"", "takttwin", "urn:takttwin", ends - timedelta(days=900), ends)
