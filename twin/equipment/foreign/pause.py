"""Standby by the methods of the energy companion model (OPC 34100): a pause begins and ends.

``StartPause`` takes the wished length of the pause and answers with the energy saving mode that the
machine goes to, the times that it needs and a return code; ``EndPause`` with the time until it is
ready and a return code. The code comes last; 0 is success.
"""

from __future__ import annotations

from dataclasses import dataclass

from asyncua import Client, ua

from twin.equipment.binding import REFUSALS
from twin.equipment.foreign.bound import Bound
from twin.equipment.opcua_link import call_method
from twin.equipment.opcua_types import name_of
from twin.signals import Setpoint

RETURN_CODES = {
    0x50: "no suitable energy saving mode",
    0x52: "no such energy saving mode",
    0x53: "it is in operation",
    0x54: "not available now",
}
_NOT_NOW = {ua.StatusCodes.BadInvalidState, ua.StatusCodes.BadStateNotActive}
"""What a method answers that does nothing in the state in which its machine is."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The two methods of one machine, and how long a pause is asked for."""

    of: ua.NodeId
    start: ua.NodeId
    end: ua.NodeId
    pause_s: float

    @classmethod
    def of_signal(cls, bound: Bound, name: str) -> Pause | None:
        """How a signal is moved, if it is by these methods."""
        spec = bound.mapping.signals.get(name)
        if spec is None or spec.pause is None:
            return None
        given = spec.pause
        return cls(
            bound.node(given.of), bound.node(given.start), bound.node(given.end), given.pause_s
        )

    async def move(self, client: Client, setpoint: Setpoint, timeout_s: float) -> str:
        """Begin a pause for 1, end it for 0; what the machine has against it, empty if nothing.

        Raises ``UaStatusCodeError`` for an answer that leaves open whether it has begun or ended.
        """
        begins = setpoint.value >= 0.5
        method = self.start if begins else self.end
        takes = [ua.Variant(1000.0 * self.pause_s, ua.VariantType.Double)] if begins else []
        try:
            answer = await call_method(client, self.of, method, takes, timeout_s)
        except ua.UaStatusCodeError as error:
            if error.code not in REFUSALS | _NOT_NOW:
                raise
            return f"{setpoint.signal}: {name_of(error.code)}"
        code = int(answer[-1]) if answer and isinstance(answer[-1], int) else 0
        if code == 0:
            return ""
        return f"{setpoint.signal}: {RETURN_CODES.get(code, f'return code {code:#04x}')}"
