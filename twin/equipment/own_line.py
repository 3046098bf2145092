"""A line behind a server that has our own address space: the emulator, or a PLC made like it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from asyncua import Client

from twin.cycle import Acknowledgement, Batch, Outcome
from twin.equipment import address_space as nodes
from twin.equipment.binding import AsServed, Refusal
from twin.equipment.node_types import DataType
from twin.equipment.opcua_link import Found, call, find_line
from twin.equipment.opcua_types import array, scalar
from twin.signals import Role, Signal

SAME = 1e-6
"""What a PLC that counts in single precision makes of a value, relative."""


class OwnLine:
    """The line whose ``ConfigHash`` is ``plant_hash``; None takes any. Batches go by one method."""

    def __init__(self, plant_hash: str | None) -> None:
        self._plant_hash = plant_hash

    async def find(self, client: Client, signals: Sequence[Signal]) -> tuple[Found, AsServed]:
        """Look the line up by namespace URI and path."""
        found = await find_line(client, signals, self._plant_hash)
        if nodes.APPLY not in found.others:
            why = f"the server has no method {nodes.APPLY}"
            barred = {signal.name: why for signal in signals if signal.role is Role.MV}
            found = replace(found, barred=barred)
        analog = {place for place, signal in enumerate(signals) if signal.sampled_s}
        return found, AsServed(analog)

    async def write(
        self, client: Client, found: Found, batch: Batch, timeout_s: float, refusal_of: Refusal
    ) -> Acknowledgement:
        """Apply the batch as a whole: it is one request, and the PLC keeps its deadline."""
        names = [setpoint.signal for setpoint in batch.setpoints]
        arguments = [
            scalar(batch.sequence, DataType.INT64),
            scalar(batch.heartbeat, DataType.INT64),
            scalar(batch.deadline_us, DataType.INT64),
            array(names, DataType.STRING),
            array([setpoint.value for setpoint in batch.setpoints], DataType.DOUBLE),
        ]
        answer = await call(client, found, nodes.APPLY, arguments, timeout_s)
        outcome, detail, active = answer
        pairs = zip(names, active or (), strict=True)
        in_force = {name: float(v) for name, v in pairs if not math.isnan(v)}
        result = Outcome(outcome)
        if result is Outcome.ACCEPTED and (other := _not_obeyed(batch, in_force)):
            result, detail = Outcome.MISMATCH, f"taken, but {other} is not in force"
        return Acknowledgement(batch.sequence, result, in_force, str(detail))

    async def command(
        self, client: Client, found: Found, verb: str, argument: float, timeout_s: float
    ) -> None:
        """Call the method behind the verb."""
        if verb not in nodes.VERBS:
            msg = f"the line has no method {verb!r}"
            raise ValueError(msg)
        permits = verb == "PermitRemote"
        arguments = [scalar(bool(argument), DataType.BOOLEAN)] if permits else []
        await call(client, found, nodes.VERBS[verb], arguments, timeout_s)


def _not_obeyed(batch: Batch, in_force: Mapping[str, float]) -> str:
    """The first setpoint that is elsewhere than asked, whatever the PLC says of it."""
    for setpoint in batch.setpoints:
        value = in_force.get(setpoint.signal, setpoint.value)
        if not math.isclose(value, setpoint.value, rel_tol=SAME, abs_tol=SAME):
            return setpoint.signal
    return ""
