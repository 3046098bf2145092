"""A server of the OPC UA library that a hostile client cannot fill up or wear out.

The library keeps collecting bytes of a chunk as long as its header says, and leaves a connection open whose
messages make no sense. Here a chunk that is announced as too large, and every fault of the protocol, ends
the connection, as OPC UA Part 6 has it; and there are less of everything than the library would take.
"""

from __future__ import annotations

import logging
from typing import Any

from asyncua import Server
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol

from twin.equipment.callers import Lobby

_log = logging.getLogger(__name__)
LARGEST_CHUNK = 65_535
LARGEST_MESSAGE = 4 * 2**20
"""Bytes of a request: writing ten thousand values takes less than one million."""
MOST_CONNECTIONS = 4_000
PATIENCE_S = 10.0
"""How long somebody who has connected may take to come to a session."""


class BoundedServer(Server):
    """Bounds what one client, or a thousand, can make the server hold."""

    iserver: Lobby

    def __init__(self, lobby: Lobby) -> None:
        super().__init__(lobby)
        chunks = -(-LARGEST_MESSAGE // LARGEST_CHUNK)
        self.limits = TransportLimits(LARGEST_CHUNK, LARGEST_CHUNK, chunks, LARGEST_MESSAGE)
        lobby.max_connections = MOST_CONNECTIONS
        lobby.max_pending_activation_seconds = PATIENCE_S

    async def start(self) -> None:
        """As the library does, with connections that are ours."""
        await self._setup_server_nodes()
        await self.iserver.start()
        self.bserver = _Doors(self.iserver, *self._get_bind_socket_info(), self.limits)  # type: ignore[arg-type]
        self.bserver.set_policies(self._policies)
        try:
            await self.bserver.start()
        except BaseException:
            await self.iserver.stop()
            raise


class _Doors(BinaryServer):
    def _make_protocol(self) -> OPCUAProtocol:
        return _Connection(
            self.iserver, self._policies, self.clients, self.closing_tasks, self.limits
        )


class _Connection(OPCUAProtocol):
    """One connection. What is left of the buffer after the library has looked is a part of a chunk."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        announced = int.from_bytes(self._buffer[4:8], "little")
        if announced > LARGEST_CHUNK:
            self._end(f"a chunk of {announced} bytes was announced")

    async def _process_one_msg(self, header: Any, buf: Buffer) -> bool:
        try:
            return await super()._process_one_msg(header, buf)
        except Exception as error:  # noqa: BLE001  (whatever a stranger's bytes have set off)
            self._end(str(error) or repr(error))
            return False

    def _end(self, why: str) -> None:
        host = self.peer_name[0] if isinstance(self.peer_name, tuple) else self.peer_name
        _log.info("connection from %s ended: %s", host, why)
        gate = self.iserver.gate if isinstance(self.iserver, Lobby) else None
        if gate is not None:
            gate.junk(self.peer_name, why[:200])
        self._buffer = b""
        if self.transport is not None:
            self.transport.close()
