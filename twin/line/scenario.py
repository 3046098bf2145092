"""What will happen outside the line: the table of disturbances, orders and failure rates.

A scenario is a pure function of the plant file, a seed and a world. The plant's table stays with
the plant; a twin that looks ahead runs on ``held``, which knows the present only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from twin.config import Plant, PlantError
from twin.config.plant import DisturbanceSpec, ScenarioSpec
from twin.kernels import draws
from twin.line.environment import ROW_S

FIRST_STREAM = 1000
"""Entities from here on are disturbances; below are the elements of the line."""


def build_table(
    plant: Plant,
    seed: int,
    world: int,
    hours: float,
    scenario: str = "nominal",
    utilisation: float | None = None,
    recorded: Mapping[str, NDArray[np.float64]] | None = None,
) -> list[float]:
    """One row a minute for the given number of hours: disturbances, orders, failure factor.

    ``recorded`` replaces disturbances by recorded values, as far apart as the plant file says (a
    shorter series is repeated).
    Raises ``PlantError`` for a series that is empty or not finite.
    Orders for a shift are known at its start: utilisation times what the line can sustain.
    """
    spec = scenario_of(plant, scenario)
    rows = max(1, math.ceil(hours * 3600.0 / ROW_S) + 1)
    h: NDArray[np.float64] = np.arange(rows, dtype=np.float64) * (ROW_S / 3600.0)
    inside = (h >= spec.from_h) & (h < spec.until_h)
    columns = []
    for n, (name, disturbance) in enumerate(plant.disturbances.items()):
        if recorded is not None and name in recorded:
            values = _minutes(plant, name, _mapped(plant, name, recorded[name]), rows)
        else:
            values = _course(plant, disturbance, h, spec, seed, world, FIRST_STREAM + n)
        values = values + np.where(inside, spec.shift.get(name, 0.0), 0.0)
        columns.append(np.clip(values, *disturbance.validity))
    u = plant.demand.utilisation if utilisation is None else utilisation
    columns.append(_orders(plant, spec, u, h))
    columns.append(np.where(inside, spec.failure_rate_factor, 1.0))
    table: list[float] = np.stack(columns, axis=1).ravel().tolist()
    return table


def scenario_of(plant: Plant, name: str) -> ScenarioSpec:
    """The scenario of that name. Raises ``PlantError`` if the plant has none."""
    if name not in plant.scenarios:
        known = ", ".join(plant.scenarios)
        raise PlantError(("scenarios",), f"there is no scenario {name!r}", f"known: {known}")
    return plant.scenarios[name]


def held(disturbances: Sequence[float], ordered: float) -> list[float]:
    """The table of a twin that knows the present: everything stays as it is."""
    return [*disturbances, ordered, 1.0]


def shift_orders(plant: Plant, utilisation: float) -> int:
    """Good parts ordered for one shift."""
    capacity = float(plant.demand.capacity_good_parts_per_h)
    return round(utilisation * capacity * plant.shift_h)


def _orders(
    plant: Plant, spec: ScenarioSpec, utilisation: float, h: NDArray[np.float64]
) -> NDArray[np.float64]:
    shift = shift_orders(plant, utilisation)
    ordered = shift * (1.0 + np.floor(h / plant.shift_h))
    if plant.demand.arrive == "evenly":
        ordered = np.floor(shift * h / plant.shift_h + 1e-9)
    if spec.demand_factor != 1.0:
        shift_ends_h = plant.shift_h * (1.0 + math.floor(spec.from_h / plant.shift_h))
        window_h = min(spec.until_h, shift_ends_h) - spec.from_h
        rush = (spec.demand_factor - 1.0) * shift * window_h / plant.shift_h
        ordered = ordered + np.where(h >= spec.from_h, np.round(rush), 0.0)
    return ordered


def _mapped(plant: Plant, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A recorded column in its disturbance's unit."""
    spec = plant.disturbances[name]
    if not (len(values) and np.isfinite(values).all()):
        message = f"the recording of {name!r} is empty or holds values that are no numbers"
        hint = "fill or cut its gaps before it is used"
        raise plant.located(PlantError(("disturbances", name), message, hint))
    if spec.recorded is None:
        return values
    with np.errstate(over="ignore", invalid="ignore"):  # told below, with the row
        if spec.recorded.standardise:
            spread = float(values.std()) or 1.0
            values = float(spec.mean) + spec.sd * (values - values.mean()) / spread
        values = values * spec.recorded.scale + spec.recorded.offset
    lost = np.flatnonzero(~np.isfinite(values))
    if lost.size:
        message = f"the recording of {name!r} is no finite number in row {lost[0] + 1} once mapped"
        hint = "correct the row, or scale and offset of the plant file"
        raise plant.located(PlantError(("disturbances", name, "recorded"), message, hint))
    return values


