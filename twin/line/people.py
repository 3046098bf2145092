"""Who works on the line: crews with the same skill, their shifts and breaks, and who is waited for.

A station asks for somebody when it begins a task (work on a part, a setup, a repair, a change of tool,
a service). Whoever is free of the crews that it names goes there, in the order of the list; if nobody
is, the station waits, and of those that wait the one that has waited longest is served first (equal
waits: in the order of the plant file). Somebody who goes off duty ends the task first.
"""

from __future__ import annotations

import math

from twin.line.flow import touch
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, schedule
from twin.line.schema import (
    BATCH,
    C_STARTS_AT_H,
    CREW,
    CREWS_K,
    DUE_S,
    DUTY,
    DUTY_C,
    E_FLOATS,
    E_INTS,
    EC,
    EK,
    ELEMENTS_K,
    FOREVER,
    FREE,
    HELD,
    K_ELEMENTS,
    OPS,
    SINCE_S,
    WANTS,
)

ANY = -1


def claim(e: int, task: int, f: Floats, i: Ints, k: Structure) -> bool:
    """Somebody for a task: True if one has come or none is needed; else the station waits.

    Nobody is taken whom another station waits for: it has waited longer.
    """
    b = e * E_INTS
    at = task_crews(e, task, k)
    if at == 0:
        return True
    for n in range(k[at]):
        crew = k[at + 1 + n]
        if i[crew * E_INTS + FREE] > 0:
            if longest_waiting(crew, f, i, k) < 0:
                i[crew * E_INTS + FREE] -= 1
                i[b + HELD] = crew
                return True
            touch(crew, i, k)
    i[b + WANTS] = task + 1
    return False


def task_crews(e: int, task: int, k: Structure) -> int:
    """Where the list of crews for a task begins, with their number; 0 if the task needs nobody."""
    lists = k[ELEMENTS_K + e * EK + CREWS_K]
    return k[lists + task] if lists > 0 else 0


def give_back(e: int, i: Ints, k: Structure) -> None:
    """The task is over: whoever was there is free for the next one."""
    b = e * E_INTS
    if i[b + HELD] > 0:
        i[i[b + HELD] * E_INTS + FREE] += 1
        touch(i[b + HELD], i, k)
        i[b + HELD] = 0


def assign(f: Floats, i: Ints, k: Structure) -> None:
    """Whoever is free goes to those that wait, the longest waiting first, by the order of its list."""
    while True:
        station = longest_waiting(ANY, f, i, k)
        if station < 0:
            return
        crew = first_free(station, ANY, i, k)
        i[crew * E_INTS + FREE] -= 1
        i[station * E_INTS + HELD] = crew
        touch(station, i, k)


def longest_waiting(crew: int, f: Floats, i: Ints, k: Structure) -> int:
    """The station that has waited longest and can be served by this crew (or by any), or -1."""
    found = -1
    since_s = FOREVER
    for station in range(1, k[K_ELEMENTS] - 1):
        b = station * E_INTS
        waits = i[b + WANTS] > 0 and i[b + HELD] == 0
        if (
            waits
            and f[station * E_FLOATS + SINCE_S] < since_s
            and first_free(station, crew, i, k) >= 0
        ):
            found = station
            since_s = f[station * E_FLOATS + SINCE_S]
    return found


def first_free(station: int, only: int, i: Ints, k: Structure) -> int:
    """The first crew of the list that a station waits with that has somebody free, or -1."""
    at = task_crews(station, i[station * E_INTS + WANTS] - 1, k)
    for n in range(k[at]):
        crew = k[at + 1 + n]
        if i[crew * E_INTS + FREE] > 0 and only in (ANY, crew):
            return crew
    return -1


def change_of_duty(
    now: float, f: Floats, i: Ints, c: Constants, k: Structure, journal: Journal
) -> None:
    """People come on duty or go, all at one time together; then it is looked at who can be served."""
    for e in range(1, k[K_ELEMENTS] - 1):
        if k[ELEMENTS_K + e * EK] == CREW and f[e * E_FLOATS + DUE_S] <= now:
            people = k[ELEMENTS_K + e * EK + BATCH]
            on_duty = people if is_on_duty(e, now, c, k) else 0
            i[e * E_INTS + FREE] += on_duty - i[e * E_INTS + OPS]
            i[e * E_INTS + OPS] = on_duty
            schedule(e, DUTY, next_change_s(e, now, c, k), f, i, journal)
            touch(e, i, k)


def is_on_duty(e: int, now: float, c: Constants, k: Structure) -> bool:
    """Whether the crew works at this moment; one without a plan always does."""
    at = k[ELEMENTS_K + e * EK + DUTY_C]
    n = int(c[at])
    if n == 0:
        return True
    begins_s = c[e * EC + C_STARTS_AT_H] * 3600.0
    today = math.floor((now + begins_s) / 86400.0)
    found = False
    for day in range(today - 1, today + 2):
        for m in range(n):
            from_s = day * 86400.0 + c[at + 1 + 2 * m] * 3600.0 - begins_s
            until_s = day * 86400.0 + c[at + 2 + 2 * m] * 3600.0 - begins_s
            if from_s <= now < until_s:
                found = True
    return found


def next_change_s(e: int, now: float, c: Constants, k: Structure) -> float:
    """When somebody comes or goes next."""
    at = k[ELEMENTS_K + e * EK + DUTY_C]
    begins_s = c[e * EC + C_STARTS_AT_H] * 3600.0
    today = math.floor((now + begins_s) / 86400.0)
    soonest_s = FOREVER
    for day in range(today - 1, today + 3):
        for m in range(2 * int(c[at])):
            change_s = day * 86400.0 + c[at + 1 + m] * 3600.0 - begins_s
            if now < change_s < soonest_s:
                soonest_s = change_s
    return soonest_s
