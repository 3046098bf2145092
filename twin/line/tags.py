"""The tags of a line: every signal that its equipment offers, and their true values in a state.

The order of the signals is fixed by the plant file; all arrays of a reading follow it. Control
tags of the PLC (mode, permit, echo) come last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.config import SetpointSpec
from twin.line import schema as s
from twin.line.element_tags import element_lists, element_tags
from twin.line.model import Line
from twin.signals import Limits, Role, Signal
from twin.state import LineState

CONTROL_TAGS = (
    ("control.mode", "Control/Mode"),
    ("control.permit_remote", "Control/PermitRemote"),
    ("control.plc_alive", "Control/PlcAlive"),
    ("control.shed", "Control/Shed"),
    ("control.echo_seq", "Control/ApplySeq"),
    ("control.result", "Control/ApplyResult"),
    ("control.watchdog_ok", "Control/WatchdogOk"),
)
NO_CONTROL = (0.0,) * len(CONTROL_TAGS)
"""What stands in their place where there is no PLC: in a twin."""

_COUNTERS = (
    ("state", "1", "Status/StateCurrent"),
    ("state_since_s", "s", "Status/StateSince"),
    ("part_id", "1", "Status/PartId"),
    ("elapsed_work_s", "s", "Status/ElapsedWork"),
    ("op_count", "1", "Admin/OpCount"),
    ("scrap_count", "1", "Admin/ProdDefectiveCount"),
    ("failure_count", "1", "Admin/FailureCount"),
    ("tool_changes", "1", "Admin/ToolChanges"),
    *((f"time_{name}_s", "s", f"Admin/Time/{name}") for name in s.STATES),
    ("energy_kwh", "kW.h", "Energy/EnergyTotal"),
    ("gas_kwh", "kW.h", "Energy/GasTotal"),
    ("last_cycle_s", "s", "Process/LastCycle"),
    ("last_energy_kwh", "kW.h", "Process/LastEnergy"),
)
_LINE = (
    ("line.good_count", "1", "Line/GoodCount"),
    ("line.scrap_count", "1", "Line/ScrapCount"),
    ("line.released_count", "1", "Line/ReleasedCount"),
    ("line.ordered_count", "1", "Line/OrderedCount"),
    ("line.wip", "1", "Line/WIP"),
    ("line.material_kg", "kg", "Line/Material"),
    ("line.scrap_kg", "kg", "Line/ScrapMass"),
    ("line.energy_kwh", "kW.h", "Line/EnergyTotal"),
    ("line.gas_kwh", "kW.h", "Line/GasTotal"),
    ("line.power_kw", "kW", "Line/ActivePower"),
    ("line.last_release_s", "s", "Line/LastRelease"),
)


def line_signals(line: Line) -> tuple[Signal, ...]:
    """All signals of the line, in their fixed order."""
    plant = line.plant
    period_s = plant.control.period_s
    signals = [Signal(name, unit, Role.PV, node) for name, unit, node in _LINE]
    signals.append(_setpoint("line.takt_s", "s", "Line/Setpoints/takt_s", plant.source.takt_s))
    signals += [
        Signal(f"{name}.level", "1", Role.PV, f"Buffers/{name}/Level") for name in line.buffers
    ]
    for n, element in enumerate(line.stations):
        signals += _station_signals(line, n, period_s)
        station = plant.stations[n]
        units = {q.name: q.unit for q in (element.model.mvs if element.model else ())}
        at = f"Stations/{element.name}/Setpoints"
        for name, spec in station.setpoints.items():
            signals.append(_setpoint(f"{element.name}.{name}", units[name], f"{at}/{name}", spec))
        spec = station.standby_after_s
        signals.append(
            _setpoint(f"{element.name}.standby_after_s", "s", f"{at}/standby_after_s", spec)
        )
        if station.standby:
            spec = SetpointSpec(
                start=0.0,
                validity=(0, 1),
                engineering=(0, 1),
                operator=(0, 1),
                rate_per_s=1.0,
                discrete=True,
            )
            signals.append(_setpoint(f"{element.name}.standby", "1", f"{at}/standby", spec))
    signals += [tag.signal for tag in element_tags(line)]
    for name, disturbance in plant.disturbances.items():
        signals.append(
            Signal(
                f"env.{name}",
                disturbance.unit,
                Role.DV,
                f"Environment/{name}",
                validity=Limits(*disturbance.validity),
                sampled_s=period_s,
            )
        )
    signals += [Signal(name, "1", Role.PV, node) for name, node in CONTROL_TAGS]
    return tuple(signals)


def _setpoint(name: str, unit: str, node: str, spec: SetpointSpec) -> Signal:
    return Signal(
        name,
        unit,
        Role.MV,
        node,
        validity=Limits(*spec.validity),
        engineering=Limits(*spec.engineering),
        operator=Limits(*spec.operator),
        rate_per_s=spec.rate_per_s,
        discrete=spec.discrete,
    )


def _station_signals(line: Line, n: int, period_s: float) -> list[Signal]:
    element, station = line.stations[n], line.plant.stations[n]
    at = f"Stations/{element.name}"
    signals = [
        Signal(f"{element.name}.{name}", unit, Role.PV, f"{at}/{node}", critical=name == "state")
        for name, unit, node in _COUNTERS
    ]
    measured = [("power_kw", "kW")]
    if station.tool is not None:
        measured.append(("tool_use", "1"))
    units = {q.name: q.unit for q in element.model.outputs} if element.model else {}
    measured += [(name, units[name]) for name in element.outputs]
    if element.kind == s.CONVEYOR:
        measured += [(f"zone_temp_{z + 1}_c", "Cel") for z in range(zones(line, n))]
        measured.append(("conveyor_phase", "1"))
    for name, unit in measured:
        sensor = station.sensors.get("zone_temp_c" if name.startswith("zone_temp") else name)
        signals.append(
            Signal(
                f"{element.name}.{name}",
                unit,
                Role.CV if sensor is not None and sensor.band else Role.PV,
                f"{at}/Process/{name}",
                validity=Limits(*sensor.validity) if sensor and sensor.validity else None,
                operator=Limits(*sensor.band) if sensor and sensor.band else None,
                sampled_s=period_s if name == "power_kw" or name.startswith("zone") else 0.0,
                noise_sd=sensor.noise_sd if sensor else 0.0,
                critical=name.startswith("zone_temp"),
            )
        )
    return signals


def zones(line: Line, n: int) -> int:
    """Temperatures that a continuous station shows: the states that belong to no place."""
    model = line.stations[n].process
    return len([q for q in model.states if q.name.startswith("zone_")])


def _energy_kwh(f: Sequence[float], e: int, now: float) -> float:
    """What an element has used by now: booked so far, and its power since."""
    a = e * s.E_FLOATS
    energy = math.fsum(f[a + s.ENERGY_KWH : a + s.ENERGY_KWH + s.N_STATES])
    return energy + f[a + s.POWER_KW] * (now - f[a + s.BOOKED_S]) / 3600.0


class TagReader:
    """Reads the true values of all tags from a state, in the order of ``line_signals``."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.signals = line_signals(line)
        self.index = {signal.name: n for n, signal in enumerate(self.signals)}
        self._n_stations = len(line.stations)
        self._more = element_tags(line)
        self._more_lists = element_lists(line)
        self._customs = [e for e, element in enumerate(line.elements) if element.custom]
        self._zones = [
            zones(line, n) if element.kind == s.CONVEYOR else 0
            for n, element in enumerate(line.stations)
        ]

    def read(self, state: LineState, control: tuple[float, ...]) -> NDArray[np.float64]:
        """All values at ``state.now_s``; ``control`` are the PLC's own tags."""
        f, i, k, now = state.floats, state.ints, self.line.k, state.now_s
        values: list[float] = []
        stations: list[float] = []
        energy = gas = power = 0.0
        for n in range(self._n_stations):
            totals = self._station(n, f, i, k, now, stations)
            energy += totals[0]
            gas += totals[1]
            power += totals[2]
        for e in self._customs:
            energy += _energy_kwh(f, e, now)
            power += f[e * s.E_FLOATS + s.POWER_KW]
        at = k[s.K_LINE_I]
        good, scrap, released = i[at + s.GOOD], i[at + s.LINE_SCRAPPED], i[at + s.RELEASED]
        values += [good, scrap, released, i[at + s.ORDERED], released - good - scrap]
        line_f = k[s.K_LINE_F]
        values += [f[line_f + s.LINE_MATERIAL_KG], f[line_f + s.LINE_SCRAP_KG]]
        values += [energy, gas, power, f[s.LAST_RELEASE_S], f[s.TAKT_S]]
        buffers = k[s.K_BUFFER_I]
        values += [i[buffers + b * s.B_INTS] for b in range(k[s.K_BUFFERS])]
        values += stations
        values += [tag.read(state) for tag in self._more]
        at = k[s.K_DISTURBANCE_F]
        values += f[at : at + k[s.K_DISTURBANCES]]
        values += control
        return np.array(values, dtype=np.float64)

    def energy_kwh(self, state: LineState) -> float:
        """The tag ``line.energy_kwh`` alone: the same sum in the same order."""
        energy = 0.0
        for e in (*range(1, self._n_stations + 1), *self._customs):
            energy += _energy_kwh(state.floats, e, state.now_s)
        return energy

    def _station(
        self, n: int, f: list[float], i: list[int], k: tuple[int, ...], now: float, out: list[float]
    ) -> tuple[float, float, float]:
        e = n + 1
        a, b, ek = e * s.E_FLOATS, e * s.E_INTS, s.ELEMENTS_K + e * s.EK
        state, since = i[b + s.STATE], now - f[a + s.BOOKED_S]
        times = f[a + s.TIME_S : a + s.TIME_S + s.N_STATES]
        times[state] += since
        energy = _energy_kwh(f, e, now)
        gas = f[a + s.GAS_KWH] + f[a + s.GAS_KW] * since / 3600.0
        slot = i[b + s.SLOT]
        part = i[k[s.K_PART_I] + slot * s.P_INTS] if slot >= 0 else 0
        elapsed = 0.0
        if slot >= 0 and not is_unbegun(state, f[a + s.WORK_LEFT_S]):
            elapsed = f[a + s.CYCLE_S] - f[a + s.WORK_LEFT_S]
            if state == s.PROCESSING:
                elapsed += now - f[a + s.WORK_SINCE_S]
        failures = i[b + s.FAILURES] + i[b + s.FAILURES + 1] + i[b + s.STRIKES]
        out += [state, f[a + s.SINCE_S], part, elapsed, i[b + s.OPS], i[b + s.SCRAPPED]]
        out += [failures, i[b + s.TOOLS], *times, energy, gas]
        out += [f[a + s.LAST_CYCLE_S], f[a + s.LAST_ENERGY_KWH], f[a + s.POWER_KW]]
        spec = self.line.plant.stations[n]
        if spec.tool is not None:
            out.append(f[a + s.WEAR] / float(spec.tool.end_of_life_mm))
        shown = self.line.outputs_f(e)
        out += f[shown : shown + k[ek + s.N_Y]]
        if self._zones[n]:
            out += f[k[ek + s.X_F] : k[ek + s.X_F] + self._zones[n]]
            out.append(f[a + s.PHASE])
        own = self.line.setpoints_f(e)
        out += f[own : own + k[ek + s.N_SETPOINTS]]
        out.append(f[a + s.STANDBY_AFTER_S])
        if spec.standby:
            out.append(i[b + s.STANDBY_ASKED])
        return energy, gas, f[a + s.POWER_KW]

    def part_ids(self, state: LineState) -> dict[str, tuple[int, ...]]:
        """The parts in each buffer, oldest first; on a conveyor by place, 0 where it is empty.

        And whatever else ``twin.line.element_tags`` lists on this line.
        """
        i, k = state.ints, self.line.k
        found = {}
        for b, name in enumerate(self.line.buffers):
            at = k[s.K_BUFFER_I] + b * s.B_INTS
            places, first = k[k[s.K_BUFFER_K] + s.BK * b], k[k[s.K_BUFFER_K] + s.BK * b + 1]
            ring, length = k[s.K_RING_I] + first, max(places, 1)
            slots = [i[ring + (i[at + s.HEAD] + n) % length] for n in range(i[at])]
            found[name] = tuple(i[k[s.K_PART_I] + slot * s.P_INTS] for slot in slots)
        for n, element in enumerate(self.line.stations):
            if element.kind == s.CONVEYOR:
                ek = s.ELEMENTS_K + (n + 1) * s.EK
                slots = i[k[ek + s.PLACES_I] : k[ek + s.PLACES_I] + k[ek + s.PLACES]]
                found[element.name] = tuple(
                    i[k[s.K_PART_I] + slot * s.P_INTS] if slot >= 0 else 0 for slot in slots
                )
        return found | {name: read(state) for name, read in self._more_lists.items()}


def is_unbegun(state: int, work_left_s: float) -> bool:
    """Whether a part is inside that the station has not begun: it is set up, or waits for somebody."""
    return state == s.SETUP or (state == s.WAITING and work_left_s <= 0.0)
