"""Parameters of a process model that works part by part, fitted to what was measured of its parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.analyze.identification.candidates import candidates
from twin.analyze.identification.evidence import ProcessFit, fit
from twin.analyze.identification.parts import Parts
from twin.analyze.identification.record import Column
from twin.config.plant import StationSpec
from twin.processes.model import ProcessModel

RESOLUTION: Mapping[str, float] = {"cycle_time_s": 0.01, "energy_kwh": 0.001}
"""Steps of the PLC's cycle clock and energy meter; assumption: 10 ms, 1 W h."""
LEAST_PARTS = 12
EVALUATIONS = 60
NOT_COMPARED = ("material_kg", "defect_probability", "wear_increment")
"""Outputs that no instrument shows of a single part."""


@dataclass(slots=True, eq=False)
class PartEvidence:
    """The parts of one station: what they were made with, and what was measured of them."""

    function: Callable[..., tuple[float, ...]]
    x: Column
    parts: Parts
    p: Column
    outputs: Sequence[tuple[str, int]]
    scatter: dict[str, float]
    known: dict[str, NDArray[np.bool_]]
    hours: Mapping[str, Column]
    evaluations: int = EVALUATIONS
    tolerance: float = 1e-8

    def errors(self, p: Column, drifts: Mapping[int, float]) -> dict[str, Column]:
        """Measured less predicted, by output, in its unit; those that were seen."""
        places = [place for _, place in self.outputs]
        hours = self.parts.begin_s / 3600.0
        out = np.empty((hours.size, len(places)))
        moved = p.copy()
        for n in range(hours.size):
            for at, share in drifts.items():
                moved[at] = p[at] * (1.0 + share * hours[n])
            made = self.function(self.x[n], self.parts.u[n], self.parts.d[n], moved)
            out[n] = [made[place] for place in places]
        return {
            name: (self.parts.outputs[name] - out[:, n])[self.known[name]]
            for n, (name, _) in enumerate(self.outputs)
        }

    def least(self, name: str) -> float:
        """The scatter of the instrument's steps."""
        return floor(name, self.parts.outputs[name])


def fit_process(
    station: StationSpec,
    model: ProcessModel,
    p: Column,
    parts: Parts,
    x: Column,
    handled: frozenset[str] = frozenset(),
) -> ProcessFit | None:
    """Fit what the parts tell of a station's process model; None if there are too few of them.

    ``x`` are the states that each part was begun with, a row a part. ``handled`` are parameters
    that somebody else estimates.
    """
    evidence = _evidence(station, model, p, parts, x)
    if evidence is None:
        return None
    able = [one for one in candidates(station, model, p) if one.quantity.name not in handled]
    return fit(station, evidence, able, p.size)


def _evidence(
    station: StationSpec, model: ProcessModel, p: Column, parts: Parts, x: Column
) -> PartEvidence | None:
    whole = np.asarray(np.isfinite(x).all(axis=1))
    parts, x = parts.only(whole), x[whole]
    if parts.op.size < LEAST_PARTS:
        return None
    places = {name: n for n, name in enumerate(model.output_names) if name not in NOT_COMPARED}
    known = {name: np.isfinite(parts.outputs[name]) for name in places if name in parts.outputs}
    if station.cycle_scatter is not None:  # what scatters from part to part tells its mean badly
        known.pop("cycle_time_s"), known.pop("energy_kwh")
    known = {name: seen for name, seen in known.items() if seen.sum() >= LEAST_PARTS}
    if not known:
        return None
    scatter = {}
    for name in known:
        sensor = station.sensors.get(name)
        scatter[name] = (sensor.noise_sd if sensor else 0.0) or floor(name, parts.outputs[name])
    outputs = [(name, places[name]) for name in known]
    hours = {name: parts.begin_s[seen] / 3600.0 for name, seen in known.items()}
    return PartEvidence(model.numbers(), x, parts, p.copy(), outputs, scatter, known, hours)


def floor(name: str, values: Column) -> float:
    """The least scatter that an output can have: that of its instrument's steps."""
    if name in RESOLUTION:
        return RESOLUTION[name] / math.sqrt(12.0)
    return 1e-6 * max(float(np.nanmax(np.abs(values))), 1e-6)
