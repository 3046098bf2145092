"""What a station takes while it makes nothing: idle and standby power and the time to warm up.

All three differ from the plant file (dirt, age, a cold hall) and decide whether a sleep pays. They are
on the station's own meters whenever it waits, so each has a factor on the nominal value that a scalar
Kalman filter follows, and `learned` gives the line as it is known by now.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from twin.analyze.offset import Offset
from twin.cycle import Observation
from twin.line import schema as s
from twin.line.model import Line

POWERS = {s.IDLE: "idle_kw", s.BLOCKED: "idle_kw", s.STANDBY: "standby_kw"}
COLUMNS = {"idle_kw": s.C_IDLE_KW, "standby_kw": s.C_STANDBY_KW, "warm_up_s": s.C_WARM_UP_S}
START, WALK, NOISE = 0.5, 0.002, 0.05
"""Standard deviations of a factor before anything is seen, from one reading to the next, and of one
reading about it, all as shares; assumption."""
WITHIN = (0.1, 10.0)
"""A factor beyond these is a fault of a meter and no property of a station; assumption."""


@dataclass(slots=True)
class Stood:
    """In which state each station was seen last, and since when (plant time, s).

    ``warmed_s`` is how long those that were warming up had ever done so before that.
    """

    since: dict[str, tuple[int, float]] = field(default_factory=dict)
    warmed_s: dict[str, float] = field(default_factory=dict)


class WaitingEstimator:
    """Follows the factors of all stations of one line; conveyors have meters of another kind."""

    def __init__(self, line: Line) -> None:
        self._stations = [
            (element.name, (n + 1) * s.EC)
            for n, element in enumerate(line.stations)
            if element.kind == s.STATION
        ]
        self._c = line.c

    def update(self, seen: Observation, stood: Stood, offsets: dict[str, Offset]) -> None:
        """Learn from one observation."""
        for name, cc in self._stations:
            state, since_s = seen[f"{name}.state"], seen[f"{name}.state_since_s"]
            if state not in range(s.N_STATES) or not since_s >= 0.0:
                stood.since.pop(name, None)
                continue
            before = stood.since.get(name)
            stood.since[name] = (int(state), since_s)
            warmed_s = seen[f"{name}.time_warm_up_s"]
            if before == (int(state), since_s) and int(state) in POWERS:
                # It stood like this when it was seen last: the meter shows no mixture.
                quantity = POWERS[int(state)]
                measured = seen[f"{name}.power_kw"]
            elif before is not None and before[0] == s.WARM_UP and state in (s.IDLE, s.PROCESSING):
                # Not from when to when: it may have been ready for a while before it got a part.
                quantity, measured = "warm_up_s", warmed_s - stood.warmed_s.get(name, math.nan)
            else:
                if int(state) == s.WARM_UP and before != (s.WARM_UP, since_s):
                    stood.warmed_s[name] = warmed_s - (seen.time_us / 1e6 - since_s)
                continue
            nominal = self._c[cc + COLUMNS[quantity]]
            if nominal > 0.0 and WITHIN[0] < measured / nominal < WITHIN[1]:
                offset = offsets.setdefault(f"{name}.{quantity}", Offset(1.0, START * START))
                offset.update(measured / nominal, WALK, NOISE)


def learned(line: Line, factors: Mapping[str, float]) -> Line:
    """The line with what is known by now of its waiting; itself if nothing is."""
    c = list(line.c)
    for n, element in enumerate(line.stations):
        cc = (n + 1) * s.EC
        for quantity, column in COLUMNS.items():
            c[cc + column] *= factors.get(f"{element.name}.{quantity}", 1.0)
    return replace(line, c=tuple(c))
