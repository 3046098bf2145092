"""Standby as the energy companion model (OPC 34100) names it, and commands in the words of PackML.

By convention: browse names, argument lists, mode ids, return codes and the words of the status are
those of OPC 34100; types and namespace are our own, so no companion nodeset has to be imported. A
machine has one energy saving mode, its standby. A pause lasts until ``EndPause``: the length that is
asked for says only whether the mode is worth going to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twin.config import Plant
from twin.equipment.node_types import Argument, DataType, Method, Variable
from twin.line import schema as s
from twin.signals import Signal

STANDBY_MODE, READY_MODE = 1, 0xFF
"""Ids of energy saving modes: our own, and the one that the standard gives to being ready."""
SUCCESS, NO_SUITABLE_MODE, NO_SUCH_MODE = 0x00, 0x50, 0x52
"""Return codes of the methods."""
STATUS_WORDS = (
    *("Energy saving disabled", "Power Off", "Ready to operate", "Moving to Energy Saving Mode"),
    *("Energy saving mode", "Moving to ready to operate", "Moving to Sleep mode WOL"),
    *("Sleep mode WOL", "Wake up WOL"),
)
_POWER_OFF, _READY, _SAVING, _WAKING = 1, 2, 4, 5
STATUS = tuple(
    {s.OFF: _POWER_OFF, s.STANDBY: _SAVING, s.WARM_UP: _WAKING}.get(code, _READY)
    for code in range(s.N_STATES)
)
"""``StandbyManagementStatus`` by our own codes of a station's state: it saves at once when it sleeps."""
PACKML_NUMBERS = (2, 4, 3, 5, 6, 5, 9, 11, 11, 11, 11)
"""PackML's numbers for the states of ``twin.line.schema``, as its words are in ``address_space``."""
START_PAUSE, END_PAUSE = "StartPause", "EndPause"
SWITCH_MODE = "SwitchToEnergySavingMode"
RESET, START = "Reset", "Start"
"""PackML's commands that have an effect here: to Idle, which is standby, and from Idle on."""

_DURATION, _BYTE = DataType.DOUBLE, DataType.BYTE
_TIMES = (
    Argument("CurrentTimeToDestination", _DURATION),
    Argument("RegularTimeToOperate", _DURATION),
    Argument("TimeMinLengthOfStay", _DURATION),
    Argument("ReturnCode", _BYTE),
)


@dataclass(frozen=True, slots=True)
class StandbyMode:
    """What one machine needs for its standby and out of it, milliseconds and kW."""

    time_to_operate_ms: float
    power_kw: float

    @property
    def shortest_ms(self) -> float:
        """A pause must be longer than the way back to work."""
        return self.time_to_operate_ms


def sleepers(signals: Sequence[Signal]) -> tuple[str, ...]:
    """The stations that the loop may put to sleep."""
    ends = [signal.name.rpartition(".") for signal in signals]
    return tuple(station for station, _, quantity in ends if quantity == "standby")


def standby_mode(plant: Plant, station: str) -> StandbyMode:
    """The standby of a station as its plant file describes it."""
    spec = plant.station(station)
    return StandbyMode(1000.0 * float(spec.warm_up_s), float(spec.power.standby_kw))


def energy_nodes(plant: Plant, signals: Sequence[Signal]) -> list[Variable]:
    """Status and energy saving mode of each station that can sleep."""
    state = {s.name.removesuffix(".state"): n for n, s in enumerate(signals)}
    found = []
    for station in sleepers(signals):
        at, mode = f"Stations/{station}/EnergyManagement", standby_mode(plant, station)
        own = f"{at}/EnergySavingModes/Standby"
        found += [
            Variable(
                f"{at}/StandbyManagementStatus",
                *(_BYTE, _READY, state[station]),
                words=STATUS,
                codes=STATUS_WORDS,
            ),
            Variable(f"{at}/PauseTime", _DURATION, 0.0, unit="ms"),
            Variable(f"{own}/ID", _BYTE, STANDBY_MODE),
            Variable(f"{own}/TimeMinPause", _DURATION, mode.shortest_ms, unit="ms"),
            Variable(f"{own}/TimeToPause", _DURATION, 0.0, unit="ms"),
            Variable(f"{own}/TimeMinLengthOfStay", _DURATION, 0.0, unit="ms"),
            Variable(f"{own}/RegularTimeToOperate", _DURATION, mode.time_to_operate_ms, unit="ms"),
            Variable(f"{own}/ModePowerConsumption", _DURATION, mode.power_kw, unit="kW"),
        ]
    return found


def energy_methods(signals: Sequence[Signal]) -> list[Method]:
    """The methods of each station that can sleep."""
    found = []
    for station in sleepers(signals):
        at = f"Stations/{station}/EnergyManagement"
        found += [
            Method(
                f"{at}/{START_PAUSE}",
                (Argument("PauseTime", _DURATION),),
                (Argument("ModeID", _BYTE), *_TIMES),
            ),
            Method(
                f"{at}/{END_PAUSE}",
                (),
                (Argument("CurrentTimeToOperate", _DURATION), Argument("ReturnCode", _BYTE)),
            ),
            Method(
                f"{at}/{SWITCH_MODE}",
                (Argument("ModeID", _BYTE),),
                (Argument("EffectiveModeID", _BYTE), *_TIMES),
            ),
            Method(f"Stations/{station}/Command/{RESET}"),
            Method(f"Stations/{station}/Command/{START}"),
        ]
    return found