def _minutes(
    plant: Plant, name: str, values: NDArray[np.float64], rows: int
) -> NDArray[np.float64]:
    """A recording as rows of the table: the mean of what falls into a minute, or what holds in it."""
    spec = plant.disturbances[name].recorded
    every_s = ROW_S if spec is None else spec.every_s
    first = np.floor(np.arange(rows + 1) * ROW_S / every_s).astype(int)
    inside = [range(a, max(b, a + 1)) for a, b in pairwise(first)]
    return np.array([values.take(minute, mode="wrap").mean() for minute in inside])


def _course(
    plant: Plant,
    spec: DisturbanceSpec,
    h: NDArray[np.float64],
    scenario: ScenarioSpec,
    seed: int,
    world: int,
    stream: int,
) -> NDArray[np.float64]:
    """How a disturbance moves when nobody recorded it."""
    mean, sd = float(spec.mean), spec.sd
    if spec.kind == "tariff":
        name = scenario.tariff or plant.energy.tariff
        prices = np.array(plant.energy.tariffs_eur_per_mwh[name])
        hour = (np.floor(h + plant.energy.starts_at_h + 1e-9) % 24).astype(np.int64)
        return np.asarray(prices[hour] + float(plant.energy.adders_eur_per_mwh))
    if spec.kind == "daily":
        # Warmest at 15 h; sd is that of the sine.
        clock = h + plant.energy.starts_at_h
        return mean + sd * math.sqrt(2.0) * np.sin(2.0 * math.pi * (clock - 9.0) / 24.0)
    if spec.kind in ("lots", "mix"):
        return _lots(spec, h, seed, world, stream)
    if spec.kind == "walk":
        return _walk(spec, h, seed, world, stream)
    return np.full(h.shape, mean)


def _lots(
    spec: DisturbanceSpec, h: NDArray[np.float64], seed: int, world: int, stream: int
) -> NDArray[np.float64]:
    """Constant within a lot; lots last between the two hours given."""
    values = np.empty(h.shape)
    shortest, longest = spec.hours
    begin, lot = 0.0, 0
    while begin <= h[-1]:
        luck = draws.uniform(seed, world, stream, draws.DISTURBANCE, 3 * lot)
        end = begin + shortest + (longest - shortest) * luck
        if spec.kind == "mix":
            pick = draws.uniform(seed, world, stream, draws.DISTURBANCE, 3 * lot + 1)
            value = spec.choices[min(int(pick * len(spec.choices)), len(spec.choices) - 1)]
        else:
            value = float(spec.mean) + spec.sd * draws.normal(
                seed, world, stream, draws.RESIDUAL, lot
            )
        values[(h >= begin) & (h < end)] = value
        begin, lot = end, lot + 1
    return values


def _walk(
    spec: DisturbanceSpec, h: NDArray[np.float64], seed: int, world: int, stream: int
) -> NDArray[np.float64]:
    """A first-order autoregressive course with correlation time ``hours[0]``, stationary."""
    if spec.sd == 0.0:
        return np.full(h.shape, float(spec.mean))
    keep = math.exp(-(ROW_S / 3600.0) / spec.hours[0])
    fresh = spec.sd * math.sqrt(1.0 - keep * keep)
    deviation = spec.sd * draws.normal(seed, world, stream, draws.DISTURBANCE, 0)
    values = np.empty(h.shape)
    for row in range(len(h)):
        values[row] = float(spec.mean) + deviation
        deviation = keep * deviation + fresh * draws.normal(
            seed, world, stream, draws.DISTURBANCE, row + 1
        )
    return values
