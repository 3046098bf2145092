"""How long a line takes to forget that it began empty: MSER-5.

Of a series of batch means (five readings each) that many are dropped from the front which make the
standard error of the mean of the rest, counted as if they were independent, least. More dropped
means less bias, fewer kept means more scatter; the minimum weighs one against the other.

K. P. White Jr., An effective truncation heuristic for bias reduction in simulation output,
Simulation 69(6), 1997; over the mean of several pilot shifts, as in K. Hoad, S. Robinson, R. Davies,
Automating warm-up length estimation, JORS 61, 2010. Both reject a minimum in the second half: the
series is too short. Here the first half alone is searched, and a minimum in its last tenth rejected:
a level that a full line holds for hours without any scatter (parts in the line) would else draw the
minimum into a calm stretch at the end, however long the series.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from twin.feedback.study.course import Course

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 5
FEWEST = 10
"""Batches of a series that says anything."""
TAIL = 0.9
"""Beyond this share of its first half a series has not settled in time."""
PILOT_SHIFTS = 10
WATCHED = {
    "output": "line.good_count",
    "parts in the line": "line.wip",
    "energy": "line.energy_kwh",
}
"""What must have settled. Counters and meters count by their growth between two readings."""
_LEVELS = ("line.wip",)


@dataclass(frozen=True, slots=True)
class Truncation:
    """What MSER-5 says of one series: how many values to drop, and whether it is long enough."""

    dropped: int
    statistic: float
    is_settled: bool


@dataclass(frozen=True, slots=True, eq=False)
class WarmUp:
    """How long shifts run before their books begin, and why so long.

    ``chosen`` is ``none``, ``given`` or ``auto``; of the last, ``after_s`` says when each watched
    series had settled, ``series`` holds them, averaged over the pilot, one value a reading.
    """

    hours: float = 0.0
    chosen: str = "none"
    pilot_hours: float | None = None
    after_s: Mapping[str, float] = field(default_factory=dict)
    times_s: tuple[float, ...] = ()
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def mser5(values: Sequence[float] | NDArray[np.float64]) -> Truncation:
    """How much of the front of a series to drop; a rest that fills no batch is left out.

    Raises ``ValueError`` for fewer than ``FEWEST`` batches.
    """
    n = len(values) // BATCH
    if n < FEWEST:
        msg = f"{len(values)} values are too few: MSER-5 needs {BATCH * FEWEST} at least"
        raise ValueError(msg)
    batches = np.asarray(values, dtype=np.float64)[: n * BATCH].reshape(n, BATCH).mean(axis=1)
    rounding = 1e-24 * float(np.abs(batches).max()) ** 2
    mean = squares = 0.0
    best, found = math.inf, 0
    for kept in range(1, n + 1):  # from the end, so that each sum grows by one term
        value = float(batches[n - kept])
        deviation = value - mean
        mean += deviation / kept
        squares += deviation * (value - mean)
        statistic = max(squares, rounding * kept) / kept**2
        if n - kept <= n // 2 and statistic <= best:
            best, found = statistic, n - kept
    return Truncation(found * BATCH, best, is_settled=found <= TAIL * (n // 2))


def warm_up_of(pilot: Sequence[Course]) -> WarmUp | None:
    """The warm-up that a pilot of equal shifts asks for; None if it was too short to tell.

    The slowest of the watched series decides.
    """
    times_s = pilot[0].times_s[1:]
    series = {name: _mean_of(pilot, signal) for name, signal in WATCHED.items()}
    found = {name: mser5(values) for name, values in series.items()}
    if not all(truncation.is_settled for truncation in found.values()):
        return None
    begin_s = float(pilot[0].times_s[0])
    ends = [begin_s, *times_s.tolist()]
    after_s = {name: ends[truncation.dropped] - begin_s for name, truncation in found.items()}
    return WarmUp(
        hours=max(after_s.values()) / 3600.0,
        chosen="auto",
        pilot_hours=(ends[-1] - begin_s) / 3600.0,
        after_s=after_s,
        times_s=tuple(times_s.tolist()),
        series={name: tuple(values.tolist()) for name, values in series.items()},
    )


def _mean_of(pilot: Sequence[Course], signal: str) -> NDArray[np.float64]:
    courses = np.array([course.series(signal) for course in pilot])
    per_reading = courses[:, 1:] if signal in _LEVELS else np.diff(courses, axis=1)
    mean: NDArray[np.float64] = per_reading.mean(axis=0)
    return mean
