"""Rules that plants run on today, by pace and time-out: the rivals of every controller.

All hold the process setpoints that were tuned for the plant, so that what they save or lose against each
other is pace and standby alone. Rules that look at the buffers are in ``controllers.buffer_rules``. Thresholds are
those that ``twin tune --rules`` has found for the plant, where it has been asked; else the ones named here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from controllers.break_even import break_even_s
from controllers.waking import all_awake
from twin.config import StationSpec, TunedPoint
from twin.cycle import Action, Situation
from twin.line.model import Line
from twin.signals import Limits

EVEN_SHARE = 0.97
"""Share of the shift in which an even pace wants to have released everything; assumption."""
RESTS = 1.0
"""How many times its break-even time a station waits before it sleeps: at once it never takes more than twice
what somebody who knows the rest to come would (Karlin, Manasse, McGeoch, Owicki, Algorithmica 11 (1994) 542)."""


class AlwaysOn:
    """Machines stay ready; blanks are released evenly over the shift."""

    rule = "always_on"
    """Under which name its tuned thresholds are kept."""
    thresholds: ClassVar[tuple[str, ...]] = ("even_share",)
    """Attributes that a search may set."""
    even_share = EVEN_SHARE
    rests = math.inf
    """How many times its own break-even time each station waits before it sleeps."""

    def __init__(self, line: Line, tuned: TunedPoint) -> None:
        self._plant = line.plant
        found = tuned.thresholds.get(self.rule, {})
        for name in self.thresholds:
            setattr(self, name, found.get(name, getattr(self, name)))
        self._held = {
            name: value
            for name, value in tuned.setpoints.items()
            if name != "line.takt_s" and not name.endswith(".standby_after_s")
        }
        self._time_outs = {
            f"{station.name}.standby_after_s": _time_out_s(station, self.rests)
            for station in line.plant.stations
            if station.standby
        }

    def decide(self, situation: Situation) -> Action:
        """A takt for what is still open, inside the operator's limits, and who sleeps."""
        takt_s, standby = self._takt_s(situation), self._standby(situation)
        asked = {**self._held, "line.takt_s": takt_s, **self._time_outs, **standby}
        return all_awake(Action(asked, self._why), situation)

    @property
    def _why(self) -> str:
        return "even pace, machines always on"

    def _takt_s(self, situation: Situation) -> float:
        """An even one."""
        seen, takt = situation.observation, takt_limits(situation)
        open_parts = seen["line.ordered_count"] - seen["line.good_count"] - seen["line.wip"]
        shift_s = self._plant.shift_h * 3600.0
        left_s = self.even_share * shift_s - situation.time_s % shift_s
        if open_parts < 1.0 or left_s <= 0.0:
            return takt.lo
        return takt.clip(left_s / open_parts)

    def _standby(self, situation: Situation) -> Mapping[str, float]:
        """Nobody is sent to sleep."""
        return {}


class TimeOut(AlwaysOn):
    """Even pace; a station that has been idle for a while goes to standby by itself."""

    rule, thresholds = "timeout", ("rests", "even_share")
    rests = RESTS

    @property
    def _why(self) -> str:
        return f"even pace, standby after {self.rests:g} times the break-even time"


class FullPace(AlwaysOn):
    """Everything at full pace, then standby: the strongest of the simple rules."""

    rule, thresholds = "full_pace", ("rests",)
    rests = RESTS

    @property
    def _why(self) -> str:
        return f"full pace, standby after {self.rests:g} times the break-even time"

    def _takt_s(self, situation: Situation) -> float:
        return takt_limits(situation).lo


Rules = FullPace
"""What ``--controller rules`` means."""


class Pi(AlwaysOn):
    """A takt that follows the schedule: proportional to what is missing, and to its sum so far."""

    rule, thresholds = "pi", ("gain_s", "reset_s", "even_share")
    gain_s, reset_s = 2.0, 3600.0
    """Seconds of takt a part behind schedule, and the integral's time; assumption."""

    @property
    def _why(self) -> str:
        return "takt by PI on the parts behind schedule, machines always on"

    def __init__(self, line: Line, tuned: TunedPoint) -> None:
        super().__init__(line, tuned)
        self._sum, self._last_s = 0.0, 0.0

    def _takt_s(self, situation: Situation) -> float:
        seen, takt = situation.observation, takt_limits(situation)
        shift_s = self.even_share * self._plant.shift_h * 3600.0
        ordered, now_s = seen["line.ordered_count"], situation.time_s
        if not ordered > 0.0:
            return takt.hi
        even_s = shift_s / ordered
        released = seen["line.good_count"] + seen["line.wip"]
        behind = min(now_s / even_s, ordered) - released
        passed_s, self._last_s = now_s - self._last_s, now_s
        asked_s = even_s - self.gain_s * (behind + self._sum)
        if takt.lo < asked_s < takt.hi:  # else the integral would wind up
            self._sum += behind * passed_s / self.reset_s
        return takt.clip(asked_s)


def shortest_rest_s(station: StationSpec) -> float:
    """The shortest rest through which sleeping pays, by the plant file."""
    power = station.power
    return break_even_s(
        float(power.idle_kw),
        float(power.standby_kw),
        float(power.warm_up_kw),
        float(station.warm_up_s),
    )


def _time_out_s(station: StationSpec, rests: float) -> float:
    """So many of its rests that just pay, inside what the operator allows."""
    lo, hi = station.standby_after_s.operator
    return hi if math.isinf(rests) else min(max(rests * shortest_rest_s(station), lo), hi)


def takt_limits(situation: Situation) -> Limits:
    """What the operator allows."""
    takt = next(s for s in situation.signals if s.name == "line.takt_s")
    assert takt.operator is not None
    return takt.operator
