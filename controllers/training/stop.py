"""A training run that is asked to stop, wherever its processes are: a file in its folder says so.

Whoever gets SIGTERM or SIGINT puts it there, be it the command or a process that trains; all of them look
for it between two rounds, keep a checkpoint and leave.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Stop:
    """The sign of one training run."""

    path: Path

    def ask(self, number: int = signal.SIGTERM) -> None:
        """Ask all processes of the run to stop, because of this signal."""
        self.path.write_text(str(number))

    @property
    def number(self) -> int:
        """The signal that the run is to stop for; 0 where there is none."""
        try:
            return int(self.path.read_text() or signal.SIGTERM)
        except FileNotFoundError:
            return 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Signals put the sign up for a while; the second one does what it always does."""
        if threading.current_thread() is not threading.main_thread():
            yield  # a signal reaches the main thread only
            return
        before = {number: signal.getsignal(number) for number in NUMBERS}

        def came(number: int, _frame: FrameType | None) -> None:
            self.ask(number)
            for one, handler in before.items():
                signal.signal(one, handler)

        for number in NUMBERS:
            signal.signal(number, came)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
