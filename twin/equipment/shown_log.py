"""A file of what a PLC showed: the witness for what a record must hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from twin.clock import utc_now
from twin.cycle import Reading


class ShownLog:
    """Appends a line of JSON for each scan that was shown: its time, the PLC's counter, what happened, values.

    ``utc`` is the calendar time of the machine, for whoever compares with other records of it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def add(self, reading: Reading, alive: int, values: Mapping[str, float | None]) -> None:
        """One scan; ``values`` are those of some signals as their nodes show them, None for no number."""
        events = [[e.time_us, e.entity, e.before, e.after, e.part] for e in reading.events]
        record = {
            "time_us": reading.time_us,
            "alive": alive,
            "utc": utc_now(),
            "events": events,
            "values": dict(values),
        }
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
