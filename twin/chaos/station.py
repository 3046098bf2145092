"""An operator station: another client of the same line, which has a word of its own there."""

from __future__ import annotations

from twin.config import Plant
from twin.equipment.opcua import OpcUaEquipment
from twin.line.model import build_line
from twin.line.tags import line_signals


async def permit(endpoint: str, plant: Plant, *, allowed: bool) -> None:
    """Allow remote control at the PLC, or withdraw it."""
    signals = line_signals(build_line(plant))
    async with OpcUaEquipment.connect(endpoint, signals, plant_hash=plant.config_hash) as station:
        await station.command("PermitRemote", float(allowed))
        if allowed:
            await station.command("ResetShed")
