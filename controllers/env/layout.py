"""Where the fields of a schema stand in the state of a line: from plant file and schema to arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controllers.env.schema import (
    FORECAST,
    PRICE,
    Schema,
    action_signals,
    instruments,
    product_of,
    product_places,
)
from twin.act.allowed import limits_of
from twin.config import Plant
from twin.config.plant import SensorSpec
from twin.kernels.observation import LINE, in_units
from twin.line import batch as records
from twin.line import schema as s
from twin.line.model import Line
from twin.line.sensors import FIRST_STREAM
from twin.line.setpoints import Setpoints
from twin.line.tags import TagReader
from twin.objective import Objective


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """All that is the same for every line of a batch, as the kernel takes it."""

    common: records.Common
    moves: records.Moves
    instruments: records.Instruments
    view: records.View
    terms: records.Terms

    @property
    def shown(self) -> int:
        """How many numbers are shown of a line."""
        own = LINE + self.common.buffers + 2 * self.common.stations
        return own + int(self.view.kinds.size)


def layout_of(line: Line, schema: Schema, decision_s: float, correction_eur: float) -> Layout:
    """The layout for a nominal line. ``correction_eur`` prices what the guard had to correct.

    ``common.k`` is the line's own; whoever runs machine code puts the engine's copy in its place.
    """
    plant = line.plant
    names, table = _instruments(line)
    kinds, places, first, last = _view(line, names)
    lo, hi = (np.array([getattr(q, end) for q in schema.observation]) for end in ("lo", "hi"))
    decision_us = round(decision_s * 1e6)
    backlog_eur = float(plant.demand.backlog_eur_per_part)
    return Layout(
        _common(line),
        _moves(line, schema),
        table,
        records.View(kinds, places, first, last, lo, hi),
        records.Terms(backlog_eur or 1.0, correction_eur, decision_us, decision_us),
    )


def units_of(layout: Layout, shown: NDArray[np.float64]) -> NDArray[np.float64]:
    """Observations of the lines that are shown (rows), in engineering units, beyond declared limits too.

    What never was (a release, a measurement) is as long ago as its limit: nobody else counts in such times.
    """
    common, view = layout.common, layout.view
    found = np.empty((len(shown), view.lo.size))
    in_units(shown, common.buffers, common.stations, common.shift_s, found)
    return np.where(found > -0.5 * records.NEVER_SEEN_S, view.hi, found)


def unclipped(layout: Layout, shown: NDArray[np.float64]) -> NDArray[np.float32]:
    """The same scaled: inside -1 and 1 what a policy sees, and beyond where a number is beyond its limits."""
    lo, hi = layout.view.lo, layout.view.hi
    found: NDArray[np.float64] = (2.0 * units_of(layout, shown) - lo - hi) / (hi - lo)
    return found.astype(np.float32)


def _common(line: Line) -> records.Common:
    plant, o = line.plant, Objective.of(line.plant)
    edges, warm_up, stores = [], [], []
    for n, spec in enumerate(plant.stations):
        life_mm = 0.0 if spec.tool is None else float(spec.tool.end_of_life_mm)
        edges.append((o.edge_cost_eur.get(spec.name, 0.0), life_mm))
        warm_up.append((float(spec.warm_up_s), float(spec.power.warm_up_kw)))
        model = line.stations[n].process
        numbers = {q.name: float(q.default or 0.0) for q in model.parameters}
        numbers |= {name: float(value) for name, value in spec.parameters.items()}
        states = [q.name for q in model.states if q.name.startswith("zone_")]
        for store in model.stores:
            zone = int(store.signal.removeprefix("zone_temp_").removesuffix("_c")) - 1
            assert zone < len(states)
            column = line.k[s.ELEMENTS_K + (n + 1) * s.EK + s.X_F] + zone
            recipe = spec.setpoints[store.setpoint].start
            stores.append((column, recipe, numbers[store.capacity], numbers[store.efficiency]))
    prices = (
        o.gas_eur_per_mwh, o.material_eur_per_kg, o.scrap_eur_per_kg, o.backlog_eur_per_part,
        o.wip_eur_per_part, o.tool_budget_eur_per_part, o.tool_excess_factor, o.peak_eur_per_kw,
    )  # fmt: skip
    return records.Common(
        k=np.array(line.k, dtype=np.int64),
        stations=len(line.stations),
        elements=len(line.elements),
        buffers=len(line.buffers),
        shift_s=plant.shift_h * 3600.0,
        period_us=round(plant.control.period_s * 1e6),
        bad_reads_allowed=plant.control.bad_reads_allowed,
        starts_at_s=plant.energy.starts_at_h * 3600.0,
        prices=np.array(prices),
        edges=np.array(edges),
        warm_up=np.array(warm_up),
        stores=np.array(stores, dtype=np.float64).reshape(len(stores), 4),
        columns=np.array(
            [
                _disturbance(plant, PRICE),
                _disturbance(plant, "site_load_kw"),
                _disturbance(plant, product_of(plant)),
            ]
        ),
    )


def _disturbance(plant: Plant, name: str) -> int:
    names = list(plant.disturbances)
    return names.index(name) if name in names else -1


def _moves(line: Line, schema: Schema) -> records.Moves:
    signals = action_signals(line)
    found = Setpoints(line).moves({field.name: field.lo for field in schema.action})
    kinds, elements, columns, _ = zip(*found, strict=True)
    return records.Moves(
        kinds=np.array(kinds, dtype=np.int64),
        elements=np.array(elements, dtype=np.int64),
        columns=np.array(columns, dtype=np.int64),
        limits=np.array([limits_of(signal) for signal in signals]),
        rate_per_s=np.array([signal.rate_per_s for signal in signals]),
        discrete=np.array([signal.discrete for signal in signals]),
        lo=np.array([field.lo for field in schema.action]),
        hi=np.array([field.hi for field in schema.action]),
    )


def _instruments(line: Line) -> tuple[list[str], records.Instruments]:
    """Each instrument's place in the state, and its luck, as `twin.line.sensors` has it."""
    reader, plant = TagReader(line), line.plant
    names, rows = [], []
    for n, element in enumerate(line.stations):
        spec, e = plant.stations[n], n + 1
        counter = e * s.E_INTS + s.OPS
        for name in instruments(line, n):
            full, over = f"{element.name}.{name}", 1.0
            sensor, expected = spec.sensors.get(name), 0.0
            if name == "tool_use":
                assert spec.tool is not None
                column, at = e * s.E_FLOATS + s.WEAR, counter
                over = float(spec.tool.end_of_life_mm)
            elif name.startswith("zone_temp_"):
                zone = int(name.removeprefix("zone_temp_").removesuffix("_c")) - 1
                column, at = line.k[s.ELEMENTS_K + e * s.EK + s.X_F] + zone, -1
                sensor = spec.sensors.get("zone_temp_c")
                for store in element.process.stores:
                    expected = (
                        spec.setpoints[store.setpoint].start if store.signal == name else expected
                    )
            else:
                column, at = line.outputs_f(e) + element.outputs.index(name), counter
            critical = reader.signals[reader.index[full]].critical
            stream = FIRST_STREAM + reader.index[full]
            names.append(full)
            rows.append((column, over, at, *_luck(sensor, stream), critical, expected))
    for n, (name, disturbance) in enumerate(plant.disturbances.items()):
        if disturbance.noise_sd:
            full = f"env.{name}"
            sensor = SensorSpec(noise_sd=disturbance.noise_sd)
            luck = _luck(sensor, FIRST_STREAM + reader.index[full])
            column = line.k[s.K_DISTURBANCE_F] + n
            names.append(full)
            rows.append((column, 1.0, -1, *luck, False, float(disturbance.mean)))
    kinds = (np.int64, np.float64, np.int64, np.int64, np.float64, np.float64, np.bool_, np.float64)
    columns = [[row[n] for row in rows] for n in range(len(kinds))]
    arrays: list[Any] = [np.array(of, dtype=kind) for of, kind in zip(columns, kinds, strict=True)]
    return names, records.Instruments(*arrays)


