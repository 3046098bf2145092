"""One controller's turn at a line: stores opened, loop closed or waiting, books closed at the end."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import typer

from twin.cli.alarms import Alarms
from twin.cli.desk import Desk
from twin.cli.handover import RUN, Handover
from twin.cli.interrupt import Interrupts
from twin.cli.lease import Lease
from twin.cli.linked import certificate_doubts
from twin.cli.locked import locked_text
from twin.cli.logbook import LogFormat, logged
from twin.cli.monitor import Monitor, Pulse
from twin.clock import utc_now
from twin.cycle import Cycle
from twin.feedback import Kpis, evaluate
from twin.loop import ControlLoop
from twin.protocols import Conditional
from twin.runtime import Runtime
from twin.store.audit import Audit
from twin.store.historian import Historian
from twin.store.quarantine import StoreError
from twin.store.run_folder import RunFolder
from twin.timings import Timings

if TYPE_CHECKING:
    from pathlib import Path

    from twin.cli.screen import Screen
    from twin.protocols import Clock, Equipment

_log = logging.getLogger(__name__)
BATCH = 60
"""Readings a commit in lockstep. A paced line has the time to make each durable at once."""
SEGMENT_US = 900_000_000
"""Plant time between two segments of a paced run, for those who look on."""


@dataclass(frozen=True, slots=True)
class Window:
    """From which plant time to which a run goes, and whether with the wall clock."""

    from_us: int
    until_us: int
    is_paced: bool
    speed: float = 1.0
    """Plant seconds in a wall second."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How a run that goes on for long is looked after: its log, its monitor, its stores.

    ``monitor_port`` is that of the pages to look at, 0 for any, None for none. ``keep_h`` is how
    long samples are kept, plant time; None: for ever.
    """

    shown: LogFormat = LogFormat.text
    monitor_port: int | None = None
    keep_h: float | None = None


NO_UPKEEP = Upkeep()
"""Of a run that nobody looks after."""


@runtime_checkable
class Probed(Protocol):
    """Equipment that knows which setpoints its server does not let us write."""

    @property
    def barred(self) -> Mapping[str, str]:
        """These, and why."""
        ...


class Told(Protocol):
    """Who is told of each turn, once it is over."""

    def turned(self, cycle: Cycle) -> None:
        """One more."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """Who drives. ``close_reason`` is empty where an operator closes; ``facts`` go with status.

    ``before`` is what operators took from the loop that ran at this line before.
    """

    name: str
    close_reason: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    lease: Lease | None = None
    upkeep: Upkeep = NO_UPKEEP
    before: Handover = field(default_factory=Handover)


@dataclass(frozen=True, slots=True)
class Driven:
    """What one controller achieved."""

    name: str
    kpis: Kpis
    timings: Timings


async def drive(
    job: Job,
    loop: ControlLoop,
    line: tuple[Equipment, Clock],
    window: Window,
    run: tuple[RunFolder, Path],
    screen: Screen,
    interrupts: Interrupts,
) -> Driven:
    """Run one loop over the window. ``run`` is the controller's own folder and the whole run's.

    Everything that was read and decided is durable when this returns, whatever ended the run.
    """
    folder, _ = run
    path = "/".join(loop.line.plant.path)
    with (
        Historian(
            folder.historian, loop.signals, batch=1 if window.is_paced else BATCH, line_path=path
        ) as historian,
        Audit(folder.audit, controller=job.name) as audit,
    ):
        equipment, clock = line
        runtime = Runtime(
            loop, equipment, clock, samples=historian, record=audit, paced=window.is_paced
        )
        facts = {**job.facts, "controller": job.name}

        def segment() -> float:
            audit.flush()
            historian.flush()
            historian.export_parquet(folder.segments)
            return historian.acknowledged_us / 1e6

        def doubts() -> list[str]:
            return [*certificate_doubts(equipment).values()]

        stores = {"historian": lambda: historian.trouble, "audit": lambda: audit.trouble}
        alarms = Alarms(loop, equipment, stores, job.before.closed)
        desk = Desk(
            runtime,
            audit,
            facts,
            job.lease,
            lambda: historian.trouble,
            segment,
            doubts,
            lambda: alarms.standing,
        )
        _begin(desk, job, equipment)
        if job.close_reason:
            desk.command("close", RUN, job.close_reason)
        period_s = loop.line.plant.control.period_s / window.speed
        monitor = Monitor(runtime, equipment, historian, audit, alarms, Pulse(period_s))
        told: tuple[Told, ...] = (desk, screen, monitor)
        if window.is_paced:  # in lockstep nobody could respond to anything
            told = (alarms, *told)
        watch = _Watch(audit, historian, folder, told, window, job.upkeep)

        def leave() -> None:
            desk.command("open", RUN, "interrupted")
            runtime.stop()

        interrupts.leave = leave
        screen.begin(job.name, loop, alarms, window.from_us, window.until_us)
        try:
            # In lockstep the shift is over before anybody could say a word.
            async with _open(desk, monitor, job, run) if window.is_paced else nullcontext():
                await runtime.run(window.from_us, window.until_us, watch)
        finally:
            interrupts.leave = None
            screen.end()
        if locked := locked_text(loop.line, loop.memory.twin):
            typer.echo(f"note: {locked}", err=True)
        kpis = evaluate(loop.ledger)
        historian.record_kpis(kpis.values)
        historian.flush()
        historian.export_parquet(folder.segments)
    return Driven(job.name, kpis, runtime.timings)


def _begin(desk: Desk, job: Job, equipment: Equipment) -> None:
    """Put in force what the line bars and what operators took in the run before, and say so."""
    for trouble in job.before.trouble:
        typer.echo(f"note: {trouble}", err=True)
    for name, why in equipment.barred.items() if isinstance(equipment, Probed) else ():
        typer.echo(f"note: {name} is switched off: {why}", err=True)
        desk.command("mv_off", RUN, f"{name} {why}")
    for name, why in desk.take_over(job.before).items():
        typer.echo(f"note: as in the run before: {name}: {why}", err=True)
    if isinstance(equipment, Conditional) and equipment.unclosable:
        typer.echo(f"note: the loop can only advise here: {equipment.unclosable}", err=True)


@asynccontextmanager
async def _open(
    desk: Desk, monitor: Monitor, job: Job, run: tuple[RunFolder, Path]
) -> AsyncIterator[None]:
    """What a run by the wall clock has for those around it: a log, a desk, pages to look at."""
    folder, root = run
    upkeep = job.upkeep
    always = {"run": root.name, "controller": job.name}
    with logged(folder.folder, upkeep.shown, always):
        async with desk.open(root):
            if upkeep.monitor_port is None:
                yield
                return
            async with monitor.open(upkeep.monitor_port) as address:
                desk.tell("monitor", address)
                typer.echo(f"monitor: {address}/metrics, /healthz, /readyz", err=True)
                yield


@dataclass(slots=True)
class _Watch:
    """What is done with each turn beside recording it."""

    audit: Audit
    historian: Historian
    folder: RunFolder
    told: tuple[Told, ...]
    window: Window
    upkeep: Upkeep
    mode: str = ""
    exported_us: int = -1

    def __call__(self, cycle: Cycle) -> None:
        decision = cycle.decision
        if decision.mode != self.mode:
            self.mode = decision.mode
            self.audit.note(decision.time_us, decision.mode, decision.reasons, utc_now())
        if self.window.is_paced and decision.time_us - self.exported_us >= SEGMENT_US:
            self.exported_us = decision.time_us
            self._roll()
        for one in self.told:
            one.turned(cycle)

    def _roll(self) -> None:
        """Close a segment, and let go of what is too old to be kept.

        A store that cannot is no reason to leave the line alone.
        """
        try:
            self.historian.export_parquet(self.folder.segments)
            if self.upkeep.keep_h is not None:
                self.historian.retire(self.folder.segments, round(self.upkeep.keep_h * 3.6e9))
        except (StoreError, OSError) as error:
            _log.warning("no segment: %s", error)
