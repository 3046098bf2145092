"""A stop that costs nothing (A10): the opportunity window of a machine, to the last bit.

Five machines with constant cycles of 1, 1, 1, 1.25 and 1 and ten places between them. At time 1000 the
second one stops for a while, whatever it is doing, and then goes on. The bottleneck, the fourth, loses
nothing before it has emptied what lies between: its own part, ten parts, the part in the third machine
and ten more. By then the second machine must have finished its part and the third one must have worked
on it. A shorter stop delays nothing, a longer one delays the last departure by the rest (the idea: Zou,
Arinez, Chang and Lei, Journal of Manufacturing Science and Engineering 138(12), 2016).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.anchor_cases import UNIT_S
from benchmarks.anchor_lines import Machine, serial_plant
from twin.clock import cpu_s
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.engine import engine
from twin.line.initial import initial_state
from twin.line.model import build_line

CYCLES = (1.0, 1.0, 1.0, 1.25, 1.0)
PLACES = 10
STOPPED, STOPS_AT = 2, 1_000.0
"""Which machine stops, counted from 1, and when."""
RESIDUAL, REMAINING = 0.5, 0.25
"""What is left then of the bottleneck's part (it begins one every 1.25, the first at time 3), and of the
part in the second machine, begun in the same instant: all wait for the bottleneck to take a part."""
WINDOW = RESIDUAL + (2 * PLACES + 1) * CYCLES[3] - REMAINING - CYCLES[2]
STOPS = (20.0, 25.5, 26.0, 30.0, 100.0)
PARTS = 2_000


def delay(stop: float) -> float:
    """By how much a stop of that length delays the last departure."""
    return max(0.0, stop - WINDOW)


def last_departure(stop: float, which: str) -> float:
    """When the last part leaves the line, in units of time, on one of the engines."""
    machines = [Machine(cycle * UNIT_S, None) for cycle in CYCLES]
    line = build_line(serial_plant(machines, [PLACES] * 4))
    if stop > 0.0:
        c = list(line.c)
        c[STOPPED * s.EC + s.C_STRIKE_BETWEEN_S] = 1e15  # the one that is set below, and no other
        c[STOPPED * s.EC + s.C_STRIKE_REPAIR_S] = stop * UNIT_S
        c[STOPPED * s.EC + s.C_STRIKE_REPAIR_LAW] = s.FIXED
        line = replace(line, c=tuple(c))
    state = initial_state(line, 1, PLANT)
    if stop > 0.0:
        for column in (s.STRIKES_S, s.DUE_S):
            state.floats[STOPPED * s.E_FLOATS + column] = STOPS_AT * UNIT_S
        state.ints[STOPPED * s.E_INTS + s.PENDING] = s.STRUCK
    engine(line, [float(PARTS), 1.0], which).advance(state, {}, 2.0 * PARTS * UNIT_S)
    assert state.ints[line.k[s.K_LINE_I] + s.GOOD] == PARTS
    return float(state.floats[len(CYCLES) * s.E_FLOATS + s.SINCE_S]) / UNIT_S


def windows(engines: tuple[str, ...], begins: str) -> Iterator[dict[str, Any]]:
    """One row for each stop whose case begins like this, on each engine; nothing here is luck."""
    for stop in STOPS:
        case = f"A10 machine {STOPPED} of {len(CYCLES)} stops for {stop:g}"
        for which in engines if case.startswith(begins) else ():
            began_s = cpu_s()
            simulated = last_departure(stop, which) - last_departure(0.0, which)
            yield {
                "case": case,
                "engine": which,
                "figure": "delay",
                "expected": delay(stop),
                "expected_from": f"opportunity window of {WINDOW:g}",
                "simulated": simulated,
                "half_width": 0.0,
                "cpu_s": round(cpu_s() - began_s, 2),
                "passed": simulated == delay(stop),
            }