def _luck(sensor: SensorSpec | None, stream: int) -> tuple[int, float, float]:
    """Stream, noise and dropout; what has no instrument is exact and is never lost."""
    return (-1, 0.0, 0.0) if sensor is None else (stream, sensor.noise_sd, sensor.dropout)


def _view(line: Line, names: list[str]) -> NDArray[np.int64]:
    """What goes on as it is, in the order of the schema: kind, where, places of a conveyor from and to."""
    found: list[tuple[int, ...]] = []
    for n, element in enumerate(line.stations):
        for name in instruments(line, n):
            at = names.index(f"{element.name}.{name}")
            found += [(records.SEEN, at), (records.AGE, at)]
        if element.kind == s.CONVEYOR:
            count = int(line.plant.stations[n].places)
            found.append((records.CARRIERS, n + 1, 0, count))
            found += [(records.MOST_PRODUCT, n + 1, *at) for at in product_places(line, n)]
    for n, name in enumerate(line.disturbances):
        if f"env.{name}" in names:
            at = names.index(f"env.{name}")
            found += [(records.SEEN, at), (records.AGE, at)]
        else:
            found.append((records.DISTURBANCE, n))
    if PRICE in line.disturbances:
        found += [(records.FORECAST, n) for n in range(len(FORECAST))]
    mvs = range(len(action_signals(line)))
    found += [(records.ACTIVE, n) for n in mvs] + [(records.PREVIOUS, n) for n in mvs]
    rows = [(*row, 0, 0)[:4] for row in found]
    return np.ascontiguousarray(np.array(rows, dtype=np.int64).T)
