"""A file of every setpoint that a PLC received: the witness for what the guard lets through."""

from __future__ import annotations

import json
import math
from pathlib import Path

from twin.equipment.plc import Plc


class WriteLog:
    """Appends what the PLC received to a file of JSON lines, flushed before the client is told.

    A value that is not a finite number stands as text: ``"nan"``.
    """

    def __init__(self, path: Path, plc: Plc) -> None:
        self._plc = plc
        self._known = plc.forgotten + len(plc.written)
        self._file = path.open("a", encoding="utf-8")

    def update(self) -> None:
        """Append the news."""
        news = self._plc.written[max(0, self._known - self._plc.forgotten) :]
        if not news:
            return
        self._known += len(news)
        for r in news:
            record = {
                "time_us": r.time_us,
                "sequence": r.sequence,
                "signal": r.signal,
                "value": r.value if math.isfinite(r.value) else str(r.value),
                "active_before": r.active_before if math.isfinite(r.active_before) else None,
                "result": r.result.name,
            }
            self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
