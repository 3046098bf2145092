"""What the loop costs beyond talking to the line: ``python -m benchmarks.loop --json``.

Two emulators of the machining line serve over OPC UA, each in its own process. On one, a bare
asyncua script advances a period, reads every signal, writes the process setpoints and reads them
back. On the other our runtime does the same through sense, analyze, decide, act and feedback, with
a controller that needs no solver; once without stores and once with historian and audit. The
contenders take turns in short blocks, and only the CPU time of this process is counted. Last, a
server of 1,000 tags at 10 Hz is subscribed to, and the client's share of a core is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from asyncua import Client, ua

from benchmarks.tag_server import found_at, signals_of, tag_server
from twin.clock import cpu_s, wall_s
from twin.config import load_plant, untuned
from twin.cycle import Action, Situation
from twin.equipment.address_space import NAMESPACE, value_path
from twin.equipment.asyncua_log import quiet_asyncua
from twin.equipment.last_values import LastValues
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.subscriptions import Subscriptions
from twin.line.model import build_line
from twin.line.tags import line_signals
from twin.loop import ControlLoop
from twin.runtime import EquipmentClock, Runtime
from twin.signals import Role
from twin.store.audit import Audit
from twin.store.historian import Historian

PLANT = "machining_line"
BLOCK = 20
TAGS, RATE_HZ, PUBLISH_MS, WATCH_S = 1000, 10, 19, 10.0
BARS = {"overhead_ratio": 1.5, "overhead_ratio_with_stores": 2.5, "client_cpu_share": 0.2}


class Nudge:
    """Moves every process setpoint a little, to and fro: as many writes a turn as there can be."""

    def __init__(self) -> None:
        recipe = untuned(load_plant(PLANT)).setpoints
        self._recipe = {
            name: v for name, v in recipe.items() if not name.endswith("standby_after_s")
        }
        self.names = tuple(self._recipe)
        self._turn = 0

    def setpoints(self) -> dict[str, float]:
        """The next ones."""
        self._turn += 1
        factor = 1.001 if self._turn % 2 else 1.0
        return {name: value * factor for name, value in self._recipe.items()}

    def decide(self, situation: Situation) -> Action:
        """A controller without a solver."""
        return Action(self.setpoints(), "nudge")


@asynccontextmanager
async def emulator(seed: int) -> AsyncIterator[str]:
    """The endpoint of an emulator in a process of its own, in lockstep."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "twin.cli", "emulate", PLANT, "--lockstep", "--insecure", "--json", "--port", "0"),
        *("--seed", str(seed), "--hours", "400h", "--with-parent"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())["endpoint"]
    finally:
        process.terminate()
        await process.wait()


