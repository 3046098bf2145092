"""The command line: what a process engineer types. The one place where all pieces are put together.

Each verb has a file of its own and imports what it needs when it runs, so that help is quick.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from twin.cli.app import app  # takes its time, in which somebody may think better of it

        app(prog_name="twin")
    except KeyboardInterrupt:
        raise SystemExit(
            130
        ) from None  # as a shell has it; modules that name it may not be there yet
