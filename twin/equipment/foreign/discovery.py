"""Looking at a server without a session of the loop: to draft a mapping, or to check one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from asyncua import Client, ua

from twin.config import Mapping, Plant
from twin.equipment.asyncua_log import quiet_asyncua
from twin.equipment.foreign.draft import Draft, draft
from twin.equipment.foreign.inventory import take_inventory
from twin.equipment.foreign.live_check import Row, check_mapped, check_own
from twin.equipment.opcua_link import dial
from twin.equipment.opcua_security import ClientSecurity
from twin.equipment.opcua_types import node_id
from twin.line.model import Line
from twin.signals import Signal

_TIMEOUT_S = 10.0
"""A large address space is told in large answers."""


async def discovered(
    url: str, plant: str, signals: Sequence[Signal], security: ClientSecurity | None
) -> Draft:
    """A draft from the server at an address. Raises ``ConnectionError`` if it cannot be asked."""
    async with _visiting(url, security) as client:
        uris = await client.get_namespace_array()
        own = await client.get_node(node_id(ua.ObjectIds.Server_ServerArray)).read_value()
        items = await take_inventory(client)
        return draft(plant, signals, items, uris, own[0] if own else "")


async def checked(
    url: str,
    plant: Plant,
    line: Line,
    signals: Sequence[Signal],
    mapping: Mapping | None,
    security: ClientSecurity | None,
) -> tuple[Row, ...]:
    """A row for each signal, by a mapping or by our own address space."""
    async with _visiting(url, security) as client:
        if mapping is None:
            return await check_own(client, line, signals, plant.config_hash)
        return await check_mapped(client, mapping, signals, plant.energy.starts_at_h)


@asynccontextmanager
async def _visiting(url: str, security: ClientSecurity | None) -> AsyncIterator[Client]:
    """A connection for as long as the context is open."""
    quiet_asyncua()
    client = await dial(url, _TIMEOUT_S, security)
    try:
        yield client
    except (ua.UaError, TimeoutError) as error:
        msg = f"the server does not show what it has: {error!r}"
        raise ConnectionError(msg) from error
    finally:
        await client.disconnect()
