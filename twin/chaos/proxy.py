"""A wire between a loop and a line that can be made as bad as networks are.

A TCP connection at a time is carried to the server and back. What a network does to packets reaches
the ends of such a connection as time alone: a lost packet is sent again, and all that follows it
waits. So loss is a delay of a retransmission here, doubled each time; that is what both ends see.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from twin.chaos.luck import Luck

RETRANSMIT_S = 0.2
"""How long a sender waits for the first time before it sends again (Linux' least)."""
MOST_RETRANSMITS = 6


@dataclass(slots=True)
class Weather:
    """What the wire does to all that passes. Seconds, shares, kilobits a second (0: as it comes).

    ``is_stalled``: everything waits, connections stand. ``is_mute``: what the server says waits.
    ``refuses``: nobody new is let in.
    ``cuts_after``: a connection is reset after so many bytes towards the client (0: never).
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    kbit_s: float = 0.0
    is_stalled: bool = False
    is_mute: bool = False
    refuses: bool = False
    cuts_after: int = 0


class Proxy:
    """A wire to ``endpoint``, at a port of its own as long as the context is open.

    ``weather`` may be replaced at any time. Luck is drawn by ``seed`` alone.
    """

    def __init__(self, endpoint: str, seed: int = 1) -> None:
        url = urlsplit(endpoint)
        self._host, self._port, self._path = url.hostname, url.port, url.path
        self._luck = Luck(seed, "proxy")
        self._to_server, self._to_client = asyncio.Event(), asyncio.Event()
        self._server: asyncio.Server
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._trap: tuple[bytes, Callable[[], None]] | None = None
        self.sprung = asyncio.Event()
        """Set once the trap has been walked into."""
        self.accepted = 0
        """Connections that were let in so far."""
        self.weather = Weather()

    @property
    def weather(self) -> Weather:
        """What the wire does now."""
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        for way, waits in (
            (self._to_server, weather.is_stalled),
            (self._to_client, weather.is_stalled or weather.is_mute),
        ):
            if waits:
                way.clear()
            else:
                way.set()

    @property
    def endpoint(self) -> str:
        """Where a loop finds the line behind the wire."""
        return f"opc.tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self._path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def lead_to(self, endpoint: str) -> None:
        """Carry new connections to another server."""
        url = urlsplit(endpoint)
        self._host, self._port = url.hostname, url.port

    def set_trap(self, marker: bytes, act: Callable[[], None]) -> None:
        """Act once, just before something with these bytes in it is handed to the server."""
        self.sprung.clear()
        self._trap = (marker, act)

    def reset(self) -> None:
        """Break all connections by a TCP reset."""
        for pair in tuple(self._pairs):
            pair.reset()

    def vanish(self) -> None:
        """All connections that stand now stay half open: nothing passes any more, and no end."""
        for pair in self._pairs:
            pair.is_dead = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather.refuses:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            _reset(writer)
            return
        self.accepted += 1
        pair = _Pair((writer, far_writer))
        self._pairs.add(pair)
        ways = [
            asyncio.create_task(self._carry(reader, far_writer, pair, to_client=False)),
            asyncio.create_task(self._carry(far_reader, writer, pair, to_client=True)),
        ]
        whole = asyncio.create_task(self._until_over(pair, ways))
        for task in (*ways, whole):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _until_over(self, pair: _Pair, ways: list[asyncio.Task[None]]) -> None:
        await asyncio.wait(ways, return_when=asyncio.ALL_COMPLETED)
        self._pairs.discard(pair)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: _Pair,
        *,
        to_client: bool,
    ) -> None:
        """One direction: what comes is due after a while, and goes on in its order."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.create_task(self._send(queue, writer, pair, to_client=to_client))
        due_s = 0.0
        clock = asyncio.get_running_loop().time
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    due_s = max(due_s, clock() + self._latency_s()) + self._transfer_s(len(data))
                    queue.put_nowait((due_s, data))
            queue.put_nowait((max(due_s, clock()), b""))
            await sending
        finally:
            sending.cancel()

    async def _send(
        self,
        queue: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        pair: _Pair,
        *,
        to_client: bool,
    ) -> None:
        clock = asyncio.get_running_loop().time
        calm = self._to_client if to_client else self._to_server
        while True:
            due_s, data = await queue.get()
            await asyncio.sleep(max(0.0, due_s - clock()))
            await calm.wait()
            if pair.is_dead:  # not even the end of it is told
                continue
            if not data:
                break
            if self._trap is not None and not to_client and self._trap[0] in data:
                act, self._trap = self._trap[1], None
                act()
                self.sprung.set()
            try:
                writer.write(data)
                await writer.drain()
            except OSError:
                break
            pair.passed += len(data) if to_client else 0
            if 0 < self._weather.cuts_after <= pair.passed:
                pair.reset()
        with suppress(OSError):
            writer.close()

    def _latency_s(self) -> float:
        now = self._weather
        latency_s = max(0.0, now.delay_s + now.jitter_s * (2.0 * self._luck.draw() - 1.0))
        wait_s = RETRANSMIT_S
        for _ in range(MOST_RETRANSMITS):
            if now.loss <= 0.0 or self._luck.draw() >= now.loss:
                break
            latency_s += wait_s
            wait_s *= 2.0
        return latency_s

    def _transfer_s(self, size: int) -> float:
        return 0.008 * size / self._weather.kbit_s if self._weather.kbit_s > 0.0 else 0.0


class _Pair:
    """The two ends of one connection."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, ...]) -> None:
        self._writers = writers
        self.is_dead = False
        self.passed = 0

    def reset(self) -> None:
        for writer in self._writers:
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST: a socket that lingers for no time says no goodbye."""
    found = writer.get_extra_info("socket")
    with suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
