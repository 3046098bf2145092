"""Alarms: what somebody has to see to. Each is raised once and cleared once.

An alarm calls for a response in good time; whatever needs none is an event, a line of the log (ISA-18.2). So each
kind of alarm names its response. A cause has to be there for some turns before it is told and gone for as many before it
is over, so that one which comes and goes does not chatter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

OVER = "alarm over"
"""How the line of a log begins that clears one."""
Named = tuple[str, str]
"""An alarm's kind, and of what: a station, a quantity, a store; empty where there is only one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What alarms of one kind ask of people, and for how many turns a cause has to be there, or gone."""

    response: str
    turns: int = 1


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "loop": Kind("mend the cause, then twin loop ack and twin loop close; or twin loop open"),
        "line": Kind("see to network and PLC; the loop connects again by itself", 3),
        "controller": Kind("look at its log; the PLC or the fallback runs the line", 3),
        "instrument": Kind("have it looked at; what can be done without it goes on", 3),
        "model": Kind("look at instrument and process; twin loop ack closes in spite of it"),
        "record": Kind("make room on the disk, or see to its rights"),
        "certificate": Kind("make a new one before this one ends"),
    }
)
"""Turns of those that come and go by themselves are an *assumption*: three, as for a PLC's plain time-outs."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm, with why it was raised and since when, plant time."""

    kind: str
    subject: str
    why: str
    since_us: int

    @property
    def name(self) -> str:
        """As people call it."""
        return f"{self.kind} {self.subject}".strip()

    @property
    def response(self) -> str:
        """What is to be done."""
        return KINDS[self.kind].response


@dataclass(slots=True)
class AlarmMemory:
    """The alarms that stand, how long each cause has been there, and how often each kind was raised."""

    standing: dict[Named, Alarm] = field(default_factory=dict)
    lasting: dict[Named, int] = field(default_factory=dict)
    raised: Counter[str] = field(default_factory=Counter)


def turned(
    memory: AlarmMemory, time_us: int, causes: Mapping[Named, str]
) -> tuple[list[Alarm], list[Alarm]]:
    """One turn later: the alarms that are raised now, and those that are cleared.

    ``causes`` says of each thing that is amiss in this turn why, in words. Raises ``KeyError`` for an unknown kind.
    """
    raised, cleared = [], []
    for name in sorted({*memory.lasting, *causes}):
        turns = KINDS[name[0]].turns
        count = memory.lasting.get(name, 0) + (1 if name in causes else -1)
        memory.lasting[name] = min(max(count, 0), turns)
        if count >= turns and name not in memory.standing:
            memory.standing[name] = Alarm(*name, causes[name], time_us)
            memory.raised[name[0]] += 1
            raised.append(memory.standing[name])
        elif count <= 0:
            del memory.lasting[name]
            if name in memory.standing:
                cleared.append(memory.standing.pop(name))
    return raised, cleared
