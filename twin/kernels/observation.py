"""What a policy sees, in numbers between -1 and 1: one packing for the loop and for training.

The loop packs one line, an environment many at once. What is *shown* of a line is a row of plain numbers,
as its PLC has them, in this order (``layout`` says how many there are of each):

    now_s, ordered, good, scrapped, wip, last_release_s      of the line (``LINE``)
    level                                                    of each buffer
    state, since_s                                           of each station
    what goes on as it is: measurements, disturbances, forecast, setpoints, the action before

Declared limits scale all of it; they never move, so no policy needs a normaliser of its own.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

LINE = 6
NOW_S, ORDERED, GOOD, SCRAPPED, WIP, LAST_RELEASE_S = range(LINE)
PACKED_LINE, PACKED_STATION = 7, 6
"""Fields of an observation that come of the line's numbers, and of the two of a station."""
GROUP_OF_STATE = (4, 4, 3, -1, 0, 1, 2, 2, 2, 2, 2)
"""By state code of a station: 0 working, 1 blocked, 2 stopped (down, changed over, waiting for somebody),
3 warming up, 4 asleep; -1 for idle, which is none of them."""
GROUPS = 5
_GROUPS = np.array(GROUP_OF_STATE, dtype=np.int64)


@njit(cache=True)
def shift_left_s(now_s: float, shift_s: float) -> float:
    """What is left of the shift; nothing at the instant at which it ends."""
    ended = math.ceil(now_s / shift_s) - 1.0
    return shift_s * (max(ended, 0.0) + 1.0) - now_s


@njit(cache=True)
def scaled(value: float, lo: float, hi: float) -> float:
    """A value as a number between -1 and 1; beyond its limits it counts as at them."""
    share = (2.0 * value - lo - hi) / (hi - lo)
    return min(max(share, -1.0), 1.0)


@njit(cache=True)
def asked(share: float, lo: float, hi: float) -> float:
    """The setpoint that a number between -1 and 1 asks for: exactly the limits at its ends."""
    share = min(max(share, -1.0), 1.0)
    value = 0.5 * ((1.0 - share) * lo + (1.0 + share) * hi)
    return min(max(value, lo), hi)


@njit(cache=True)
def row_in_units(
    row: NDArray[np.float64],
    buffers: int,
    stations: int,
    shift_s: float,
    out: NDArray[np.float64],
) -> None:
    """The observation of one line that is shown, in engineering units; no limit stops it."""
    now_s, wip = row[NOW_S], row[WIP]
    open_orders = row[ORDERED] - row[GOOD]
    to_release = open_orders - wip
    left_s = shift_left_s(now_s, shift_s)
    out[0], out[1], out[2], out[3] = left_s / shift_s, open_orders, to_release, wip
    out[4], out[5] = row[SCRAPPED], left_s / max(to_release, 1.0)
    out[6] = now_s - row[LAST_RELEASE_S]
    at, field = LINE, PACKED_LINE
    for _ in range(buffers):
        out[field] = row[at]
        at, field = at + 1, field + 1
    for _ in range(stations):
        group = _GROUPS[int(row[at])]
        for g in range(GROUPS):
            out[field + g] = 1.0 if g == group else 0.0
        out[field + GROUPS] = now_s - row[at + 1]
        at, field = at + 2, field + PACKED_STATION
    for rest in range(row.shape[0] - at):
        out[field + rest] = row[at + rest]


@njit(cache=True)
def in_units(
    shown: NDArray[np.float64],
    buffers: int,
    stations: int,
    shift_s: float,
    out: NDArray[np.float64],
) -> None:
    """The same for many lines, one a row."""
    for n in range(shown.shape[0]):
        row_in_units(shown[n], buffers, stations, shift_s, out[n])


@njit(cache=True)
def pack(
    shown: NDArray[np.float64],
    buffers: int,
    stations: int,
    shift_s: float,
    lo: NDArray[np.float64],
    hi: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Observations of the lines that are shown, one a row, scaled into ``out`` (float32)."""
    values = np.empty(lo.shape[0])
    for n in range(shown.shape[0]):
        row_in_units(shown[n], buffers, stations, shift_s, values)
        for field in range(lo.shape[0]):
            out[n, field] = scaled(values[field], lo[field], hi[field])
