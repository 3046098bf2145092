"""Parameters of a process that runs without a pause, fitted by running its model along the record.

The model is started where the record starts and given what the passage tells: setpoints, ambient, phase,
masses. Compared are the zones' temperatures, the gas meter in stretches of ten minutes, the electric
power, and what the exit shows of each carrier. What the zones and the burners' integrals were at the
beginning is fitted besides. Losses by walls, exhaust and openings act alike on what is measured: one
of them then stands for all, which ``candidates`` sees to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.analyze.identification.candidates import Candidate, candidates
from twin.analyze.identification.evidence import ProcessFit, fit
from twin.analyze.identification.passage import Passage, passage_of
from twin.analyze.identification.record import Column, Record
from twin.line.model import Line
from twin.processes.model import ProcessModel

STRETCH_S = 600.0
GAS_STEP_KWH = 0.01
"""Step of the gas meter, as heat; assumption: a litre of natural gas."""
BEGINS: Mapping[str, float] = {"zone": 2.0, "burner": 60.0}
"""How far a zone's temperature (K) and a burner's integral (kW) may lie off at the beginning."""
EVALUATIONS = 25
THINNED = 6
"""Every sixth temperature is compared: neighbours say the same."""


@dataclass(slots=True, eq=False)
class OvenEvidence:
    """One oven along its record. Behind the model's parameters stand its first states."""

    model: ProcessModel
    passage: Passage
    step_s: float
    zones: Column
    gas_kwh: Column
    power_kw: Column
    exits: Mapping[str, Column]
    p: Column
    scatter: dict[str, float]
    hours: Mapping[str, Column]
    evaluations: int = EVALUATIONS
    tolerance: float = 1e-6

    def errors(self, p: Column, drifts: Mapping[int, float]) -> dict[str, Column]:
        """Measured less modelled, by output."""
        zones, gas_kw, power_kw, exits = self._run(p, drifts)
        found = {}
        for z in range(self.zones.shape[1]):
            left = (self.zones[:, z] - zones[:, z])[::THINNED]
            found[f"zone_temp_{z + 1}_c"] = left[np.isfinite(left)]
        found["gas_kwh"] = self.gas_kwh - stretches(gas_kw * self.step_s / 3600.0, self.step_s)
        left = self.power_kw - power_kw
        found["power_kw"] = left[np.isfinite(left)]
        for name, course in self.exits.items():
            left = course - exits[name]
            found[name] = left[np.isfinite(left)]
        return {name: found[name] for name in self.hours}

    def least(self, name: str) -> float:
        """The scatter of the instrument's steps."""
        return GAS_STEP_KWH / math.sqrt(6.0) if name == "gas_kwh" else 1e-6

    def _run(
        self, p: Column, drifts: Mapping[int, float]
    ) -> tuple[Column, Column, Column, dict[str, Column]]:
        """The model along the passage: zones at each reading, gas and power after it, exits."""
        model, way, own = self.model, self.passage, len(self.model.parameters)
        step, outputs = model.stepper(), model.numbers()
        names = list(model.output_names)
        g, w = names.index("gas_kw"), names.index("power_kw")
        x = np.array([q.default for q in model.states], dtype=np.float64)
        x[: p.size - own] = p[own:]
        after, moved, d = np.empty_like(x), p[:own].copy(), np.zeros(len(model.dvs))
        places = [q.name for q in model.dvs].index("carrier_1_mass_kg")
        n = way.phase.size
        zones, gas, power = np.empty((n + 1, self.zones.shape[1])), np.empty(n), np.empty(n)
        exits = {name: np.full(n, np.nan) for name in self.exits}
        for k in range(n):
            zones[k] = x[: zones.shape[1]]
            for at, share in drifts.items():
                moved[at] = p[at] * (1.0 + share * way.time_s[k] / 3600.0)
            d[0] = way.ambient_c[k]
            if way.shifted[k]:
                if way.leaves[k]:  # judged where it stood, among the others
                    d[1] = 1.0
                    made = outputs(x, way.u[k], d, moved)
                    for name, course in exits.items():
                        course[k] = made[names.index(name)]
                model.module.shift_carriers(x, float(way.ambient_c[k]))
            d[1], d[places:] = way.phase[k], way.mass_kg[k]
            made = outputs(x, way.u[k], d, moved)
            gas[k], power[k] = made[g], made[w]
            step(x, way.u[k], d, moved, self.step_s, after)
            x, after = after, x
        zones[n] = x[: zones.shape[1]]
        return zones, gas, power, exits


