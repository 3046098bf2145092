"""What comes from outside: disturbances and orders, from a table with one row a minute.

The table is made before the run (``twin.line.scenario``) and is no part of the state: the state
holds the present values only. Columns: the disturbances of the plant, then the good parts ordered
so far, then the factor on all failure rates.
"""

from __future__ import annotations

from twin.line.flow import touch
from twin.line.hooks import Constants, Floats, Ints, Journal, Structure, rows_of, schedule
from twin.line.schema import (
    E_FLOATS,
    E_INTS,
    EK,
    ELEMENTS_K,
    FAILURE_RATE,
    GRID,
    K_DISTURBANCE_F,
    K_DISTURBANCES,
    K_LINE_F,
    K_LINE_I,
    ORDERED,
    PROCESSING,
    STATE,
    STATION,
    TO_FAILURE_S,
    WORK_LEFT_S,
    WORK_SINCE_S,
)
from twin.line.work import work

ROW_S = 60.0


def environment(
    e: int,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    w: Constants,
    journal: Journal,
) -> None:
    """The next row of the table comes into force; after the last row the last one stays."""
    n = k[K_DISTURBANCES]
    width = n + 2
    row = min(int(now / ROW_S + 0.5), rows_of(w, width, journal) - 1)
    for m in range(n):
        f[k[K_DISTURBANCE_F] + m] = w[row * width + m]
    rate, before = w[row * width + n + 1], f[k[K_LINE_F] + FAILURE_RATE]
    if rate != before:
        f[k[K_LINE_F] + FAILURE_RATE] = rate
        for station in range(1, e):
            change_failure_rate(station, rate / before, now, f, i, c, k, journal)
    ordered = int(w[row * width + n])
    line = k[K_LINE_I]
    if ordered != i[line + ORDERED]:
        i[line + ORDERED] = ordered
        touch(0, i, k)
    schedule(e, GRID, (int(now / ROW_S + 0.5) + 1) * ROW_S, f, i, journal)


def change_failure_rate(
    e: int,
    times: float,
    now: float,
    f: Floats,
    i: Ints,
    c: Constants,
    k: Structure,
    journal: Journal,
) -> None:
    """All failures in operation come so many times as often from now on; strikes do not.

    What is left until the next ones shrinks accordingly: exact for exponential times.
    """
    a = e * E_FLOATS
    working = k[ELEMENTS_K + e * EK] == STATION and i[e * E_INTS + STATE] == PROCESSING
    if working:
        worked = now - f[a + WORK_SINCE_S]
        f[a + WORK_LEFT_S] = max(f[a + WORK_LEFT_S] - worked, 0.0)
        f[a + TO_FAILURE_S] = max(f[a + TO_FAILURE_S] - worked, 0.0)
        f[a + TO_FAILURE_S + 1] = max(f[a + TO_FAILURE_S + 1] - worked, 0.0)
    f[a + TO_FAILURE_S] /= times
    f[a + TO_FAILURE_S + 1] /= times
    if working:
        work(e, now, f, i, c, journal)
