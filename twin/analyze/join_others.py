"""What is not a station put in step: buffers with their belts, ovens, supplies, crews, other elements."""

from __future__ import annotations

import math
from itertools import pairwise

from twin.analyze.join_stations import copy_status
from twin.analyze.joining import Joining
from twin.line import schema as s
from twin.line.columns import customs
from twin.line.conveyor import book
from twin.line.element_tags import ARRIVALS
from twin.line.flow import nth
from twin.line.people import ANY, first_free, is_on_duty, next_change_s
from twin.line.residual import SOON_S, repair_left_s
from twin.line.schema import FOREVER


def join_buffers(join: Joining) -> None:
    """Parts as the buffers list them; where they list none, as ``twin.analyze.guess`` has it."""
    line, seen, i, k = join.line, join.seen, join.state.ints, join.line.k
    fresh = join.product_now
    for b, name in enumerate(line.buffers):
        at = k[s.K_BUFFER_I] + b * s.B_INTS
        ring = k[s.K_RING_I] + k[k[s.K_BUFFER_K] + s.BK * b + s.FIRST]
        places = max(k[k[s.K_BUFFER_K] + s.BK * b + s.ROOM], 1)  # a part handed over lies there
        parts = join.parts(name, places, f"{name}.level")
        if parts is None:
            parts = join.guess.contents(name, seen, places)
        i[at + s.LEVEL], i[at + s.HEAD] = len(parts), 0
        for place, part in enumerate(parts):
            product = join.guess.product(part, fresh)
            i[ring + place] = join.place(part, name, product)
        if belt := k[k[s.K_BUFFER_K] + s.BK * b + s.BELT_AT]:
            _join_belt(join, b, belt)


def _join_belt(join: Joining, b: int, belt: int) -> None:
    """Who has not reached the end: as told; else by when the twin has put it on, else it has."""
    f, i, k, now = join.state.floats, join.state.ints, join.line.k, join.now_s
    at, name = k[s.K_BUFFER_I] + b * s.B_INTS, join.line.buffers[b]
    level = i[at + s.LEVEL]
    slots = [nth(b, n, i, k) for n in range(level)]
    arrives = [k[s.K_PART_F] + slot * s.P_FLOATS + s.ARRIVES_S for slot in slots]
    told = join.seen.part_ids.get(name + ARRIVALS)
    if told is not None and len(told) == join.told(f"{name}.on_belt_count", len(told)) <= level:
        for column, arrives_us in zip(arrives[level - len(told) :], told, strict=True):
            f[column] = max(arrives_us / 1e6, now)
        on_belt = len(told)
    else:
        on_belt = sum(f[column] > now for column in arrives)
    for before, column in pairwise(arrives[level - on_belt :]):
        f[column] = max(f[column], f[before])  # nobody overtakes on a belt
    i[at + s.ON_BELT] = on_belt
    f[belt * s.E_FLOATS + s.DUE_S], i[belt * s.E_INTS + s.PENDING] = FOREVER, s.NOTHING
    if on_belt:
        f[belt * s.E_FLOATS + s.DUE_S] = f[arrives[level - on_belt]]
        i[belt * s.E_INTS + s.PENDING] = s.ARRIVE


def join_conveyor(join: Joining, e: int) -> None:
    """Zones are measured; what is inside the parts only the twin knows, so that stays."""
    line, seen, now = join.line, join.seen, join.now_s
    f, i, k = join.state.floats, join.state.ints, line.k
    name, ek = line.elements[e].name, s.ELEMENTS_K + e * s.EK
    a, b = e * s.E_FLOATS, e * s.E_INTS
    copy_status(join, e)
    places, first = k[ek + s.PLACES], k[ek + s.PLACES_I]
    for place, part in enumerate(seen.part_ids.get(name, (0,) * places)[:places]):
        i[first + place] = join.place(part, name) if part else -1
    f[a + s.PHASE] = join.told(f"{name}.conveyor_phase", f[a + s.PHASE])
    zone = 0
    while f"{name}.zone_temp_{zone + 1}_c" in seen.index:
        column = k[ek + s.X_F] + zone
        f[column] = join.told(f"{name}.zone_temp_{zone + 1}_c", f[column])
        zone += 1
    step_s = line.c[e * s.EC + s.C_STEP_S]
    f[a + s.DUE_S] = math.ceil(now / step_s - 1e-9) * step_s
    i[b + s.PENDING] = s.GRID
    f[a + s.WORK_LEFT_S] = 0.0
    if i[b + s.STATE] == s.DOWN:
        left_s = repair_left_s(e, now - f[a + s.SINCE_S], join.ticket, i, line.c, k)
        f[a + s.WORK_LEFT_S] = now + left_s


