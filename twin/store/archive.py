"""A run folder as one file, and back: every byte has its digest, and nothing is there by halves.

The file is a compressed tar. Its first member, ``backup.json``, lists all others with size and
SHA-256. It gets its name only after it has been read back and every digest has been compared; a
restored folder gets its name only after the same, and after its stores could be opened.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any

from twin.store.audit import Audit, uri_for_reading
from twin.store.audit_head import SUFFIX
from twin.store.closed import ClosedHistorian
from twin.store.quarantine import StoreError, sync_folder
from twin.store.run_folder import MANIFEST, stable_json

LIST = "backup.json"
FORMAT = 1
AGAIN = "make the backup again, or take an older one"
DAMAGE = (
    *(tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error),
    *(ValueError, KeyError, TypeError),
)
"""What reading a file raises that is no backup, or no longer a whole one."""
_CHUNK = 1 << 20
_SQLITE = ".sqlite"
_PASSING = (".tmp", ".sock", "-wal", "-shm")
"""Ends of names that are no part of the record: drafts, sockets, what a copied SQLite file contains."""
_LASTING = ("samples-", "events-")
"""Beginnings of names of files that never change; others may while they are packed."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a file holds. ``files`` are sizes and digests by name; ``missing`` what had to stay out."""

    run: str
    files: Mapping[str, tuple[int, str]]
    missing: tuple[str, ...]


def pack(folder: Path, target: Path) -> Backup:
    """Write the backup of a run, whether it goes on or not; raises ``StoreError``.

    The audit is copied at one instant, as its engine offers it. The live file of a historian that
    runs belongs to its loop: it stays out, is named in ``missing``, and what was acknowledged is in
    the closed segments as far as they reach.
    """
    if target.exists():
        raise StoreError(f"{target}: is there already", "name a new file, or remove that one")
    with TemporaryDirectory(prefix="takttwin-") as draft:
        chosen, missing = _chosen(folder, Path(draft))
        files = {name: (path.stat().st_size, _digest(path)) for name, path in chosen.items()}
        backup = Backup(folder.name, files, tuple(missing))
        arriving = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            _write(arriving, backup, chosen)
            verify(arriving)
            arriving.replace(target)
        except OSError as error:
            raise StoreError(f"{target}: cannot be written: {error}", AGAIN) from error
        finally:
            arriving.unlink(missing_ok=True)
    sync_folder(target.parent)
    return backup


def verify(source: Path) -> Backup:
    """What a backup holds, every byte compared. ``StoreError`` if it is not whole."""
    with _opened(source) as (backup, members):
        for _, stream in members:
            while stream.read(_CHUNK):
                pass
    return backup


