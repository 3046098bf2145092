"""How long a station stayed in a state each time, read off its counters between two readings.

The clocks ``time_STATE_s`` and ``state_since_s`` are exact however seldom they are read; what is
ambiguous (two stops that came and went between two readings) is counted, and its lengths are left
unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin.analyze.identification.record import Column, Record
from twin.line import schema as s


@dataclass(frozen=True, slots=True, eq=False)
class Stops:
    """The failures of one station.

    ``durations_s`` are whole stops, ``censored_s`` is how long one lasts that was not over at the
    end. ``count`` is the number of all failures, those of unknown length included.
    """

    count: int
    durations_s: Column
    censored_s: Column
    operating_s: float
    calendar_s: float
    """Time in which a station was not down: the exposure of failures that go by the calendar."""


def stops(record: Record, station: str) -> Stops | None:
    """The stops of a station; None if its counters were not logged."""
    names = [f"{station}.{name}" for name in (
        "state", "state_since_s", "failure_count", "time_down_s", "time_processing_s")]  # fmt: skip
    rows = record.whole(*names)
    if rows.size < 2:
        return None
    t = record.time_s[rows]
    state, since, failures, down, worked = (record[name][rows] for name in names)
    is_down = state == s.DOWN
    ended: list[float] = []
    # A stop that had begun before the record is no failure of it, and tells less than it seems.
    current: float | None = None
    for k in range(1, rows.size):
        passed, new = down[k] - down[k - 1], round(failures[k] - failures[k - 1])
        tail = min(passed, t[k] - since[k]) if is_down[k] else 0.0
        if new <= 0:
            if current is not None:
                current += passed
                if not is_down[k]:
                    ended.append(current)
                    current = None
            continue
        inside = new - int(is_down[k])
        if current is not None and inside == 0:
            ended.append(current + passed - tail)
        elif current is None and inside == 1 and not is_down[k - 1]:
            ended.append(passed - tail)
        current = tail if is_down[k] else None
    left = float(t[-1] - t[0])
    return Stops(
        count=round(failures[-1] - failures[0]),
        durations_s=np.array(ended),
        censored_s=np.array([] if current is None else [current]),
        operating_s=float(worked[-1] - worked[0]),
        calendar_s=left - float(down[-1] - down[0]),
    )


def stays_s(record: Record, station: str, state: int) -> Column:
    """Lengths of the whole stays in a state; those cut by an end of the record are left out."""
    names = (f"{station}.state", f"{station}.time_{s.STATES[state]}_s")
    rows = record.whole(*names)
    if rows.size < 2:
        return np.array([])
    here, clock = record[names[0]][rows] == state, record[names[1]][rows]
    ended: list[float] = []
    current, is_whole = 0.0, not here[0]
    for k in range(1, rows.size):
        passed = clock[k] - clock[k - 1]
        current += passed
        if not here[k] and current > 0.0:
            if is_whole:
                ended.append(current)
            current, is_whole = 0.0, True
        elif not here[k]:
            is_whole = True
    return np.array(ended)
