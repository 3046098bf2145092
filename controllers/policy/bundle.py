"""The file of a policy: an uncompressed zip of the network, the manifest and the signature.

Any ``unzip`` opens it. There is one way to write a bundle, the same bytes each time; a file that differs
from it anywhere, be it in a date that no reader looks at, is refused. Nothing else may be inside.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from controllers.policy.manifest import Manifest, read_manifest
from controllers.policy.signature import Signature
from twin.plugins import RefusedError
from twin.store.quarantine import sync_folder

MODEL, MANIFEST, SIGNATURE = "policy.onnx", "manifest.json", "signature.ed25519"
MOST_BYTES = 64 * 2**20
"""No policy for a line is nearly that large."""
AGAIN = "take it from where it was exported, or export it again: twin policy export"
NO_ZIP = (
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    LookupError,
    RuntimeError,
    ValueError,
    OverflowError,
)
"""What the library raises over a file that is no whole zip."""
PICKLE, PICKLED = b"\x80", (".pkl", ".pth", ".pt", ".pickle")
"""How a pickle begins, and what files of them are called: never read, only told apart from damage."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A policy as it travels: its manifest, its network (ONNX) and who signed the two."""

    manifest: Manifest
    model: bytes
    signature: Signature | None = None

    def to_bytes(self) -> bytes:
        """The file: the same bytes for the same contents."""
        members = {MANIFEST: self.manifest.text().encode(), MODEL: self.model}
        if self.signature is not None:
            members[SIGNATURE] = self.signature.to_bytes()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, data in members.items():
                archive.writestr(_member(name), data)
        return buffer.getvalue()

    def write(self, path: Path) -> None:
        """Put it into a file, which appears whole or not at all."""
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with draft.open("wb") as file:
                file.write(self.to_bytes())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def read_bundle(path: Path, sha256: str = "") -> Bundle:
    """The bundle in a file, whole and as it was written. Raises `RefusedError`.

    ``sha256`` is that of the file that is meant, if it is known. That the parts are what they should be is
    for the ``loader`` to say.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read: {error.strerror}", AGAIN) from error
    if len(data) > MOST_BYTES:
        raise RefusedError(f"{path}: larger than {MOST_BYTES >> 20} MiB: no policy bundle", AGAIN)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise RefusedError(f"{path}: is not the file that was found at the start", AGAIN)
    return whole_bundle(data, str(path))


def whole_bundle(data: bytes, place: str) -> Bundle:
    """The bundle that these bytes are, and no other bytes are. Raises `RefusedError`."""
    found = _parts(data, place)
    if found.to_bytes() != data:
        raise RefusedError(f"{place}: was changed after it was written", AGAIN)
    return found


def _parts(data: bytes, place: str) -> Bundle:
    """The parts of a bundle, each looked at before it is understood."""
    if data.startswith(PICKLE):
        raise RefusedError(f"{place}: begins like a pickle, which is never read here", AGAIN)
    try:
        members = _members(data, place)
    except NO_ZIP as error:
        raise RefusedError(f"{place}: truncated or damaged: {error}", AGAIN) from error
    if members[MODEL].startswith(PICKLE):
        raise RefusedError(
            f"{place}: {MODEL} begins like a pickle, which is never read here", AGAIN
        )
    try:
        manifest = read_manifest(members[MANIFEST].decode())
        signed = members.get(SIGNATURE)
        signature = None if signed is None else Signature.from_bytes(signed)
    except ValueError as error:
        raise RefusedError(f"{place}: {_first_line(error)}", AGAIN) from error
    if hashlib.sha256(members[MODEL]).hexdigest() != manifest.model_sha256:
        raise RefusedError(f"{place}: {MODEL} is not the network that the manifest names", AGAIN)
    return Bundle(manifest, members[MODEL], signature)


def _members(data: bytes, place: str) -> dict[str, bytes]:
    """What a zip holds. Stored members are no larger than the file, so nothing can swell."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        names = sorted(entry.filename for entry in entries)
        if any(name.endswith(PICKLED) for name in names):
            msg = f"{place}: holds {', '.join(names[:4])}: pickles, which are never read here"
            raise RefusedError(msg, "export the training run: twin policy export")
        if names not in (sorted([MANIFEST, MODEL]), sorted([MANIFEST, MODEL, SIGNATURE])):
            msg = f"{place}: holds {', '.join(names[:4]) or 'nothing'}; a bundle holds {MANIFEST} and {MODEL}"
            raise RefusedError(msg, AGAIN)
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits for entry in entries):
            raise ValueError("compressed or encrypted")
        return {entry.filename: archive.read(entry) for entry in entries}


def _member(name: str) -> zipfile.ZipInfo:
    """A member without the time, owner and system that it was made in."""
    found = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    found.create_system, found.external_attr = 3, 0o100644 << 16
    return found


def _first_line(error: ValueError) -> str:
    """What is wrong, without the words of the library that found it."""
    faults = getattr(error, "errors", None)
    if faults is None:
        return str(error)
    first = faults()[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"{place or 'the manifest'}: {first['msg']}"
