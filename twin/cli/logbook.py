"""Where the lines of a running loop go: a file beside its stores, and standard error."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from logging.handlers import RotatingFileHandler
from pathlib import Path

from twin.logs import JsonLines

FILE = "log.jsonl"
LARGEST_BYTES, KEPT_FILES = 10_000_000, 5
"""A full file becomes ``log.jsonl.1`` and so on; the oldest goes."""
MOST_WAITING = 1000
_OURS = ("twin", "controllers")


class LogFormat(StrEnum):
    """How lines look on standard error."""

    text = "text"
    json = "json"


class _Patient(RotatingFileHandler):
    """A file that may be on a full disk for a while: lines wait for room, and the oldest go where too many do."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            maxBytes=LARGEST_BYTES,
            backupCount=KEPT_FILES,
            encoding="utf-8",
            delay=True,
            errors="backslashreplace",  # of a lone surrogate; to JSON the escape is the same text
        )
        self._waiting: deque[logging.LogRecord] = deque(maxlen=MOST_WAITING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write all that waits, or as much as there is room for; the next line tries again."""
        self._waiting.append(record)
        try:
            while self._waiting:
                if self.shouldRollover(
                    self._waiting[0]
                ):  # writes out first what is left of the line before
                    self.doRollover()
                if self.stream is None:
                    self.stream = self._open()
                self.stream.write(self.format(self._waiting.popleft()) + self.terminator)
                self.flush()
        except OSError:
            return  # it is told where it matters: the stores on the same disk are an alarm
        except Exception:  # noqa: BLE001  (a line that cannot be made must not stop the loop)
            self.handleError(record)


@contextmanager
def logged(folder: Path, shown: LogFormat, always: Mapping[str, object]) -> Iterator[None]:
    """Keep all lines in a file of the folder for a while; show what matters.

    On standard error people see warnings as text; ``json`` shows every line there, for a journal or
    a container. ``always`` stands on every JSON line.
    """
    file = _Patient(folder / FILE)
    file.setFormatter(JsonLines(always))
    screen = logging.StreamHandler()
    if shown is LogFormat.json:
        screen.setFormatter(JsonLines(always))
    else:
        screen.setLevel(logging.WARNING)
    loggers = [logging.getLogger(name) for name in _OURS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(file)
        logger.addHandler(screen)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(file)
            logger.removeHandler(screen)
            logger.setLevel(level)
        file.close()
