"""What the model gets wrong, learned part by part: an offset for each output of each station.

Each finished part brings its cycle time, its energy and its quality values. They are compared with
what the nominal model says for the setpoints under which the part was made. Energy and cycle time
differ by a factor, quality values by a sum; both are followed by a scalar Kalman filter with a
random-walk disturbance (the offset-free scheme of Pannocchia and Rawlings, AIChE J. 49 (2003) 426,
for a static model). What stations take while they wait has factors too, see ``twin.analyze.waiting``.
Ovens are followed carrier by carrier, see ``twin.analyze.carriers``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from twin.analyze.carriers import Inside, conveyors
from twin.analyze.monitoring import Watched
from twin.analyze.offset import Offset
from twin.analyze.waiting import Stood, WaitingEstimator
from twin.cycle import Observation
from twin.line import schema as s
from twin.line.model import Line
from twin.state import LineState

WALK_PER_PART = 0.004
"""Standard deviation by which a factor may move from one part to the next; assumption."""
SPREAD_OF_PARTS = 0.03
"""Standard deviation of one part about the model, as a share; assumption."""


@dataclass(slots=True)
class EstimateMemory:
    """Offsets by signal name; part counts; the part in work and its inputs; what ovens hold."""

    offsets: dict[str, Offset] = field(default_factory=dict)
    ops: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    inputs: dict[str, tuple[float, ...]] = field(default_factory=dict)
    inside: dict[str, Inside] = field(default_factory=dict)
    stood: Stood = field(default_factory=Stood)
    watched: dict[str, Watched] = field(default_factory=dict)
    awaited: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """What the model says of parts whose measurement is still on its way: when it comes, value."""

    @property
    def values(self) -> dict[str, float]:
        """Every offset and factor as it stands."""
        return {name: offset.value for name, offset in self.offsets.items()}


class OffsetEstimator:
    """Follows the offsets of all stations of one line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._stations = [
            _Station(line, n + 1)
            for n, element in enumerate(line.stations)
            if element.kind == s.STATION
        ]
        self._waiting = WaitingEstimator(line)
        self._conveyors = conveyors(line)

    def update(self, observation: Observation, twin: LineState, memory: EstimateMemory) -> None:
        """Learn from the parts that were finished since the last call.

        ``twin`` is in step with the line: its wear and disturbances are those of the model.
        """
        for station in self._stations:
            station.update(observation, twin, memory)
        self._waiting.update(observation, memory.stood, memory.offsets)
        for name, oven in self._conveyors.items():
            inside = memory.inside.setdefault(name, Inside())
            oven.update(observation, twin, inside, memory.offsets)


class _Station:
    def __init__(self, line: Line, e: int) -> None:
        element, k = line.elements[e], line.k
        assert element.model is not None
        self.name, self.e = element.name, e
        ek = s.ELEMENTS_K + e * s.EK
        self.n_p, self.p_c = k[ek + s.N_P], k[ek + s.P_C]
        self.p = np.array(line.c[self.p_c : self.p_c + self.n_p])
        self.n_u, self.n_d, self.n_x = k[ek + s.N_SETPOINTS], k[ek + s.N_D], k[ek + s.N_X]
        self._setpoints_f = line.setpoints_f(e)
        at = k[ek + s.D_K]
        self.given = [
            (n, k[s.K_DISTURBANCE_F] + k[at + n]) for n in range(self.n_d) if k[at + n] >= 0
        ]
        defaults = self.p_c + 2 * self.n_p
        self.d = np.array(line.c[defaults : defaults + self.n_d])
        self.write = element.model.writer()
        self.out = np.zeros(len(element.model.outputs))
        self.outputs = element.outputs
        self.noise = {
            name: spec.noise_sd for name, spec in line.plant.stations[e - 1].sensors.items()
        }
        self.delay_us = {
            name: round(spec.delay_s * 1e6)
            for name, spec in line.plant.stations[e - 1].sensors.items()
        }
        self.scatters = line.plant.stations[e - 1].cycle_scatter is not None

    def update(self, seen: Observation, twin: LineState, memory: EstimateMemory) -> None:
        name, f, a = self.name, twin.floats, self.e * s.E_FLOATS
        if math.isnan(seen[f"{name}.op_count"]):
            return
        ops = int(seen[f"{name}.op_count"])
        u = tuple(f[self._setpoints_f : self._setpoints_f + self.n_u])
        before, begun = memory.ops.get(name), memory.inputs.get(name)
        memory.ops[name] = ops
        self._begin(seen, (*u, f[a + s.WEAR]), memory)
        for output in self.outputs:
            self._measure(output, seen, memory)
        if before is None or ops <= before:
            return
        # A part that came and went between two observations was made with what is in force now.
        made_with = begun if begun is not None and ops == before + 1 else (*u, f[a + s.WEAR])
        for n, column in self.given:
            self.d[n] = f[column]
        x = np.full(self.n_x, made_with[self.n_u])
        self.write(x, np.array(made_with[: self.n_u]), self.d, self.p, self.out)
        self._learn(f"{name}.last_energy_kwh", seen, self.out[1], memory)
        if not self.scatters:
            self._learn(f"{name}.last_cycle_s", seen, self.out[0], memory)
        for n, output in enumerate(self.outputs):
            due_us = seen.time_us + self.delay_us.get(output, 0)
            awaited = memory.awaited.setdefault(f"{name}.{output}", [])
            awaited.append((due_us, float(self.out[5 + n])))
            self._measure(output, seen, memory)

    def _measure(self, output: str, seen: Observation, memory: EstimateMemory) -> None:
        """Compare the newest part whose measurement has come; it shows one part at a time."""
        signal = f"{self.name}.{output}"
        awaited = memory.awaited.get(signal, [])
        come = [modelled for due_us, modelled in awaited if due_us <= seen.time_us]
        measured = seen[signal]
        if not come:
            return
        del awaited[: len(come)]
        if math.isnan(measured):
            return
        noise = self.noise.get(output, 0.0) or 1e-3 * max(abs(come[-1]), 1e-3)
        offset = memory.offsets.setdefault(signal, Offset(0.0, 25.0 * noise * noise))
        offset.update(measured - come[-1], 0.1 * noise, noise)

    def _begin(self, seen: Observation, inputs: tuple[float, ...], memory: EstimateMemory) -> None:
        """Note under what the part in work was begun: setpoints that come later do not touch it."""
        part = seen[f"{self.name}.part_id"]
        if seen[f"{self.name}.state"] not in (s.PROCESSING, s.DOWN) or math.isnan(part):
            memory.inputs.pop(self.name, None)
            memory.parts.pop(self.name, None)
        elif memory.parts.get(self.name) != part:
            memory.parts[self.name], memory.inputs[self.name] = int(part), inputs

    def _learn(
        self, signal: str, seen: Observation, modelled: float, memory: EstimateMemory
    ) -> None:
        measured = seen[signal]
        if math.isnan(measured) or not (modelled > 0.0 and measured > 0.0):
            return
        offset = memory.offsets.setdefault(signal, Offset(1.0, 0.01))
        offset.update(measured / modelled, WALK_PER_PART, SPREAD_OF_PARTS)
