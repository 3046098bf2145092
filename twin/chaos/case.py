"""What a case of the fault table is: what is broken, how it is played, what is expected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twin.chaos.evidence import Evidence
    from twin.chaos.rig import Rig

SLACK_S = 0.5
"""Between a fault and the turn that can see it pass a scan, a publishing interval and a decision."""
RECOVER_S = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """A mode that the loop takes after a fault, why (a pattern), and how soon at the latest.

    ``alarms`` are those that have to be raised beside that of the loop, which each SHED has. The limit is so many
    periods of the loop and so many seconds of the wall, and ``SLACK_S``.
    """

    mode: str
    why: str
    periods: float = 0.0
    wall_s: float = 0.0
    alarms: tuple[str, ...] = ()

    def limit_s(self, period_s: float) -> float:
        """Seconds of the wall."""
        return self.periods * period_s + self.wall_s + SLACK_S


Play = Callable[["Rig"], Awaitable[None]]
Alone = Callable[[Path, int], list[str]]
"""A case that is a property of the loop: played in one process, with a seed; its findings."""
Proof = Callable[["Evidence"], list[str]]
"""What a case has to leave on record beside what all have to; what is missing, in words."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the fault table.

    ``is_blind``: the fault takes a critical input, so from its first step's limit until its end
    nothing may be put in force. ``holds`` and ``sheds`` are how often the loop may do so for each
    fault; more is a loop that flaps. ``is_open``: the link is in the clear, for a trap that has to know
    what passes the wire; by default it is encrypted, as the product's is. ``needs`` says why this
    machine cannot play it, or nothing.
    """

    number: int
    group: str
    title: str
    injected: str
    play: Play | None = None
    alone: Alone | None = None
    speed: float = 5.0
    is_blind: bool = False
    is_open: bool = False
    holds: int = 1
    sheds: int = 1
    proof: Proof = lambda _: []
    needs: Callable[[], str] = lambda: ""
