"""A quick plant and mappings of the emulator's own nodes, as if it were somebody else's server."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from twin.cli.shift import Shift
from twin.config import Mapping, Plant, find_plant, load_mapping, load_plant
from twin.cycle import Cycle
from twin.equipment.foreign.discovery import discovered
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.plc import Plc
from twin.line.model import Line, build_line
from twin.line.tags import line_signals
from twin.loop import ControlLoop
from twin.protocols import Controller
from twin.runtime import Runtime
from twin.signals import Signal

PERIOD_S = 1.0
SPEED = "turning.cutting_speed_m_per_min"


@cache
def quick_place() -> Path:
    """The machining line with a loop that turns once a second."""
    folder = Path(mkdtemp(prefix="quick"))
    shipped = find_plant("machining_line")
    text = shipped.read_text("utf-8")
    for key, value in (("period_s", PERIOD_S), ("deadline_s", PERIOD_S), ("watchdog_periods", 6)):
        text, count = re.subn(rf"(?m)^  {key}: \d+", f"  {key}: {value}", text, count=1)
        assert count == 1
    (folder / "plant.yaml").write_text(text, "utf-8")
    truth = shipped.with_name("machining_line.truth.yaml")
    (folder / "plant.truth.yaml").write_text(truth.read_text("utf-8"), "utf-8")
    return folder


@cache
def quick_plant() -> Plant:
    return load_plant(str(quick_place()))


@cache
def quick_line() -> Line:
    return build_line(quick_plant())


@cache
def quick_signals() -> tuple[Signal, ...]:
    return line_signals(quick_line())


def quick_plc() -> Plc:
    return Shift(str(quick_place()), 3, 1.0).plc()


def confirmed(text: str) -> str:
    """A draft as it stands when somebody has looked at each guess, and called the open absent."""
    text = re.sub(r", guess: [\d.]+\}", "}", text)
    open_ = [
        line.split(":")[0].lstrip("# ")
        for line in text.splitlines()
        if re.match(r"#   [a-z_]+\.[a-z_]+: ", line)
    ]
    absent = "".join(f"  - {{signals: {name}, why: not looked for}}\n" for name in open_)
    return text + (f"absent:\n{absent}" if absent else "")


_drafts: list[str] = []


async def drafted(url: str) -> str:
    """The draft of the emulator, which is the same on every port."""
    if not _drafts:
        made = await discovered(url, quick_plant().name, quick_signals(), None)
        _drafts.append(made.text())
    return _drafts[0]


def loaded(text: str, folder: Path) -> Mapping:
    path = folder / "plant.mapping.yaml"
    path.write_text(text, "utf-8")
    return load_mapping(path, quick_plant(), quick_signals())


async def closed_run(
    equipment: OpcUaEquipment,
    controller: Controller,
    is_enough: Callable[[list[Cycle]], bool],
    patience_s: float,
) -> list[Cycle]:
    """Turns of the loop closed over the quick line until there are enough of them, however slow the machine is."""
    loop = ControlLoop(quick_line(), controller, 0)
    runtime = Runtime(loop, equipment, equipment.clock(), paced=True)
    runtime.command("close", "test")
    cycles: list[Cycle] = []

    def take(cycle: Cycle) -> None:
        cycles.append(cycle)
        if is_enough(cycles):
            runtime.stop()

    now_us = equipment.clock().now_us()
    await runtime.run(now_us, now_us + round(patience_s * 1e6), take)
    return cycles
