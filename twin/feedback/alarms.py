"""Alarms: what somebody has to see to. Each is raised once and cleared once.

An alarm calls for a response in good time; whatever needs none is an event, a line of the log (ISA-18.2). So each
kind of alarm names its response. A cause has to last for a while before it is told, and to be gone for longer before
it is over, so that one which comes and goes does not chatter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

OVER = "alarm over"
"""How the line of a log begins that clears one."""
Named = tuple[str, str]
"""An alarm's kind, and of what: a station, a quantity, a store; empty where there is only one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What alarms of one kind ask of people; for how many periods of the loop a cause has to last, and to be gone."""

    response: str
    on: float = 0.0
    off: float = 0.0


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "loop": Kind("mend the cause, then twin loop ack and twin loop close; or twin loop open"),
        "line": Kind("see to network and PLC; the loop connects again by itself", 2, 5),
        "access": Kind("see to certificate, user, plant and mapping: this does not mend itself", 2),
        "controller": Kind("look at its log; the PLC runs the line", 2, 5),
        "policy": Kind("its reason says why; the fallback runs the line, or train it anew", 120, 5),
        "instrument": Kind("have it looked at; what can be done without it goes on", 2, 5),
        "model": Kind("look at instrument and process, then twin loop ack", 0, 120),
        "record": Kind("make room on the disk, or see to its rights", 0, 5),
        "certificate": Kind("make a new one before this one ends"),
    }
)
"""The periods are *assumptions*: a fault is to be told while it lasts, and one that flaps is to be told once."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm: since when it stands, plant time, and why it does by now."""

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
    """The alarms that stand, from when to when each cause was last there, and how often each kind was raised."""

    standing: dict[Named, Alarm] = field(default_factory=dict)
    began_us: dict[Named, int] = field(default_factory=dict)
    last_us: dict[Named, int] = field(default_factory=dict)
    raised: Counter[str] = field(default_factory=Counter)


def follow(
    memory: AlarmMemory,
    time_us: int,
    period_us: int,
    causes: Mapping[Named, str],
    *,
    unseen: Collection[str] = (),
    answered: Collection[str] = (),
) -> tuple[list[Alarm], list[Alarm]]:
    """One turn later: the alarms that are raised now, and those that are cleared.

    ``causes`` says of each thing that is amiss in this turn why, in words. Of the kinds in ``unseen`` nothing is known
    in this turn, so that what stands goes on; to those in ``answered`` an operator has responded, so that what is
    gone is over at once. Raises ``KeyError`` for an unknown kind.
    """
    raised, cleared = [], []
    for name in sorted({*memory.began_us, *causes}):
        kind = KINDS[name[0]]
        if name in causes:
            memory.last_us[name] = time_us
            lasts_us = time_us - memory.began_us.setdefault(name, time_us)
            if name in memory.standing:
                memory.standing[name] = replace(memory.standing[name], why=causes[name])
            elif lasts_us >= kind.on * period_us:
                memory.standing[name] = Alarm(*name, causes[name], time_us)
                memory.raised[name[0]] += 1
                raised.append(memory.standing[name])
        elif name[0] in unseen:
            memory.last_us[name] = time_us
        else:
            gone_us = time_us - memory.last_us[name]
            stays = name in memory.standing and name[0] not in answered
            if not (stays and gone_us < kind.off * period_us):
                del memory.began_us[name], memory.last_us[name]
                if name in memory.standing:
                    cleared.append(memory.standing.pop(name))
    return raised, cleared
