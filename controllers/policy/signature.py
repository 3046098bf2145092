"""Who answers for a bundle: Ed25519 signatures, and the key files they are made with.

A signature covers the manifest, and the manifest holds the digest of the network: so it covers both. Keys
are PEM files as ``openssl`` reads them; a private one is its owner's alone.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from twin.plugins import RefusedError

PURPOSE = b"takttwin policy bundle 1\n"
"""Signed with the manifest, so that a signature for something else never fits."""
KEY_BYTES, SIGNATURE_BYTES = 32, 64


@dataclass(frozen=True, slots=True)
class Signature:
    """A detached signature with the public key that it claims to be by."""

    key: bytes
    value: bytes

    def to_bytes(self) -> bytes:
        """The key, then the signature, 96 bytes."""
        return self.key + self.value

    @staticmethod
    def from_bytes(data: bytes) -> Signature:
        """Raises ``ValueError`` for anything but 96 bytes."""
        if len(data) != KEY_BYTES + SIGNATURE_BYTES:
            raise ValueError(f"a signature has 96 bytes, not {len(data)}")
        return Signature(data[:KEY_BYTES], data[KEY_BYTES:])

    def holds(self, manifest: str) -> bool:
        """Whether it was made by its key over this manifest."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(self.value, _signed(manifest))
        except InvalidSignature:
            return False
        return True


def signed_by(manifest: str, key: Path) -> Signature:
    """A signature over a manifest by the private key of a file."""
    private = private_key(key)
    return Signature(_raw(private.public_key()), private.sign(_signed(manifest)))


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A new pair ``NAME.key`` (mode 600) and ``NAME.pub``. Raises ``FileExistsError`` over an old one."""
    private = Ed25519PrivateKey.generate()
    folder.mkdir(parents=True, exist_ok=True)
    secret, public = folder / f"{name}.key", folder / f"{name}.pub"
    for path, data, mode in (
        (secret, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600),
        (public, _pem(private.public_key()), 0o644),
    ):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    return secret, public


def private_key(path: Path) -> Ed25519PrivateKey:
    """The private key of a file that nobody else may open."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise RefusedError(
            f"{path} is a private key and others may open it", f"run: chmod 600 {path}"
        )
    try:
        found = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise RefusedError(
            f"{path} is no private key: {error}", "make one: twin policy keys"
        ) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise RefusedError(f"{path} is no Ed25519 key", "make one: twin policy keys")
    return found


def public_key(pem: str) -> bytes:
    """The 32 bytes of a public key in PEM."""
    try:
        found = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise RefusedError(
            f"no public key in PEM: {error}", "give a .pub of twin policy keys"
        ) from error
    if not isinstance(found, Ed25519PublicKey):
        raise RefusedError("the public key is none of Ed25519", "give a .pub of twin policy keys")
    return _raw(found)


def fingerprint(key: bytes) -> str:
    """A public key as people compare it: its first 16 hex digits."""
    return key.hex()[:16]


def _signed(manifest: str) -> bytes:
    return PURPOSE + manifest.encode()


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
