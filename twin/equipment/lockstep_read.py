"""Everything of one step, read in one request: the barrier of lockstep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from asyncua import Client, ua
from numpy.typing import NDArray

from twin.cycle import Event, Reading
from twin.equipment import address_space as nodes
from twin.equipment.journal import EventInbox
from twin.equipment.opcua_link import Found, request
from twin.equipment.wire import read_answer
from twin.signals import Quality


class OutOfStep(ConnectionError):  # noqa: N818  (what it is, as callers see it)
    """What was read does not carry the number of our step: someone else moves the line."""


class StepReader:
    """Reads signals, part lists, plant time, step number and journal of a line in lockstep.

    Events come by the answers to ``Advance`` and, for what methods cause between two steps, by the
    journal; their numbers tell which are known.
    """

    def __init__(self, client: Client, found: Found, timeout_s: float) -> None:
        self._client, self._found, self._timeout_s = client, found, timeout_s
        self._n_signals = len(found.values)
        present = [place for place, node in enumerate(found.values) if node is not None]
        self._present = np.array(present, dtype=np.intp)
        self._message = _read_request(found)
        self._inbox = EventInbox(found.entities)
        self._step = -1
        self.time_us = 0

    async def begin(self) -> None:
        """What has happened so far is not ours; learn the plant time."""
        node = self._client.get_node(self._found.others[nodes.LATEST])
        self._inbox.begin(await node.read_value())
        await self.refresh()

    async def refresh(self) -> None:
        """Ask for the plant time."""
        node = self._client.get_node(self._found.others[nodes.SIM_TIME])
        self.time_us = int(await node.read_value())

    def advanced(self, step: int, first: int, events: Sequence[Event]) -> None:
        """The answer to a step: its number, and what happened in it."""
        self._step = step
        self._inbox.add(first, events)

    async def read(self) -> Reading:
        """All signals. Raises ``OutOfStep`` if they are not those of our last step."""
        columns = read_answer(await request(self._client, self._message, self._timeout_s))
        n = len(self._present)
        time_us, step = (int(value) for value in columns.values[-3:-1])
        if self._step >= 0 and step != self._step:
            msg = f"read step {step} after advancing to {self._step}: another client moves the line"
            raise OutOfStep(msg)
        self.time_us = time_us
        self._inbox.take(columns.arrays[len(columns.values) - 1])
        names = enumerate(self._found.part_ids)
        parts = {name: columns.arrays[n + at] for at, name in names if n + at in columns.arrays}
        values = np.array(columns.values[:n])
        source_us = np.array(columns.source_us[:n], dtype=np.int64) - self._found.epoch_us
        # The two highest bits are the severity: good, uncertain, bad are our own marks 0, 1, 2.
        status = np.minimum(np.array(columns.status[:n], dtype=np.int64) >> 30, 2)
        values[status == int(Quality.BAD)] = np.nan
        if n < self._n_signals:
            values, source_us, status = self._spread(values, source_us, status)
        return Reading(time_us, step, values, source_us, status, parts, self._inbox.drain())

    def _spread(
        self,
        values: NDArray[np.float64],
        source_us: NDArray[np.int64],
        status: NDArray[np.int64],
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Put what the server has in its places; the rest is missing."""
        n = self._n_signals
        all_values = np.full(n, np.nan)
        all_source_us = np.full(n, self.time_us, dtype=np.int64)
        all_status = np.full(n, int(Quality.MISSING), dtype=np.int64)
        all_values[self._present] = values
        all_source_us[self._present] = source_us
        all_status[self._present] = status
        return all_values, all_source_us, all_status


def _read_request(found: Found) -> ua.ReadRequest:
    wanted = [node for node in found.values if node is not None]
    wanted += found.part_ids.values()
    wanted += [found.others[path] for path in (nodes.SIM_TIME, nodes.STEP, nodes.LATEST)]
    message = ua.ReadRequest()
    message.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
    message.Parameters.NodesToRead = [
        ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value) for node in wanted
    ]
    return message