class Bare:
    """The script that somebody would write with asyncua alone."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._nudge = Nudge()
        self._time_us = 0
        self._sequence = 0

    async def prepare(self) -> None:
        """Find the nodes once."""
        plant = load_plant(PLANT)
        signals = line_signals(build_line(plant))
        space = await self._client.get_namespace_index(NAMESPACE)
        root = "/".join(plant.path)

        def node(path: str) -> Any:
            return self._client.get_node(ua.NodeId(f"{root}/{path}", space))

        self._all = [node(value_path(signal)) for signal in signals]
        mine = [s for s in signals if s.role is Role.MV and s.name in self._nudge.names]
        self._names = [signal.name for signal in mine]
        self._requests = [node(f"{signal.node}/Request") for signal in mine]
        self._active = [node(f"{signal.node}/Active") for signal in mine]
        self._commit = node("Control/RequestSeq")
        self._alive = node("Control/ControllerAlive")
        self._control = node("Control")
        self._advance = node("Control/Advance")
        await self._control.call_method(node("Control/RequestRemote"))

    async def turn(self) -> None:
        """Advance, read, write, read back."""
        self._time_us += 30_000_000
        self._sequence += 1
        until = ua.Variant(self._time_us, ua.VariantType.Int64)
        await self._control.call_method(self._advance, until)
        await self._client.read_values(self._all)
        wanted = self._nudge.setpoints()
        values = [ua.Variant(wanted[name], ua.VariantType.Double) for name in self._names]
        number = ua.Variant(self._sequence, ua.VariantType.Int64)
        nodes = [*self._requests, self._alive, self._commit]
        await self._client.write_values(nodes, [*values, number, number])
        await self._client.read_values(self._active)


async def overhead(rounds: int, folder: Path) -> dict[str, Any]:
    """CPU seconds a turn of the three contenders, block by block in turns."""
    line = build_line(load_plant(PLANT))
    plant = line.plant
    signals = line_signals(line)
    async with (
        emulator(1) as bare_url,
        emulator(1) as loop_url,
        emulator(1) as stored_url,
        Client(bare_url, timeout=60, watchdog_intervall=60) as client,
        OpcUaEquipment.connect(loop_url, signals, plant_hash=plant.config_hash) as plain,
        OpcUaEquipment.connect(stored_url, signals, plant_hash=plant.config_hash) as kept,
    ):
        bare = Bare(client)
        await bare.prepare()
        runtimes = {}
        with (
            Historian(folder / "historian.duckdb", signals) as historian,
            Audit(folder / "audit.sqlite", controller="nudge") as audit,
        ):
            for name, equipment, stores in (
                ("loop", plain, {}),
                ("with_stores", kept, {"samples": historian, "record": audit}),
            ):
                loop = ControlLoop(line, Nudge(), 1)
                clock = EquipmentClock(equipment)
                runtimes[name] = Runtime(loop, equipment, clock, **stores), clock
                runtimes[name][0].command("close", "benchmark")
            cpu: dict[str, list[float]] = {"bare": [], "loop": [], "with_stores": []}
            for n in range(rounds + 1):
                for name, blocks in cpu.items():
                    began = cpu_s()
                    for _ in range(BLOCK):
                        if name == "bare":
                            await bare.turn()
                        else:
                            runtime, clock = runtimes[name]
                            await clock.sleep_until(clock.now_us() + 30_000_000)
                            await runtime.turn(clock.now_us())
                    if n:  # the first block compiles and warms caches
                        blocks.append((cpu_s() - began) / BLOCK)
        stages = {
            name: {
                stage: seconds / ((rounds + 1) * BLOCK)
                for stage, seconds in runtime.timings.cpu_s.items()
            }
            for name, (runtime, _) in runtimes.items()
        }
        modes = {name: runtime.loop.mode.value for name, (runtime, _) in runtimes.items()}
    if set(modes.values()) != {"CLOSED"}:
        msg = f"the loops did not stay closed, so nothing was compared: {modes}"
        raise RuntimeError(msg)
    ratios = [b / a for a, b in zip(cpu["bare"], cpu["loop"], strict=True)]
    stored = [b / a for a, b in zip(cpu["bare"], cpu["with_stores"], strict=True)]
    return {
        "overhead_ratio": median(ratios),
        "overhead_ratio_with_stores": median(stored),
        "ratios": ratios,
        "ratios_with_stores": stored,
        "cpu_ms_a_turn": {name: 1e3 * median(blocks) for name, blocks in cpu.items()},
        "stages_cpu_ms": {
            name: {stage: 1e3 * s for stage, s in sorted(found.items())}
            for name, found in stages.items()
        },
        "modes": modes,
        "signals": len(signals),
        "setpoints_written": len(Nudge().names),
    }


class CountedValues(LastValues):
    """The client's table, which also counts what it is told."""

    count = 0

    def take(self, place: int, value: ua.DataValue) -> bool:
        """One notification."""
        self.count += 1
        return super().take(place, value)


async def subscription() -> dict[str, float]:
    """The client's share of a core at 1,000 tags and 10 Hz, by the loop's own subscriptions."""
    async with (
        tag_server("--tags", str(TAGS), "--hz", str(RATE_HZ)) as tags,
        Client(tags.endpoint, timeout=60, watchdog_intervall=60) as client,
    ):
        space = await client.get_namespace_index(NAMESPACE)
        table = CountedValues(found_at(space, TAGS), TAGS)
        subscriptions = Subscriptions(client, table, PUBLISH_MS)
        await subscriptions.open(signals_of(TAGS, hz=RATE_HZ))
        await asyncio.sleep(2.0)
        before, began, from_count = cpu_s(), wall_s(), table.count
        await asyncio.sleep(WATCH_S)
        elapsed = wall_s() - began
        share, got = (cpu_s() - before) / elapsed, table.count - from_count
        await subscriptions.close()
    return {"client_cpu_share": share, "notifications_per_s": got / elapsed}


async def measure(rounds: int) -> dict[str, Any]:
    """All figures, with the bars beside them."""
    quiet_asyncua()
    with tempfile.TemporaryDirectory() as folder:
        found = await overhead(rounds, Path(folder))
    found |= await subscription()
    return {**found, "bars": BARS, "met": {name: found[name] <= bar for name, bar in BARS.items()}}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.loop", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON (the only format)")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    sys.stdout.write(json.dumps(asyncio.run(measure(arguments.rounds)), indent=2) + "\n")


if __name__ == "__main__":
    main()
