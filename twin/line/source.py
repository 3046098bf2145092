"""The sources of a line: when the next blank, or the next component, enters."""

from __future__ import annotations

from twin.line.flow import has_room, new_part, put, touch
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, schedule
from twin.line.schema import (
    COMPONENT,
    E_FLOATS,
    EK,
    ELEMENTS_K,
    FOREVER,
    GIVES_TO,
    GOOD,
    K_DISTURBANCE_F,
    K_LINE_F,
    K_LINE_I,
    K_PART_I,
    LAST_RELEASE_S,
    LINE_MATERIAL_KG,
    LINE_SCRAPPED,
    MATERIAL_KG,
    MIXED_BY,
    NOTHING,
    OF_COMPONENTS,
    ORDERED,
    P_INTS,
    PART_MARKS,
    RELEASE,
    RELEASED,
    TAKT_S,
    WIP_LIMIT,
)


def release(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """One blank every takt, while orders are open, the line is not full and there is room for it.

    Parts in the line count as made until they turn out to be scrap: then the source makes up. A limit
    of parts in the line makes it CONWIP: one enters for each that leaves. A source of components knows
    no orders: it fills up its buffer.
    """
    a = e * E_FLOATS
    ek = ELEMENTS_K + e * EK
    goes_to = k[ek + GIVES_TO]
    if not (is_wanted_now(e, i, k) and has_room(goes_to, i, k)):
        schedule(e, NOTHING, FOREVER, f, i, journal)
        return
    next_s = f[a + LAST_RELEASE_S] + f[a + TAKT_S]
    if now < next_s:
        schedule(e, RELEASE, next_s, f, i, journal)
        return
    mixed_by = k[ek + MIXED_BY]
    product = f[k[K_DISTURBANCE_F] + mixed_by] if mixed_by >= 0 else 0.0
    f[a + LAST_RELEASE_S] = now
    f[k[K_LINE_F] + LINE_MATERIAL_KG] += f[a + MATERIAL_KG]
    slot = new_part(product, f[a + MATERIAL_KG], f, i, k)
    if k[ek + OF_COMPONENTS]:
        i[k[K_PART_I] + slot * P_INTS + PART_MARKS] |= COMPONENT
    else:
        i[k[K_LINE_I] + RELEASED] += 1
    put(goes_to, slot, now, f, i, c, k)
    touch(e, i, k)


def is_wanted_now(e: int, i: Ints, k: Structure) -> bool:
    """Whether orders are open and the limit of parts in the line, if there is one, is not reached."""
    ek = ELEMENTS_K + e * EK
    if k[ek + OF_COMPONENTS]:
        return True
    line = k[K_LINE_I]
    limit = k[ek + WIP_LIMIT]
    inside = i[line + RELEASED] - i[line + LINE_SCRAPPED] - i[line + GOOD]
    if limit > 0 and inside >= limit:
        return False
    return i[line + RELEASED] - i[line + LINE_SCRAPPED] < i[line + ORDERED]
