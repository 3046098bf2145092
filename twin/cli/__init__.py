"""The command line: what a process engineer types. The one place where all pieces are put together.

Each verb has a file of its own and imports what it needs when it runs, so that help is quick.
"""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM: whatever is at work ends as by Ctrl-C, its worker processes with it; the exit code tells the two apart."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        signal.signal(signal.SIGTERM, _terminated)
        _write_anything()
        from twin.cli.app import app  # takes its time, in which somebody may think better of it

        app(prog_name="twin")
    except KeyboardInterrupt as error:
        raise SystemExit(stopped_by(error)) from None


def stopped_by(interrupt: KeyboardInterrupt) -> int:
    """The exit code, as a shell has it: 128 and the signal's number."""
    number = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
    return 128 + number


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _write_anything() -> None:
    """A screen without a sign shows ? in its place: no work is lost for a dash."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
