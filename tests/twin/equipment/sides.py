"""Two sides of a secure link for tests: keys, users, and all that the server has told."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.twin.equipment.lines import plc, signals
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_security import ClientSecurity, ServerSecurity, introduce
from twin.equipment.pki import Pki
from twin.equipment.users import Account, Role, account, read_users, write_users

PASSWORD = "correct horse"
FOLDERS: list[Any] = []
"""Kept until the tests are over."""


class Sides:
    """A server and a client that know each other, and all that the server has told."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(known_to_each_other(), folder, dirs_exist_ok=True)
        self.server, self.client = both(folder)
        self.told: list[tuple[str, str, str]] = []

    def serving(self, **how: Any) -> Emulated:
        witness = lambda what, who, why: self.told.append((what, who, why))  # noqa: E731
        security = ServerSecurity(self.server, self.server.users, witness)
        return Emulated(plc(), lockstep=True, security=security, **how)

    def as_user(self, user: str = "operator", password: str = PASSWORD) -> ClientSecurity:
        return ClientSecurity(self.client, user=user, password=password)

    @property
    def whys(self) -> list[str]:
        return [why for _, _, why in self.told]


def both(folder: Path) -> tuple[Pki, Pki]:
    return Pki(folder / "server", "server"), Pki(folder / "client", "client")


@cache
def known_to_each_other() -> Path:
    """Two sides whose keys and users are made once: each test has a copy of its own."""
    folder = tempfile.TemporaryDirectory(prefix="takttwin-sides-")
    FOLDERS.append(folder)
    server, client = both(Path(folder.name))
    assert introduce(server, client)
    users = read_users(server.users)
    hashed = account("viewer", "viewer", PASSWORD).hashed
    for role in Role:
        users[role.name] = Account(role.name, role, hashed)
    write_users(server.users, users)
    return Path(folder.name)


def dialled(line: Emulated, security: ClientSecurity) -> Any:
    return OpcUaEquipment.connect(
        line.endpoint, signals(), plant_hash=None, security=security, timeout_s=10.0
    )