def unpack(source: Path, root: Path) -> Path:
    """Restore a run under a folder of runs; its folder. ``StoreError`` if it is not whole or there.

    A run that is there is never touched.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _opened(source) as (backup, members), TemporaryDirectory(prefix=".", dir=root) as draft:
        target, arriving = root / backup.run, Path(draft) / backup.run
        if target.exists():
            raise StoreError(f"{target}: is there already", "restore to another place: --out")
        arriving.mkdir()
        for name, stream in members:
            path = arriving / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file, _CHUNK)
                file.flush()
                os.fsync(file.fileno())
        _look_at(arriving)
        for place in {path.parent for path in arriving.rglob("*")}:
            sync_folder(place)
        arriving.rename(target)
    sync_folder(root)
    return target


def _chosen(folder: Path, draft: Path) -> tuple[dict[str, Path], list[str]]:
    """The files of the record by name, the audits as copies; and what is in use."""
    chosen: dict[str, Path] = {}
    missing = []
    # A head is noted after its rows are there: read before them, it is in them.
    for path in sorted(folder.rglob("*"), key=lambda one: (one.suffix != SUFFIX, one)):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.is_symlink() or name.endswith(_PASSING):
            continue
        if path.suffix == _SQLITE:
            copy = chosen[name] = draft / f"{len(chosen)}{_SQLITE}"
            _copy_sqlite(path, copy)
        elif path.name.startswith("historian.duckdb"):
            if _is_in_use(path.parent / "historian.duckdb"):
                missing.append(name)
            else:
                chosen[name] = path
        elif path.name.startswith(_LASTING):
            chosen[name] = path
        else:
            chosen[name] = Path(shutil.copyfile(path, draft / str(len(chosen))))
    if MANIFEST not in chosen:
        raise StoreError(f"{folder}: is no run: there is no {MANIFEST}", "name a run")
    return chosen, missing


def _copy_sqlite(source: Path, target: Path) -> None:
    """The database at one instant; others may write meanwhile."""
    try:
        with (
            closing(sqlite3.connect(uri_for_reading(source), uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
    except sqlite3.Error as error:
        raise StoreError(f"{source}: cannot be copied: {error}", AGAIN) from error


def _is_in_use(path: Path) -> bool:
    try:
        ClosedHistorian(path).close()
    except StoreError as error:
        if "in use" in str(error):
            return True
    return False  # a damaged one is part of the record, as it is


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, backup: Backup, chosen: Mapping[str, Path]) -> None:
    """The file, without calendar times: the same record makes the same bytes."""
    head = {
        "format": FORMAT,
        "run": backup.run,
        "files": {name: list(facts) for name, facts in backup.files.items()},
        "missing": list(backup.missing),
    }
    text = stable_json(head, LIST).encode()
    with path.open("wb") as raw:
        with (
            gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0, filename="") as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            tar.addfile(_member(LIST, len(text)), io.BytesIO(text))
            for name, source in chosen.items():
                with source.open("rb") as file:
                    tar.addfile(_member(name, backup.files[name][0]), file)
        raw.flush()
        os.fsync(raw.fileno())


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


@contextmanager
def _opened(source: Path) -> Iterator[tuple[Backup, Iterator[tuple[str, _Compared]]]]:
    """A backup and its members in order; each is compared with its digest once it was read."""
    try:
        with gzip.open(source) as packed, tarfile.open(fileobj=packed, mode="r:") as tar:
            backup = _listed(tar)
            yield backup, _members(tar, packed, backup)
    except DAMAGE as error:
        raise StoreError(f"{source}: damaged: {error}", AGAIN) from error
    except FileNotFoundError as error:
        raise StoreError(f"{source}: there is no such file", "name a backup") from error


def _listed(tar: tarfile.TarFile) -> Backup:
    first = tar.next()
    stream = None if first is None or first.name != LIST else tar.extractfile(first)
    if stream is None:
        raise ValueError("it does not begin with a list of its files")
    head: Any = json.loads(stream.read())
    if head["format"] != FORMAT:
        raise ValueError(f"it has format {head['format']}, and known here is {FORMAT}")
    names = [str(head["run"]), *map(str, head["files"])]
    if any(PurePosixPath(n).is_absolute() or ".." in PurePosixPath(n).parts for n in names):
        raise ValueError("a name in it leads elsewhere")
    files = {str(name): (int(size), str(digest)) for name, (size, digest) in head["files"].items()}
    return Backup(names[0], files, tuple(map(str, head["missing"])))


def _members(
    tar: tarfile.TarFile, packed: gzip.GzipFile, backup: Backup
) -> Iterator[tuple[str, _Compared]]:
    awaited = dict(backup.files)
    while (member := tar.next()) is not None:
        stream = tar.extractfile(member) if member.isfile() else None
        if stream is None or member.name not in awaited:
            raise ValueError(f"{member.name} is not in its list")
        size, digest = awaited.pop(member.name)
        compared = _Compared(stream)
        yield member.name, compared
        if (compared.size, compared.hash.hexdigest()) != (size, digest):
            raise ValueError(f"{member.name} is not what was packed")
    if awaited:
        raise ValueError(f"{next(iter(awaited))} is missing")
    while packed.read(_CHUNK):
        pass  # to the very end, where the checksum of the whole stands


class _Compared:
    """A stream that adds up what is read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.size, self.hash = stream, 0, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        some = self._stream.read(size)
        self.size += len(some)
        self.hash.update(some)
        return some


def _look_at(folder: Path) -> None:
    """Open every store of a restored run; ``StoreError`` for one that fails its own checks."""
    for path in folder.rglob("audit.sqlite"):
        with Audit(path, read_only=True) as audit:
            if findings := audit.verify():
                msg = f"{path.relative_to(folder)}: {findings[0].where}: {findings[0].text}"
                raise StoreError(msg, AGAIN)
    for path in folder.rglob("historian.duckdb"):
        ClosedHistorian(path).close()
