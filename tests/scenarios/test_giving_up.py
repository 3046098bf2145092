"""What the server has in force after the loop has given up, in each way that there is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from asyncua import Client, ua

from tests.twin.equipment.servers import quick_servers
from twin.analyze.monitoring import Monitor
from twin.cli.shift import Shift
from twin.config import find_plant
from twin.cycle import Action, Cycle, Decision, Mode, Situation
from twin.equipment.address_space import NAMESPACE
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.loop import ControlLoop
from twin.runtime import EquipmentClock, Runtime
from twin.signals import Role
from twin.store.quarantine import StoreError

__all__ = ["quick_servers"]
TAKT, ASLEEP = "line.takt_s", "wash.standby"
ROOT = "acme/ulm/machining/line1"
TURNS, GIVEN_UP = 3, 4


class Slower:
    """Slows the line down and puts a machine to sleep, which nobody else would wake."""

    def decide(self, situation: Situation) -> Action:
        return Action({TAKT: situation.active[TAKT] + 5.0, ASLEEP: 1.0}, "a test")


class Record:
    """An audit whose disk may be full."""

    is_full = False

    def intend(self, decision: Decision, utc: str) -> None:
        if self.is_full:
            raise StoreError("the disk is full")

    def conclude(self, *_: object) -> None: ...

    def record_cycle(self, cycle: Cycle) -> None: ...


def shift_with(on_shed: str, folder: Path) -> Shift:
    shipped = find_plant("machining_line")
    text = shipped.read_text("utf-8")
    assert "on_shed: recipe" in text
    (folder / "plant.yaml").write_text(text.replace("on_shed: recipe", f"on_shed: {on_shed}"))
    truth = shipped.with_name("machining_line.truth.yaml").read_text("utf-8")
    (folder / "plant.truth.yaml").write_text(truth)
    return Shift(str(folder), 3, 1.0)


async def in_force(client: Client, names: Mapping[str, str]) -> dict[str, float]:
    """The setpoints that the server itself shows as active."""
    index = await client.get_namespace_index(NAMESPACE)
    nodes = [client.get_node(ua.NodeId(f"{ROOT}/{path}", index)) for path in names.values()]
    return dict(zip(names, map(float, await client.read_values(nodes)), strict=True))


@pytest.mark.parametrize("on_shed", ["recipe", "hold"])
@pytest.mark.parametrize("how", ["sheds", "open", "off", "drift", "dies"])
async def test_the_server_goes_on_as_the_plant_file_says(
    how: str, on_shed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift, record = shift_with(on_shed, tmp_path), Record()
    loop = ControlLoop(shift.nominal_line, Slower(), 0)
    paths = {s.name: f"{s.node}/Active" for s in loop.signals if s.role is Role.MV}
    async with (
        Emulated(shift.plc(), lockstep=True, insecure=True) as line,
        OpcUaEquipment.connect(line.endpoint, loop.signals, plant_hash=None) as equipment,
        Client(line.endpoint) as looking,
    ):
        recipe = await in_force(looking, paths)
        clock = EquipmentClock(equipment)
        runtime = Runtime(loop, equipment, clock, record=record)
        runtime.command("close")
        period_us = round(shift.plant.control.period_s * 1e6)
        for n in range(GIVEN_UP + 2):
            if n:
                await clock.sleep_until(n * period_us)
            if n == TURNS:
                held = await in_force(looking, paths)
                if how in ("open", "off"):
                    runtime.command(how)
                elif how == "drift":
                    doubt = lambda *_: {"turning": "a test"}  # noqa: E731
                    monkeypatch.setattr(Monitor, "update", doubt)
                record.is_full = how == "sheds"
            if how != "dies" or n < TURNS:
                await runtime.turn(n * period_us)
        modes = {"sheds": Mode.SHED, "off": Mode.OFF, "dies": Mode.CLOSED}
        assert loop.mode is modes.get(how, Mode.ADVISORY)
        assert (held[TAKT], held[ASLEEP]) == (recipe[TAKT] + 10.0, 1.0)
        after = await in_force(looking, paths)
    assert after == (recipe if on_shed == "recipe" else held)
