"""How a line begins: empty, all stations ready."""

from __future__ import annotations

from twin.line import conveyor, luck
from twin.line import schema as s
from twin.line.model import Line
from twin.state import LineState


def initial_state(line: Line, seed: int, world: int) -> LineState:
    """An empty line at plant time 0: all stations ready, all tools new, nothing ordered yet."""
    f, i, c, k = [0.0] * line.n_floats, [0] * line.n_ints, list(line.c), list(line.k)
    at_line = k[s.K_LINE_I]
    i[at_line + s.SEED], i[at_line + s.WORLD] = seed, world
    i[at_line + s.FREE_SLOTS] = k[s.K_SLOTS]
    for slot in range(k[s.K_SLOTS]):
        i[k[s.K_FREE_I] + slot] = k[s.K_SLOTS] - 1 - slot
    f[k[s.K_LINE_F] + s.FAILURE_RATE] = 1.0
    plant = line.plant
    for e, element in enumerate(line.elements):
        a, b = e * s.E_FLOATS, e * s.E_INTS
        f[a + s.DUE_S] = s.FOREVER
        i[b + s.SLOT] = -1
        i[b + s.STATE] = s.IDLE
        if element.kind == s.SOURCE:
            f[a + s.LAST_RELEASE_S] = -1e9
            f[a + s.TAKT_S] = plant.source.takt_s.start
            f[a + s.MATERIAL_KG] = float(plant.source.blank_kg)
            if e:
                supply = plant.supplies[e - 1 - len(plant.stations)]
                f[a + s.TAKT_S], f[a + s.MATERIAL_KG] = supply.every_s, float(supply.component_kg)
                f[a + s.DUE_S], i[b + s.PENDING] = 0.0, s.RELEASE
        elif element.kind == s.CUSTOM:
            f[a + s.BOOKED_S] = 0.0
        elif element.kind == s.CREW:
            f[a + s.DUE_S], i[b + s.PENDING] = 0.0, s.DUTY
        elif element.kind == s.ENVIRONMENT:
            f[a + s.DUE_S], i[b + s.PENDING] = 0.0, s.GRID
        elif element.kind in (s.STATION, s.CONVEYOR):
            _initial_station(line, e, f, i, c, k)
    return LineState(0.0, f, i)


def _initial_station(
    line: Line, e: int, f: list[float], i: list[int], c: list[float], k: list[int]
) -> None:
    a = e * s.E_FLOATS
    station = line.plant.stations[e - 1]
    f[a + s.POWER_KW] = c[e * s.EC + s.C_IDLE_KW]
    for mode in (0, 1):
        f[a + s.TO_FAILURE_S + mode] = luck.to_failure_s(e, mode, 0, f, i, c, k)
    f[a + s.SET_UP_FOR] = -1.0
    f[a + s.STRIKES_S] = luck.to_strike_s(e, 0, f, i, c, k)
    f[a + s.TOOL_FACTOR] = luck.tool_factor(e, i, c, k)
    f[a + s.STANDBY_AFTER_S] = after_s = station.standby_after_s.start
    if line.elements[e].kind == s.STATION:
        due = [(f[a + s.STRIKES_S], s.STRUCK), (s.FOREVER, s.NOTHING)]
        if k[s.ELEMENTS_K + e * s.EK + s.CAN_STANDBY] and after_s < s.NEVER_S:
            due.append((after_s, s.TIMED_OUT))
        f[a + s.DUE_S], i[e * s.E_INTS + s.PENDING] = min(due)
    for n, name in enumerate(line.elements[e].setpoints):
        f[line.setpoints_f(e) + n] = station.setpoints[name].start
    if line.elements[e].kind == s.CONVEYOR:
        conveyor.begin(e, line, f, i, k)
