"""A line in this very process: the same PLC as behind the emulator, without the network."""

from __future__ import annotations

from twin.cycle import Acknowledgement, Batch, Reading
from twin.equipment.plc import Plc


class SimulatedEquipment:
    """Equipment by direct calls: for evaluation, training and tests. Always in lockstep."""

    def __init__(self, plc: Plc) -> None:
        self._plc = plc

    async def read(self) -> Reading:
        """All signals now."""
        return self._plc.reading()

    async def write(self, batch: Batch) -> Acknowledgement:
        """Hand the batch to the PLC."""
        return self._plc.apply(batch)

    async def command(self, verb: str, argument: float = 0.0) -> None:
        """Call a method of the PLC."""
        self._plc.command(verb, argument)