def stretches(each: Column, step_s: float) -> Column:
    """Sums over whole stretches of ten minutes."""
    size = round(STRETCH_S / step_s)
    whole = each.size // size
    total: Column = each[: whole * size].reshape(whole, size).sum(axis=1)
    return total


def fit_oven(line: Line, e: int, record: Record, p: Column) -> ProcessFit | str:
    """Fit the model of the oven at element ``e``; a sentence if the record does not allow it."""
    station, model = line.plant.stations[e - 1], line.elements[e].process
    way = passage_of(line, e, record)
    if isinstance(way, str):
        return way
    evidence = _evidence(line, e, record, way, p)
    own = p.size
    able = candidates(station, model, p)
    for n, q in enumerate(model.states[: evidence.p.size - own]):
        width = BEGINS[q.name.partition("_")[0]]
        able.append(Candidate(q, own + n, float(evidence.p[own + n]), width, 0))
    return fit(station, evidence, able, own)


def _evidence(line: Line, e: int, record: Record, way: Passage, p: Column) -> OvenEvidence:
    station, element = line.plant.stations[e - 1], line.elements[e]
    model, name = element.process, element.name
    count = sum(q.name.startswith("zone_") for q in model.states)
    zones = np.column_stack([record[f"{name}.zone_temp_{z + 1}_c"][way.rows] for z in range(count)])
    begun = np.array([q.default for q in model.states[: 2 * count]], dtype=np.float64)
    first = np.nanmean(zones[:1], axis=0)
    begun[:count] = np.where(np.isfinite(first), first, begun[:count])
    after = way.rows[1:]
    exits = {
        key: np.where(way.leaves, record[f"{name}.{key}"][after], np.nan)
        for key in element.outputs
        if f"{name}.{key}" in record
    }
    sensors, at = station.sensors, way.time_s / 3600.0
    evidence = OvenEvidence(
        model, way, float(station.step_s or 1.0), zones, np.array([]),
        record[f"{name}.power_kw"][after], exits, np.concatenate([p, begun]), {}, {},
    )  # fmt: skip
    burnt_kwh = np.diff(record[f"{name}.gas_kwh"][way.rows])
    evidence.gas_kwh = stretches(burnt_kwh, evidence.step_s)
    hours: dict[str, Column] = {}
    for z in range(count):
        known = np.isfinite(zones[::THINNED, z])
        _put(
            evidence,
            hours,
            f"zone_temp_{z + 1}_c",
            at[::THINNED][known],
            sensors.get("zone_temp_c"),
        )
    if np.isfinite(evidence.gas_kwh).all():
        middle = at[0] + (np.arange(evidence.gas_kwh.size) + 0.5) * STRETCH_S / 3600.0
        _put(evidence, hours, "gas_kwh", middle, None)
    _put(
        evidence,
        hours,
        "power_kw",
        at[:-1][np.isfinite(evidence.power_kw)],
        sensors.get("power_kw"),
    )
    for key, course in exits.items():
        _put(evidence, hours, key, at[:-1][np.isfinite(course)], sensors.get(key))
    evidence.hours = hours
    return evidence


def _put(
    evidence: OvenEvidence,
    hours: dict[str, NDArray[np.float64]],
    name: str,
    at: Column,
    sensor: object,
) -> None:
    if at.size < 10:
        return
    hours[name] = at
    evidence.scatter[name] = getattr(sensor, "noise_sd", 0.0) or max(evidence.least(name), 1e-3)
