"""Whether somebody moves a setpoint at the PLC while the loop believes that it does.

A PLC in remote control puts in force what it was told, at once, at its own rate, or as far as its limits
let it. So a value stands between where it was last seen, where it was last sent and what the PLC answered
that it has put in force; elsewhere it was put by hand. Discrete setpoints are left out: a machine may end its standby by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from twin.cycle import Observation
from twin.signals import UNUSABLE, Setpoint, Signal

SLACK = 1e-4
"""Of the validity range: what a PLC's number type may make of a value (assumption)."""


@dataclass(frozen=True, slots=True)
class Band:
    """Where the value in force may stand, and what was sent last, in the unit of the MV."""

    lo: float
    hi: float
    target: float

    @classmethod
    def around(cls, *values: float, target: float) -> Band:
        """The narrowest band with these values and the target in it."""
        return cls(min(*values, target), max(*values, target), target)


def widened(
    bands: Mapping[str, Band], setpoints: Iterable[Setpoint], observation: Observation
) -> dict[str, Band]:
    """The bands with what is sent now. An older value may still be shown: nothing is narrowed."""
    after = dict(bands)
    for name, sent in ((setpoint.signal, setpoint.value) for setpoint in setpoints):
        seen = observation[name]
        if name in bands:
            after[name] = Band.around(bands[name].lo, bands[name].hi, target=sent)
        elif not math.isnan(seen):
            after[name] = Band.around(seen, target=sent)
    return after


def answered(bands: Mapping[str, Band], active: Mapping[str, float]) -> dict[str, Band]:
    """The bands with what the PLC says it has made of a batch: its numbers may be coarser than ours."""
    after = dict(bands)
    for name, value in active.items():
        if name in bands and math.isfinite(value):
            band = bands[name]
            after[name] = Band(min(band.lo, value), max(band.hi, value), band.target)
    return after


def left_bands(
    mvs: Iterable[Signal], observation: Observation, bands: Mapping[str, Band]
) -> tuple[str, dict[str, Band]]:
    """The first MV that stands outside its band, empty if none does, and the bands from here on.

    An MV without a band gets one where it stands; one that is not known has none.
    """
    after = {}
    for signal in mvs:
        name, validity = signal.name, signal.validity
        value = observation[name]
        unusable = observation.quality[observation.index[name]] & int(UNUSABLE)
        if signal.discrete or validity is None or unusable or math.isnan(value):
            continue
        band = bands.get(name, Band(value, value, value))
        slack = SLACK * (validity.hi - validity.lo)
        if not band.lo - slack <= value <= band.hi + slack:
            return name, {}
        after[name] = Band.around(value, target=band.target)
    return "", after
