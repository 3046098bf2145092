"""A TCP connection that can be cut and mended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlparse


class Wire:
    """Stands between a client and a server; ``cut`` breaks all connections and lets none in.

    ``mute`` keeps back what the server says, ``hang`` what anybody says, while all connections
    stand; ``mend`` ends all of it, and what was kept back goes on its way.
    """

    def __init__(self, endpoint: str) -> None:
        url = urlparse(endpoint)
        self._host, self._port, self._path = url.hostname, url.port, url.path
        self._whole = True
        self._to_server, self._to_client = asyncio.Event(), asyncio.Event()
        self.mend()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def endpoint(self) -> str:
        return f"opc.tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self._path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        self._to_server.set()
        self._to_client.set()
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self._whole = False
        for writer in self._writers:
            writer.transport.abort()

    def mute(self) -> None:
        self._to_client.clear()

    def hang(self) -> None:
        self._to_server.clear()
        self._to_client.clear()

    def mend(self) -> None:
        self._whole = True
        self._to_server.set()
        self._to_client.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, far_writer}
        ways = ((reader, far_writer, self._to_server), (far_reader, writer, self._to_client))
        for way in ways:
            task = asyncio.create_task(self._carry(*way))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_free: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await is_free.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        self._writers.discard(writer)
