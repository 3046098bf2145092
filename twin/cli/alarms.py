"""What is amiss with a running loop, told to people as alarms: in the log, with the status, as figures."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from twin.act.asked import UNASKED, has_stood_in
from twin.act.guard import FAILED
from twin.act.modes import OPERATOR_EVENTS
from twin.cli.linked import Linked, doubts_of
from twin.cycle import Mode
from twin.feedback.alarms import OVER, Alarm, AlarmMemory, Named, follow
from twin.logs import facts
from twin.signals import ne_107

if TYPE_CHECKING:
    from twin.cycle import Cycle
    from twin.equipment.link_state import LinkState
    from twin.loop import ControlLoop

_log = logging.getLogger(__name__)
AS_WANTED = (Mode.INIT, Mode.CLOSED, Mode.HOLD)
"""Where a loop that is to be closed may be without anybody's help: a hold ends by itself, or in SHED."""
MOST_PLACES = 2
"""Where instruments of more places than these show nothing at once, it is what is between them and us; assumption."""
ANSWERS = frozenset(OPERATOR_EVENTS) - {"close"}
"""Operators' words that are never refused in ADVISORY, so that whoever says one knows that the loop is not closed."""


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
        self._loop, self._stores, self._closed = loop, stores, closed
        # Asking what an object can do takes as long as reading from it: once is enough.
        self._link = equipment if isinstance(equipment, Linked) else None
        self._period_us = round(loop.line.plant.control.period_s * 1e6)
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
        said = {command.partition(":")[0] for command in cycle.commands}
        if said & ANSWERS or self._loop.mode in AS_WANTED:
            self._closed = ""
        state = (
            None if self._link is None else self._link.state
        )  # once: it tells the age of each signal
        causes, unseen = dict(self._of_loop(cycle)), []
        if cycle.decision.asked.status == UNASKED:
            unseen += ["controller", "policy"]
        if state is not None:
            causes |= {("certificate", side): doubt for side, doubt in doubts_of(state).items()}
        if link := dict(_of_link(state)):
            unseen += [
                "instrument",
                "line",
                "access",
            ]  # of the latter two the one that is not among the causes
        causes |= link or dict(self._of_instruments())
        raised, cleared = follow(
            self._memory,
            time_us,
            self._period_us,
            causes,
            unseen=unseen,
            answered=("model",) if "ack" in said else (),
        )
        for one in raised:
            _log.warning("alarm: %s: %s; %s", one.name, one.why, one.response, extra=_told(one))
        for one in cleared:
            lasted_s = (time_us - one.since_us) / 1e6
            _log.warning("%s: %s, after %.0f s", OVER, one.name, lasted_s, extra=_told(one))

    def _of_loop(self, cycle: Cycle) -> Iterator[tuple[Named, str]]:
        """What is amiss with the loop, its controller, its models and its stores."""
        loop, asked = self._loop, cycle.decision.asked
        wanted = loop.memory.guard.requested
        if loop.mode is Mode.SHED or (wanted is Mode.CLOSED and loop.mode not in AS_WANTED):
            why = "; ".join(cycle.decision.reasons)
            yield ("loop", ""), f"it was to be {wanted} and is {loop.mode}: {why}"
        elif self._closed:
            yield ("loop", ""), f"it was closed in the run before, {self._closed}"
        if asked.status == FAILED:
            yield ("controller", ""), asked.reason
        elif has_stood_in(asked):
            yield ("policy", ""), asked.reason
        for name, health in loop.health.items():
            if health.doubt and name not in loop.memory.guard.accepted_doubts:
                yield ("model", name), health.doubt
        for name, trouble in self._stores.items():
            if why := trouble():
                yield ("record", name), why

    def _of_instruments(self) -> Iterator[tuple[Named, str]]:
        """One cause for each station or other place: what breaks it rarely breaks one instrument alone."""
        found: dict[str, list[str]] = {}
        for name, quality in self._loop.out_of_order.items():
            place = name.partition(".")[0]
            found.setdefault(place, []).append(f"{name} ({ne_107(quality)})")
        if len(found) > MOST_PLACES:
            yield ("line", ""), f"instruments of {', '.join(found)} show nothing of use"
            return
        for place, names in found.items():
            yield ("instrument", place), f"not usable: {', '.join(names)}"


def _of_link(state: LinkState | None) -> Iterator[tuple[Named, str]]:
    if state is not None and not state.connected:
        yield ("access" if state.is_hard else "line", ""), state.trouble


def _told(alarm: Alarm) -> dict[str, object]:
    return facts({"alarm": alarm.name, "since_s": alarm.since_us / 1e6, "why": alarm.why})
