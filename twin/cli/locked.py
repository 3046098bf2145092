"""A line that has locked itself, as it is told: it has no figures that mean anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cli.problems import Problem

if TYPE_CHECKING:
    from twin.line.model import Line
    from twin.state import LineState


def locked_text(line: Line, state: LineState) -> str:
    """Who waits for whom in a circle; empty where nobody does."""
    from twin.line.deadlock import deadlock

    circle = deadlock(line, state)
    if not circle:
        return ""
    return f"the line has locked itself: {' waits for '.join((*circle, circle[0]))}"


def refuse_deadlock(line: Line, state: LineState) -> None:
    """A ``Problem`` with the circle of waits, if there is one."""
    message = locked_text(line, state)
    if message:
        hint = "give one of these buffers more room, or the source another wip_limit"
        raise Problem("plant", message, hint)
