"""What happens at one instant: an element's turn, setpoints put in force, and all that follows.

Shared by the engines, like the transitions: plain functions over the flat columns of
``twin.line.schema``.
"""

from __future__ import annotations

from twin.line.belt import arrive, travel
from twin.line.conveyor import grid
from twin.line.environment import environment
from twin.line.flow import next_touched, room, room_came, touch
from twin.line.hooks import (
    Constants,
    Floats,
    Ints,
    Journal,
    Structure,
    fire_custom,
    look_custom,
    schedule,
)
from twin.line.people import assign, change_of_duty
from twin.line.schema import (
    BELT,
    BLOCKED,
    CONVEYOR,
    CREW,
    CUSTOM,
    DUE_S,
    E_FLOATS,
    E_INTS,
    EK,
    ELEMENTS_K,
    IDLE,
    K_LINE_I,
    PENDING,
    QUEUE_LENGTH,
    SINCE_S,
    SOURCE,
    STATE,
    STATION,
    TAKES_FROM,
    TIMED_OUT,
)
from twin.line.source import release
from twin.line.states import time_out
from twin.line.transitions import fire, look

PROCESS, TAKT, STANDBY_NOW, STANDBY_AFTER = range(4)
"""Kinds of setpoints."""


def happen(
    e: int,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    w: Constants,
    journal: Journal,
) -> None:
    """What is due at an element happens, and all that follows from it at this instant."""
    kind = k[ELEMENTS_K + e * EK]
    if kind == STATION:
        fire(e, i[e * E_INTS + PENDING], now, f, i, c, k, journal)
    elif kind == SOURCE:
        release(e, now, f, i, c, k, journal)
    elif kind == CONVEYOR:
        grid(e, now, f, i, c, k, journal)
    elif kind == BELT:
        arrive(e, f, i, k, journal)
    elif kind == CUSTOM:
        fire_custom(e, i[e * E_INTS + PENDING], now, f, i, c, k, journal)
    elif kind == CREW:
        change_of_duty(now, f, i, c, k, journal)
    else:
        environment(e, now, f, i, c, k, w, journal)
    settle(now, f, i, c, k, journal)


def settle(now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal) -> None:
    """Look at all elements whose turn may have come, until there are none."""
    waiting = k[K_LINE_I] + QUEUE_LENGTH
    while i[waiting]:
        e = next_touched(i, k)
        kind = k[ELEMENTS_K + e * EK]
        if kind == STATION:
            look(e, now, f, i, c, k, journal)
        elif kind == SOURCE:
            release(e, now, f, i, c, k, journal)
        elif kind == BELT:
            travel(e, f, i, k, journal)
        elif kind == CREW:
            assign(f, i, k)
        elif kind == CUSTOM:
            look_custom(e, now, f, i, c, k, journal)
        # A conveyor looks for itself, at its next grid point.


def put_in_force(
    kind: int,
    e: int,
    column: int,
    value: float,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    journal: Journal,
) -> None:
    """A setpoint takes effect; who is concerned is looked at when all are in force."""
    if kind == STANDBY_NOW:
        i[column] = round(value)
        touch(e, i, k)
        before = k[ELEMENTS_K + e * EK + TAKES_FROM]
        if room(before, k) == 0:  # who has kept its part from a sleeper looks again
            room_came(before, i, k)
    elif f[column] != value:
        f[column] = value
        if kind == TAKT:
            touch(e, i, k)
        elif kind == STANDBY_AFTER and k[ELEMENTS_K + e * EK] == STATION:
            retime(e, now, f, i, c, k, journal)


def retime(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """A new time-out counts from the moment at which the station fell idle."""
    if i[e * E_INTS + STATE] in (IDLE, BLOCKED):
        time_out(e, f[e * E_FLOATS + SINCE_S], now, f, i, c, k, journal)
        if f[e * E_FLOATS + DUE_S] < now:  # overdue under the new time-out: now
            schedule(e, TIMED_OUT, now, f, i, journal)
