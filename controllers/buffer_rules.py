"""Rules that send a station to standby by what lies before and behind it.

They see states and levels once a period, as a PLC would. Pace is even, process setpoints are the tuned
ones. The ideas are those of the literature on energy control of buffered lines: sleep while nothing waits
(upstream buffer), sleep until N parts wait (N-policy; Yadin and Naor, Oper. Res. Quarterly 14 (1963) 393),
and sleep while the bottleneck can live from what lies between (opportunity window; Zou, Arinez, Chang,
Lei, JMSE 138(12) 121009, 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from controllers.rules import AlwaysOn, shortest_rest_s
from twin.config import StationSpec, TunedPoint
from twin.cycle import Observation, Situation
from twin.line import schema as s
from twin.line.model import Line

ASLEEP = (s.STANDBY, s.OFF)
WITHOUT_WORK = (s.IDLE, s.STANDBY, s.OFF)


class Upstream(AlwaysOn):
    """Asleep as soon as nothing waits; awake again when so many parts wait."""

    rule, thresholds = "upstream", ("wake_at", "even_share")
    wake_at = 2.0

    @property
    def _why(self) -> str:
        return f"even pace, standby while fewer than {self.wake_at:g} parts wait"

    def __init__(self, line: Line, tuned: TunedPoint) -> None:
        super().__init__(line, tuned)
        self._rooms = {b.name: max(float(b.capacity), 1.0) for b in line.plant.buffers}

    def _standby(self, situation: Situation) -> Mapping[str, float]:
        seen = situation.observation
        return {
            f"{station.name}.standby": float(self._sleeps(station, seen))
            for station in self._plant.stations
            if station.standby
        }

    def _sleeps(self, station: StationSpec, seen: Observation) -> bool:
        state = int(seen[f"{station.name}.state"])
        if state not in WITHOUT_WORK:
            return False
        waiting = seen[f"{station.takes_from}.level"]
        if state not in ASLEEP:
            return bool(waiting < 1.0)
        # The last parts of a shift are fewer than one waits for, and a buffer may be too small.
        least = min(self.wake_at, self._rooms[station.takes_from], max(self._to_come(seen), 1.0))
        return bool(waiting < least)

    def _to_come(self, seen: Observation) -> float:
        """Parts that are still to be made."""
        return seen["line.ordered_count"] - seen["line.good_count"]


class NPolicy(Upstream):
    """Asleep as soon as nothing waits; awake again when many parts wait."""

    rule, thresholds = "n_policy", ("wake_at", "even_share")
    wake_at = 8.0

    @property
    def _why(self) -> str:
        return f"even pace, standby until {self.wake_at:g} parts wait"


class Opportunity(Upstream):
    """Asleep while the bottleneck has enough to do, or enough room, until the station is ready again."""

    rule, thresholds = "opportunity", ("margin", "even_share")
    margin = 1.0
    """How many times the break-even time a window has to last; assumption."""

    @property
    def _why(self) -> str:
        return "even pace, standby in windows that the bottleneck does not feel"

    def _sleeps(self, station: StationSpec, seen: Observation) -> bool:
        state = int(seen[f"{station.name}.state"])
        if state not in WITHOUT_WORK:
            return False
        if self._to_come(seen) < 1.0:
            return True
        window_s = self._window_s(station, seen)
        if state in ASLEEP:
            return window_s > float(station.warm_up_s) + self._plant.control.period_s
        return window_s > self.margin * shortest_rest_s(station) + float(station.warm_up_s)

    def _window_s(self, station: StationSpec, seen: Observation) -> float:
        """How long the station may stop before the bottleneck starves or is blocked by it."""
        cycles_s = {st.name: _cycle_s(st, seen) for st in self._plant.stations}
        if min(cycles_s.values()) <= 0.0:
            return 0.0  # who is the slowest is not known yet
        slowest = max(cycles_s, key=lambda name: cycles_s[name])
        cycle_s = cycles_s[slowest]
        behind = self._between.get((station.name, slowest))
        if behind is not None:  # the bottleneck lives from what lies between
            return cycle_s * sum(seen[f"{name}.level"] for name in behind)
        before = self._between.get((slowest, station.name))
        if before is None:
            return 0.0  # the bottleneck itself, or one beside it
        return cycle_s * sum(self._rooms[name] - seen[f"{name}.level"] for name in before)

    @cached_property
    def _between(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """The buffers on the way from one station to another, where there is a way."""
        stations = self._plant.stations
        ways: dict[tuple[str, str], tuple[str, ...]] = {}
        for first in stations:
            at, passed = first, list[str]()
            while len(passed) < len(stations):
                passed.append(at.gives_to)
                reached = [st for st in stations if st.takes_from == at.gives_to]
                if not reached:
                    break
                ways |= {(first.name, st.name): tuple(passed) for st in reached}
                at = reached[0]
        return ways


def _cycle_s(station: StationSpec, seen: Observation) -> float:
    """The mean cycle so far; nothing before the first part."""
    made = seen[f"{station.name}.op_count"]
    return seen[f"{station.name}.time_processing_s"] / made if made > 0.0 else 0.0
