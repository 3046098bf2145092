"""Who takes over a line wakes what sleeps there by request.

A PLC keeps a standby that was asked for until somebody asks otherwise. A controller that leaves standby to the
stations' own time-outs never does, so a station that the one before it has sent to sleep would sleep for good.
"""

from __future__ import annotations

from dataclasses import replace

from twin.cycle import Action, Situation

STANDBY = ".standby"
ASLEEP = 0.5
"""A standby in force above this is one: it is 0 or 1."""
WHY = "asleep by request of whoever drove before, and nobody asks for that any more"


def all_awake(action: Action, situation: Situation) -> Action:
    """The action, and ready again what sleeps by request without the action saying anything of it.

    The very same action where nothing does.
    """
    woken = [
        name
        for name, value in situation.active.items()
        if name.endswith(STANDBY) and value > ASLEEP and name not in action.setpoints
    ]
    if not woken:
        return action
    return replace(
        action,
        setpoints={**action.setpoints, **dict.fromkeys(woken, 0.0)},
        why={**action.why, **dict.fromkeys(woken, WHY)},
    )
