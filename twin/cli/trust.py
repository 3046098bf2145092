"""Where this account keeps its keys, and what they make of a link: the default is a secure one.

``~/.config/takttwin/server`` belongs to the emulators that this account starts, ``…/client`` to its loops;
``TAKTTWIN_KEYS`` names another folder for both. The first emulator that is started introduces the two to each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.problems import REFUSED, Problem

if TYPE_CHECKING:
    from twin.equipment.opcua_security import ClientSecurity
    from twin.equipment.pki import Pki

OPEN = "none: no encryption and no user (--insecure)"
"""How a link without protection is called, wherever it is shown."""
KEYS = "TAKTTWIN_KEYS"
USER, PASSWORD = "TAKTTWIN_USER", "TAKTTWIN_PASSWORD"


@dataclass(frozen=True, slots=True)
class Trust:
    """What the options say: folder of certificates, the server's certificate, or no protection at all."""

    pki: Path | None = None
    server_certificate: Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.insecure and not (self.pki is None and self.server_certificate is None):
            msg = "--insecure means no encryption; --pki and --server-certificate ask for it"
            raise Problem("usage", msg, "leave out --insecure, or the other two")


def home() -> Path:
    """The folder of this account's keys."""
    if named := os.environ.get(KEYS):
        return Path(named)
    configured = os.environ.get("XDG_CONFIG_HOME")
    return (Path(configured) if configured else Path.home() / ".config") / "takttwin"


def pki_of(side: str, given: Path | None = None) -> Pki:
    """The certificates of one side, ``client`` or ``server``."""
    from twin.equipment.pki import Pki

    return Pki(home() / side if given is None else given, side)


def client_security(trust: Trust) -> ClientSecurity | None:
    """What is needed to talk to a line; None for a link without protection, on this machine alone."""
    from twin.equipment.opcua_security import ClientSecurity

    if trust.insecure:
        return None
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if bool(user) != bool(password):
        hint = "set both, or neither for the login that is kept for a server"
        raise Problem("refused", f"{USER} or {PASSWORD} alone is no login", hint, code=REFUSED)
    pki = pki_of("client", trust.pki)
    return ClientSecurity(pki, trust.server_certificate, user, password)


@contextmanager
def introduced() -> Iterator[tuple[Path, Trust]]:
    """Keys for an emulator that lives as long as this block, and for the loop that talks to it alone."""
    from tempfile import TemporaryDirectory

    from twin.equipment.opcua_security import introduce

    with TemporaryDirectory(prefix="takttwin-") as folder:
        server, client = (pki_of(side, Path(folder) / side) for side in ("server", "client"))
        introduce(server, client)
        yield server.folder, Trust(client.folder)