def join_supplies(join: Joining) -> None:
    """A supply looks for itself: one that is due, or has room again, sends at the next instant."""
    line, f, i = join.line, join.state.floats, join.state.ints
    for supply in line.plant.supplies:
        e = line.element(supply.name)
        last = e * s.E_FLOATS + s.LAST_RELEASE_S
        f[last] = join.told(f"{supply.name}.last_release_s", f[last])
        f[e * s.E_FLOATS + s.DUE_S] = max(f[last] + f[e * s.E_FLOATS + s.TAKT_S], join.now_s)
        i[e * s.E_INTS + s.PENDING] = s.RELEASE


def join_crews(join: Joining) -> None:
    """Who is on duty, and of them who is free: those whom no station has."""
    line, f, i, now = join.line, join.state.floats, join.state.ints, join.now_s
    held = [i[n * s.E_INTS + s.HELD] for n in range(1, 1 + len(line.stations))]
    for crew in line.plant.crews:
        e = line.element(crew.name)
        on_duty = int(join.told(f"{crew.name}.on_duty", i[e * s.E_INTS + s.OPS]))
        i[e * s.E_INTS + s.OPS] = on_duty
        i[e * s.E_INTS + s.FREE] = on_duty - held.count(e)
        due_s = next_change_s(e, now, line.c, line.k)
        was = now > 0.0 and is_on_duty(e, now - SOON_S, line.c, line.k)
        changes = was != is_on_duty(e, now, line.c, line.k)
        if changes and on_duty == (crew.people if was else 0):
            due_s = now  # they come and go at this very instant, and have not yet
        f[e * s.E_FLOATS + s.DUE_S], i[e * s.E_INTS + s.PENDING] = due_s, s.DUTY
    for station in range(1, 1 + len(line.stations)):
        b = station * s.E_INTS
        waits = i[b + s.WANTS] > 0 and i[b + s.HELD] == 0
        # Nobody waits for somebody who is free: whoever was shown so is served at the next instant.
        if waits and (free := first_free(station, ANY, i, line.k)) > 0:
            f[free * s.E_FLOATS + s.DUE_S] = now


def join_customs(join: Joining) -> None:
    """Elements of other packages: their own columns are told, and their kind says what is due when."""
    line, f, i, now = join.line, join.state.floats, join.state.ints, join.now_s
    for e, spec in customs(line.plant):
        kind, a, b = line.elements[e].custom, e * s.E_FLOATS, e * s.E_INTS
        assert kind is not None
        book(e, now, f, i)
        state = int(join.told(f"{spec.name}.state", i[b + s.STATE]))
        i[b + s.STATE] = state if state in range(s.N_STATES) else i[b + s.STATE]
        f[a + s.SINCE_S] = join.told(f"{spec.name}.state_since_s", f[a + s.SINCE_S])
        own_f = line.k[s.ELEMENTS_K + e * s.EK + s.OWN_F]
        for n, column in enumerate(kind.columns):
            f[own_f + n] = join.told(f"{spec.name}.{column}", f[own_f + n])
        own_part = join.held[e].parts[0] if join.held[e].parts else 0
        part = int(join.told(f"{spec.name}.part_id", own_part))
        i[b + s.SLOT] = join.place(part, spec.name) if part > 0 else -1
        if kind.due is not None:
            due_s, pending = kind.due(e, now, f, i, line.c, line.k)
            f[a + s.DUE_S], i[b + s.PENDING] = max(due_s, now), pending
