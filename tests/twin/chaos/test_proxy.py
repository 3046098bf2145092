"""A bad wire: what it does to a line of bytes, by the ends that it is seen from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from twin.chaos.proxy import Proxy, Weather

PATIENCE_S = 20.0
Ends = tuple[Proxy, asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def wire(seed: int = 1) -> AsyncIterator[Ends]:
    """An echo behind a proxy, and a client of it."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(PATIENCE_S), Proxy(f"opc.tcp://127.0.0.1:{port}/x", seed) as proxy:
        place = int(proxy.endpoint.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", place)
        try:
            yield proxy, reader, writer
        finally:
            writer.transport.abort()
            server.close()


async def said(ends: Ends, text: bytes) -> tuple[bytes, float]:
    """What comes back, and how long that took."""
    _, reader, writer = ends
    clock = asyncio.get_running_loop().time
    began_s = clock()
    writer.write(text)
    back = await reader.readexactly(len(text))
    return back, clock() - began_s


async def test_a_whole_wire_carries_everything_in_its_order() -> None:
    async with wire() as ends:
        assert (await said(ends, bytes(range(256)) * 2000))[0] == bytes(range(256)) * 2000
        assert ends[0].accepted == 1


async def test_a_delay_is_added_each_way_and_does_not_add_up() -> None:
    async with wire() as ends:
        ends[0].weather = Weather(delay_s=0.1)
        for n in range(8):  # one after the other: they are under way together
            ends[2].write(bytes([n]))
            await asyncio.sleep(0.01)
        clock = asyncio.get_running_loop().time
        began_s = clock()
        assert await ends[1].readexactly(8) == bytes(range(8))
        assert 0.1 < clock() - began_s < 0.6


async def test_loss_is_time_and_no_loss_of_bytes() -> None:
    async with wire() as ends:
        ends[0].weather = Weather(loss=0.5)
        times_s = []
        for n in range(12):
            back, took_s = await said(ends, bytes([n]))
            assert back == bytes([n])
            times_s.append(took_s)
        assert max(times_s) >= 0.2


async def test_a_narrow_wire_takes_its_time() -> None:
    async with wire() as ends:
        ends[0].weather = Weather(kbit_s=400.0)
        _, took_s = await said(ends, bytes(10_000))
        assert took_s >= 0.4  # 80 kbit, twice


async def test_what_was_stalled_comes_when_the_wire_is_mended() -> None:
    async with wire() as ends:
        ends[0].weather = Weather(is_stalled=True)
        ends[2].write(b"late")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ends[1].readexactly(4), 0.2)
        ends[0].weather = Weather()
        assert await ends[1].readexactly(4) == b"late"


async def test_a_mute_wire_hands_over_what_is_asked_and_keeps_the_answer_back() -> None:
    async with wire() as ends:
        heard = asyncio.Event()
        ends[0].set_trap(b"asked", heard.set)
        ends[0].weather = Weather(is_mute=True)
        ends[2].write(b"asked")
        await heard.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ends[1].readexactly(5), 0.2)
        ends[0].weather = Weather()
        assert await ends[1].readexactly(5) == b"asked"


async def test_a_reset_is_one() -> None:
    async with wire() as ends:
        await said(ends, b"x")
        ends[0].reset()
        with pytest.raises(ConnectionResetError):
            await ends[1].readexactly(1)


async def test_a_server_that_vanishes_says_nothing_but_takes_new_callers() -> None:
    async with wire() as ends:
        await said(ends, b"x")
        ends[0].vanish()
        ends[2].write(b"gone")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ends[1].read(1), 0.2)
        port = int(ends[0].endpoint.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await said((ends[0], reader, writer), b"new"))[0] == b"new"
        writer.transport.abort()


async def test_one_that_is_cut_after_some_bytes_gets_no_more() -> None:
    async with wire() as ends:
        ends[0].weather = Weather(cuts_after=10)
        await said(ends, bytes(8))
        ends[2].write(bytes(8))
        with suppress(ConnectionResetError):
            assert len(await ends[1].read(100)) <= 8
            with pytest.raises(ConnectionResetError):
                await ends[1].readexactly(1)


async def test_nobody_new_is_let_in_while_it_refuses() -> None:
    async with wire() as ends:
        ends[0].weather = Weather(refuses=True)
        port = int(ends[0].endpoint.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
        writer.transport.abort()


async def test_luck_is_by_the_seed() -> None:
    async with wire(3) as one, wire(3) as same, wire(4) as other:
        draws = [[ends[0]._luck.draw() for _ in range(9)] for ends in (one, same, other)]
    assert draws[0] == draws[1] != draws[2]


async def test_a_trap_acts_once_before_its_bytes_are_handed_over() -> None:
    async with wire() as ends:
        acts: list[str] = []
        ends[0].set_trap(b"takt", lambda: acts.append("sprung"))
        await said(ends, b"something else")
        assert acts == []
        for _ in range(2):
            await said(ends, b"set the takt")
        assert acts == ["sprung"]
        assert ends[0].sprung.is_set()
