"""Accumulating conveyors: a buffer whose parts have to travel before they can be taken.

A part that is put on the belt reaches its end after the transit time and stands there, those behind it
closing up, until somebody takes it. The belt has a number of places; when all are taken the station
before it is blocked.
"""

from __future__ import annotations

from twin.line.flow import nth, part_came, touch
from twin.line.hooks import Floats, Ints, Journal, Structure, schedule
from twin.line.schema import (
    ARRIVE,
    ARRIVES_S,
    B_INTS,
    CARRIES,
    DUE_S,
    E_FLOATS,
    EK,
    ELEMENTS_K,
    FOREVER,
    K_BUFFER_I,
    K_PART_F,
    LEVEL,
    NOTHING,
    ON_BELT,
    P_FLOATS,
)


def travel(e: int, f: Floats, i: Ints, k: Structure, journal: Journal) -> None:
    """Something has been put on: the next arrival is that of the foremost part still on its way."""
    if f[e * E_FLOATS + DUE_S] < FOREVER:
        return
    buffer = k[ELEMENTS_K + e * EK + CARRIES]
    at = k[K_BUFFER_I] + buffer * B_INTS
    if i[at + ON_BELT] > 0:
        slot = nth(buffer, i[at + LEVEL] - i[at + ON_BELT], i, k)
        schedule(e, ARRIVE, f[k[K_PART_F] + slot * P_FLOATS + ARRIVES_S], f, i, journal)


def arrive(e: int, f: Floats, i: Ints, k: Structure, journal: Journal) -> None:
    """A part has reached the end of the belt."""
    buffer = k[ELEMENTS_K + e * EK + CARRIES]
    i[k[K_BUFFER_I] + buffer * B_INTS + ON_BELT] -= 1
    schedule(e, NOTHING, FOREVER, f, i, journal)
    part_came(buffer, i, k)
    touch(e, i, k)
