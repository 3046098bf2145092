"""What an oven has inside and what is on its way to it, as far as the twin knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.config import StationSpec
from twin.cycle import Situation
from twin.line import schema as s
from twin.line.model import Line

MASS_KG = 60.0
"""A carrier whose product nobody knows; assumption of the plant file."""
MOST_COMING = 32
"""Carriers looked at before the oven: more than can enter within any horizon."""


@dataclass(frozen=True, slots=True)
class Coming:
    """A carrier on its way: when it can enter, seconds from now, and its mass."""

    after_s: float
    mass_kg: float


class OvenSupply:
    """The line before one oven."""

    def __init__(self, line: Line, e: int) -> None:
        ek = s.ELEMENTS_K + e * s.EK
        self._line = line
        self._places, self._places_i = line.k[ek + s.PLACES], line.k[ek + s.PLACES_I]
        self._ways = _upstream(line, line.plant.stations[e - 1].takes_from)
        self._cycles_s = {st.name: _cycle_s(line, st) for _, st in self._ways if st is not None}
        self._mass_from = line.plant.source.mixed_by

    @property
    def slowest_cycle_s(self) -> float:
        """The nominal pace of the stations before the oven."""
        return max(self._cycles_s.values(), default=1.0)

    @property
    def heaviest_kg(self) -> float:
        """Mass of the heaviest product."""
        product = self._line.plant.disturbances.get(self._mass_from or "")
        return max(product.choices) if product is not None and product.choices else MASS_KG

    def inside(self, situation: Situation) -> NDArray[np.float64]:
        """Masses by place, 0 where the place is empty."""
        slots = situation.estimate.state.ints[self._places_i : self._places_i + self._places]
        return np.array([self._mass_kg(situation, slot) for slot in slots])

    def coming(self, situation: Situation) -> list[Coming]:
        """The carriers before the oven, nearest first: in buffers, in stations, not yet hung on.

        Stations work at their last cycle. Orders that are still open come at the pace of the
        source, of the product that is hung on now.
        """
        found: list[Coming] = []
        after_s = cycle_s = 0.0
        for buffer, station in self._ways:
            for mass_kg in self._masses_in(situation, buffer):
                found.append(Coming(after_s, mass_kg))
                after_s += cycle_s
            if station is None:
                break
            last_s = situation.observation[f"{station.name}.last_cycle_s"]
            cycle_s = last_s if last_s > 0.0 else self._cycles_s[station.name]
            after_s = max(after_s, _ready_s(situation, station, cycle_s))
            element = self._line.element(station.name)
            slot = situation.estimate.state.ints[element * s.E_INTS + s.SLOT]
            if slot >= 0:
                found.append(Coming(after_s, self._mass_kg(situation, slot)))
            after_s += cycle_s
        return found + self._still_open(situation, after_s, cycle_s)

    def _still_open(self, situation: Situation, after_s: float, cycle_s: float) -> list[Coming]:
        seen = situation.observation
        released = seen["line.released_count"] - seen["line.scrap_count"]
        opened = seen["line.ordered_count"] - released
        takt_s = seen["line.takt_s"]
        every_s = cycle_s if math.isnan(takt_s) else max(takt_s, cycle_s)
        mass_kg = math.nan if self._mass_from is None else seen[f"env.{self._mass_from}"]
        if math.isnan(mass_kg):
            mass_kg = MASS_KG
        count = 0 if math.isnan(opened) else int(min(max(opened, 0.0), MOST_COMING))
        return [Coming(after_s + n * every_s, mass_kg) for n in range(count)]

    def _masses_in(self, situation: Situation, buffer: str) -> list[float]:
        """Masses of the parts in a buffer, oldest first."""
        i, k = situation.estimate.state.ints, self._line.k
        b = self._line.buffers.index(buffer)
        at, structure = k[s.K_BUFFER_I] + b * s.B_INTS, k[s.K_BUFFER_K] + s.BK * b
        room, ring = max(k[structure], 1), k[s.K_RING_I] + k[structure + 1]
        slots = [i[ring + (i[at + s.HEAD] + n) % room] for n in range(i[at + s.LEVEL])]
        return [self._mass_kg(situation, slot) for slot in slots]

    def _mass_kg(self, situation: Situation, slot: int) -> float:
        """Mass of the part in a slot as the twin knows it; 0 without a part."""
        if slot < 0:
            return 0.0
        return situation.estimate.state.floats[
            self._line.k[s.K_PART_F] + slot * s.P_FLOATS + s.PRODUCT
        ]


def entering(coming: Sequence[Coming], count: int, first_s: float, step_s: float) -> list[float]:
    """Masses of those that enter at the end of each of ``count`` steps; 0: the place stays empty."""
    masses, next_one = [], 0
    for step in range(count):
        if next_one < len(coming) and coming[next_one].after_s <= first_s + step * step_s:
            masses.append(coming[next_one].mass_kg)
            next_one += 1
        else:
            masses.append(0.0)
    return masses


def repair_s(station: StationSpec) -> float:
    """Mean time to repair over the station's failures, weighted by how often they come."""
    failures = station.failures.values()
    if not failures:
        return 0.0
    rates = [1.0 / float(f.mean_between_s) for f in failures]
    repairs = [float(f.mean_repair_s) for f in failures]
    return sum(r * t for r, t in zip(rates, repairs, strict=True)) / sum(rates)


def _ready_s(situation: Situation, station: StationSpec, cycle_s: float) -> float:
    """When a station can give its next part; a broken one is back after the mean of its repairs."""
    seen, name = situation.observation, station.name
    state, elapsed_s = seen[f"{name}.state"], seen[f"{name}.elapsed_work_s"]
    left_s = max(cycle_s - (0.0 if math.isnan(elapsed_s) else elapsed_s), 0.0)
    if state == s.BLOCKED:
        return 0.0
    if state == s.DOWN:
        return left_s + repair_s(station)
    if state in (s.STANDBY, s.WARM_UP, s.OFF):
        return left_s + float(station.warm_up_s)
    return left_s


def _upstream(line: Line, buffer: str) -> list[tuple[str, StationSpec | None]]:
    """Buffers and stations against the flow, nearest first, as far as there is one way only."""
    ways: list[tuple[str, StationSpec | None]] = []
    while True:
        before = [st for st in line.plant.stations if st.gives_to == buffer]
        ways.append((buffer, before[0] if len(before) == 1 else None))
        if len(before) != 1:
            return ways
        buffer = before[0].takes_from


def _cycle_s(line: Line, station: StationSpec) -> float:
    """The nominal cycle of a per-part station at its start setpoints, as a first guess."""
    e, k = line.element(station.name), line.k
    model = line.elements[e].model
    assert model is not None
    p_c = k[s.ELEMENTS_K + e * s.EK + s.P_C]
    point = model.point()
    u = np.array([station.setpoints[q.name].start for q in model.mvs])
    p = np.array(line.c[p_c : p_c + len(model.parameters)])
    return float(model.numbers()(point.x, u, point.d, p)[0])
