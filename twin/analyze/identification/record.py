"""What was logged of a line: one column a signal, one row a reading, NaN where nothing came.

The one thing that identification reads. It is made from a run's historian or from a CSV file; the
columns are called as in ``twin.line.tags``. Counters, clocks and states are enough: what happened
between two readings is told by how far they went on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.line import schema as s
from twin.line.model import Line
from twin.line.tags import line_signals

Column = NDArray[np.float64]

LARGEST = 1e15
"""Beyond this, either way, no quantity of a plant lies."""
LEAST_ROWS = 10


class RecordError(ValueError):
    """A record that nothing can be learned from; ``hint`` says what to do, ``row`` counts from 1; 0: no one row."""

    def __init__(self, message: str, hint: str = "", row: int = 0) -> None:
        super().__init__(message)
        self.hint, self.row = hint, row


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Readings in order of time. ``time_s`` is plant time, the same that ``state_since_s`` counts."""

    time_s: Column
    columns: Mapping[str, Column]

    def __post_init__(self) -> None:
        """Refuse what cannot be a record; unknown values are welcome, impossible ones are not."""
        time_s = self.time_s
        if time_s.size < LEAST_ROWS:
            msg = f"the record has {time_s.size} rows, and {LEAST_ROWS} are the least"
            raise RecordError(msg, "log for longer, a whole shift say")
        if not np.isfinite(time_s).all():
            row = int(np.flatnonzero(~np.isfinite(time_s))[0]) + 1
            raise RecordError(
                f"time_s is no number in row {row}", "leave out rows without a time", row
            )
        if (back := np.flatnonzero(np.diff(time_s) <= 0.0)).size:
            row = int(back[0]) + 2
            msg = f"time_s does not grow from row {row - 1} to row {row}"
            raise RecordError(msg, "sort the rows by time, and keep one row for an instant", row)
        for name, column in self.columns.items():
            if column.shape != time_s.shape:
                msg = f"{name} has {column.size} rows and time_s {time_s.size}"
                raise RecordError(msg, "give every column a value, or an empty cell, in each row")
            beyond = np.flatnonzero(np.isinf(column) | (np.abs(column) > LARGEST))
            if beyond.size:
                row = int(beyond[0]) + 1
                msg = f"{name} holds {column[row - 1]:g} in row {row}"
                raise RecordError(msg, "leave a value that is unknown empty", row)

    def __contains__(self, name: str) -> bool:
        """Whether the signal was logged at all, if only once."""
        return name in self.columns and bool(np.isfinite(self.columns[name]).any())

    def __getitem__(self, name: str) -> Column:
        """A signal's column; all NaN for one that was not logged: unknown is not zero."""
        if name not in self.columns:
            return np.full(self.time_s.shape, np.nan)
        return self.columns[name]

    def whole(self, *names: str) -> NDArray[np.intp]:
        """The rows in which all of these signals are known."""
        known = np.all([np.isfinite(self[name]) for name in names], axis=0)
        return np.flatnonzero(known)

    @property
    def hours(self) -> float:
        """From the first reading to the last."""
        return float(self.time_s[-1] - self.time_s[0]) / 3600.0


COUNTERS = (
    "state",
    "state_since_s",
    "part_id",
    "elapsed_work_s",
    "op_count",
    "failure_count",
    "tool_changes",
    "last_cycle_s",
    "last_energy_kwh",
    "power_kw",
    "gas_kwh",
    "conveyor_phase",
    "tool_use",
    *(f"time_{state}_s" for state in s.STATES),
)
OF_THE_LINE = (
    "line.good_count",
    "line.scrap_count",
    "line.released_count",
    "line.ordered_count",
    "line.energy_kwh",
    "line.takt_s",
)


def wanted(line: Line) -> tuple[str, ...]:
    """The signals of a line that identification can use, in the line's order."""
    stations = {element.name: element for element in line.stations}
    found = []
    for signal in line_signals(line):
        owner, _, name = signal.name.partition(".")
        if owner == "env" or signal.name in OF_THE_LINE or name == "level":
            found.append(signal.name)
        elif owner in stations:
            of = stations[owner]
            own = (*of.outputs, *of.setpoints, "standby_after_s", "standby")
            if name in COUNTERS or name in own or name.startswith("zone_temp_"):
                found.append(signal.name)
    return tuple(found)


def refuse_foreign(record: Record, line: Line) -> None:
    """Raise :class:`RecordError` for a record that tells nothing of any station of this line."""
    names = {signal.name for signal in line_signals(line)}
    if not any(f"{element.name}.state" in record for element in line.stations):
        known = ", ".join(f"{element.name}.state" for element in line.stations)
        msg = "the record holds the state of no station of this line"
        raise RecordError(msg, f"name columns as signals are named: {known}")
    strange = sorted(name for name in record.columns if name not in names)
    if strange:
        msg = f"the plant has no signal {strange[0]!r}"
        more = f", nor {len(strange) - 1} others of this file" if len(strange) > 1 else ""
        raise RecordError(msg + more, "see docs/reference/signals.md; leave other columns out")
    _refuse_impossible_states(record, line)


def outside_validity(record: Record, line: Line) -> list[str]:
    """A sentence for each signal with values that cannot be true; of most of them the unit is in doubt."""
    told = []
    for signal in line_signals(line):
        if signal.validity is None or signal.name not in record:
            continue
        known = record[signal.name][np.isfinite(record[signal.name])]
        low, high = signal.validity.lo, signal.validity.hi
        outside = int(((known < low) | (known > high)).sum())
        if outside:
            span = f"{low:g} to {high:g} {signal.unit}, where they can be true"
            asked = ": is it logged in another unit?" if 2 * outside > known.size else ""
            told.append(
                f"{signal.name}: {outside} of {known.size} values lie outside {span}{asked}"
            )
    return told


def _refuse_impossible_states(record: Record, line: Line) -> None:
    for element in line.stations:
        name = f"{element.name}.state"
        state = record[name]
        known = state[np.isfinite(state)]
        wrong = known[(known != np.round(known)) | (known < 0) | (known >= s.N_STATES)]
        if wrong.size:
            msg = f"{name} holds {wrong[0]:g}, which is no state"
            hint = ", ".join(f"{code} {word}" for code, word in enumerate(s.STATES))
            raise RecordError(msg, f"states are {hint}")
