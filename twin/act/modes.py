"""The modes of a loop and the only ways between them, as data.

Authority rises by an operator's command only: a start ends in ADVISORY, CLOSED is reached through
INIT after ``close``, and a shed is latched until somebody acknowledges it. HOLD is the one state
that returns by itself, within the hold time and not over and over; one that an operator has frozen does
not return either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twin.cycle import Mode

OPERATOR_EVENTS = ("start", "close", "open", "off", "freeze", "ack")
MV_COMMANDS = ("mv_off", "mv_on")
"""An operator's word on one manipulated variable, named first in the reason."""
LIMITS = "limits"
"""New limits for one MV, see ``twin.act.limit_change``."""
COMMANDS = (*OPERATOR_EVENTS, *MV_COMMANDS, LIMITS)
GIVING_UP = ("open", "off", "freeze")
"""What is never refused, and stops a write that is on its way."""
EVENTS = (
    "off",
    "open",
    "hard",
    "freeze",
    "flapping",
    "drift",
    "transient",
    "unfit",
    "expired",
    "ack",
    "start",
    "close",
    "confirmed",
    "recovered",
)
"""In the order in which they are looked at: giving up authority comes first."""


@dataclass(frozen=True, slots=True)
class Transition:
    """From one mode to another on an event, provided that the named conditions hold."""

    source: Mode
    event: str
    target: Mode
    needs: tuple[str, ...] = ()


TABLE = (
    # Where authority has been given up already, giving it up again still comes first.
    Transition(Mode.OFF, "off", Mode.OFF),
    Transition(Mode.OFF, "open", Mode.OFF),
    Transition(Mode.OFF, "freeze", Mode.OFF),
    Transition(Mode.OFF, "start", Mode.ADVISORY),
    Transition(Mode.ADVISORY, "off", Mode.OFF),
    Transition(Mode.ADVISORY, "open", Mode.ADVISORY),
    Transition(Mode.ADVISORY, "freeze", Mode.ADVISORY),
    # The PLC may have shed before we came, or a model be in doubt: both wait for the same word.
    Transition(Mode.ADVISORY, "ack", Mode.ADVISORY),
    Transition(
        Mode.ADVISORY,
        "close",
        Mode.INIT,
        ("inputs", "permit", "plc_not_shed", "limits", "audit", "authority", "model"),
    ),
    Transition(Mode.INIT, "off", Mode.OFF),
    Transition(Mode.INIT, "open", Mode.ADVISORY),
    Transition(Mode.INIT, "freeze", Mode.ADVISORY),
    Transition(Mode.INIT, "unfit", Mode.ADVISORY),
    Transition(Mode.INIT, "hard", Mode.ADVISORY),
    Transition(Mode.INIT, "drift", Mode.ADVISORY),
    Transition(Mode.INIT, "expired", Mode.ADVISORY),
    Transition(Mode.INIT, "confirmed", Mode.CLOSED),
    Transition(Mode.CLOSED, "off", Mode.OFF),
    Transition(Mode.CLOSED, "open", Mode.ADVISORY),
    Transition(Mode.CLOSED, "hard", Mode.SHED),
    Transition(Mode.CLOSED, "freeze", Mode.HOLD),
    Transition(Mode.CLOSED, "flapping", Mode.SHED),
    # A model that is no longer believed gives advice, not orders; the PLC runs the line.
    Transition(Mode.CLOSED, "drift", Mode.ADVISORY),
    Transition(Mode.CLOSED, "transient", Mode.HOLD),
    Transition(Mode.HOLD, "off", Mode.OFF),
    Transition(Mode.HOLD, "open", Mode.ADVISORY),
    Transition(Mode.HOLD, "hard", Mode.SHED),
    Transition(Mode.HOLD, "freeze", Mode.HOLD),
    Transition(Mode.HOLD, "drift", Mode.ADVISORY),
    Transition(Mode.HOLD, "expired", Mode.SHED),
    Transition(Mode.HOLD, "recovered", Mode.CLOSED),
    Transition(Mode.SHED, "off", Mode.OFF),
    Transition(Mode.SHED, "open", Mode.ADVISORY),
    Transition(Mode.SHED, "ack", Mode.ADVISORY, ("inputs", "audit")),
)
_BY_PLACE = {(row.source, row.event): row for row in TABLE}


def next_mode(
    mode: Mode, events: Mapping[str, str], conditions: Mapping[str, str]
) -> tuple[Mode, str]:
    """The mode after one cycle, and why it changed or could not.

    ``events`` maps what happened to its reason, ``conditions`` what does not hold to its reason
    (a condition that is absent holds). The first event in the order of ``EVENTS`` that leads
    anywhere is taken; one transition a cycle.
    """
    refused = ""
    for event in EVENTS:
        if event not in events:
            continue
        row = _BY_PLACE.get((mode, event))
        if row is None:
            continue
        missing = [conditions[name] for name in row.needs if name in conditions]
        if missing:
            refused = f"{event} refused: {'; '.join(missing)}"
            continue
        return row.target, events[event] or event
    return mode, refused


def wanted(
    before: Mode, mode: Mode, events: Mapping[str, str], conditions: Mapping[str, str]
) -> Mode:
    """The mode that operators want: by their newest word that is not refused, else the one of before.

    INIT is on the way to CLOSED, which is what was asked for. What the loop does by itself changes nothing here.
    """
    for event in EVENTS:
        if event not in OPERATOR_EVENTS or event not in events:
            continue
        row = _BY_PLACE.get((mode, event))
        if row is not None and not any(name in conditions for name in row.needs):
            return Mode.CLOSED if row.target is Mode.INIT else row.target
    return before
