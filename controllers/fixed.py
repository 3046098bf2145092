"""Constant setpoints: the best ones that a search has found for this plant.

The values are shipped beside the plant with the log of the search, see ``controllers.tuning``.
"""

from __future__ import annotations

from controllers.waking import all_awake
from twin.config import TunedPoint
from twin.cycle import Action, Situation
from twin.line.model import Line


class Fixed:
    """Asks for the same setpoints always; the stations' own time-outs do the rest.

    What somebody else has sent to sleep it wakes, once.
    """

    def __init__(self, line: Line, tuned: TunedPoint) -> None:
        self._setpoints = dict(tuned.setpoints)

    def decide(self, situation: Situation) -> Action:
        """The tuned setpoints."""
        return all_awake(Action(self._setpoints, "tuned constant setpoints"), situation)
