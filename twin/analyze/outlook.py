"""What the next hour will bring, as far as it can be known now: many likely courses of a line.

Each course begins in a likely state (see ``twin.analyze.synchronise``) and in a world of its own, where
what nobody knows yet is drawn: failures, what is left of a repair or a cycle, and how far the model is
still off. Disturbances stay as they are. An interval over the courses says how sure the twin is; how the line then fares says
whether it had a right to be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.analyze.estimation import WALK_PER_PART
from twin.analyze.offset import Offset
from twin.kernels import draws
from twin.line import schema as s
from twin.line.compiled import CompiledSimulator, as_arrays
from twin.line.model import Line
from twin.state import LineState

FIGURES = {"good_parts": "1", "energy_kwh": "kW.h"}
"""What is looked at: parts, and electricity and gas together."""
SHARE = 0.9
"""How much of the courses an interval holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What comes between ``from_s`` and ``until_s``: each figure, one entry a course."""

    from_s: float
    until_s: float
    courses: Mapping[str, NDArray[np.float64]]

    def interval(self, figure: str) -> tuple[float, float]:
        """Where ``SHARE`` of the courses end, as many beyond on either side."""
        beyond = (1.0 - SHARE) / 2.0
        lower, upper = np.quantile(self.courses[figure], (beyond, 1.0 - beyond))
        return float(lower), float(upper)


def look_ahead(
    lines: Sequence[Line],
    table: Sequence[float],
    states: Sequence[LineState],
    offsets: Mapping[str, Offset],
    lasts_s: float,
    first: int = 0,
) -> Outlook:
    """One course from each of the states, all of the same instant, on the likely line beside it.

    The worlds are the what-if worlds from ``first`` on, ``offsets`` are what was learned. ``table`` is what comes from outside, see
    ``twin.line.environment``. Raises ``ProcessModelError`` for a line that cannot be
    compiled.
    """
    worlds = draws.WHAT_IF + first + np.arange(len(states), dtype=np.int64)
    starts = [as_arrays(state) for state in states]
    floats = np.stack([np.asarray(start.floats) for start in starts])
    ints = np.stack([np.asarray(start.ints) for start in starts])
    now_s, until_s = states[0].now_s, states[0].now_s + lasts_s
    line = lines[0]
    before = _meters(line, floats, ints, now_s)
    seed = int(ints[0, line.k[s.K_LINE_I] + s.SEED])
    for n in range(len(lines)):
        engine = CompiledSimulator(lines[n], table, tells=False)
        row = slice(n, n + 1)
        engine.advance_all(np.array([now_s]), floats[row], ints[row], {}, until_s, worlds[row])
    grown = _meters(line, floats, ints, until_s) - before
    energy = np.zeros(len(worlds))
    for e in range(len(line.elements)):
        for place in range(_GAS + 1):
            if grown[:, e, place].any():
                factor = _factor(line, e, place, grown[:, e, _OPS], offsets)
                luck = [draws.normal(seed, int(w), e, draws.GUESS, place) for w in worlds]
                energy += grown[:, e, place] * (factor[0] + factor[1] * np.array(luck))
    return Outlook(now_s, until_s, {"good_parts": grown[:, 0, _GOOD], "energy_kwh": energy})


_GAS, _OPS, _GOOD = s.N_STATES, s.N_STATES + 1, s.N_STATES + 2


def _meters(
    line: Line, floats: NDArray[np.float64], ints: NDArray[np.int64], now_s: float
) -> NDArray[np.float64]:
    """Course by element by meter: energy in each state, gas, operations; good parts with the first."""
    found = np.zeros((len(floats), len(line.elements), _GOOD + 1))
    found[:, 0, _GOOD] = ints[:, line.k[s.K_LINE_I] + s.GOOD]
    for e, element in enumerate(line.elements):
        if element.kind not in (s.STATION, s.CONVEYOR, s.CUSTOM):
            continue
        own, whole = floats[:, e * s.E_FLOATS :], ints[:, e * s.E_INTS :]
        since_h = (now_s - own[:, s.BOOKED_S]) / 3600.0
        found[:, e, : s.N_STATES] = own[:, s.ENERGY_KWH : s.ENERGY_KWH + s.N_STATES]
        found[np.arange(len(own)), e, whole[:, s.STATE]] += own[:, s.POWER_KW] * since_h
        found[:, e, _GAS] = own[:, s.GAS_KWH] + own[:, s.GAS_KW] * since_h
        found[:, e, _OPS] = whole[:, s.OPS]
    return found


def _factor(
    line: Line, e: int, place: int, ops: NDArray[np.float64], offsets: Mapping[str, Offset]
) -> tuple[float, float | NDArray[np.float64]]:
    """What a meter shows against the model that the courses ran on: mean and standard deviation."""
    element = line.elements[e]
    if place == _GAS:
        learned = offsets.get(f"{element.name}.gas_kwh", Offset(1.0, 0.0))
        return learned.value, math.sqrt(learned.variance)
    if place == s.PROCESSING:
        learned = offsets.get(f"{element.name}.last_energy_kwh", Offset(1.0, 0.0))
        # It goes on moving from part to part; of the whole time, a third of that counts.
        return learned.value, np.sqrt(learned.variance + WALK_PER_PART**2 * ops / 3.0)
    return 1.0, 0.0
