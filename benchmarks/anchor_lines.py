"""Lines without a plant file: saturated serial lines whose throughput can be known by other means.

All stations are of one kind (a cycle that nobody sets), the source never runs dry, nothing is
scrapped, and the shift never ends. What differs is given: mean cycle times, room between the
stations, how cycle times scatter, and how the stations fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin.config import Plant

ORDERED = 10**12
"""Good parts ordered: more than any run can make."""
SATURATED = [float(ORDERED), 1.0]
"""The table of a line without disturbances: orders without end, failures at their own rate."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One station: mean cycle, and operating time between failures and repair time if it fails.

    ``law`` says how cycle times scatter around the mean (``None``: not at all). Repair times are
    exponential. One that ``wakes_at`` so many parts goes to standby as soon as it has none, and then
    warms up for ``warm_up_s``.
    """

    cycle_s: float
    law: str | None = "exponential"
    between_s: float | None = None
    repair_s: float | None = None
    wakes_at: int | None = None
    warm_up_s: float = 0.0


BUSY_KW, STANDBY_KW, WARM_UP_KW = 12.0, 0.5, 6.0
"""What a machine takes that sleeps; illustrative."""


def serial_plant(machines: Sequence[Machine], room: Sequence[int]) -> Plant:
    """A line of ``machines`` with ``room[n]`` places between machine ``n`` and the next."""
    names = [f"m{n}" for n in range(len(machines))]
    buffers = ["infeed", *(f"b{n}" for n in range(len(room)))]
    ends = [*buffers[1:], "out"]
    stations = [
        _station(name, machine, before, behind)
        for name, machine, before, behind in zip(names, machines, buffers, ends, strict=True)
    ]
    places = [1, *room]
    plant = Plant.model_validate(
        {
            "schema_version": 1,
            "name": "anchor",
            "title": "saturated serial line",
            "path": ("benchmark", "site", "area", "line"),
            "shift_h": 8.0,
            "control": {
                "period_s": 30.0,
                "line_period_s": 300.0,
                "deadline_s": 10.0,
                "hold_s": 120.0,
                "stale_after_s": 90.0,
            },
            "demand": {
                "capacity_good_parts_per_h": 1.0,
                "utilisation": 1.0,
                "utilisations": {},
                "backlog_eur_per_part": 0.0,
                "wip_eur_per_part": 0.0,
            },
            "energy": {
                "tariff": "flat",
                "tariffs_eur_per_mwh": {"flat": (0.0,) * 24},
                "adders_eur_per_mwh": 0.0,
                "demand_charge_eur_per_kw_year": 0.0,
                "gas_eur_per_mwh": 0.0,
                "electricity_co2_kg_per_kwh": 0.0,
                "gas_co2_kg_per_kwh": 0.0,
            },
            "variants": {"nominal": {"title": "as described"}},
            "disturbances": {},
            "scenarios": {"nominal": {"title": "nothing happens"}},
            "source": {
                "name": "blanks",
                "gives_to": "infeed",
                "takt_s": _setpoint(1e-6, 0.0, 600.0),
                "blank_kg": 1.0,
                "blank_eur_per_kg": 0.0,
                "scrap_return_eur_per_kg": 0.0,
            },
            "buffers": tuple(
                {"name": name, "capacity": float(n)}
                for name, n in zip(buffers, places, strict=True)
            ),
            "stations": tuple(stations),
            "sink": "out",
        }
    )
    plant.check()
    return plant


def _station(name: str, machine: Machine, before: str, behind: str) -> dict[str, Any]:
    station: dict[str, Any] = {
        "name": name,
        "title": "machine",
        "model": "fixed_cycle.inspection",
        "takes_from": before,
        "gives_to": behind,
        "power": {"off_kw": 0.0, "standby_kw": 0.1, "idle_kw": 0.4, "warm_up_kw": 0.5},
        "warm_up_s": 20.0,
        "parameters": {"cycle_time_s": machine.cycle_s, "power_kw": 0.7},
        "standby_after_s": _setpoint(1e6, 30.0, 1e6),
    }
    if machine.law is not None:
        station["cycle_scatter"] = {"law": machine.law}
    if machine.between_s is not None:
        station["failures"] = {
            "breakdown": {
                "mean_between_s": machine.between_s,
                "mean_repair_s": machine.repair_s,
                "repair_law": "exponential",
            }
        }
    if machine.wakes_at is not None:
        station |= {
            "model": "fixed_cycle.wash",
            "power": {
                "off_kw": 0.0,
                "standby_kw": STANDBY_KW,
                "idle_kw": BUSY_KW,
                "warm_up_kw": WARM_UP_KW,
            },
            "warm_up_s": machine.warm_up_s,
            "parameters": {"cycle_time_s": machine.cycle_s, "power_kw": BUSY_KW},
            "standby_after_s": _setpoint(0.0, 0.0, 1e6),
            "wake_at_parts": machine.wakes_at,
        }
    return station


def _setpoint(start: float, lowest: float, highest: float) -> dict[str, Any]:
    limits = (lowest, highest)
    return {
        "start": start,
        "validity": limits,
        "engineering": limits,
        "operator": limits,
        "rate_per_s": 1e6,
    }


def throughput_per_s(machines: Sequence[Machine], room: Sequence[int]) -> float:
    """Parts per second of such a line with exponential times, exactly.

    The line is a Markov chain in continuous time. Its states are found by following every event
    from the empty line; the stationary probabilities solve the balance equations.
    """
    numbers: dict[State, int] = {}
    flows: list[tuple[int, int, float]] = []
    waiting = [settled("S" * len(machines), (0,) * len(room), room)]
    numbers[waiting[0]] = 0
    while waiting:
        state = waiting.pop()
        for after, rate in _events(state, machines, room):
            if after not in numbers:
                numbers[after] = len(numbers)
                waiting.append(after)
            flows.append((numbers[state], numbers[after], rate))
    balance = np.zeros((len(numbers), len(numbers)))
    for before, behind, rate in flows:
        balance[behind, before] += rate
        balance[before, before] -= rate
    balance[-1, :] = 1.0
    right = np.zeros(len(numbers))
    right[-1] = 1.0
    working = np.array([letters.endswith("W") for letters, _ in numbers])
    return float(np.linalg.solve(balance, right) @ working) / machines[-1].cycle_s


State = tuple[str, tuple[int, ...]]
"""A letter for each machine (Starved, Working, Blocked, Down) and the level of each buffer."""


def _events(
    state: State, machines: Sequence[Machine], room: Sequence[int]
) -> Iterator[tuple[State, float]]:
    """What can happen next, and how often it does per second."""
    letters, levels = state
    for m, machine in enumerate(machines):
        if letters[m] == "W":
            finished = "S" if m == len(machines) - 1 else "B"
            yield settled(_with(letters, m, finished), levels, room), 1.0 / machine.cycle_s
            if machine.between_s is not None:
                yield (_with(letters, m, "D"), levels), 1.0 / machine.between_s
        elif letters[m] == "D" and machine.repair_s is not None:
            yield (_with(letters, m, "W"), levels), 1.0 / machine.repair_s


def settled(letters: str, levels: tuple[int, ...], room: Sequence[int]) -> State:
    """Parts move on as far as they can: blocking after service, a source that never runs dry."""
    here = list(letters)
    held = list(levels)
    moved = True
    while moved:
        moved = False
        for m in range(len(here) - 1, 0, -1):
            if here[m] == "S" and held[m - 1] > 0:
                here[m], moved = "W", True
                held[m - 1] -= 1
            elif here[m] == "S" and here[m - 1] == "B":
                here[m], here[m - 1], moved = "W", "S", True
            if here[m - 1] == "B" and held[m - 1] < room[m - 1]:
                here[m - 1], moved = "S", True
                held[m - 1] += 1
    if here[0] == "S":
        here[0] = "W"
    return "".join(here), tuple(held)


def _with(letters: str, m: int, letter: str) -> str:
    return letters[:m] + letter + letters[m + 1 :]
