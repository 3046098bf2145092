"""What is written down while a policy learns: one line of JSON a round, and the same for TensorBoard.

No time of day and no speed is in the JSON, so that a run that was stopped and went on leaves the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from controllers.training.task import METRICS

TIMING = "time/"


class Lines(KVWriter):
    """The figures of each round, as a line of JSON that is on disk before the next."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0
    ) -> None:
        """Write one line."""
        found = {n: float(value) for n, value in key_values.items() if not n.startswith(TIMING)}
        self._file.write(json.dumps({"steps": step, **found}, sort_keys=True) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def diary(folder: Path, steps: int) -> Iterator[Logger]:
    """The diary of a training run that has come so far; lines of what is to be done again are taken out."""
    path = folder / METRICS
    kept = [line for line in _lines(path) if json.loads(line)["steps"] <= steps]
    path.write_text("".join(kept), encoding="utf-8")
    log = Logger(str(folder), [Lines(path), TensorBoardOutputFormat(str(folder / "tensorboard"))])
    try:
        yield log
    finally:
        log.close()


def _lines(path: Path) -> list[str]:
    """The whole lines of a file; a last one that was cut off is none."""
    if not path.is_file():
        return []
    return [
        line for line in path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")
    ]
