"""What a controller asks for, taken as it comes: an answer that is none, numbers that are none."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from twin.cycle import Action

UNASKED = "held"
"""Status of the action that stands in where no controller was asked."""
STANDS_IN = "stands in for"
"""What the reason of a decision says between the name of a fallback and that of the policy which has left it to it. The
status does not tell that from a solver's fallback, which may well be below a policy that drives."""
_STOOD_IN = re.compile(rf"\S+ {STANDS_IN} policy ")


def as_asked(action: object) -> Action:
    """The answer of a controller as an action in plain numbers. Raises ``TypeError`` for another."""
    if not isinstance(action, Action):
        msg = f"decide() returned {type(action).__name__}, not an Action"
        raise TypeError(msg)
    asked: Mapping[Any, Any] = action.setpoints
    for name, value in asked.items():
        if not isinstance(name, str) or not isinstance(value, float | int):
            msg = f"{name!r} = {value!r} is not a setpoint"
            raise TypeError(msg)
    return action


def has_stood_in(action: Action) -> bool:
    """Whether a policy has left this decision to its fallback."""
    return _STOOD_IN.match(action.reason) is not None


def in_numbers(action: Action) -> Action:
    """The action as it goes on record: what is not a number stands in the clips alone."""
    if all(map(is_number, action.setpoints.values())):
        return action
    asked = {name: value for name, value in action.setpoints.items() if is_number(value)}
    return replace(action, setpoints=asked)


def is_number(asked: float) -> bool:
    """Whether a setpoint is a finite number."""
    try:
        return math.isfinite(asked)
    except OverflowError:  # an integer too large for any setpoint
        return False


def stand_in(active: Mapping[str, float], reason: str, status: str = UNASKED) -> Action:
    """The action of no action: everything stays where it is."""
    return Action(dict(active), reason, status)
