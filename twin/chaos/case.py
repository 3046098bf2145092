"""What a case of the fault table is: what is broken, how it is played, what is expected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twin.chaos.rig import Rig

SLACK_S = 0.5
"""Between a fault and the turn that can see it pass a scan, a publishing interval and a decision."""
RECOVER_S = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """A mode that the loop takes after a fault, why (a pattern), and how soon at the latest.

    The limit is so many periods of the loop and so many seconds of the wall, and ``SLACK_S``.
    """

    mode: str
    why: str
    periods: float = 0.0
    wall_s: float = 0.0

    def limit_s(self, period_s: float) -> float:
        """Seconds of the wall."""
        return self.periods * period_s + self.wall_s + SLACK_S


Play = Callable[["Rig", "Case"], Awaitable[None]]
Alone = Callable[[Path, int], list[str]]
"""A case that is a property of the loop: played in one process, with a seed; its findings."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the fault table.

    ``steps`` are the modes that have to come, in their order; without any the loop has to stay
    CLOSED. ``is_blind``: the fault takes a critical input, so from the first step's limit until its
    end nothing may be put in force. ``needs`` says why this machine cannot play it, or nothing.
    """

    number: int
    group: str
    title: str
    injected: str
    play: Play | None = None
    steps: tuple[Step, ...] = ()
    alone: Alone | None = None
    speed: float = 10.0
    plant: str = "paint_cure_line"
    is_blind: bool = False
    holds: int = 1
    """How often it may hold: more is a loop that flaps."""
    sheds: int = 1
    more: tuple[str, ...] = field(default=())
    """More arguments of the loop's command line."""
    needs: Callable[[], str] = lambda: ""
    reads: str = "whole"
    """``whole``: all samples are looked for."""
