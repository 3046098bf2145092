"""What a station does when something is due, or when something near it has changed.

Each transition is written once: plain functions over the flat columns of ``twin.line.schema``, run by
the SimPy engine on lists and by the compiled one on arrays. ``f i`` is the state, ``c k`` are the
constants of the line, ``journal`` takes what happened. A station holds a finished part until there is
room behind it (blocking after service).

What an engine owes the transitions stands in ``twin.line.hooks``.
"""

from __future__ import annotations

from twin.kernels.draws import INSPECTION
from twin.kernels.draws import uniform as draw_uniform
from twin.line.flow import has_room, level, new_part, part_leaves, put, touch
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, schedule
from twin.line.luck import tool_factor
from twin.line.people import give_back
from twin.line.schema import (
    ALSO_GIVES_C,
    ALSO_GIVES_K,
    B_INTS,
    BAD,
    BATCH,
    BK,
    BLOCKED,
    C_FALSE_ALARMS,
    C_FINDS,
    C_SERVICE_S,
    C_TOOL_LIFE_MM,
    C_WARM_UP_KW,
    C_WARM_UP_S,
    CHANGED,
    COMPONENT,
    CYCLE_KWH,
    CYCLE_S,
    CYCLE_WEAR,
    DEFECTIVE,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ELEMENTS_K,
    FAIL,
    FINISH,
    GIVES_TO,
    HAS_TOOL,
    HELD,
    IDLE,
    IN_HAND,
    INSPECTS,
    K_BUFFER_I,
    K_BUFFER_K,
    K_LINE_F,
    K_LINE_I,
    K_PART_F,
    K_PART_I,
    LAST_CYCLE_S,
    LAST_ENERGY_KWH,
    LEVEL,
    LINE_MATERIAL_KG,
    MATERIAL_KG,
    MEAN_WEAR_MM,
    N_SETPOINTS,
    N_Y,
    OPS,
    OWN_F,
    P_FLOATS,
    P_INTS,
    PART_ENERGY_KWH,
    PART_MARKS,
    PART_MATERIAL_KG,
    PASS,
    PLACES_I,
    PRODUCT,
    REPAIRED,
    REST_SINCE_S,
    RESUME,
    REWORK_PASSES,
    REWORK_TO,
    ROOM,
    SCRAP,
    SCRAPPED,
    SEED,
    SERVICED,
    SERVICED_OPS,
    SERVICED_S,
    SET_UP,
    SINK,
    SLOT,
    STANDBY,
    STANDBY_ASKED,
    STATE,
    STRUCK,
    TAKES_FROM,
    TASK_CHANGE,
    TASK_SERVICE,
    TIMED_OUT,
    TO_FAILURE_S,
    TOOL_FACTOR,
    TOOLS,
    WAKE_AT,
    WANTS,
    WARM,
    WARM_UP,
    WEAR,
    WORK_LEFT_S,
    WORLD,
)
from twin.line.states import become_idle, block, enter, sleep
from twin.line.taking import has_work
from twin.line.work import (
    attend,
    fail,
    go_on,
    is_service_due,
    luck_of,
    repaired,
    start,
    strike,
    upkeep,
    worked_s,
)


def fire(
    e: int,
    pending: int,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    journal: Journal,
) -> None:
    """What was due at a station is happening now."""
    if pending == FINISH:
        finish(e, now, f, i, c, k, journal)
    elif pending == FAIL:
        fail(e, now, f, i, c, k, journal)
    elif pending == REPAIRED:
        repaired(e, now, f, i, c, k, journal)
    elif pending == WARM:
        warm(e, now, f, i, c, k, journal)
    elif pending == CHANGED:
        give_back(e, i, k)
        after_part(e, now, f, i, c, k, journal)
    elif pending == TIMED_OUT:
        sleep(e, 0, now, f, i, c, k, journal)
    elif pending == SET_UP:
        give_back(e, i, k)
        attend(e, now, f, i, c, k, journal)
    elif pending == SERVICED:
        give_back(e, i, k)
        become_idle(e, now, f, i, c, k, journal)
    elif pending == STRUCK:
        strike(e, now, f, i, c, k, journal)


