"""An operator station: another client of the same line, which has a word of its own there."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twin.chaos.processes import Link
from twin.config import Plant
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_security import ClientSecurity
from twin.equipment.pki import Pki
from twin.equipment.users import account, read_users, write_users
from twin.line.model import build_line
from twin.line.tags import line_signals

NAME = "station"


@asynccontextmanager
async def station(endpoint: str, plant: Plant, link: Link) -> AsyncIterator[OpcUaEquipment]:
    """It is connected as long as the context is open."""
    signals = line_signals(build_line(plant))
    async with OpcUaEquipment.connect(
        endpoint, signals, plant_hash=plant.config_hash, security=_engineer(link)
    ) as connected:
        yield connected


def _engineer(link: Link) -> ClientSecurity | None:
    """Its own user at the line: that of the loops may neither give the permit nor withdraw it."""
    if link.is_open:
        return None
    users, password = Pki(link.keys / "server", "server").users, secrets.token_urlsafe(24)
    write_users(users, read_users(users) | {NAME: account(NAME, "engineer", password)})
    return ClientSecurity(Pki(link.keys / "client", "client"), user=NAME, password=password)
