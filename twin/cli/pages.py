"""A few pages to look at, served over HTTP to this machine alone: there is nothing to be ordered here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus

HOST = "127.0.0.1"
PATIENCE_S = 5.0
LONGEST_LINE = 8192
_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What a caller may take us for: a page of the web that has a name of its own point here is not one."""
PLAIN, JSON = "text/plain; version=0.0.4; charset=utf-8", "application/json"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: HTTPStatus
    kind: str
    body: bytes


def judged(faults: list[str], facts: Mapping[str, object]) -> Page:
    """200 if there are no faults, else 503; the faults, and what else may help."""
    status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
    told = {"ok": not faults, "faults": faults, **facts}
    return Page(status, JSON, json.dumps(told, sort_keys=True).encode() + b"\n")


@asynccontextmanager
async def served(port: int, pages: Mapping[str, Callable[[], Page]]) -> AsyncIterator[str]:
    """Serve pages at a port of this machine, 0 for any free one; gives the address.

    Raises ``OSError`` for a port that is taken.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A caller that hangs up, stays silent or talks on and on is no business of the loop.
        with suppress(ConnectionError, TimeoutError, ValueError):
            async with asyncio.timeout(PATIENCE_S):
                writer.write(_answer(await _asked(reader), pages))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, HOST, port, limit=LONGEST_LINE)
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _asked(reader: asyncio.StreamReader) -> tuple[str, str, str]:
    """Method, path and host of a request. ``ValueError`` for what is none."""
    method, target, _ = (await reader.readline()).decode("latin-1").split(" ", 2)
    host = ""
    for _ in range(100):
        name, _, value = (await reader.readline()).decode("latin-1").partition(":")
        if not name.strip():
            return method, target.partition("?")[0], host
        if name.lower() == "host":
            host = value.strip()
    raise ValueError("a request without an end")


def _answer(asked: tuple[str, str, str], pages: Mapping[str, Callable[[], Page]]) -> bytes:
    method, path, host = asked
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in _NAMES:
        page = Page(HTTPStatus.FORBIDDEN, PLAIN, b"this machine only\n")
    elif method not in ("GET", "HEAD"):
        page = Page(HTTPStatus.METHOD_NOT_ALLOWED, PLAIN, b"here is nothing but to look\n")
    elif path not in pages:
        known = " ".join(pages)
        page = Page(HTTPStatus.NOT_FOUND, PLAIN, f"there are: {known}\n".encode())
    else:
        page = pages[path]()
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        f"Content-Type: {page.kind}\r\nContent-Length: {len(page.body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else page.body)
