"""How a station goes from one state to the next when it is not working: idle, asleep, waiting.

Plain functions over the flat columns of ``twin.line.schema``, see ``twin.line.transitions``. Energy is
booked when a state is left: power is constant within a state.
"""

from __future__ import annotations

from twin.line.flow import room, room_came, touch
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, record, schedule
from twin.line.schema import (
    BLOCKED,
    BOOKED_S,
    C_IDLE_KW,
    C_STANDBY_KW,
    C_STRIKE_BETWEEN_S,
    CAN_STANDBY,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ELEMENTS_K,
    ENERGY_KWH,
    FOREVER,
    IDLE,
    K_PART_I,
    NEVER_S,
    NOTHING,
    P_INTS,
    PART_ID,
    POWER_KW,
    RESUME,
    SINCE_S,
    SLOT,
    STANDBY,
    STANDBY_AFTER_S,
    STATE,
    STRIKES_S,
    STRUCK,
    TAKES_FROM,
    TIME_S,
    TIMED_OUT,
    WAITING,
)


def enter(
    e: int,
    state: int,
    power_kw: float,
    now: float,
    f: Floats,
    i: Ints,
    k: Structure,
    journal: Journal,
) -> None:
    """Leave the present state, book its time and energy, and begin the next."""
    a = e * E_FLOATS
    b = e * E_INTS
    before = i[b + STATE]
    elapsed = now - f[a + BOOKED_S]
    f[a + TIME_S + before] += elapsed
    f[a + ENERGY_KWH + before] += f[a + POWER_KW] * elapsed / 3600.0
    f[a + BOOKED_S] = now
    f[a + SINCE_S] = now
    f[a + POWER_KW] = power_kw
    i[b + STATE] = state
    slot = i[b + SLOT]
    part = i[k[K_PART_I] + slot * P_INTS + PART_ID] if slot >= 0 else 0
    record(journal, now, e, before, state, part)


def plan(
    e: int,
    pending: int,
    due_s: float,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    journal: Journal,
) -> None:
    """What comes next at a station, unless a failure that counts calendar time comes first."""
    if c[e * EC + C_STRIKE_BETWEEN_S] > 0.0 and f[e * E_FLOATS + STRIKES_S] < due_s:
        schedule(e, STRUCK, max(now, f[e * E_FLOATS + STRIKES_S]), f, i, journal)
    else:
        schedule(e, pending, due_s, f, i, journal)


def become_idle(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Ready, without a part."""
    enter(e, IDLE, c[e * EC + C_IDLE_KW], now, f, i, k, journal)
    time_out(e, now, now, f, i, c, k, journal)
    touch(e, i, k)
    before = k[ELEMENTS_K + e * EK + TAKES_FROM]
    if room(before, k) == 0:
        room_came(before, i, k)


def time_out(
    e: int,
    since: float,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    journal: Journal,
) -> None:
    """The station's own time-out to standby counts from ``since``, if it has one."""
    after = f[e * E_FLOATS + STANDBY_AFTER_S]
    if k[ELEMENTS_K + e * EK + CAN_STANDBY] and after < NEVER_S:
        plan(e, TIMED_OUT, since + after, now, f, i, c, journal)
    else:
        plan(e, NOTHING, FOREVER, now, f, i, c, journal)


def sleep(
    e: int, asked: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Go to standby, with or without a finished part inside."""
    if not k[ELEMENTS_K + e * EK + CAN_STANDBY]:
        return
    i[e * E_INTS + RESUME] = asked
    enter(e, STANDBY, c[e * EC + C_STANDBY_KW], now, f, i, k, journal)
    plan(e, NOTHING, FOREVER, now, f, i, c, journal)
    touch(e, i, k)
    before = k[ELEMENTS_K + e * EK + TAKES_FROM]
    if room(before, k) == 0:  # a part handed over wakes it
        room_came(before, i, k)


def wait(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Nobody is free for what comes next: stand and wait, as ready as when idle."""
    enter(e, WAITING, c[e * EC + C_IDLE_KW], now, f, i, k, journal)
    schedule(e, NOTHING, FOREVER, f, i, journal)


def block(
    e: int, now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """Hold what is finished until there is room for it."""
    enter(e, BLOCKED, c[e * EC + C_IDLE_KW], now, f, i, k, journal)
    time_out(e, now, now, f, i, c, k, journal)
