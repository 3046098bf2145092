"""A file of every setpoint that a PLC received: the witness for what the guard lets through."""

from __future__ import annotations

import json
import math
from pathlib import Path

from twin.clock import utc_now
from twin.cycle import Batch
from twin.equipment.plc import Plc


class WriteLog:
    """Appends what the PLC received to a file of JSON lines, flushed before the client is told.

    A value that is not a finite number stands as text: ``"nan"``.
    """

    def __init__(self, path: Path, plc: Plc) -> None:
        self._plc = plc
        self._known = plc.received
        self._file = path.open("a", encoding="utf-8")

    def update(self) -> None:
        """Append the news."""
        count = self._plc.received - self._known
        if not count:
            return
        news = self._plc.written[-count:]
        self._known += count
        for r in news:
            known = r.active_before if math.isfinite(r.active_before) else None
            self._add(r.time_us, r.sequence, r.signal, r.value, known, r.result.name)

    def refused(self, batch: Batch, why: str) -> None:
        """Append what never came to the PLC's rules: the server itself refused it, and why."""
        for setpoint in batch.setpoints:
            known = self._plc.active.get(setpoint.signal)
            now_us, number = self._plc.now_us, batch.sequence
            self._add(now_us, number, setpoint.signal, setpoint.value, known, why)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(
        self,
        time_us: int,
        sequence: int,
        signal: str,
        value: float,
        active_before: float | None,
        result: str,
    ) -> None:
        record = {
            "time_us": time_us,
            "utc": utc_now(),
            "sequence": sequence,
            "signal": signal,
            "value": value if math.isfinite(value) else str(value),
            "active_before": active_before,
            "result": result,
        }
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()
