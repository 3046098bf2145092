"""Efficiency of stations and of the line in the terms of ISO 22400-2.

Times of a work unit in that standard, and the states of a station that count towards them:

===========  ==================================================================================
APT          actual production time: ``processing``
AUST         actual unit setup time: ``tool_change`` and ``setup``
ADET         actual unit delay time, the part waits at the unit: ``down``, ``blocked``, ``waiting``
ADOT         actual unit down time, no part is worked on: ``idle``, ``warm_up``, ``standby``, ``off``
             and ``service``
AUBT         actual unit busy time: APT + AUST + ADET
PBT          planned busy time: the window of the account, all of it
PQ, GQ       produced and good quantity: parts finished at the unit, and those not scrapped there
PRI          planned run time of an item: the cycle at the reference point that the plant file
             gives (``reference_cycle_time_s`` or ``cycle_time_s``), else the last cycle
===========  ==================================================================================

That the whole window is planned and which state counts where is ours (the assignment follows OPC
40001-1, annex C.2); the formulas are the standard's. Availability in this sense falls with demand:
a line that has nothing to make is not producing.

The line is as available and as effective as its bottleneck, the station that was longest at work,
being changed over or repaired; its quality ratio is that of the whole line.
"""

from __future__ import annotations

from collections.abc import Callable

from twin.config import StationSpec
from twin.feedback.account import Account, UndefinedError
from twin.line import schema as s

OfStation = Callable[[Account, StationSpec], float]


def _time_s(account: Account, station: StationSpec, *states: int) -> float:
    return sum(account.growth(f"{station.name}.time_{s.STATES[state]}_s") for state in states)


def _ratio(above: float, below: float, what: str) -> float:
    if below <= 0.0:
        raise UndefinedError(f"{what} is zero")
    return above / below


def production_time_s(account: Account, station: StationSpec) -> float:
    """Actual production time, APT."""
    return _time_s(account, station, s.PROCESSING)


def busy_time_s(account: Account, station: StationSpec) -> float:
    """Actual unit busy time, AUBT = APT + AUST + ADET."""
    busy = (s.PROCESSING, s.TOOL_CHANGE, s.SETUP, s.DOWN, s.BLOCKED, s.WAITING)
    return _time_s(account, station, *busy)


def allocation_efficiency(account: Account, station: StationSpec) -> float:
    """AUBT / PBT: the share of the planned time in which the unit was occupied by orders."""
    return busy_time_s(account, station) / (account.hours * 3600.0)


def utilization_efficiency(account: Account, station: StationSpec) -> float:
    """APT / AUBT: the share of the occupied time in which value was added."""
    busy_s = busy_time_s(account, station)
    return _ratio(production_time_s(account, station), busy_s, f"busy time of {station.name}")


def availability(account: Account, station: StationSpec) -> float:
    """APT / PBT: the share of the planned time in which value was added."""
    return production_time_s(account, station) / (account.hours * 3600.0)


def planned_cycle_s(account: Account, station: StationSpec) -> float:
    """Planned run time of an item, PRI. ``UndefinedError`` where neither plan nor cycle is known."""
    for name in ("reference_cycle_time_s", "cycle_time_s"):
        if name in station.parameters:
            return float(station.parameters[name])
    last_s = account.at_end(f"{station.name}.last_cycle_s")
    if last_s <= 0.0:
        raise UndefinedError(
            f"no planned cycle of {station.name}: none in the plant file, none run"
        )
    return last_s


def effectiveness(account: Account, station: StationSpec) -> float:
    """PRI × PQ / APT, also called performance: how close to the planned cycle it worked.

    The part in work at either end of the window counts where it is finished.
    """
    planned_s = planned_cycle_s(account, station) * account.growth(f"{station.name}.op_count")
    produced_s = production_time_s(account, station)
    return _ratio(planned_s, produced_s, f"production time of {station.name}")


def quality_ratio(account: Account, station: StationSpec) -> float:
    """GQ / PQ. Defects show where parts are inspected; elsewhere no part is counted as scrap."""
    produced = account.growth(f"{station.name}.op_count")
    scrapped = account.growth(f"{station.name}.scrap_count")
    return _ratio(produced - scrapped, produced, f"number of parts made at {station.name}")


def oee_index(account: Account, station: StationSpec) -> float:
    """Overall equipment effectiveness index: availability × effectiveness × quality ratio."""
    return (
        availability(account, station)
        * effectiveness(account, station)
        * quality_ratio(account, station)
    )


def bottleneck(account: Account) -> StationSpec:
    """The station that was longest at work, being changed over or repaired; the first of equals."""
    active_s = [
        _time_s(account, station, s.PROCESSING, s.TOOL_CHANGE, s.SETUP, s.SERVICE, s.DOWN)
        for station in account.plant.stations
    ]
    return account.plant.stations[active_s.index(max(active_s))]


def line_quality_ratio(account: Account) -> float:
    """Good parts of the line, of all parts that left it."""
    good, scrap = account.growth("line.good_count"), account.growth("line.scrap_count")
    return _ratio(good, good + scrap, "number of parts that left the line")


def line_oee_index(account: Account) -> float:
    """Availability × effectiveness of the bottleneck × quality ratio of the line."""
    station = bottleneck(account)
    return (
        availability(account, station)
        * effectiveness(account, station)
        * line_quality_ratio(account)
    )


STATION_KPIS: dict[str, OfStation] = {
    "allocation_efficiency": allocation_efficiency,
    "utilization_efficiency": utilization_efficiency,
    "availability": availability,
    "effectiveness": effectiveness,
    "quality_ratio": quality_ratio,
    "oee_index": oee_index,
}
"""For each station, by the standard's names."""
