from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.twin.equipment.lines import plant, plc, signals
from tests.twin.equipment.servers import quick_servers
from twin.cycle import Acknowledgement, Batch, Outcome, Reading
from twin.equipment.check import EquipmentError, check_equipment
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.simulated import SimulatedEquipment
from twin.protocols import Equipment

__all__ = ["quick_servers"]


@asynccontextmanager
async def simulated() -> AsyncIterator[Equipment]:
    yield SimulatedEquipment(plc())


@asynccontextmanager
async def emulated() -> AsyncIterator[Equipment]:
    async with (
        Emulated(plc(), lockstep=True, insecure=True) as line,
        OpcUaEquipment.connect(
            line.endpoint, signals(), plant_hash=plant().config_hash
        ) as equipment,
    ):
        yield equipment


@pytest.mark.parametrize("make", [simulated, emulated], ids=["simulated", "opcua"])
async def test_equipment_keeps_the_contract(make):
    await check_equipment(make, signals(), plant().control)


class Careless(SimulatedEquipment):
    """Says yes to whatever it gets."""

    async def write(self, batch: Batch) -> Acknowledgement:
        await super().write(batch)
        return Acknowledgement(batch.sequence, Outcome.ACCEPTED)


class Forgetful(SimulatedEquipment):
    """Hands out no events."""

    async def read(self) -> Reading:
        reading = await super().read()
        columns = (reading.values, reading.source_us, reading.status)
        return Reading(reading.time_us, reading.step, *columns, reading.part_ids)


class Timeless(SimulatedEquipment):
    """Does not advance as far as it is told."""

    async def command(self, verb: str, argument: float = 0.0) -> None:
        await super().command(verb, argument - 1.0 if verb == "Advance" and argument else argument)


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Careless, "without remote control was answered by ACCEPTED"),
        (Forgetful, "the state changed without an event"),
        (Timeless, "advanced to"),
    ],
)
async def test_the_contract_finds_equipment_that_breaks_it(kind, complaint):
    @asynccontextmanager
    async def make() -> AsyncIterator[Equipment]:
        yield kind(plc())

    with pytest.raises(EquipmentError, match=complaint):
        await check_equipment(make, signals(), plant().control)
