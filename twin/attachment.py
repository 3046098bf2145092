"""A twin that follows a line and steers nothing: it looks ahead, and keeps book of how right it was.

It may come to a line at any moment. From then on each reading puts it in step, and what the model gets
wrong is learned as in the loop (``twin.loop``), whose eyes it uses. When asked, it sends many likely
copies of itself ahead; when that time has come, the line shows what they were worth.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from twin.analyze.in_step import out_of_step
from twin.analyze.likely import likely_lines
from twin.analyze.outlook import Outlook, look_ahead
from twin.analyze.seen import refuse_unseen
from twin.analyze.synchronise import synchronise
from twin.analyze.whatif import ahead
from twin.cycle import Action, Observation, Reading, Situation
from twin.feedback.drift import Fared
from twin.line import schema as s
from twin.line.model import Line
from twin.loop import ControlLoop
from twin.sense.reconcile import missed_transitions
from twin.signals import UNUSABLE

WORLDS = 500
"""Courses of an outlook: the ends of its 90 % interval then stray by some 7 % of its width."""
MOST_PERIODS = 3.0
"""An outlook whose end lies in a longer hole of readings is not scored."""
BETWEEN = 1_000_000
"""Tickets of draws between two readings, so that no two likely states share one."""


class _Nobody:
    """Stands where a controller would be."""

    def decide(self, situation: Situation) -> Action:
        """Ask for nothing."""
        return Action({}, "nobody steers")


COUNTERS = ("line.energy_kwh", "line.gas_kwh", "line.good_count")
"""What an outlook is held against when its time has come."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """Good parts and energy so far, at an instant."""

    time_us: int
    values: Mapping[str, float]

    @classmethod
    def of(cls, seen: Observation) -> _Counted | None:
        """What the line shows, if it shows all of it."""
        electricity_kwh, gas_kwh, good_parts = (seen[name] for name in COUNTERS)
        values = {"good_parts": good_parts, "energy_kwh": electricity_kwh + gas_kwh}
        return cls(seen.time_us, values) if math.isfinite(sum(values.values())) else None

    def at(self, time_us: int, later: _Counted) -> Mapping[str, float]:
        """The counters between two instants: energy evenly, parts as they were before."""
        if not self.time_us < time_us < later.time_us:
            return later.values
        share = (time_us - self.time_us) / (later.time_us - self.time_us)
        begun_kwh, ended_kwh = self.values["energy_kwh"], later.values["energy_kwh"]
        energy_kwh = begun_kwh + share * (ended_kwh - begun_kwh)
        return {"good_parts": self.values["good_parts"], "energy_kwh": energy_kwh}


@dataclass(frozen=True, slots=True)
class _Pending:
    outlook: Outlook
    begun: _Counted

    @property
    def until_us(self) -> int:
        """When its time has come, as plant time is counted."""
        return round(self.outlook.until_s * 1e6)


@dataclass(slots=True)
class Attachment:
    """One twin at one line. ``loop`` lends its eyes and its memory; its controller is never asked.

    ``fared`` has the outlooks whose time has come, oldest first.
    """

    loop: ControlLoop
    fared: list[Fared] = field(default_factory=list)
    _seen: Observation | None = None
    _is_in_step: bool = False
    _pending: list[_Pending] = field(default_factory=list)
    _untold: Counter[str] = field(default_factory=Counter)
    _counted: _Counted | None = None

    @classmethod
    def to(cls, line: Line, seed: int) -> Attachment:
        """A twin of the nominal ``line`` that has seen nothing yet; ``seed`` keys its own luck.

        Raises ``UnseenError`` for a line with elements that no reading tells enough of.
        """
        refuse_unseen(line)
        return cls(ControlLoop(line, _Nobody(), seed))

    @property
    def waits(self) -> bool:
        """Whether there are outlooks whose time has not come."""
        return bool(self._pending)

    def follow(self, reading: Reading) -> bool:
        """Take in a reading; False while the line cannot be seen, or its time stands still."""
        if self._seen is not None and reading.time_us <= self._seen.time_us:
            return False
        before, seen = self._seen, self.loop.sense(reading)
        self._seen = seen
        is_seen = self.loop.analyze(seen) is not None
        self._is_in_step = is_seen and _Counted.of(seen) is not None
        self.loop.memory.turns += 1
        if before is not None:
            self._untold.update(missed_transitions(self.loop.line, before, seen))
        self._settle(seen)
        return self._is_in_step

    @property
    def missed(self) -> dict[str, int]:
        """Transitions since it came that no event has told of, by counter."""
        return {name: number for name, number in sorted(self._untold.items()) if number > 0}

    @property
    def unread(self) -> tuple[str, ...]:
        """Signals without which the line cannot be seen, and that could not be read at the last look."""
        seen = self._seen
        if seen is None or self._is_in_step:
            return ()
        needed = {signal.name for signal in self.loop.signals if signal.critical} | {*COUNTERS}
        unusable = (seen.quality & int(UNUSABLE)) != 0
        names = [signal.name for signal in self.loop.signals]
        return tuple(
            name for name, bad in zip(names, unusable, strict=True) if bad and name in needed
        )

    def out_of_step(self) -> Mapping[str, tuple[float, float]]:
        """The error of the twin's own state: what line and twin show, where they differ."""
        assert self._seen is not None
        return out_of_step(self.loop.tags, self.loop.memory.twin, self._seen)

    def look_ahead(self, lasts_s: float, worlds: int = WORLDS) -> Outlook:
        """What the line will make and take from now on. Raises ``ValueError`` while it is not seen."""
        seen, memory = self._seen, self.loop.memory
        begun = _Counted.of(seen) if seen is not None and self._is_in_step else None
        if seen is None or begun is None:
            raise ValueError("the line cannot be seen: there is nothing to begin with")
        line, offsets = self.loop.line, memory.estimate.offsets
        seed = memory.twin.ints[line.k[s.K_LINE_I] + s.SEED]
        first = memory.turns * BETWEEN  # each look has luck of its own
        lines = likely_lines(line, offsets, seed, worlds, first)
        states = []
        for n, likely in enumerate(lines):
            state = memory.twin.copy()
            if not synchronise(likely, state, seen, first + n):
                raise ValueError("the line cannot be seen: there is nothing to begin with")
            states.append(state)
        table = ahead(line, memory.twin, lasts_s)
        outlook = look_ahead(lines, table, states, offsets, lasts_s, first)
        self._pending.append(_Pending(outlook, begun))
        return outlook

    def _settle(self, seen: Observation) -> None:
        """Compare the outlooks whose time has come with what the counters show, once they can be read."""
        now = _Counted.of(seen)
        if now is None:
            return
        before, self._counted = self._counted or now, now
        due = [one for one in self._pending if one.until_us <= seen.time_us]
        self._pending = [one for one in self._pending if one.until_us > seen.time_us]
        gap_us = MOST_PERIODS * self.loop.line.plant.control.period_s * 1e6
        for one in due:
            if one.until_us < now.time_us and now.time_us - before.time_us > gap_us:
                continue  # nobody saw how it ended
            ended = before.at(one.until_us, now)
            actual = {name: ended[name] - one.begun.values[name] for name in one.outlook.courses}
            if all(value >= 0.0 for value in actual.values()):  # else they have begun anew
                self.fared.append(Fared(one.outlook.from_s, one.outlook.courses, actual))
