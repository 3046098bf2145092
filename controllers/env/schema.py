"""What a policy sees and what it may ask for, declared: names, units, limits, lags.

A schema follows from the plant file alone, so that training, policy bundles and the loop agree without
asking each other; its digest goes into a policy's manifest. Values are in engineering units outside a
policy. Inside they are scaled by these limits, which never move, to [-1, 1].
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from twin.config import Plant, StationSpec
from twin.config.plant import DisturbanceSpec
from twin.line import schema as s
from twin.line.model import Element, Line, build_line
from twin.line.tags import line_signals, zones
from twin.signals import Role, Signal

VERSION = "1"
"""Changes whenever fields or their meaning do."""
DECISION_S = 60.0
"""Plant time between two decisions where control periods fit into it, see `decision_s_of` and decision 0012."""
GROUPS = ("working", "blocked", "stopped", "warming", "asleep")
"""What a station can be doing, coarsely; idle is none of these. See ``twin.kernels.observation``."""
IN_STATE_S = 900.0
"""A state that has lasted this long is an old one; assumption."""
MOST_ORDERS = 1.2
"""The most that is ordered for a shift, as a share of what the line can make; a rush included."""
PRICE = "price_eur_per_mwh"
"""The disturbance that prices electricity."""
FORECAST = ("forecast.price_next_hour", "forecast.price_hour_after")
"""Mean price of the next hour and of the one after, EUR/MWh, as the loop's own forecast has it."""


