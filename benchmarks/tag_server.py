"""A server of many tags in a process of its own, for the benchmarks of the link.

It is made of the emulator's own parts: its tree of nodes, its way to write values, its security. Each
tag is written ``--hz`` times a second; what it holds is the monotonic clock at that moment, so that
whoever is told of it knows how long it took. ``--counters`` more count up by one with each write.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from asyncua import Server, ua

from twin.clock import cpu_s, monotonic_us, wall_s
from twin.equipment import users
from twin.equipment.address_space import AddressSpace, DataType, Variable
from twin.equipment.asyncua_log import quiet_asyncua
from twin.equipment.opcua_link import Found
from twin.equipment.opcua_security import (
    INSECURE_URI,
    ServerSecurity,
    certify,
    closed_server,
    open_server,
)
from twin.equipment.opcua_types import data_value, node_id, status
from twin.equipment.pki import Pki
from twin.equipment.server import add_nodes
from twin.equipment.wire import FILETIME_UNIX_US
from twin.signals import Role, Signal

GROUP, YIELD = 100, 200
SETPOINTS = 20
ROOT = "bench/site/area/line"
GOOD = status(ua.StatusCodes.Good)


@dataclass(frozen=True, slots=True)
class Tags:
    """A server that runs: where, its process, and what its start took."""

    endpoint: str
    process: psutil.Process
    started: dict[str, float]


@asynccontextmanager
async def tag_server(*options: str, port: int = 0) -> AsyncIterator[Tags]:
    """Serve in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.tag_server", "--port", str(port), *options),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        told = json.loads(await process.stdout.readline())
        yield Tags(told.pop("endpoint"), psutil.Process(process.pid), told)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def path_of(name: str, n: int) -> str:
    """Where a tag stands, below the line object."""
    return f"{name}/g{n // GROUP}/{name}_{n}"


def signals_of(tags: int, counters: int = 0, hz: float = 10.0) -> list[Signal]:
    """The tags as signals: sampled values for the fast subscription, counters for the audit one."""
    fast = [
        Signal(f"tag_{n}", "s", Role.PV, f"Line/Process/{n}", sampled_s=1.0 / hz)
        for n in range(tags)
    ]
    return [*fast, *(Signal(f"count_{n}", "1", Role.PV, f"Count/{n}") for n in range(counters))]


def found_at(namespace: int, tags: int, counters: int = 0) -> Found:
    """The tags as a line that was found: no clock, no journal, no parts."""
    names = [path_of("tag", n) for n in range(tags)]
    names += [path_of("count", n) for n in range(counters)]
    nodes = tuple(node_id(f"{ROOT}/{name}", namespace) for name in names)
    return Found(
        *(node_id(ROOT, namespace), nodes, {}, {}, (), FILETIME_UNIX_US, 1.0),
        lockstep=False,
        started=None,
    )


def setpoints_at(namespace: int) -> list[ua.NodeId]:
    """The nodes that may be written."""
    return [node_id(f"{ROOT}/{path_of('set', n)}", namespace) for n in range(SETPOINTS)]


def _space(tags: int, counters: int) -> AddressSpace:
    variables = [Variable(path_of("tag", n), DataType.DOUBLE) for n in range(tags)]
    variables += [Variable(path_of("count", n), DataType.DOUBLE) for n in range(counters)]
    variables += [
        Variable(path_of("set", n), DataType.DOUBLE, writable=True) for n in range(SETPOINTS)
    ]
    parts = ROOT.split("/")
    words = ("Enterprise", "Site", "Area", "Line")
    levels = tuple(("/".join(parts[: n + 1]), word) for n, word in enumerate(words))
    return AddressSpace(ROOT, levels, tuple(variables), ())


async def _serve(arguments: argparse.Namespace) -> None:
    quiet_asyncua()
    began, began_cpu = wall_s(), cpu_s()
    gate, pki = None, None
    if arguments.pki is None:
        server = open_server()
    else:
        pki = Pki(arguments.pki, "server")
        server, gate = closed_server(ServerSecurity(pki, pki.users, lambda *_: None))
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{arguments.port}/tags")
    if pki is None:
        await server.set_application_uri(INSECURE_URI)
    else:
        await certify(server, pki)
    init_s, init_cpu_s = wall_s() - began, cpu_s() - began_cpu
    began, began_cpu = wall_s(), cpu_s()
    space = _space(arguments.tags, arguments.counters)
    nodes = await add_nodes(server, space, {})
    build = {"build_s": wall_s() - began, "build_cpu_s": cpu_s() - began_cpu}
    if gate is not None:
        writable = [variable.path for variable in space.variables if variable.writable]
        gate.rules = {nodes[path]: (path, users.Role.operator) for path in writable}
    async with server:
        place = server.bserver._server.sockets[0].getsockname()[1]  # noqa: SLF001
        memory_mb = psutil.Process().memory_info().rss / 1e6
        told: dict[str, Any] = {"endpoint": f"opc.tcp://127.0.0.1:{place}/tags", **build}
        told |= {"init_s": init_s, "init_cpu_s": init_cpu_s, "memory_mb": memory_mb}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        order = [nodes[path_of("tag", n)] for n in range(arguments.tags)]
        counts = [nodes[path_of("count", n)] for n in range(arguments.counters)]
        await _write(server, order, counts, arguments.hz)


async def _write(
    server: Server, tags: Sequence[ua.NodeId], counts: Sequence[ua.NodeId], hz: float
) -> None:
    """Write all of them, again and again, by the emulator's own way."""
    write, number, began = server.iserver.aspace.write_attribute_value, 0, monotonic_us()
    while True:
        number += 1
        stamp = datetime.now(UTC)
        for n, node in enumerate((*tags, *counts)):
            value = monotonic_us() / 1e6 if n < len(tags) else float(number)
            held = data_value(ua.Variant(value, ua.VariantType.Double), GOOD, stamp)
            await write(node, ua.AttributeIds.Value, held)
            if n % YIELD == YIELD - 1:
                await asyncio.sleep(0)
        await asyncio.sleep(max(0.0, number / hz - (monotonic_us() - began) / 1e6))


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(prog="benchmarks.tag_server")
    parser.add_argument("--tags", type=int, default=1000)
    parser.add_argument("--counters", type=int, default=0)
    parser.add_argument("--hz", type=float, default=10.0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pki", type=Path, help="serve encrypted, with the keys of this folder")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
