"""An hour at a line of 1,000 tags that is cut off each minute: ``python -m benchmarks.soak --json``.

Three processes. A server writes 900 sampled tags and 100 counters ten times a second. A wire between
them breaks all connections for ``--cut-s`` once a minute. The client is what a paced loop has below its
``ControlLoop``: the supervised link and the historian, a reading a second, segments closed each five
minutes, samples retired. Judged is what it leaves behind:

- growth of its memory after the first five minutes (of a shorter soak: the first quarter);
- subscriptions that brought nothing in the last seconds of a minute with an unbroken wire;
- numbers of counters that never came, and seconds without a reading, outside every gap on record.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlparse

import psutil
from asyncua import Client, ua

from benchmarks.tag_server import found_at, signals_of, tag_server
from tests.twin.equipment.wires import Wire
from twin.clock import cpu_s, monotonic_us, utc_now, wall_s
from twin.cycle import Acknowledgement, Batch, Outcome
from twin.equipment.address_space import NAMESPACE
from twin.equipment.asyncua_log import quiet_asyncua
from twin.equipment.binding import AsServed, Refusal
from twin.equipment.last_values import LastValues
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_link import Found
from twin.signals import Signal
from twin.store.historian import Historian

FAST, COUNTERS, HZ, PUBLISH_MS = 900, 100, 10.0, 50.0
CUT_EVERY_S, LOOK_S, SEGMENT_S = 60.0, 10.0, 300.0
BARS = {
    "memory_growth": 0.05,
    "stuck_subscriptions": 0,
    "lost_without_gap": 0,
    "unread_without_gap": 0,
}


class TagLine:
    """The tag server as a line: found by its namespace, never written."""

    async def find(self, client: Client, signals: Sequence[Signal]) -> tuple[Found, AsServed]:
        """Its nodes, at this connection."""
        space = await client.get_namespace_index(NAMESPACE)
        return found_at(space, FAST, COUNTERS), AsServed()

    async def write(
        self, client: Client, found: Found, batch: Batch, timeout_s: float, refusal_of: Refusal
    ) -> Acknowledgement:
        """Nothing is written here."""
        return Acknowledgement(batch.sequence, Outcome.REJECTED, {}, "read only")

    async def command(
        self, client: Client, found: Found, verb: str, argument: float, timeout_s: float
    ) -> None:
        """Nothing is asked here."""
        raise ValueError(verb)


@dataclass(slots=True)
class Counted:
    """What came of the counters: for each the last number with its time, and the holes."""

    last: dict[int, tuple[float, int]] = field(default_factory=dict)
    holes: list[tuple[int, int, int]] = field(default_factory=list)
    """From when to when, source time, and how many numbers did not come."""

    def take(self, place: int, value: float, source_us: int) -> None:
        """One number of a counter."""
        before = self.last.get(place)
        if before is not None and value <= before[0]:
            return  # told again
        if before is not None and value > before[0] + 1.0:
            self.holes.append((before[1], source_us, round(value - before[0]) - 1))
        self.last[place] = value, source_us


def watch_counters(counted: Counted) -> None:
    """Let every table of last values also tell what it takes of counters."""
    take = LastValues.take

    def also(self: LastValues, place: int, value: ua.DataValue) -> bool:
        if FAST <= place < FAST + COUNTERS and value.SourceTimestamp is not None:
            source_us = ua.datetime_to_win_epoch(value.SourceTimestamp) // 10
            counted.take(place, value.Value.Value, source_us - self.found.epoch_us)
        return take(self, place, value)

    LastValues.take = also  # type: ignore[method-assign]


async def client(url: str, folder: Path, soak_s: float) -> dict[str, Any]:
    """Read and record for so long; what came of it."""
    quiet_asyncua()
    counted, signals = Counted(), signals_of(FAST, COUNTERS, HZ)
    watch_counters(counted)
    gaps: list[tuple[int, int]] = []
    reasons: Counter[str] = Counter()
    read_us: list[int] = []
    memory: list[tuple[float, float]] = []
    stuck, losses, me = 0, 0, psutil.Process()
    heard: dict[str, int] = {}
    with Historian(folder / "historian.duckdb", signals, batch=1) as historian:
        async with OpcUaEquipment.connect(
            url, signals, plant_hash=None, fast_ms=PUBLISH_MS, binding=TagLine()
        ) as line:
            began = looked = closed = wall_s()
            began_cpu, whole_us = cpu_s(), monotonic_us()
            due = began
            while (now := wall_s()) - began < soak_s:
                try:
                    reading = await line.read()
                except ConnectionError:
                    pass  # the gap must tell it: that is what is judged
                else:
                    if not read_us or reading.time_us > read_us[-1]:
                        historian.append(reading, reading.time_us)
                        read_us.append(reading.time_us)
                for gap in line.drain_gaps():
                    historian.record_gap(gap.from_us, gap.until_us, gap.reason)
                    gaps.append((gap.from_us, gap.until_us))
                    reasons[gap.reason] += 1
                if now - looked >= LOOK_S:
                    looked = now
                    gc.collect()
                    memory.append((now - began, me.memory_info().rss / 1e6))
                    state = line.state
                    settled = state.connected and state.losses == losses
                    losses = state.losses
                    if settled:  # no cut since the last look: every subscription must have spoken
                        stuck += sum(
                            state.heard[name] <= heard.get(name, 0) for name in state.heard
                        )
                    heard = dict(state.heard)
                if now - closed >= SEGMENT_S:
                    closed = now
                    historian.export_parquet(folder / "segments")
                    historian.retire(folder / "segments", round(4 * SEGMENT_S * 1e6))
                due = max(due + 1.0, wall_s())
                await asyncio.sleep(due - wall_s())
            share = (cpu_s() - began_cpu) / ((monotonic_us() - whole_us) / 1e6)
            state = line.state
    return {
        "seconds": soak_s,
        **_growth(memory, soak_s),
        "stuck_subscriptions": stuck,
        "lost_without_gap": _untold(counted, gaps),
        "unread_without_gap": _unread(read_us, gaps),
        "lost_in_gaps": sum(n for _, _, n in counted.holes) - _untold(counted, gaps),
        "readings": len(read_us),
        "gaps": dict(reasons),
        "losses": state.losses,
        "sessions": state.sessions,
        "notifications": sum(state.heard.values()),
        "dropped_by_server": state.dropped,
        "client_core_share": share,
        "open_files": me.num_fds(),
        "tasks": len(asyncio.all_tasks()),
        "memory_mb": [[round(at), round(mb, 1)] for at, mb in memory],
    }


def _growth(memory: Sequence[tuple[float, float]], soak_s: float) -> dict[str, float]:
    """Share by which the memory grew from after the start to the end: medians over a tenth each."""
    settled_s = min(300.0, soak_s / 4.0)
    after = [mb for at, mb in memory if at >= settled_s]
    some = max(1, len(after) // 10)
    first, last = median(after[:some]), median(after[-some:])
    return {"memory_growth": last / first - 1.0, "first_mb": first, "last_mb": last}


def _untold(counted: Counted, gaps: Sequence[tuple[int, int]]) -> int:
    """Numbers that never came, and no gap on record says so."""
    return sum(
        missing
        for from_us, until_us, missing in counted.holes
        if not any(a <= until_us and from_us <= b for a, b in gaps)
    )


def _unread(read_us: Sequence[int], gaps: Sequence[tuple[int, int]]) -> int:
    """Stretches of more than three seconds without a reading, outside every gap."""
    pairs = pairwise(read_us)
    return sum(
        not any(a <= until_us and from_us <= b for a, b in gaps)
        for from_us, until_us in pairs
        if until_us - from_us > 3_000_000
    )


@asynccontextmanager
async def cut_each_minute(endpoint: str, cut_s: float) -> AsyncIterator[str]:
    """A wire to the server that breaks once a minute."""

    async def cutting(wire: Wire) -> None:
        while True:
            await asyncio.sleep(CUT_EVERY_S - cut_s)
            wire.cut()
            await asyncio.sleep(cut_s)
            wire.mend()

    async with Wire(endpoint) as wire:
        task = asyncio.create_task(cutting(wire))
        yield wire.endpoint
        task.cancel()


async def soak(soak_s: float, cut_s: float) -> dict[str, Any]:
    """All three processes; what the client says."""
    options = ("--tags", str(FAST), "--counters", str(COUNTERS), "--hz", str(HZ))
    async with (
        tag_server(*options) as tags,
        cut_each_minute(tags.endpoint, cut_s) as endpoint,
    ):
        before_mb = tags.process.memory_info().rss / 1e6
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "benchmarks.soak", "--client", endpoint, "--seconds", str(soak_s)),
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
        assert process.returncode == 0, process.returncode
        found: dict[str, Any] = json.loads(told)
        server_mb = [before_mb, tags.process.memory_info().rss / 1e6]
    found |= {"began": utc_now(), "server_mb": server_mb, "load_average": os.getloadavg()[0]}
    return {**found, "bars": BARS, "met": {name: found[name] <= BARS[name] for name in BARS}}


def main() -> None:
    """Run and print; 1 if a bar is not met."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON (the only format)")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--cut-s", type=float, default=3.0, help="how long each cut lasts")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        assert urlparse(arguments.client).scheme == "opc.tcp"
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(client(arguments.client, Path(folder), arguments.seconds))
        sys.stdout.write(json.dumps(found) + "\n")
        return
    found = asyncio.run(soak(arguments.seconds, arguments.cut_s))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    sys.exit(not all(found["met"].values()))


if __name__ == "__main__":
    main()
