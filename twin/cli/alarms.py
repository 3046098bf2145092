"""What is amiss with a running loop, told to people as alarms: in the log, with the status, as figures."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from twin.act.asked import has_stood_in
from twin.act.guard import FAILED
from twin.act.modes import OPERATOR_EVENTS
from twin.cli.linked import Linked, certificate_doubts
from twin.cycle import Mode
from twin.feedback.alarms import OVER, Alarm, AlarmMemory, Named, turned
from twin.logs import facts
from twin.signals import ne_107

if TYPE_CHECKING:
    from twin.cycle import Cycle
    from twin.loop import ControlLoop

_log = logging.getLogger(__name__)
AS_WANTED = (Mode.INIT, Mode.CLOSED, Mode.HOLD)
"""Where a loop that is to be closed may be without anybody's help: a hold ends by itself, or in SHED."""


class Alarms:
    """The alarms of one loop at one line.

    ``stores`` say by name what keeps them from recording, if anything. ``closed`` is who had the loop closed in the run
    before, if it was: a start never closes, and somebody has to know.
    """

    def __init__(
        self,
        loop: ControlLoop,
        equipment: object,
        stores: Mapping[str, Callable[[], str]],
        closed: str = "",
    ) -> None:
        self._loop, self._equipment, self._stores = loop, equipment, stores
        self._closed = closed
        self._memory = AlarmMemory()

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """Those that stand now."""
        return tuple(self._memory.standing.values())

    @property
    def raised(self) -> Counter[str]:
        """How often each kind was raised."""
        return self._memory.raised

    def turned(self, cycle: Cycle) -> None:
        """One turn is over."""
        time_us = cycle.decision.time_us
        if any(command.partition(":")[0] in OPERATOR_EVENTS for command in cycle.commands):
            self._closed = ""
        raised, cleared = turned(self._memory, time_us, dict(self._causes(cycle)))
        for one in raised:
            _log.warning("alarm: %s: %s; %s", one.name, one.why, one.response, extra=_told(one))
        for one in cleared:
            lasted_s = (time_us - one.since_us) / 1e6
            _log.warning("%s: %s, after %.0f s", OVER, one.name, lasted_s, extra=_told(one))

    def _causes(self, cycle: Cycle) -> Iterator[tuple[Named, str]]:
        loop, asked = self._loop, cycle.decision.asked
        if loop.memory.guard.requested is Mode.CLOSED and loop.mode not in AS_WANTED:
            why = "; ".join(cycle.decision.reasons)
            yield ("loop", ""), f"it was to be closed and is {loop.mode}: {why}"
        elif self._closed:
            yield ("loop", ""), f"it was closed in the run before, {self._closed}"
        if asked.status == FAILED or has_stood_in(asked):
            yield ("controller", ""), asked.reason
        accepted = loop.memory.guard.accepted_doubts
        for name, health in loop.health.items():
            if health.doubt and name not in accepted:
                yield ("model", name), health.doubt
        for name, trouble in self._stores.items():
            if why := trouble():
                yield ("record", name), why
        for side, doubt in certificate_doubts(self._equipment).items():
            yield ("certificate", side), doubt
        if isinstance(self._equipment, Linked) and not self._equipment.state.connected:
            yield ("line", ""), self._equipment.state.trouble
        else:
            yield from self._instruments()

    def _instruments(self) -> Iterator[tuple[Named, str]]:
        """One cause for each station or other place: what breaks it rarely breaks one instrument alone."""
        found: dict[str, list[str]] = {}
        for name, quality in self._loop.out_of_order.items():
            place = name.partition(".")[0]
            found.setdefault(place, []).append(f"{name} ({ne_107(quality)})")
        for place, names in found.items():
            yield ("instrument", place), f"not usable: {', '.join(names)}"


def _told(alarm: Alarm) -> dict[str, object]:
    return facts({"alarm": alarm.name, "since_s": alarm.since_us / 1e6, "why": alarm.why})
