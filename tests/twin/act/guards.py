"""A guard under way at the line of one station, and what it lets be written."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.twin.act.observations import CONTROL, SIGNALS
from twin.act.guard import Guard
from twin.act.memory import GuardMemory
from twin.cycle import Acknowledgement, Action, Decision, Mode, Observation, Outcome

GUARD = Guard(SIGNALS, CONTROL)


class Turns:
    """A guard under way; starts CLOSED, long after its last write."""

    def __init__(self, mode: Mode = Mode.CLOSED) -> None:
        self.memory = GuardMemory(mode=mode, has_asked=mode in (Mode.CLOSED, Mode.HOLD))

    def grant(
        self,
        asked: dict[str, float],
        seen: Observation,
        *commands: str,
        answer: Outcome | None = None,
        active: Mapping[str, float] = MappingProxyType({}),
    ) -> Decision:
        told = dict(active)
        acknowledged = answer and Acknowledgement(self.memory.sequence, answer, told, "as it said")
        return GUARD.grant(Action(asked, "a test"), seen, commands, acknowledged, self.memory)


def written(decision: Decision) -> dict[str, float]:
    assert decision.batch is not None
    return {setpoint.signal: setpoint.value for setpoint in decision.batch.setpoints}
