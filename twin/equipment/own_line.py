"""A line behind a server that has our own address space: the emulator, or a PLC made like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from asyncua import Client

from twin.cycle import Acknowledgement, Batch, Outcome
from twin.equipment import address_space as nodes
from twin.equipment.binding import AsServed, Refusal
from twin.equipment.node_types import DataType
from twin.equipment.opcua_link import Found, call, find_line
from twin.equipment.opcua_types import array, scalar
from twin.signals import Role, Signal


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
        return found, AsServed()

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
        return Acknowledgement(batch.sequence, Outcome(outcome), in_force, str(detail))

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
