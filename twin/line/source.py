"""The source of a line: when the next blank enters."""

from __future__ import annotations

from twin.line.flow import has_room, new_part, put, touch
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, schedule
from twin.line.schema import (
    E_FLOATS,
    EK,
    ELEMENTS_K,
    FOREVER,
    GIVES_TO,
    K_DISTURBANCE_F,
    K_LINE_F,
    K_LINE_I,
    LAST_RELEASE_S,
    LINE_MATERIAL_KG,
    LINE_SCRAPPED,
    MATERIAL_KG,
    MIXED_BY,
    NOTHING,
    ORDERED,
    RELEASE,
    RELEASED,
    TAKT_S,
)


def release(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """The source: one blank every takt, while orders are open and there is room for it.

    Parts in the line count as made until they turn out to be scrap: then the source makes up.
    """
    a = e * E_FLOATS
    line = k[K_LINE_I]
    goes_to = k[ELEMENTS_K + e * EK + GIVES_TO]
    open_orders = i[line + RELEASED] - i[line + LINE_SCRAPPED] < i[line + ORDERED]
    if not (open_orders and has_room(goes_to, i, k)):
        schedule(e, NOTHING, FOREVER, f, i, journal)
        return
    next_s = f[a + LAST_RELEASE_S] + f[a + TAKT_S]
    if now < next_s:
        schedule(e, RELEASE, next_s, f, i, journal)
        return
    mixed_by = k[ELEMENTS_K + e * EK + MIXED_BY]
    product = f[k[K_DISTURBANCE_F] + mixed_by] if mixed_by >= 0 else 0.0
    i[line + RELEASED] += 1
    f[a + LAST_RELEASE_S] = now
    f[k[K_LINE_F] + LINE_MATERIAL_KG] += f[a + MATERIAL_KG]
    put(goes_to, new_part(now, product, f, i, k), i, k)
    touch(e, i, k)