def look(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Something near a station has changed: see whether its turn has come."""
    b = e * E_INTS
    state = i[b + STATE]
    if state == IDLE:
        if i[b + STANDBY_ASKED]:
            sleep(e, 1, now, f, i, c, k, journal)
        elif has_work(e, i, k):
            start(e, now, f, i, c, k, journal)
    elif state == BLOCKED:
        if give(e, now, f, i, c, k):
            after_part(e, now, f, i, c, k, journal)
        elif i[b + STANDBY_ASKED]:
            sleep(e, 1, now, f, i, c, k, journal)
    elif state == STANDBY:
        if not i[b + STANDBY_ASKED] and (i[b + RESUME] or is_wanted(e, f, i, c, k)):
            enter(e, WARM_UP, c[e * EC + C_WARM_UP_KW], now, f, i, k, journal)
            schedule(e, WARM, now + c[e * EC + C_WARM_UP_S], f, i, journal)
    elif i[b + WANTS] > 0 and i[b + HELD] > 0:
        go_on(e, now, f, i, c, k, journal)


def is_wanted(e: int, f: Floats, i: Ints, c: Constants, k: Structure) -> bool:
    """Whether there is reason to wake: enough work, or room for the part inside.

    Asked to sleep, a station wakes when no longer asked. Fallen asleep by itself, it wakes for work:
    once so many parts wait as its plant file says (the N of an N-policy).
    """
    ek = ELEMENTS_K + e * EK
    slot = i[e * E_INTS + SLOT]
    if slot >= 0:
        return can_go(e, destination(e, slot, i, c, k), i, k)
    return level(k[ek + TAKES_FROM], i, k) >= k[ek + WAKE_AT] and has_work(e, i, k)


def warm(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Warm-up is over."""
    if i[e * E_INTS + SLOT] < 0:
        become_idle(e, now, f, i, c, k, journal)
        return
    block(e, now, f, i, c, k, journal)
    touch(e, i, k)


def finish(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """The cycle ends: count, wear, report, and let go of what was made."""
    a = e * E_FLOATS
    b = e * E_INTS
    ek = ELEMENTS_K + e * EK
    left = f[a + WORK_LEFT_S]
    f[a + TO_FAILURE_S] -= left
    f[a + TO_FAILURE_S + 1] -= left
    f[a + WORK_LEFT_S] = 0.0
    f[a + REST_SINCE_S] = now
    f[a + WEAR] += f[a + CYCLE_WEAR] * f[a + TOOL_FACTOR]
    f[a + MEAN_WEAR_MM] += f[a + CYCLE_WEAR]
    f[a + LAST_CYCLE_S] = f[a + CYCLE_S]
    f[a + LAST_ENERGY_KWH] = f[a + CYCLE_KWH]
    shown = k[ek + OWN_F] + k[ek + N_SETPOINTS]
    for n in range(k[ek + N_Y]):
        f[shown + n] = f[shown + k[ek + N_Y] + n]
    f[k[K_LINE_F] + LINE_MATERIAL_KG] += f[a + MATERIAL_KG]
    if k[ek + BATCH] > 1:
        share_out(e, f, i, k)
    else:
        i[b + OPS] += 1
        part = k[K_PART_F] + i[b + SLOT] * P_FLOATS
        f[part + PART_ENERGY_KWH] += f[a + CYCLE_KWH]
        f[part + PART_MATERIAL_KG] += f[a + MATERIAL_KG]
        if i[b + DEFECTIVE]:
            i[k[K_PART_I] + i[b + SLOT] * P_INTS + PART_MARKS] |= BAD
    if i[b + HELD] > 0:
        give_back(e, i, k)
    if give(e, now, f, i, c, k):
        after_part(e, now, f, i, c, k, journal)
    else:
        block(e, now, f, i, c, k, journal)


def share_out(e: int, f: Floats, i: Ints, k: Structure) -> None:
    """What a batch has taken is shared evenly by its parts; a bad start spoils all of them."""
    b = e * E_INTS
    parts = i[b + IN_HAND]
    i[b + OPS] += parts
    for n in range(parts):
        slot = i[k[ELEMENTS_K + e * EK + PLACES_I] + n]
        part = k[K_PART_F] + slot * P_FLOATS
        f[part + PART_ENERGY_KWH] += f[e * E_FLOATS + CYCLE_KWH] / parts
        f[part + PART_MATERIAL_KG] += f[e * E_FLOATS + MATERIAL_KG] / parts
        if i[b + DEFECTIVE]:
            i[k[K_PART_I] + slot * P_INTS + PART_MARKS] |= BAD


def give(e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure) -> bool:
    """Let go of finished parts, one after the other, as far as there is room; True if all are gone."""
    b = e * E_INTS
    ek = ELEMENTS_K + e * EK
    while i[b + SLOT] >= 0:
        slot = i[b + SLOT]
        to = destination(e, slot, i, c, k)
        if not can_go(e, to, i, k):
            return False
        if comes_apart(e, to, k):
            take_apart(e, slot, now, f, i, c, k)
        if to >= 0:
            if k[ek + REWORK_TO] >= 0 and to == k[ek + REWORK_TO]:
                part = k[K_PART_I] + slot * P_INTS
                i[part + PART_MARKS] += PASS - (i[part + PART_MARKS] & BAD)
            put(to, slot, now, f, i, c, k)
        else:
            if to == SCRAP:
                i[b + SCRAPPED] += 1
            part_leaves(slot, 1 if to == SCRAP else 0, f, i, k)
            touch(0, i, k)
        i[b + SLOT] = -1
        if i[b + IN_HAND] > 1:  # a batch: the next of it
            i[b + IN_HAND] -= 1
            places = k[ek + PLACES_I]
            for n in range(i[b + IN_HAND]):
                i[places + n] = i[places + n + 1]
            i[b + SLOT] = i[places]
    i[b + IN_HAND] = 0
    return True


def destination(e: int, slot: int, i: Ints, c: Constants, k: Structure) -> int:
    """Where a finished part goes: a buffer, the sink, or to scrap."""
    ek = ELEMENTS_K + e * EK
    part = k[K_PART_I] + slot * P_INTS
    bad = i[part + PART_MARKS] & BAD
    to = k[ek + GIVES_TO]
    if k[ek + INSPECTS]:
        if c[e * EC + C_FINDS] < 1.0 or c[e * EC + C_FALSE_ALARMS] > 0.0:
            line = k[K_LINE_I]
            luck = draw_uniform(i[line + SEED], i[line + WORLD], e, INSPECTION, luck_of(part, i))
            if bad:
                bad = 1 if luck < c[e * EC + C_FINDS] else 0
            else:
                bad = 1 if luck < c[e * EC + C_FALSE_ALARMS] else 0
        if bad:
            if k[ek + REWORK_TO] >= 0 and i[part + PART_MARKS] // PASS < k[ek + REWORK_PASSES]:
                return k[ek + REWORK_TO]
            return SCRAP
    elif to == SINK and bad:
        return SCRAP
    return to


def comes_apart(e: int, to: int, k: Structure) -> bool:
    """Whether pieces come off a part that goes there: what is sent back or scrapped stays whole."""
    ek = ELEMENTS_K + e * EK
    return k[ek + ALSO_GIVES_K] > 0 and to != SCRAP and (to < 0 or to != k[ek + REWORK_TO])


def can_go(e: int, to: int, i: Ints, k: Structure) -> bool:
    """Whether there is room for a finished part, and for each piece that comes off it."""
    if to >= 0 and not has_room(to, i, k):
        return False
    if comes_apart(e, to, k):
        also = k[ELEMENTS_K + e * EK + ALSO_GIVES_K]
        for n in range(k[also]):
            goes_to = k[also + 1 + 2 * n]
            level_of = i[k[K_BUFFER_I] + goes_to * B_INTS + LEVEL]
            if level_of + k[also + 2 + 2 * n] > k[k[K_BUFFER_K] + BK * goes_to + ROOM]:
                return False
    return True


def take_apart(
    e: int, slot: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure
) -> None:
    """Disassembly: the components that come off go to their buffers, with their share of the mass."""
    ek = ELEMENTS_K + e * EK
    also, shares = k[ek + ALSO_GIVES_K], k[ek + ALSO_GIVES_C]
    whole = k[K_PART_F] + slot * P_FLOATS
    whole_kg = f[whole + PART_MATERIAL_KG]
    for n in range(k[also]):
        for _ in range(k[also + 2 + 2 * n]):
            mass_kg = whole_kg * c[shares + n]
            component = new_part(f[whole + PRODUCT], mass_kg, f, i, k)
            i[k[K_PART_I] + component * P_INTS + PART_MARKS] |= COMPONENT
            f[whole + PART_MATERIAL_KG] -= mass_kg
            put(k[also + 1 + 2 * n], component, now, f, i, c, k)


def after_part(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Change a worn edge, have a service, or be ready for the next part."""
    a = e * E_FLOATS
    ek = ELEMENTS_K + e * EK
    if k[ek + HAS_TOOL] and f[a + WEAR] >= c[e * EC + C_TOOL_LIFE_MM]:
        i[e * E_INTS + TOOLS] += 1
        f[a + WEAR] = 0.0
        f[a + TOOL_FACTOR] = tool_factor(e, i, c, k)
        upkeep(e, TASK_CHANGE, now, f, i, c, k, journal)
    elif c[e * EC + C_SERVICE_S] > 0.0 and is_service_due(e, now, f, i, c, k):
        i[e * E_INTS + SERVICED_OPS] = i[e * E_INTS + OPS]
        f[a + SERVICED_S] = worked_s(e, now, f, i)
        upkeep(e, TASK_SERVICE, now, f, i, c, k, journal)
    else:
        become_idle(e, now, f, i, c, k, journal)
