"""A controller for tests of the loop: never at rest, and as ill as a file says.

It comes to a loop by the door of any plug-in: a folder on the path that names it as an entry point.
What it does is read from the file in ``TAKTTWIN_CHAOS_SWITCH`` at each decision.
"""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twin.chaos.luck import Luck
from twin.clock import monotonic_us
from twin.config import TunedPoint
from twin.cycle import Action, Situation
from twin.signals import Limits, Role, Signal

NAME = "restless"
SWITCH = "TAKTTWIN_CHAOS_SWITCH"
SHARE = 0.05
"""Of the operator's range, about the value at the start: moves that no line minds."""


class Restless:
    """Asks for other setpoints in each turn: small moves, or whatever its switch says."""

    def __init__(self, line: Any, tuned: TunedPoint) -> None:
        path = os.environ.get(SWITCH)
        self._switch = None if path is None else Path(path)
        self._luck = Luck(1, NAME)
        self._middle: dict[str, float] = {}

    def decide(self, situation: Situation) -> Action:
        """Setpoints for this turn."""
        does = self._does()
        mvs = [s for s in situation.signals if s.role is Role.MV]
        return ILLNESSES[does](self, mvs, situation)

    def _does(self) -> str:
        if self._switch is None or not self._switch.is_file():
            return "small"
        return str(json.loads(self._switch.read_text("utf-8"))["does"])

    def small(self, mvs: list[Signal], situation: Situation) -> Action:
        """Small moves about where each stood first."""
        asked = {}
        for mv in mvs:
            limits = mv.operator
            if mv.discrete or limits is None or mv.name.endswith("standby_after_s"):
                continue
            middle = self._middle.setdefault(mv.name, limits.clip(situation.active[mv.name]))
            reach = SHARE * (limits.hi - limits.lo)
            asked[mv.name] = limits.clip(self._luck.between(middle - reach, middle + reach))
        return Action(asked, "never at rest")

    def anything(self, mvs: list[Signal], situation: Situation) -> Action:
        """Any number, far beyond what is allowed."""
        return Action({mv.name: self._luck.between(*_beyond(mv.validity)) for mv in mvs}, "random")

    def bang_bang(self, mvs: list[Signal], situation: Situation) -> Action:
        """From one end to the other."""
        high = self._luck.draw() > 0.5
        ends = {mv.name: _beyond(mv.validity) for mv in mvs}
        return Action({name: hi if high else lo for name, (lo, hi) in ends.items()}, "bang-bang")

    def most(self, mvs: list[Signal], situation: Situation) -> Action:
        """Always the most."""
        return Action({mv.name: _beyond(mv.validity)[1] for mv in mvs}, "constant")

    def nan(self, mvs: list[Signal], situation: Situation) -> Action:
        """No numbers."""
        return Action(dict.fromkeys((mv.name for mv in mvs), math.nan), "nan")

    def shape(self, mvs: list[Signal], situation: Situation) -> Action:
        """Lists where numbers belong, and names that nobody has."""
        asked: dict[str, Any] = {mv.name: [1.0, 2.0] for mv in mvs}
        return Action(asked | {"no.such_mv": 1.0, "sis.burner_interlock": 0.0}, "wrong shape")

    def infeasible(self, mvs: list[Signal], situation: Situation) -> Action:
        """A solver that finds nothing."""
        raise RuntimeError("infeasible: no point satisfies all constraints")

    def memory(self, mvs: list[Signal], situation: Situation) -> Action:
        """A solver that asks for more memory than there is."""
        raise MemoryError

    def hang(self, mvs: list[Signal], situation: Situation) -> Action:
        """A solver that never comes back."""
        began_us = monotonic_us()
        while monotonic_us() - began_us < 3_600_000_000:
            pass
        return Action({})

    def die(self, mvs: list[Signal], situation: Situation) -> Action:
        """A solver that takes its process with it."""
        os.kill(os.getpid(), signal.SIGSEGV)
        return Action({})


ILLNESSES: Mapping[str, Callable[[Restless, list[Signal], Situation], Action]] = {
    name: getattr(Restless, name)
    for name in (
        "small", "anything", "bang_bang", "most", "nan",
        "shape", "infeasible", "memory", "hang", "die",
    )
}  # fmt: skip
"""What it may do, by the word in its switch."""


def _beyond(validity: Limits | None) -> tuple[float, float]:
    """An interval with the valid one in its middle, and as much again on both sides."""
    assert validity is not None
    width = validity.hi - validity.lo
    return validity.lo - width, validity.hi + width


def install(folder: Path) -> None:
    """Make a folder that offers the controller to whoever has it on the path."""
    place = folder / "takttwin_restless-1.dist-info"
    place.mkdir(parents=True, exist_ok=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: takttwin-restless\nVersion: 1\n")
    offered = f"[takttwin.controllers]\n{NAME} = twin.chaos.restless:Restless\n"
    (place / "entry_points.txt").write_text(offered)
