"""Values to and from a foreign server, each in a single request with a time-out of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncua import Client, ua
from asyncua.ua.ua_binary import struct_from_binary

from twin.config.mapping import Scalar
from twin.equipment.foreign.meaning import variant
from twin.equipment.opcua_link import request


def bare(node: ua.NodeId, raw: Scalar, kind: str) -> ua.WriteValue:
    """A typed value alone: many PLCs refuse a status or a time beside it."""
    made: Any = ua
    value = made.DataValue(Value=variant(raw, kind), StatusCode=None)
    written: ua.WriteValue = made.WriteValue(
        NodeId=node, AttributeId=ua.AttributeIds.Value, Value=value
    )
    return written


async def write_values(
    client: Client, values: list[ua.WriteValue], timeout_s: float
) -> dict[int, int]:
    """One Write request; the status of each value that was not simply taken, by its place."""
    if not values:
        return {}
    message = ua.WriteRequest()
    message.Parameters.NodesToWrite = values
    answer = struct_from_binary(ua.WriteResponse, await request(client, message, timeout_s))
    answer.ResponseHeader.ServiceResult.check()
    return {at: code.value for at, code in enumerate(answer.Results) if not code.is_good()}


async def read_values(client: Client, ids: Sequence[ua.NodeId]) -> list[tuple[Any, int]]:
    """Raw value and status code of each node."""
    parameters = ua.ReadParameters()
    parameters.NodesToRead = [
        ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value) for node in ids
    ]
    return [
        (
            None if answer.Value is None else answer.Value.Value,
            0 if answer.StatusCode is None else answer.StatusCode.value,
        )
        for answer in await client.uaclient.read(parameters)
    ]
