"""Whatever comes over the wire, the emulator goes on answering those who behave."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
from asyncua import Client

from tests.faults.raw_sockets import ATTACKS, Held
from tests.twin.cli.shell import begin

ANSWER_S = 1.0
"""A client that behaves gets its answer in this time, during the attack and with all its sockets open."""
MOST_GROWTH_MB = 50.0


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, psutil.Process]]:
    folder = tmp_path_factory.mktemp("emulator")
    serving = ("emulate", "machining_line", "--insecure", "--json", "--port", "0", "--speed", "5")
    with begin(*serving, folder=Path(folder)) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["endpoint"], psutil.Process(process.pid)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("asyncua").setLevel(logging.NOTSET)


async def new_client_s(url: str) -> float:
    """How long somebody who behaves waits for a connection and a value."""
    began = time.perf_counter()
    client = Client(url, timeout=30.0)
    client.session_timeout = 60_000
    async with client:
        await client.nodes.server_state.read_value()
    return time.perf_counter() - began


@asynccontextmanager
async def bystander(url: str) -> AsyncIterator[list[float]]:
    """Somebody who was in before, and reads on and on: how long each value took."""
    took: list[float] = []
    client = Client(url, timeout=30.0)
    client.session_timeout = 60_000
    async with client:

        async def read_on() -> None:
            while True:
                began = time.perf_counter()
                await client.nodes.server_state.read_value()
                took.append(time.perf_counter() - began)
                await asyncio.sleep(0.02)  # its rhythm

        reading = asyncio.create_task(read_on())
        try:
            yield took
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading  # one that has failed is told


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_it_still_answers(
    attack: Callable[[str, Held], Awaitable[None]], emulator: tuple[str, psutil.Process]
) -> None:
    url, process = emulator
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2_500:
        pytest.skip("a thousand sockets are more than this machine lets a process open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_500), hard))
    async with asyncio.timeout(150):
        await new_client_s(url)  # what is loaded at the first time only
        before_mb = process.memory_info().rss / 1e6
        held: Held = []
        async with bystander(url) as took:
            try:
                await attack(url, held)
                waited_s = await new_client_s(url)
                grown_mb = process.memory_info().rss / 1e6 - before_mb
            finally:
                for raw in held:
                    await raw.close()
    assert waited_s <= ANSWER_S
    assert took
    assert max(took) <= ANSWER_S
    assert grown_mb < MOST_GROWTH_MB
