"""The subscriptions that feed a paced line's table of last values."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import Client, ua
from asyncua.common.subscription import (
    DataChangeEvent,
    OverflowPolicy,
    StatusChangeEvent,
    Subscription,
)

from twin.clock import monotonic_us
from twin.equipment import address_space as nodes
from twin.equipment.ending import end
from twin.equipment.last_values import LastValues
from twin.signals import Signal

_log = logging.getLogger(__name__)
_PENDING = 100_000
"""Notifications that may wait for us; beyond that we connect anew, and the gap is on record."""
_KEEP_ALIVE_MS = 5_000
_SLACK = 1.3
"""A subscription is overdue after so many keep-alive times without a word; the library, which would
replace it silently and lose what was reported meanwhile, waits for 1.5."""


@dataclass(frozen=True, slots=True)
class _Class:
    interval_ms: float
    queue: int


class Subscriptions:
    """A subscription a class: fast and slow bring the newest value, audit and events all of them.

    Fast are process values, setpoints and the PLC's word on them, slow the meters and the environment,
    audit states, counters and parts, events the journal of transitions. A reading shows the newest
    value of each signal. The changes of state since the one before are its events; what else lay between
    two readings is not kept: of a counter nothing is lost by that, of a process value its course.
    Intervals are of wall time, shorter where plant time is faster.
    If one of them ends that was not closed, the table grows old: ``trouble`` tells.
    """

    def __init__(self, client: Client, table: LastValues, fast_ms: float) -> None:
        self._client, self._table = client, table
        speed = max(1.0, table.found.speed)
        self._classes = {
            "fast": _Class(fast_ms, 1),
            "slow": _Class(max(fast_ms, 1000.0 / speed), 1),
            "audit": _Class(max(fast_ms, 500.0 / speed), 1000),
            "events": _Class(max(fast_ms, 500.0 / speed), 1000),
        }
        self.heard = dict.fromkeys(self._classes, 0)
        """Notifications that each has brought."""
        self._tasks: list[asyncio.Task[None]] = []
        self._open: dict[str, Subscription] = {}
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def open(self, signals: Sequence[Signal]) -> None:
        """Subscribe to all that the server has; what it refuses to report is bad, and the rest goes on.

        Raises ``ConnectionError`` if it refuses the plant time or the journal.
        """
        found, n_signals = self._table.found, len(signals)
        items: dict[str, list[tuple[int, ua.NodeId, bool]]] = {name: [] for name in self._classes}
        for place, (signal, node) in enumerate(zip(signals, found.values, strict=True)):
            if node is not None:
                items[_class_of(signal)].append((place, node, signal.sampled_s > 0.0))
        for at, node in enumerate(found.part_ids.values()):
            items["audit"].append((n_signals + at, node, False))
        if nodes.SIM_TIME in found.others:
            items["fast"].append((self._table.time_place, found.others[nodes.SIM_TIME], False))
        if nodes.LATEST in found.others:
            items["events"].append((self._table.time_place + 1, found.others[nodes.LATEST], False))
        self._table.expect([place for wanted in items.values() for place, _, _ in wanted])
        for name, wanted in items.items():
            if wanted:
                await self._subscribe(name, wanted)

    @property
    def trouble(self) -> str:
        """Why the table cannot be relied on; empty if it can."""
        if self._ended.done():
            return self._ended.result()
        overdue = any(subscription.is_stale(_SLACK) for subscription in self._open.values())
        return "a subscription fell silent" if overdue else ""

    @property
    def silent_s(self) -> dict[str, float]:
        """How long each has not given a sign of life; nothing of those that never did."""
        now_s = monotonic_us() / 1e6
        return {
            name: now_s - subscription.last_publish_at
            for name, subscription in self._open.items()
            if subscription.last_publish_at is not None
        }

    async def lost(self) -> str:
        """Return when one of them ended: why."""
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Stop listening; the server is told by the end of the session."""
        if not self._ended.done():
            self._ended.set_result("closed")
        await end(*self._tasks)

    async def _subscribe(self, name: str, wanted: list[tuple[int, ua.NodeId, bool]]) -> None:
        kind = self._classes[name]
        alive = max(1, int(_KEEP_ALIVE_MS / kind.interval_ms))
        subscription = await self._client.create_subscription(
            ua.CreateSubscriptionParameters(
                RequestedPublishingInterval=kind.interval_ms,
                RequestedLifetimeCount=10 * alive,
                RequestedMaxKeepAliveCount=alive,
                MaxNotificationsPerPublish=10_000,
                PublishingEnabled=True,
                Priority=0,
            ),
            queue_maxsize=_PENDING,
            overflow=OverflowPolicy.DISCONNECT,
        )
        task = asyncio.create_task(self._listen(name, subscription))
        task.add_done_callback(self._has_ended)
        self._tasks.append(task)
        self._open[name] = subscription
        created = await subscription.create_monitored_items(
            [_item(place, node, kind, sampled=sampled) for place, node, sampled in wanted]
        )
        for (place, node, _), answer in zip(wanted, created, strict=True):
            if isinstance(answer, ua.StatusCode):
                msg = f"the server refuses to report {node.Identifier!s}: {answer.name}"
                if place >= self._table.time_place:
                    raise ConnectionRefusedError(msg)
                _log.warning("%s", msg)
                self._table.refuse(place, answer.name)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if not self._ended.done():
            self._ended.set_result("a subscription ended" + (f": {error!r}" if error else ""))

    async def _listen(self, name: str, subscription: Subscription) -> None:
        table = self._table
        async for event in subscription:
            if isinstance(event, StatusChangeEvent) and not event.notification.Status.is_good():
                msg = f"the server says {event.notification.Status.name}"
                raise ConnectionError(msg)
            if not isinstance(event, DataChangeEvent):
                continue
            self.heard[name] += 1
            item = event.data.monitored_item
            if table.take(item.ClientHandle - 1, item.Value):
                await self._catch_up(item.Value.Value.Value)

    async def _catch_up(self, numbers: Sequence[int]) -> None:
        """Numbers are missing before these: read what the server keeps, then go on."""
        recent = self._table.found.others.get(nodes.RECENT)
        if recent is not None:
            kept = await self._client.get_node(recent).read_value()
            if records := self._table.records(kept):
                self._table.inbox.take(records)
        self._table.inbox.take(numbers)


def _class_of(signal: Signal) -> str:
    node = signal.node
    if "/Energy/" in node or "/Time/" in node or node.startswith("Environment/"):
        return "slow"
    if "/Process/" in node or "/Setpoints/" in node or node == "Line/ActivePower":
        return "fast"
    if node.startswith("Control/"):
        return "fast"  # in one word with the setpoints: a number that came before them lies
    return "slow" if node.endswith(("Total", "ElapsedWork")) else "audit"


def _item(
    place: int, node: ua.NodeId, kind: _Class, *, sampled: bool
) -> ua.MonitoredItemCreateRequest:
    """A sampled signal is news by its time alone: an unchanged value is then not a stale one."""
    parameters = ua.MonitoringParameters(
        ClientHandle=place + 1,
        SamplingInterval=kind.interval_ms,
        QueueSize=kind.queue,
        DiscardOldest=True,
    )
    if sampled:
        trigger = ua.DataChangeTrigger.StatusValueTimestamp
        parameters.Filter = ua.DataChangeFilter(Trigger=trigger)
    return ua.MonitoredItemCreateRequest(
        ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value),
        ua.MonitoringMode.Reporting,
        parameters,
    )
