"""What the OPC UA side takes: ``python -m benchmarks.opcua --json``.

Server and client are processes of their own on one machine, over loopback. 1,000 tags are written ten
times a second and subscribed to as the loop does it; the latency goes from the server's write to the
client's table. Shares of a core are CPU time a notification, at the full rate: they do not depend on
what else the machine does, the latencies do. Then come encrypted batches of 20 setpoints, connecting,
and what a server of many tags takes to be made and to hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from asyncua import Client, ua

from benchmarks.tag_server import found_at, setpoints_at, signals_of, tag_server
from twin.clock import cpu_s, monotonic_us, wall_s
from twin.equipment.address_space import NAMESPACE
from twin.equipment.asyncua_log import quiet_asyncua
from twin.equipment.foreign.calls import bare, write_values
from twin.equipment.last_values import LastValues
from twin.equipment.opcua_link import dial
from twin.equipment.opcua_security import ClientSecurity, introduce
from twin.equipment.pki import Pki
from twin.equipment.subscriptions import Subscriptions

TAGS, HZ, PUBLISH_MS = 1000, 10.0, 19.0
WARM_S, TIMEOUT_S = 3.0, 30.0
BARS = {
    "latency_ms.p50": 35.0,
    "latency_ms.p99": 100.0,
    "client_core_share": 0.20,
    "server_core_share": 0.55,
    "write20_encrypted_ms.p99": 5.0,
    "emulator_mb_10k_tags": 250.0,
    "build_s_5k_tags": 3.0,
}


class Timed(LastValues):
    """The client's table, which also notes how old each value is when it comes."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.late_s: list[float] = []

    def take(self, place: int, value: ua.DataValue) -> bool:
        """One notification."""
        self.late_s.append(monotonic_us() / 1e6 - value.Value.Value)
        return super().take(place, value)


async def subscription(watch_s: float) -> dict[str, Any]:
    """Latency and CPU time of 1,000 tags at 10 Hz."""
    async with tag_server("--tags", str(TAGS), "--hz", str(HZ)) as tags:
        client = await dial(tags.endpoint, TIMEOUT_S, None)
        space = await client.get_namespace_index(NAMESPACE)
        table = Timed(found_at(space, TAGS), TAGS)
        subscriptions = Subscriptions(client, table, PUBLISH_MS)
        await subscriptions.open(signals_of(TAGS, hz=HZ))
        await asyncio.sleep(WARM_S)
        table.late_s.clear()
        theirs, ours, began = sum(tags.process.cpu_times()[:2]), cpu_s(), wall_s()
        await asyncio.sleep(watch_s)
        elapsed_s = wall_s() - began
        ours, theirs = cpu_s() - ours, sum(tags.process.cpu_times()[:2]) - theirs
        late_s = np.array(table.late_s)
        await subscriptions.close()
        await client.disconnect()
    full = TAGS * HZ / len(late_s)
    return {
        "latency_ms": {
            "p50": 1e3 * float(np.quantile(late_s, 0.5)),
            "p99": 1e3 * float(np.quantile(late_s, 0.99)),
        },
        "client_core_share": ours * full,
        "server_core_share": theirs * full,
        "notifications_per_s": len(late_s) / elapsed_s,
    }


async def requests(rounds: int) -> dict[str, Any]:
    """Encrypted batches of setpoints, and how long it takes to connect, encrypted and not."""
    with tempfile.TemporaryDirectory() as folder:
        server = Pki(Path(folder) / "server", "server")
        ours = Pki(Path(folder) / "client", "client")
        introduce(server, ours)
        security = ClientSecurity(ours)
        options = ("--tags", "20", "--hz", "1")
        async with tag_server(*options, "--pki", str(server.folder)) as safe:
            client = await dial(safe.endpoint, TIMEOUT_S, security)
            writes_ms = await _writes(client, rounds)
            await client.disconnect()
            connect_ms = await _connects(safe.endpoint, security, rounds // 20)
        async with tag_server(*options) as open_to_all:
            open_ms = await _connects(open_to_all.endpoint, None, rounds // 20)
    return {
        "write20_encrypted_ms": _spread(writes_ms),
        "connect_ms": _spread(connect_ms),
        "connect_open_ms": _spread(open_ms),
    }


async def _writes(client: Client, rounds: int) -> list[float]:
    space = await client.get_namespace_index(NAMESPACE)
    nodes, took_ms = setpoints_at(space), []
    for n in range(rounds):
        values = [bare(node, float(n), "Double") for node in nodes]
        began = wall_s()
        bad = await write_values(client, values, TIMEOUT_S)
        took_ms.append(1e3 * (wall_s() - began))
        assert not bad, bad
        await asyncio.sleep(0.005)
    return took_ms


async def _connects(url: str, security: ClientSecurity | None, rounds: int) -> list[float]:
    took_ms = []
    for _ in range(rounds):
        began = wall_s()
        client = await dial(url, TIMEOUT_S, security)
        took_ms.append(1e3 * (wall_s() - began))
        await client.disconnect()
    return took_ms


async def servers() -> dict[str, float]:
    """What it takes to make and to hold many tags."""
    async with tag_server("--tags", "10000", "--hz", "0.1") as large:
        memory_mb = large.started["memory_mb"]
    async with tag_server("--tags", "5000", "--hz", "0.1") as middle:
        build = middle.started
    return {
        "emulator_mb_10k_tags": memory_mb,
        "build_s_5k_tags": build["build_s"],
        "build_cpu_s_5k_tags": build["build_cpu_s"],
        "init_cpu_s": build["init_cpu_s"],
    }


def _spread(took_ms: list[float]) -> dict[str, float]:
    return {f"p{p}": float(np.percentile(took_ms, p)) for p in (50, 95, 99)}


async def measure(watch_s: float, rounds: int) -> dict[str, Any]:
    """All figures, with the bars beside them and what else the machine had to do."""
    quiet_asyncua()
    found = await subscription(watch_s) | await requests(rounds) | await servers()
    found["load_average"] = os.getloadavg()[0]
    return {**found, "bars": BARS, "met": {name: _at(found, name) <= BARS[name] for name in BARS}}


def _at(found: dict[str, Any], name: str) -> float:
    first, _, second = name.partition(".")
    return float(found[first][second] if second else found[first])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.opcua", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON (the only format)")
    parser.add_argument("--watch-s", type=float, default=20.0, help="how long to subscribe")
    parser.add_argument("--rounds", type=int, default=400, help="batches of setpoints")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.watch_s, arguments.rounds))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
