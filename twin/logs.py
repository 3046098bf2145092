"""Structured logs: a JSON object a line, and on each line of a turn the number of that turn.

The number is that of the turn in the audit, so that a line of the log, a decision, an intent and its
outcome are found from each other. It follows the turn through threads and tasks by itself.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

TURN: ContextVar[int | None] = ContextVar("turn", default=None)
"""The turn of the loop that is under way here; None outside of all."""


def facts(told: Mapping[str, object]) -> dict[str, object]:
    """What a line says beside its message, as ``extra`` of a call of a logger."""
    return {"facts": told}


class JsonLines(logging.Formatter):
    """One object a line: ``utc``, ``level``, ``logger``, ``message``, ``turn`` if there is one.

    ``always`` stands on every line, and what the line has of its own comes last. A fault has its
    traceback as text.
    """

    def __init__(self, always: Mapping[str, object] | None = None) -> None:
        super().__init__()
        self._always = dict(always or {})

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        utc = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "utc": utc,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        turn = TURN.get()
        if turn is not None:
            line["turn"] = turn
        line |= self._always
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
