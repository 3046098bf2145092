"""What holds of a line at any moment: parts, mass, time and people are neither made nor lost."""

from __future__ import annotations

from twin.line import schema as s
from twin.line.model import Line
from twin.state import LineState


def nothing_appears_or_is_lost(line: Line, state: LineState) -> None:
    f, i, k = state.floats, state.ints, line.k
    at_f, at_i = k[s.K_LINE_F], k[s.K_LINE_I]
    inside = [
        slot for slot in range(k[s.K_SLOTS]) if i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_ID]
    ]
    assert len(inside) == k[s.K_SLOTS] - i[at_i + s.FREE_SLOTS]
    buffered = sum(i[k[s.K_BUFFER_I] + b * s.B_INTS] for b in range(len(line.buffers)))
    held = [
        max(i[(n + 1) * s.E_INTS + s.IN_HAND], int(i[(n + 1) * s.E_INTS + s.SLOT] >= 0))
        for n in range(len(line.stations))
    ]
    assert len(inside) == buffered + sum(held)
    main = [
        slot
        for slot in inside
        if not i[k[s.K_PART_I] + slot * s.P_INTS + s.PART_MARKS] & s.COMPONENT
    ]
    gone = i[at_i + s.GOOD] + i[at_i + s.LINE_SCRAPPED]
    assert i[at_i + s.RELEASED] == gone + len(main)
    mass = sum(f[k[s.K_PART_F] + slot * s.P_FLOATS + s.PART_MATERIAL_KG] for slot in inside)
    out = f[at_f + s.LINE_OUT_KG] + f[at_f + s.LINE_SCRAP_KG]
    assert abs(f[at_f + s.LINE_MATERIAL_KG] - out - mass) < 1e-6


def times_add_up(line: Line, state: LineState) -> None:
    for n in range(len(line.stations)):
        a = (n + 1) * s.E_FLOATS
        booked_s = sum(state.floats[a + s.TIME_S : a + s.TIME_S + s.N_STATES])
        assert abs(booked_s - state.floats[a + s.BOOKED_S]) < 1e-6
        assert min(state.floats[a + s.ENERGY_KWH : a + s.ENERGY_KWH + s.N_STATES]) >= 0.0


def nobody_is_in_two_places(line: Line, state: LineState) -> None:
    held = [state.ints[(n + 1) * s.E_INTS + s.HELD] for n in range(len(line.stations))]
    for crew in line.plant.crews:
        e = line.element(crew.name)
        on_duty, free = state.ints[e * s.E_INTS + s.OPS], state.ints[e * s.E_INTS + s.FREE]
        assert on_duty - free == held.count(e)
        assert held.count(e) <= crew.people
