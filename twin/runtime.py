"""The driver: the only place that waits, reads, writes and stores.

One turn: wait for the next period, read the line, let the loop decide, carry the decision out. A
setpoint leaves only after its intent is durable in the audit, once, before its deadline; what was
read back afterwards goes into the next turn. A lost answer is UNKNOWN and nothing is sent again.
In lockstep the clock is the equipment itself: waiting for a time means advancing the plant to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from twin.act.meanwhile import is_taken_back, withdrawn
from twin.act.modes import COMMANDS, LIMITS, MV_COMMANDS
from twin.clock import cpu_s, utc_now, wall_s
from twin.cycle import (
    TOO_LATE,
    Acknowledgement,
    Batch,
    Cycle,
    Decision,
    Event,
    Mode,
    Outcome,
    Reading,
)
from twin.logs import TURN, facts
from twin.loop import ControlLoop
from twin.protocols import Clock, Conditional, Equipment, Interrupted, Rechecking, Record, Samples
from twin.signals import Quality, Signal
from twin.store.quarantine import StoreError
from twin.timings import Timings

_log = logging.getLogger(__name__)
NEWS_S, NEWS_TRIES = 0.05, 80
"""How often a paced line is asked for news, and how many times: four seconds of wall time."""

LATE_PERIODS = 2.5
"""Readings further apart than this have a gap between them."""

OUT_OF_SIGHT = "the line was out of sight since it was read"
"""Why what was decided before a connection broke does not leave after it."""


class EquipmentClock:
    """Lockstep: plant time moves when this clock is waited on."""

    def __init__(self, equipment: Equipment, now_us: int = 0) -> None:
        self._equipment = equipment
        self._now_us = now_us

    def now_us(self) -> int:
        """Plant time, microseconds."""
        return self._now_us

    async def sleep_until(self, time_us: int) -> None:
        """Advance the plant."""
        await self._equipment.command("Advance", float(time_us))
        self._now_us = time_us


class Runtime:
    """Drives one loop on one line.

    ``paced`` runs the loop beside the event loop, so that a long solve does not starve the
    connection. ``samples`` and ``record`` may be None (no memory).
    """

    def __init__(
        self,
        loop: ControlLoop,
        equipment: Equipment,
        clock: Clock,
        *,
        samples: Samples | None = None,
        record: Record | None = None,
        paced: bool = False,
    ) -> None:
        self.loop = loop
        self.timings = Timings()
        self.latest: Cycle | None = None
        self._equipment = equipment
        self._clock = clock
        self._samples = samples
        self._record = record
        self._paced = paced
        self._commands: deque[str] = deque()
        self._acknowledged: Acknowledgement | None = None
        self._last_us = -1
        self._losses_before = 0
        self._lost_since_us: int | None = None
        self._lost_reason = ""
        self._untold: tuple[Event, ...] = ()
        self._woken = asyncio.Event()
        self._has_remote = False
        self._stop = False
        # Asking what an object can do takes as long as reading from it: once is enough.
        self._interrupted = equipment if isinstance(equipment, Interrupted) else None
        if isinstance(equipment, Rechecking):
            equipment.recheck_by(self._withheld)

    def command(self, verb: str, reason: str = "") -> str:
        """An operator's command for the next turn: one of ``twin.act.modes.COMMANDS``.

        The reason of ``mv_off``, ``mv_on`` and ``limits`` begins with the name of the MV. A paced line takes that
        turn at once. Returns the command as its cycle shows it. Raises ``ValueError`` for an unknown verb or MV.
        """
        if verb not in COMMANDS:
            msg = f"there is no command {verb!r}; there are: {', '.join(COMMANDS)}"
            raise ValueError(msg)
        if verb in (*MV_COMMANDS, LIMITS) and not set(reason.split()[:1]) & set(self.loop.mvs):
            msg = f"{verb} names first an MV of this line, which {reason!r} does not"
            raise ValueError(msg)
        command = f"{verb}: {reason}" if reason else verb
        if verb == "close" and isinstance(self._equipment, Conditional):
            why = self._equipment.unclosable
            self._commands.extend([f"unclosable: {why}"] if why else [])
        self._commands.append(command)
        self._woken.set()
        return command

    def stop(self) -> None:
        """Leave after this turn, or the next one if none is under way or commands are waiting."""
        self._stop = True
        self._woken.set()

    async def run(
        self, from_us: int, until_us: int, on_cycle: Callable[[Cycle], None] = lambda _: None
    ) -> None:
        """Turn after turn from one plant time to another, both included; then release the line.

        Between the turns of its rhythm a paced line gets one for each operator's command. Whatever
        ends the run, the line is released if it can be reached.
        """
        try:
            await self._turns(from_us, until_us, on_cycle)
        finally:
            self._close_gap(self._last_us)
            await self.release()

    async def _turns(self, from_us: int, until_us: int, on_cycle: Callable[[Cycle], None]) -> None:
        period_us = round(self.loop.line.plant.control.period_s * 1e6)
        due_us, has_come = from_us, True
        while True:
            on_cycle(await self.turn(due_us if has_come else self._clock.now_us()))
            await asyncio.sleep(0)  # equipment in this process never waits: let signals in
            if (self._stop and not self._commands) or (has_come and due_us >= until_us):
                break
            if has_come:
                due_us = min(due_us + period_us, until_us)
                if self._paced:  # a turn that came late does not make the next ones hurry
                    due_us += (max(0, self._clock.now_us() - due_us) // period_us) * period_us
            has_come = await self._wait(due_us)

    async def release(self) -> None:
        """Give the line back to its PLC if we have it, or may have it."""
        await self._command("ReleaseRemote")

    async def turn(self, time_us: int) -> Cycle:
        """One turn of the loop at a plant time that has come."""
        TURN.set(self.loop.memory.turns + 1)
        reading = await self._read(time_us)
        self._keep(reading)
        commands = tuple(self._commands)
        self._commands.clear()
        self._woken.clear()
        began_cpu, began = cpu_s(), wall_s()
        step = self.loop.step
        if self._paced:
            cycle = await asyncio.to_thread(step, reading, commands, self._acknowledged)
        else:
            cycle = step(reading, commands, self._acknowledged)
        self.timings.add("loop", cpu_s() - began_cpu, wall_s() - began)
        self.timings.decisions.add(wall_s() - began)
        self._acknowledged = None
        if self._record is not None:
            record = self._record
            self._timed("audit", lambda: record.record_cycle(cycle))
        self.latest = cycle
        _log.info("decided", extra=facts(cycle.decision.in_short()))
        await self.execute(cycle.decision)
        return cycle

    async def execute(self, decision: Decision) -> None:
        """Carry a decision out: recheck, intent, write, read back, outcome."""
        if decision.command == "ReleaseRemote" or not self._overtaken():
            await self._command(decision.command)
        if decision.batch is None:
            return
        batch, withheld = self._rechecked(decision, decision.batch)
        if is_taken_back(self._commands):
            return
        began_cpu, began = cpu_s(), wall_s()
        try:
            answer = await self._equipment.write(batch)
        except (ConnectionError, TimeoutError) as error:
            answer = Acknowledgement(batch.sequence, Outcome.UNKNOWN, {}, str(error))
        self.timings.add("write", cpu_s() - began_cpu, wall_s() - began)
        if batch.setpoints:
            detail = "; ".join(filter(None, (answer.detail, withheld)))
            now_us = self._clock.now_us()
            self._answered(replace(answer, detail=detail, answered_us=now_us))

    def _rechecked(self, decision: Decision, batch: Batch) -> tuple[Batch, str]:
        """What of a batch may still leave, its intent on record, and in words what was withheld.

        Without setpoints it is the heartbeat, which goes on. The intent may take long to become durable:
        the deadline is looked at before and after.
        """
        if not batch.setpoints:
            return batch, ""
        no = withdrawn(self._commands)
        left = replace(batch, setpoints=tuple(s for s in batch.setpoints if s.signal not in no))
        told = [f"{s.signal}: {no[s.signal]}" for s in batch.setpoints if s.signal in no]
        withheld = "; ".join(told)
        refused = self._refusal(decision.mode, batch) or ("" if left.setpoints else withheld)
        if not refused:
            if why := self._not_intended(replace(decision, batch=left)):
                self._acknowledged = Acknowledgement(batch.sequence, Outcome.SKIPPED, {}, why)
                return replace(batch, setpoints=()), why
            refused = self._refusal(decision.mode, batch)
        if refused:
            self._answered(Acknowledgement(batch.sequence, Outcome.SKIPPED, {}, refused))
            return replace(batch, setpoints=()), refused
        return left, withheld

    def _answered(self, answer: Acknowledgement) -> None:
        """What became of a batch with setpoints: for the next turn, and on record."""
        self._acknowledged = answer
        told = {"sequence": answer.sequence, "outcome": str(answer.outcome), "why": answer.detail}
        _log.info("written", extra=facts(told))
        if self._record is not None:
            record = self._record
            self._timed("audit", lambda: record.conclude(answer, utc_now()))

    def _refusal(self, mode: Mode, batch: Batch) -> str:
        """Why granted setpoints must not leave after all; empty if they may.

        Their deadline counts from the reading on which they rest, and so limits how old that may be.
        """
        if why := self._overtaken():
            return why
        if mode is not Mode.CLOSED:
            return f"the loop is {mode}"
        return TOO_LATE if self._clock.now_us() > batch.deadline_us else ""

    def _overtaken(self) -> str:
        """What has happened since the reading that leaves nothing of a decision but giving the line back.

        A line that was out of sight may be another session's by now, or stand elsewhere than it was read.
        """
        if is_taken_back(self._commands):
            return "the operator has taken authority back"
        return OUT_OF_SIGHT if self._losses() != self._losses_before else ""

    def _losses(self) -> int:
        return 0 if self._interrupted is None else self._interrupted.losses

    def _withheld(self, batch: Batch, name: str) -> str:
        """Why the setpoint of one MV must not leave any more, while its batch is under way."""
        no = withdrawn(self._commands)
        return no.get(name, "") or self._refusal(Mode.CLOSED, batch)

    def _not_intended(self, decision: Decision) -> str:
        """Make the intent durable; why it could not be, or nothing."""
        try:
            self._timed("audit", lambda: self._intend(decision))
        except StoreError as error:
            self._commands.append(f"fault: {error}")
            return "its intent is not durable"
        return ""

    def _intend(self, decision: Decision) -> None:
        if self._record is not None:
            self._record.intend(decision, utc_now())

    async def _read(self, time_us: int) -> Reading:
        began_cpu, began = cpu_s(), wall_s()
        try:
            reading = await self._news()
        except (ConnectionError, TimeoutError) as error:
            if self._lost_since_us is None:
                self._lost_since_us = self._last_us if self._last_us >= 0 else time_us
                self._lost_reason = str(error)
            reading = lost_reading(self.loop.signals, max(time_us, self._last_us + 1))
        else:
            self._note_gaps()
            self._note_late(reading.time_us)
            self._close_gap(reading.time_us)
        self.timings.add("read", cpu_s() - began_cpu, wall_s() - began)
        self._last_us = max(self._last_us, reading.time_us)
        return reading

    def _note_gaps(self) -> None:
        """Put on record what the connection went through, also where no turn has felt it."""
        if self._interrupted is None:
            return
        for gap in self._interrupted.drain_gaps():
            if gap.was_lost:
                self._commands.append(f"gap: {gap.reason}")
            felt = gap.was_lost and self._lost_since_us is not None
            if self._samples is not None and not felt:
                self._samples.record_gap(gap.from_us, gap.until_us, gap.reason)

    def _note_late(self, time_us: int) -> None:
        """Put on record that turns were skipped: one took too long, or we stood still."""
        period_us = self.loop.line.plant.control.period_s * 1e6
        is_late = 0 <= self._last_us < time_us - LATE_PERIODS * period_us
        if is_late and self._paced and self._samples is not None and self._lost_since_us is None:
            self._samples.record_gap(self._last_us, time_us, "turns were skipped, late")

    def _close_gap(self, until_us: int) -> None:
        """Put on record that nothing was read for a while, if so."""
        if self._lost_since_us is not None and self._samples is not None:
            self._samples.record_gap(self._lost_since_us, until_us, self._lost_reason)
        self._lost_since_us = None

    async def _news(self) -> Reading:
        """A reading later than the last one. A paced line tells its news in its own rhythm."""
        for _ in range(NEWS_TRIES if self._paced else 1):
            self._losses_before = self._losses()
            reading = await self._equipment.read()
            events, self._untold = (*self._untold, *reading.events), ()
            if reading.time_us > self._last_us or not self._paced:
                return replace(reading, events=events)
            self._untold = events  # told once: they go with the next reading
            await asyncio.sleep(NEWS_S)
        raise ConnectionError("the line has no news")

    async def _wait(self, time_us: int) -> bool:
        """Wait for a plant time; False if a command came first, which only a paced line heeds."""
        began_cpu, began = cpu_s(), wall_s()
        try:
            if not self._paced:
                await self._clock.sleep_until(time_us)
                return True
            waits = [
                asyncio.create_task(self._clock.sleep_until(time_us)),
                asyncio.create_task(self._woken.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            return waits[0].done()
        finally:
            self.timings.add("wait", cpu_s() - began_cpu, wall_s() - began)

    async def _command(self, verb: str) -> None:
        if not verb or (verb == "ReleaseRemote" and not self._has_remote):
            return  # somebody else's: an advisory loop takes nothing away
        had_remote = self._has_remote
        if verb == "RequestRemote":
            self._has_remote = True  # even if the answer is lost: it may have been granted
        try:
            await self._equipment.command(verb)
            if verb == "ReleaseRemote":
                self._has_remote = False
        except (ConnectionError, TimeoutError, ValueError) as error:
            # The mode table sees the effect, or its absence, in the next reading.
            _log.warning("%s: %s", verb, error)
            if isinstance(error, ValueError):  # refused for certain: what we had we still have
                self._has_remote = had_remote
            if verb == "RequestRemote":
                self._commands.append(f"refused: {error}")

    def _keep(self, reading: Reading) -> None:
        """Put what was read into the historian, before anybody makes anything of it."""
        if self._samples is not None and self._lost_since_us is None:
            samples, received_us = self._samples, max(self._clock.now_us(), reading.time_us)
            self._timed("historian", lambda: samples.append(reading, received_us))

    def _timed(self, stage: str, work: Callable[[], object]) -> None:
        began_cpu, began = cpu_s(), wall_s()
        work()
        self.timings.add(stage, cpu_s() - began_cpu, wall_s() - began)


def lost_reading(signals: tuple[Signal, ...], time_us: int) -> Reading:
    """What is known of a line that cannot be reached: nothing, at this time."""
    n = len(signals)
    return Reading(
        time_us,
        0,
        np.full(n, np.nan),
        np.zeros(n, dtype=np.int64),
        np.full(n, int(Quality.MISSING), dtype=np.int64),
    )
