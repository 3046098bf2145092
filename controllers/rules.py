"""Rules that plants run on today: the rivals of every controller.

All keep the process setpoints where the recipe has them and differ in pace and standby.
"""

from __future__ import annotations

from twin.config import TunedPoint
from twin.cycle import Action, Situation
from twin.line.model import Line
from twin.signals import Role

NEVER_S = 1_000_000.0
TIME_OUT_S = 90.0
"""Idle time after which the time-out rule sends a station to standby; assumption."""
FULL_PACE_TIME_OUT_S = 70.0
"""The same for full pace, where an idle station has mostly finished its shift; assumption."""
SPARE = 0.97
"""Share of the shift in which an even pace wants to have released everything."""


class AlwaysOn:
    """Machines stay ready; blanks are released evenly over the shift."""

    time_out_s = NEVER_S

    def __init__(self, line: Line, tuned: TunedPoint) -> None:
        self._plant = line.plant
        self._time_outs = {
            f"{s.name}.standby_after_s": self.time_out_s for s in line.plant.stations if s.standby
        }

    def decide(self, situation: Situation) -> Action:
        """An even takt for what is still open, inside the operator's limits."""
        return Action({"line.takt_s": self._takt_s(situation), **self._time_outs}, self._why)

    _why = "even pace, machines always on"

    def _takt_s(self, situation: Situation) -> float:
        seen = situation.observation
        takt = next(s for s in situation.signals if s.name == "line.takt_s")
        assert takt.operator is not None
        open_parts = seen["line.ordered_count"] - seen["line.good_count"] - seen["line.wip"]
        shift_s = self._plant.shift_h * 3600.0
        left_s = SPARE * shift_s - situation.time_s % shift_s
        if open_parts < 1.0 or left_s <= 0.0:
            return takt.operator.lo
        return takt.operator.clip(left_s / open_parts)


class TimeOut(AlwaysOn):
    """Even pace; a station that has been idle for a while goes to standby by itself."""

    time_out_s = TIME_OUT_S
    _why = f"even pace, standby after {TIME_OUT_S:g} s"


class FullPace(AlwaysOn):
    """Everything at full pace, then standby: the strongest of the simple rules."""

    time_out_s = FULL_PACE_TIME_OUT_S
    _why = f"full pace, standby after {FULL_PACE_TIME_OUT_S:g} s"

    def _takt_s(self, situation: Situation) -> float:
        takt = next(s for s in situation.signals if s.name == "line.takt_s" and s.role is Role.MV)
        assert takt.operator is not None
        return takt.operator.lo


Rules = FullPace
"""What ``--controller rules`` means."""
