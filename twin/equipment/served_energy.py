"""The standby methods of a served PLC: what they do to the line, and what they answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from asyncua import ua

from twin.equipment import energy
from twin.equipment.node_types import DataType
from twin.equipment.opcua_types import scalar
from twin.equipment.plc import Plc, Result
from twin.equipment.server import Action, Refused

Move = Callable[[str, float, float], Awaitable[Result]]
"""Moves the standby of a station, under the PLC's lock: station, 1 or 0, and the pause, ms."""


def energy_actions(plc: Plc, move: Move) -> dict[str, Action]:
    """The methods by path."""
    found: dict[str, Action] = {}
    for station in energy.sleepers(plc.signals):
        at, own = f"Stations/{station}", _Standby(plc, station, move)
        found |= {
            f"{at}/EnergyManagement/{energy.START_PAUSE}": own.start_pause,
            f"{at}/EnergyManagement/{energy.END_PAUSE}": own.end_pause,
            f"{at}/EnergyManagement/{energy.SWITCH_MODE}": own.switch_mode,
            f"{at}/Command/{energy.RESET}": partial(_commanded, move, station, 1.0),
            f"{at}/Command/{energy.START}": partial(_commanded, move, station, 0.0),
        }
    return found


class _Standby:
    """Standby Management of one station."""

    def __init__(self, plc: Plc, station: str, move: Move) -> None:
        self._mode = energy.standby_mode(plc.line.plant, station)
        self._station, self._move = station, move

    async def start_pause(self, pause_ms: float) -> list[ua.Variant]:
        """Go to standby for a pause that is worth it."""
        if not pause_ms >= self._mode.shortest_ms:  # nor is NaN
            return self._answer(0, energy.NO_SUITABLE_MODE)
        await _commanded(self._move, self._station, 1.0, pause_ms)
        return self._answer(energy.STANDBY_MODE, energy.SUCCESS)

    async def end_pause(self) -> list[ua.Variant]:
        """Be ready again."""
        await _commanded(self._move, self._station, 0.0)
        needs_ms = self._mode.time_to_operate_ms
        return [scalar(needs_ms, DataType.DOUBLE), scalar(energy.SUCCESS, DataType.BYTE)]

    async def switch_mode(self, mode: int) -> list[ua.Variant]:
        """Go to standby, or be ready again, by the number of the mode."""
        if mode not in (energy.STANDBY_MODE, energy.READY_MODE):
            return self._answer(mode, energy.NO_SUCH_MODE)
        await _commanded(self._move, self._station, float(mode == energy.STANDBY_MODE))
        return self._answer(mode, energy.SUCCESS)

    def _answer(self, mode: int, code: int) -> list[ua.Variant]:
        way_ms = self._mode.time_to_operate_ms if code == energy.SUCCESS else 0.0
        times = [scalar(ms, DataType.DOUBLE) for ms in (0.0, way_ms, 0.0)]
        return [scalar(mode, DataType.BYTE), *times, scalar(code, DataType.BYTE)]


async def _commanded(
    move: Move, station: str, value: float, pause_ms: float = 0.0
) -> list[ua.Variant]:
    """Move the standby, or refuse: only who is in remote control may."""
    result = await move(station, value, pause_ms)
    if result is not Result.OK:
        codes = {Result.NOT_REMOTE: ua.StatusCodes.BadUserAccessDenied}
        raise Refused(codes.get(result, ua.StatusCodes.BadInvalidState))
    return []
