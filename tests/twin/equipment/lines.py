"""Lines to connect to: shipped plants with their PLC, in this process or in one of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import numpy as np

from twin.cli.shift import Shift
from twin.config import Plant, load_plant
from twin.cycle import Batch, Reading
from twin.equipment.plc import Plc
from twin.line.model import build_line
from twin.line.scenario import scenario_of
from twin.line.tags import line_signals
from twin.signals import Role, Setpoint, Signal

PLANTS = ("machining_line", "molding_cell", "paint_cure_line")
PERIOD_US = 30_000_000
SPEED, FEED = "turning.cutting_speed_m_per_min", "turning.feed_mm"


@cache
def plant(name: str = "machining_line") -> Plant:
    return load_plant(name)


@cache
def signals(name: str = "machining_line") -> tuple[Signal, ...]:
    return line_signals(build_line(plant(name)))


@cache
def index() -> dict[str, int]:
    return {signal.name: n for n, signal in enumerate(signals())}


@cache
def mvs(name: str = "machining_line") -> tuple[Signal, ...]:
    return tuple(signal for signal in signals(name) if signal.role is Role.MV)


@cache
def loaded(seed: int, scenario: str, name: str) -> Plc:
    return Shift(name, seed, 4.0, scenario).plc()


def plc(seed: int = 3, scenario: str = "nominal", name: str = "machining_line") -> Plc:
    """A fresh one at plant time 0; line and table are read once."""
    first = loaded(seed, scenario, name)
    table = list(first._simulator.table)
    return Plc(first.line, table, seed, scenario_of(first.line.plant, scenario))


def value(reading: Reading, name: str) -> float:
    return float(reading.values[index()[name]])


def batch(number: int, now_us: int, **wanted: float) -> Batch:
    setpoints = tuple(Setpoint(name.replace("__", "."), v) for name, v in wanted.items())
    return Batch(number, number, setpoints, now_us + 10_000_000)


def assert_same(one: Reading, other: Reading) -> None:
    """Bit for bit."""
    assert (one.time_us, one.step) == (other.time_us, other.step)
    np.testing.assert_array_equal(one.values.view(np.int64), other.values.view(np.int64))
    np.testing.assert_array_equal(one.source_us, other.source_us)
    np.testing.assert_array_equal(one.status, other.status)
    assert dict(one.part_ids) == dict(other.part_ids)
    assert one.events == other.events


@asynccontextmanager
async def emulator_process(*options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any]]:
    """The emulator in a process of its own, and what it told of itself when it was ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "twin.cli", "emulate", "machining_line", "--json", "--port", "0"),
        *("--insecure", "--with-parent", "--hours", "4h", *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(240):
            line = await process.stdout.readline()
        assert line, (await process.communicate())[1].decode()
        yield process, json.loads(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
