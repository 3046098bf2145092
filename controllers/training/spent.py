"""The CPU time that a training has taken, over all the processes that it went on in after stops."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twin.clock import cpu_s
from twin.store.quarantine import StoreError
from twin.store.run_folder import RunFolder

SPENT = "spent.json"


@contextmanager
def counted(folder: Path) -> Iterator[None]:
    """What this process works meanwhile is added, also where it is stopped; what was killed is not in it."""
    before_s, began_s = spent_s(folder), cpu_s()
    try:
        yield
    finally:
        # A disk that has refused something is told of by that, and not by what it refuses next.
        unheard = (StoreError,) if isinstance(sys.exception(), OSError) else ()
        with suppress(*unheard):
            RunFolder(folder).write_json(SPENT, {"cpu_s": before_s + cpu_s() - began_s})


def spent_s(folder: Path) -> float:
    """CPU seconds so far."""
    path = folder / SPENT
    return float(json.loads(path.read_text("utf-8"))["cpu_s"]) if path.is_file() else 0.0
