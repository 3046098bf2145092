"""How long a controller itself takes: a clock around it, since neither it nor the loop has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.clock import wall_s
from twin.timings import DecisionTimes

if TYPE_CHECKING:
    from twin.cycle import Action, Situation
    from twin.protocols import Controller


class Timed:
    """A controller that decides as another one does; ``taken`` has the seconds of each decision, failed ones too."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.taken = DecisionTimes()

    def decide(self, situation: Situation) -> Action:
        """What the other one asks for."""
        began_s = wall_s()
        try:
            return self._controller.decide(situation)
        finally:
            self.taken.add(wall_s() - began_s)
