"""The MPC that knows too much: true parameters, and forks that run in the very shift to come.

It is no plug-in and no plant could run it: it is given the true line and looks at the state of the plant
itself, its luck included. An evaluation lets it drive to see what of a controller's distance from the best
is due to what it cannot know. Prices, limits and solvers are those of the ordinary MPC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from controllers.mpc.controller import Mpc
from controllers.mpc.holds import Holds
from controllers.mpc.outlook import Outlook
from twin.analyze.whatif import Fork
from twin.config import TunedPoint
from twin.cycle import Action, Situation, Twin
from twin.line import schema as s
from twin.line.engine import EngineChoice, engine
from twin.line.model import Line
from twin.line.tags import TagReader
from twin.state import LineState


class Foreseeing(Mpc):
    """The MPC on the true line ``line``; its forks go on from ``plant()`` with its own luck.

    ``table`` is all that will come from outside, ``plant`` gives the state of the plant now. Parameters
    are those of the beginning: of their drift its equations know nothing, its forks all.
    """

    worlds = 1
    """There is one world only: the one that comes."""

    def __init__(
        self,
        line: Line,
        tuned: TunedPoint,
        table: Sequence[float],
        plant: Callable[[], LineState],
        choice: EngineChoice | str,
    ) -> None:
        super().__init__(line, tuned)
        self._plant_now = plant
        self._future = engine(line, table, choice)
        self._reader = TagReader(line)

    def decide(self, situation: Situation) -> Action:
        """As the MPC decides, with forks of the plant instead of forks of a twin."""
        return super().decide(replace(situation, fork=self._fork))

    def _fork(self, _world: int) -> Twin:
        state = self._future.own(self._plant_now())
        return Fork(self._future, self._future.table, self._reader, state)

    def _outlook(self, situation: Situation, holds: Holds) -> Outlook:
        """Where a plan starts from; how long a broken station will stay down is known."""
        state, block_s = self._plant_now(), self._plant.control.line_period_s
        found = super()._outlook(situation, holds)
        blocks = found.blocked_blocks.copy()
        for m, cell in enumerate(self._cells):
            if state.ints[cell.e * s.E_INTS + s.STATE] == s.DOWN:
                due_s = state.floats[cell.e * s.E_FLOATS + s.DUE_S]
                blocks[m] = max(due_s - state.now_s, 0.0) / block_s
        return replace(found, blocked_blocks=blocks)
