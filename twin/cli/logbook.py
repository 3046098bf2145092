"""Where the lines of a running loop go: a file beside its stores, and standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from logging.handlers import RotatingFileHandler
from pathlib import Path

from twin.logs import JsonLines

FILE = "log.jsonl"
LARGEST_BYTES, KEPT_FILES = 10_000_000, 5
"""A full file becomes ``log.jsonl.1`` and so on; the oldest goes."""
_OURS = ("twin", "controllers")


class LogFormat(StrEnum):
    """How lines look on standard error."""

    text = "text"
    json = "json"


@contextmanager
def logged(folder: Path, shown: LogFormat, always: Mapping[str, object]) -> Iterator[None]:
    """Keep all lines in a file of the folder for a while; show what matters.

    On standard error people see warnings as text; ``json`` shows every line there, for a journal or
    a container. ``always`` stands on every JSON line.
    """
    file = RotatingFileHandler(
        folder / FILE,
        maxBytes=LARGEST_BYTES,
        backupCount=KEPT_FILES,
        encoding="utf-8",
        delay=True,
        errors="backslashreplace",  # of a lone surrogate; to JSON the escape is the same text
    )
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
