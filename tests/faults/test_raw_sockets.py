"""Whatever comes over the wire, the emulator goes on answering those who behave."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest
from asyncua import Client

from tests.faults.raw_sockets import ATTACKS, Held
from tests.twin.cli.shell import begin

ANSWER_S = 1.0
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


async def answer_s(url: str) -> float:
    """How long somebody who behaves waits for a connection and a value."""
    began = time.perf_counter()
    client = Client(url, timeout=30.0)
    client.session_timeout = 60_000
    async with client:
        await client.nodes.server_state.read_value()
    return time.perf_counter() - began


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
        usual_s = max([await answer_s(url) for _ in range(3)])
        before_mb = process.memory_info().rss / 1e6
        held: Held = []
        try:
            await attack(url, held)
            waited_s = min([await answer_s(url) for _ in range(3)])
            grown_mb = process.memory_info().rss / 1e6 - before_mb
        finally:
            for raw in held:
                await raw.close()
    # A machine that has other things to do is slow to begin with.
    assert waited_s <= max(ANSWER_S, 3.0 * usual_s)
    assert grown_mb < MOST_GROWTH_MB
