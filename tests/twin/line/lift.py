"""An element as another package would write it: a lift that carries one part at a time and comes back."""

from __future__ import annotations

import sys

from twin.line.custom import ElementKind
from twin.line.flow import has_room, level, put, take, touch
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, schedule
from twin.line.schema import (
    E_FLOATS,
    E_INTS,
    EK,
    ELEMENTS_K,
    FOREVER,
    GIVES_TO,
    IDLE,
    NOTHING,
    OWN_F,
    P_C,
    POWER_KW,
    PROCESSING,
    SINCE_S,
    SLOT,
    STATE,
    TAKES_FROM,
)
from twin.line.states import enter
from twin.processes.model import Quantity

UP, DOWN_AGAIN = 100, 101
"""What can be due: the part has come up; the lift is back."""


def look(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Take a part if the lift is down and there is room above."""
    ek = ELEMENTS_K + e * EK
    if i[e * E_INTS + STATE] != IDLE:
        return
    if level(k[ek + TAKES_FROM], i, k) > 0 and has_room(k[ek + GIVES_TO], i, k):
        i[e * E_INTS + SLOT] = take(k[ek + TAKES_FROM], i, k)
        enter(e, PROCESSING, c[k[ek + P_C] + 1], now, f, i, k, journal)
        schedule(e, UP, now + c[k[ek + P_C]], f, i, journal)


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
    """Let the part go and come back empty."""
    ek = ELEMENTS_K + e * EK
    if pending == UP:
        put(k[ek + GIVES_TO], i[e * E_INTS + SLOT], now, f, i, c, k)
        i[e * E_INTS + SLOT] = -1
        f[k[ek + OWN_F]] += 1.0
        schedule(e, DOWN_AGAIN, now + c[k[ek + P_C]], f, i, journal)
    else:
        enter(e, IDLE, 0.0, now, f, i, k, journal)
        schedule(e, NOTHING, FOREVER, f, i, journal)
        touch(e, i, k)


def due(e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure) -> tuple[float, int]:
    """Up after one travel, back after two; how long it is on its way is shown."""
    ek, a = ELEMENTS_K + e * EK, e * E_FLOATS
    f[a + POWER_KW] = 0.0
    if i[e * E_INTS + STATE] == IDLE:
        return FOREVER, NOTHING
    travel_s, f[a + POWER_KW] = c[k[ek + P_C]], c[k[ek + P_C] + 1]
    if i[e * E_INTS + SLOT] >= 0:
        return f[a + SINCE_S] + travel_s, UP
    return f[a + SINCE_S] + 2.0 * travel_s, DOWN_AGAIN


ELEMENT = ElementKind(
    name="lift",
    module=sys.modules[__name__],
    parameters=(
        Quantity("travel_s", "s", 0.1, 600.0, 6.0, "assumption"),
        Quantity("power_kw", "kW", 0.0, 50.0, 3.0, "assumption"),
    ),
    columns=("trips",),
)
