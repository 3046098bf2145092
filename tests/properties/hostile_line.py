"""A line in bad company: a controller that asks for anything, faulty sensors, lost answers."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np

from twin.cli.shift import Shift
from twin.config import load_plant
from twin.cycle import Acknowledgement, Action, Batch, Cycle, Decision, Outcome, Reading, Situation
from twin.equipment.plc import Plc, ShedReason
from twin.equipment.simulated import SimulatedEquipment
from twin.line.model import Line, build_line
from twin.line.scenario import scenario_of
from twin.loop import ControlLoop
from twin.protocols import Equipment
from twin.runtime import EquipmentClock, Runtime
from twin.signals import Quality, Signal
from twin.store.quarantine import StoreError


class Fault(StrEnum):
    """What an instrument may do."""

    BAD = "BAD"
    UNCERTAIN = "UNCERTAIN"
    MISSING = "MISSING"
    INFINITE = "INFINITE"
    BEYOND = "BEYOND"
    STALE = "STALE"
    FUTURE = "FUTURE"
    FROZEN = "FROZEN"


class Happening(StrEnum):
    """What may happen around one turn. Those that are ``late`` come between decision and write."""

    UNREACHABLE = "nobody answers in this turn"
    LOST = "the write never arrives"
    LANDED = "the write arrives and its answer is lost"
    UNKNOWN = "the write arrives and the answer is UNKNOWN"
    DISK_FULL = "the intent cannot be stored"
    LATE_OPEN = "late: the operator takes authority back"
    LATE_OFF = "late: the operator switches the loop off"
    LATE_FREEZE = "late: the operator freezes the setpoints"
    LATE_CLOCK = "late: the deadline passes"
    LATE_PERMIT = "late: the PLC withdraws its permit"
    NO_PERMIT = "the PLC withdraws its permit"
    PERMIT = "the PLC gives its permit"
    RELEASED = "somebody else releases remote control"
    SHED = "the PLC is shed by hand"
    RESET = "the PLC is reset by hand"
    PAUSE = "the watchdog bites"


LATE_WORDS = {
    Happening.LATE_OPEN: "open",
    Happening.LATE_OFF: "off",
    Happening.LATE_FREEZE: "freeze",
}
LOSSES = (Happening.LOST, Happening.LANDED, Happening.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Row:
    """One setpoint as the PLC received it, from its own log."""

    time_us: int
    sequence: int
    signal: str
    value: float
    result: str


@dataclass(slots=True)
class Book:
    """All that was seen of a course, in its order."""

    signals: tuple[Signal, ...]
    period_us: int
    stale_us: int
    deadline_us: int
    cycles: list[Cycle] = field(default_factory=list)
    log: list[tuple[str, int]] = field(default_factory=list)
    """``turn``, ``read``, ``intent``, ``word`` (a late one), ``setpoints`` and ``lost`` by number."""


class Hostile:
    """Asks for what it is told."""

    def __init__(self) -> None:
        self.asks: Mapping[str, float] = {}

    def decide(self, situation: Situation) -> Action:
        return Action(dict(self.asks), "hostile")


class BadCompany:
    """Equipment whose instruments lie and whose answers are lost, and a record of the runtime."""

    def __init__(self, line: Equipment, book: Book, plc: Plc | None = None) -> None:
        self.line, self.book, self.plc = line, book, plc
        self.faults: dict[str, Fault] = {}
        self.happening: Happening | None = None
        self.runtime: Runtime
        self.clock = EquipmentClock(self)
        self._index = {signal.name: n for n, signal in enumerate(book.signals)}
        self._shown: Reading | None = None

    # --- equipment -----------------------------------------------------------------------------

    async def read(self) -> Reading:
        self.book.log.append(("read", 0))
        self._reach()
        self._shown = self._spoilt(await self.line.read())
        return self._shown

    async def write(self, batch: Batch) -> Acknowledgement:
        number = batch.sequence
        if batch.setpoints:
            self.book.log.append(("setpoints", number))
        self._reach()
        if batch.setpoints and self.happening in LOSSES:
            self.book.log.append(("lost", number))
        if self.happening is Happening.LOST:
            raise ConnectionError("it never arrived")
        answer = await self.line.write(batch)
        if self.happening is Happening.LANDED:
            raise TimeoutError("no answer")
        return replace(answer, outcome=Outcome.UNKNOWN) if self.happening in LOSSES else answer

    async def command(self, verb: str, argument: float = 0.0) -> None:
        if verb != "Advance":
            self._reach()
        await self.line.command(verb, argument)

    # --- record --------------------------------------------------------------------------------

    def record_cycle(self, cycle: Cycle) -> None:
        self.book.cycles.append(cycle)
        now_us = self.clock.now_us()
        if self.happening in LATE_WORDS:
            self.runtime.command(LATE_WORDS[self.happening])
            self.book.log.append(("word", cycle.number))
        elif self.happening is Happening.LATE_CLOCK:
            finished(self.clock.sleep_until(now_us + self.book.deadline_us + 1))
        elif self.happening is Happening.LATE_PERMIT:
            finished(self.line.command("PermitRemote", 0.0))

    def intend(self, decision: Decision, utc: str) -> None:
        if self.happening is Happening.DISK_FULL:
            raise StoreError("the disk is full")
        assert decision.batch is not None
        self.book.log.append(("intent", decision.batch.sequence))

    def conclude(self, acknowledgement: Acknowledgement, utc: str) -> None:
        skipped = acknowledgement.outcome is Outcome.SKIPPED
        self.book.log.append(("skipped" if skipped else "outcome", acknowledgement.sequence))

    # --- what happens --------------------------------------------------------------------------

    async def turn(self, happening: Happening | None = None) -> Cycle:
        """Advance the plant, let something happen there, and take the turn."""
        if self.book.cycles:
            periods = 4 if happening is Happening.PAUSE else 1
            last_us = self.book.cycles[-1].reading.time_us
            await self.clock.sleep_until(last_us + periods * self.book.period_us)
        self.happening = happening
        if happening in (Happening.NO_PERMIT, Happening.PERMIT):
            await self.line.command("PermitRemote", float(happening is Happening.PERMIT))
        elif happening is Happening.RELEASED:
            await self.line.command("ReleaseRemote")
        elif happening is Happening.RESET:
            await self.line.command("ResetShed")
        elif happening is Happening.SHED and self.plc is not None:
            self.plc._touched = True
            self.plc._fall_back(ShedReason.OPERATOR)
        self.book.log.append(("turn", len(self.book.cycles) + 1))
        cycle = await self.runtime.turn(self.clock.now_us())
        self.happening = None
        return cycle

    def _reach(self) -> None:
        if self.happening is Happening.UNREACHABLE:
            raise ConnectionError("nobody answers")

    def _spoilt(self, reading: Reading) -> Reading:
        values, source_us = reading.values.copy(), reading.source_us.copy()
        status = reading.status.copy()
        for name, fault in self.faults.items():
            n = self._index[name]
            if fault in (Fault.BAD, Fault.UNCERTAIN):
                status[n] |= int(Quality[fault.name])
            elif fault in (Fault.MISSING, Fault.INFINITE):
                values[n] = np.nan if fault is Fault.MISSING else np.inf
            elif fault is Fault.BEYOND:
                limits = self.book.signals[n].validity
                values[n] = values[n] if limits is None else limits.hi + 1.0
            elif fault is Fault.FROZEN:
                values[n] = values[n] if self._shown is None else self._shown.values[n]
            else:
                ahead_us = 10**7 if fault is Fault.FUTURE else -(10**9)
                source_us[n] = reading.time_us + ahead_us
        return replace(reading, values=values, source_us=source_us, status=status)


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    work.close()
    raise AssertionError("it waits for something")


@cache
def nominal(name: str) -> Line:
    return build_line(load_plant(name))


@cache
def _true(name: str) -> Plc:
    return Shift(name, 3, 1.0).plc()


def fresh_plc(name: str) -> Plc:
    first = _true(name)
    course = scenario_of(first.line.plant, "nominal")
    return Plc(first.line, list(first._simulator.table), 3, course)


def in_company(name: str, line: Equipment, plc: Plc | None = None) -> tuple[BadCompany, Hostile]:
    """A hostile controller's loop on a line in bad company."""
    hostile = Hostile()
    loop = ControlLoop(nominal(name), hostile, 1)
    control = loop.line.plant.control
    times_s = (control.period_s, control.stale_after_s, control.deadline_s)
    book = Book(loop.signals, *(round(time_s * 1e6) for time_s in times_s))
    company = BadCompany(line, book, plc)
    company.runtime = Runtime(loop, company, company.clock, record=company)
    return company, hostile


def simulated(name: str) -> tuple[BadCompany, Hostile, Plc]:
    plc = fresh_plc(name)
    return *in_company(name, SimulatedEquipment(plc), plc), plc


def received(plc: Plc) -> list[Row]:
    return [Row(r.time_us, r.sequence, r.signal, r.value, r.result.name) for r in plc.written]
