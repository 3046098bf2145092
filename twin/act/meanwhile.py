"""What operators have said since a decision was made: it has not been heard by it, and is heeded all the same.

A decision may take seconds. What it has granted leaves only if nothing that waits for the next turn speaks
against it; that turn then decides anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from twin.act.modes import GIVING_UP, LIMITS


def is_taken_back(waiting: Iterable[str]) -> bool:
    """Whether an operator has taken authority back, by the commands that wait for the next turn."""
    return any(command.partition(":")[0] in GIVING_UP for command in waiting)


def withdrawn(waiting: Iterable[str]) -> dict[str, str]:
    """By MV, why its setpoint must not leave any more: switched off, or other limits hold by now."""
    found = {}
    for command in waiting:
        verb, _, reason = command.partition(":")
        name = next(iter(reason.split()), "")
        if verb == "mv_off":
            found[name] = "switched off by the operator meanwhile"
        elif verb == LIMITS:
            found.setdefault(name, "its limits were changed meanwhile")
    return found