@dataclass(frozen=True, slots=True)
class Field:
    """One number of an observation or an action.

    ``lo`` and ``hi`` are in ``unit`` and scale to -1 and 1; an observation beyond them counts as at them.
    ``lag_s`` is how much older than the observation the value is at least.
    """

    name: str
    unit: str
    lo: float
    hi: float
    lag_s: float


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of an observation and of an action, in order."""

    observation: tuple[Field, ...]
    action: tuple[Field, ...]
    version: str

    def digest(self) -> str:
        """SHA-256 of the schema as canonical JSON, in hex: it changes with any field."""
        said = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()


def decision_s_of(plant: Plant) -> float:
    """Plant time between two decisions on this plant: a minute, or the multiple of its control period nearest to one.

    Environments, training and a bundle's role all have it from here.
    """
    period_us = round(plant.control.period_s * 1e6)
    return max(1, round(DECISION_S * 1e6 / period_us)) * period_us / 1e6


def schema_of(of: Line | Plant, decision_s: float | None = None) -> Schema:
    """The schema of a line, or of the nominal line of a plant file, for decisions this far apart.

    None: as far as `decision_s_of` has it. Raises ``PlantError`` for a plant file that makes no line.
    """
    line = build_line(of) if isinstance(of, Plant) else of
    every_s = decision_s_of(line.plant) if decision_s is None else decision_s
    mvs = action_signals(line)
    active = [_setpoint(signal, signal.name) for signal in mvs]
    previous = [_setpoint(signal, f"previous.{signal.name}") for signal in mvs]
    observation = [*_line_fields(line), *_buffer_fields(line), *_station_fields(line)]
    observation += [*_measured_fields(line), *_disturbance_fields(line.plant)]
    observation += [*_forecast_fields(line.plant), *active, *previous]
    return Schema(tuple(observation), tuple(active), f"{VERSION}/{every_s:g}s")


def action_signals(line: Line) -> tuple[Signal, ...]:
    """The MVs of an action: takt, standby of each station, process setpoints; not the time-outs."""
    mvs = [signal for signal in line_signals(line) if signal.role is Role.MV]
    return tuple(signal for signal in mvs if not signal.name.endswith(".standby_after_s"))


def instruments(line: Line, station: int) -> tuple[str, ...]:
    """What is measured of a station, undelayed, and stays known for a while: names of its signals.

    Use of the edge, temperatures of zones, results with a quality band.
    """
    spec, element = line.plant.stations[station], line.stations[station]
    names = ["tool_use"] if spec.tool is not None else []
    if element.kind == s.CONVEYOR:
        names += [f"zone_temp_{zone + 1}_c" for zone in range(zones(line, station))]
    names += [name for name in element.outputs if _is_prompt(spec, name)]
    return tuple(names)


def _is_prompt(spec: StationSpec, name: str) -> bool:
    """A result that a policy is shown has a band and comes without delay."""
    sensor = spec.sensors.get(name)
    return sensor is not None and sensor.band is not None and sensor.delay_s == 0.0


def _setpoint(signal: Signal, name: str) -> Field:
    assert signal.operator is not None
    return Field(name, signal.unit, signal.operator.lo, signal.operator.hi, 0.0)


def _line_fields(line: Line) -> list[Field]:
    plant = line.plant
    most = MOST_ORDERS * float(plant.demand.capacity_good_parts_per_h) * plant.shift_h
    takt_s = plant.source.takt_s.operator[1]
    return [
        Field("line.shift_left", "1", 0.0, 1.0, 0.0),
        Field("line.open_orders", "1", 0.0, most, 0.0),
        Field("line.to_release", "1", 0.0, most, 0.0),
        Field("line.wip", "1", 0.0, float(line.k[s.K_SLOTS]), 0.0),
        Field("line.scrap_count", "1", 0.0, 0.1 * most, 0.0),
        Field("line.needed_takt_s", "s", 0.0, takt_s, 0.0),
        Field("line.since_release_s", "s", 0.0, takt_s, 0.0),
    ]


def _buffer_fields(line: Line) -> list[Field]:
    buffers = line.plant.buffers
    return [Field(f"{b.name}.level", "1", 0.0, max(float(b.capacity), 1.0), 0.0) for b in buffers]


def _station_fields(line: Line) -> list[Field]:
    found = []
    for station in line.stations:
        found += [Field(f"{station.name}.is_{group}", "1", 0.0, 1.0, 0.0) for group in GROUPS]
        found.append(Field(f"{station.name}.in_state_s", "s", 0.0, IN_STATE_S, 0.0))
    return found


def _measured_fields(line: Line) -> list[Field]:
    """What instruments show of the stations, each with its age; carriers on a conveyor."""
    stale_s, found = line.plant.control.stale_after_s, []
    signals = {signal.name: signal for signal in line_signals(line)}
    for n, element in enumerate(line.stations):
        spec = line.plant.stations[n]
        for name in instruments(line, n):
            full = f"{element.name}.{name}"
            lo, hi = _shown(spec, element, name)
            found.append(Field(full, signals[full].unit, lo, hi, 0.0))
            found.append(Field(f"{full}_age_s", "s", 0.0, stale_s, 0.0))
        if element.kind == s.CONVEYOR:
            found.append(Field(f"{element.name}.carriers", "1", 0.0, float(spec.places), 0.0))
            found += _product_fields(line, n)
    return found


def product_of(plant: Plant) -> str:
    """The disturbance that says which product is released; empty where all are of one."""
    name = plant.source.mixed_by
    return name if name and not plant.disturbances[name].noise_sd else ""


def product_places(line: Line, station: int) -> list[tuple[int, int]]:
    """For each zone of a conveyor, its places from and to; none where all parts are of one product."""
    count, places = zones(line, station), int(line.plant.stations[station].places)
    if not product_of(line.plant) or not count:
        return []
    return [(z * places // count, (z + 1) * places // count) for z in range(count)]


def _product_fields(line: Line, n: int) -> list[Field]:
    """The greatest product in each zone, the heaviest carrier say: what lies further back sets the pace too."""
    count, name = len(product_places(line, n)), product_of(line.plant)
    if not count:
        return []
    spec, at = line.plant.disturbances[name], line.stations[n].name
    limits = _likely(line.plant, name, spec)
    return [Field(f"{at}.zone_{z + 1}_most_{name}", spec.unit, *limits, 0.0) for z in range(count)]


def _shown(spec: StationSpec, element: Element, name: str) -> tuple[float, float]:
    """Between which values a measurement is scaled: what may be set, or three bands."""
    if name == "tool_use":
        return 0.0, 1.0
    sensor = spec.sensors.get(name)
    if sensor is not None and sensor.band is not None:
        lo, hi = sensor.band
        return 2.0 * lo - hi, 2.0 * hi - lo
    for store in element.process.stores:
        if store.signal == name:
            return spec.setpoints[store.setpoint].validity
    zone = spec.sensors.get("zone_temp_c")
    return zone.validity if zone is not None and zone.validity is not None else (0.0, 300.0)


def _disturbance_fields(plant: Plant) -> list[Field]:
    found = []
    for name, spec in plant.disturbances.items():
        found.append(Field(f"env.{name}", spec.unit, *_likely(plant, name, spec), 0.0))
        if spec.noise_sd:
            stale_s = plant.control.stale_after_s
            found.append(Field(f"env.{name}_age_s", "s", 0.0, stale_s, 0.0))
    return found


def _likely(plant: Plant, name: str, spec: DisturbanceSpec) -> tuple[float, float]:
    """Where a disturbance moves: four standard deviations, all choices, all tariffs; and what scenarios add."""
    if spec.kind == "tariff":
        adders = float(plant.energy.adders_eur_per_mwh)
        prices = [price for row in plant.energy.tariffs_eur_per_mwh.values() for price in row]
        lo, hi = min(prices) + adders, max(prices) + adders
    elif spec.kind == "mix":
        lo, hi = min(spec.choices), max(spec.choices)
    elif spec.sd > 0.0:
        lo, hi = float(spec.mean) - 4.0 * spec.sd, float(spec.mean) + 4.0 * spec.sd
    else:
        return spec.validity
    shifts = [scenario.shift.get(name, 0.0) for scenario in plant.scenarios.values()]
    lo, hi = lo + min(0.0, *shifts), hi + max(0.0, *shifts)
    if not lo < hi:
        return spec.validity
    return max(lo, spec.validity[0]), min(hi, spec.validity[1])


def _forecast_fields(plant: Plant) -> list[Field]:
    """A line whose electricity has no price has no forecast of it."""
    if PRICE not in plant.disturbances:
        return []
    lo, hi = _likely(plant, PRICE, plant.disturbances[PRICE])
    return [Field(name, "EUR/MW.h", lo, hi, 0.0) for name in FORECAST]
