"""What ``fixed`` may choose: each setpoint between its operator limits, and a time-out for each station."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twin.config import Plant

NEVER_S = 1_000_000.0
TIME_OUT_S = (30.0, 3600.0)
NEVER_FROM = 0.95
"""Time-outs are searched between these; the last part of the way stands for never."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One searched setpoint: its name and operator limits; time-outs are searched as logarithms."""

    name: str
    lo: float
    hi: float
    start: float
    logarithmic: bool = False

    def at(self, share: float) -> float:
        """The setpoint at a share (0 to 1) of the way."""
        if self.logarithmic:
            value = self.lo * (self.hi / self.lo) ** share
            return NEVER_S if share >= NEVER_FROM else round(value, 1)
        return round(self.lo + share * (self.hi - self.lo), 4)

    def share(self, value: float) -> float:
        """Where a setpoint lies between its limits."""
        if self.logarithmic:
            share = np.log(max(value, self.lo) / self.lo) / np.log(self.hi / self.lo)
        else:
            share = (value - self.lo) / (self.hi - self.lo)
        return float(min(max(share, 0.0), 1.0))


def knobs(plant: Plant) -> tuple[Knob, ...]:
    """Everything that ``fixed`` may choose."""
    takt = plant.source.takt_s
    found = [Knob("line.takt_s", *takt.operator, takt.start)]
    for station in plant.stations:
        for name, spec in station.setpoints.items():
            if not spec.discrete:
                found.append(Knob(f"{station.name}.{name}", *spec.operator, spec.start))
        if station.standby:
            knob = f"{station.name}.standby_after_s"
            found.append(Knob(knob, *TIME_OUT_S, TIME_OUT_S[1], logarithmic=True))
    return tuple(found)


def point_at(space: Sequence[Knob], shares: Sequence[float]) -> dict[str, float]:
    """The setpoints at a share of each knob's way."""
    return {knob.name: knob.at(x) for knob, x in zip(space, shares, strict=True)}


def shares_of(space: Sequence[Knob], setpoints: Mapping[str, float]) -> list[float]:
    """Where setpoints lie; a knob that is not among them stands at its recipe."""
    return [knob.share(setpoints.get(knob.name, knob.start)) for knob in space]
