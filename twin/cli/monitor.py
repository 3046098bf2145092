"""What can be seen of a running loop from outside: figures, whether it lives, whether it is ready.

``/metrics`` is for a monitoring system, ``/healthz`` for whoever restarts a process that hangs,
``/readyz`` for whoever wants to know whether the loop does its work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from twin.cli.pages import judged, served
from twin.clock import monotonic_us

if TYPE_CHECKING:
    from twin.cli.alarms import Alarms
    from twin.cli.metrics import Metrics
    from twin.cycle import Cycle
    from twin.protocols import Equipment
    from twin.runtime import Runtime
    from twin.store.audit import Audit
    from twin.store.historian import Historian

LATE_TURNS, LEAST_S = 3, 30.0
"""A loop that has not turned for so many periods, and so many seconds, hangs."""


class Pulse:
    """Whether turns come, by the wall. ``period_s`` is that of the loop in wall time."""

    def __init__(self, period_s: float) -> None:
        self._patience_s = max(LATE_TURNS * period_s, LEAST_S)
        self._beat_us = monotonic_us()

    def turned(self, cycle: Cycle) -> None:
        """One more."""
        self._beat_us = monotonic_us()

    def stopped(self) -> list[str]:
        """What is wrong with it, if anything."""
        silent_s = (monotonic_us() - self._beat_us) / 1e6
        return [] if silent_s <= self._patience_s else [f"no turn for {silent_s:.0f} s"]


class Monitor:
    """The pages of one loop at one line; figures are those of ``twin.cli.metrics``."""

    def __init__(
        self,
        runtime: Runtime,
        equipment: Equipment,
        historian: Historian,
        audit: Audit,
        alarms: Alarms,
        pulse: Pulse,
    ) -> None:
        self._runtime, self._equipment, self._alarms = runtime, equipment, alarms
        self._historian, self._audit, self._pulse = historian, audit, pulse
        self._metrics: Metrics | None = None

    @asynccontextmanager
    async def open(self, port: int) -> AsyncIterator[str]:
        """Serve them for a while; gives the address."""
        from twin.cli.metrics import Metrics, page

        metrics = self._metrics = Metrics(
            self._runtime, self._equipment, self._historian, self._audit, self._alarms
        )
        pages = {
            "/metrics": lambda: page(metrics),
            "/healthz": lambda: judged(self._pulse.stopped(), {}),
            "/readyz": lambda: judged(self._unready(), {"mode": str(self._runtime.loop.mode)}),
        }
        async with served(port, pages) as address:
            yield address

    def turned(self, cycle: Cycle) -> None:
        """One turn is over."""
        self._pulse.turned(cycle)
        if self._metrics is not None:
            self._metrics.turned(cycle)

    def _unready(self) -> list[str]:
        """Why the loop cannot do its work now: nothing that an operator has decided is among it."""
        from twin.cli.linked import Linked

        faults = self._pulse.stopped()
        if isinstance(self._equipment, Linked) and not self._equipment.state.connected:
            faults.append(self._equipment.state.trouble)
        faults += [trouble for trouble in (self._historian.trouble, self._audit.trouble) if trouble]
        return faults if self._runtime.latest is not None else [*faults, "no turn yet"]
