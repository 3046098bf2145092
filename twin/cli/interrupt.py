"""The first interrupt ends a run in order, the second at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from twin.cli.problems import STOPPED


class Interrupts:
    """SIGINT and SIGTERM of one run. ``number`` is the first signal that came, 0 before.

    ``leave`` is what the run does about it; while it is None, the task itself is cancelled.
    """

    def __init__(self, farewell: str = "opening the loop and leaving") -> None:
        self.number = 0
        self._farewell = farewell
        self.leave: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()

    @property
    def exit_code(self) -> int:
        """128 plus the signal."""
        return STOPPED + self.number

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take the signals over for a while. Outside the main thread there are none to take."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._came) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _came(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            # The PLC's watchdog covers what stays open; nobody waits for a solve any more.
            os.write(2, b"\nleaving at once\n")
            os._exit(STOPPED + number)
        self.number = number
        self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        typer.echo(f"\n{self._farewell}; once more: at once", err=True)
        if self.leave is not None:
            self.leave()
        elif self._task is not None:
            self._task.cancel()
