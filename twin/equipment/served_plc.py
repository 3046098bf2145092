"""A PLC as a server shows it: every request to it goes through here, one at a time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from asyncua import ua
from asyncua.server.internal_session import InternalSession

from twin.cycle import Acknowledgement, Batch, Outcome
from twin.equipment import address_space as nodes
from twin.equipment.callers import caller, changed, lives
from twin.equipment.faults import IGNORED, OVERWRITTEN, Faults, code_of
from twin.equipment.history import EVERY_US, ServedHistory
from twin.equipment.image import Image
from twin.equipment.journal import Journal
from twin.equipment.node_types import DataType
from twin.equipment.opcua_types import array, scalar
from twin.equipment.plc import Plc, PlcMode, Result
from twin.equipment.served_energy import energy_actions
from twin.equipment.server import Action, Refused
from twin.equipment.shown_log import ShownLog
from twin.equipment.write_log import WriteLog
from twin.signals import Role, Setpoint

_OWNERS_VERBS = ("RequestRemote", "ReleaseRemote")
LONG_ADVANCE_US = 3_600_000_000
"""Longer steps run beside the server's event loop, so that it goes on answering."""


class ServedPlc:
    """Methods, plain writes and scans of one PLC, and what they change in its image.

    Remote control belongs to the session that requested it, until it ends in any way. Meanwhile
    other sessions are strangers: they can take it over only once the owner's session is closed.
    """

    def __init__(
        self,
        plc: Plc,
        write_log: Path | None,
        *,
        lockstep: bool,
        shown_log: Path | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.plc = plc
        self.requests = {s.name: f"{s.node}/Request" for s in plc.signals if s.role is Role.MV}
        self._lockstep = lockstep
        self._log = None if write_log is None else WriteLog(write_log, plc)
        self._shown = None if shown_log is None else ShownLog(shown_log)
        self._watched = frozenset(s.name for s in plc.signals if s.critical and s.sampled_s)
        """Instruments of which a witness keeps what they showed: those on which a loop relies."""
        self._faults = faults
        self._lock = asyncio.Lock()
        self._journal = Journal([element.name for element in plc.line.elements])
        self._image: Image
        self._writable: dict[ua.NodeId, str] = {}
        self._alive = self._sequence = ua.NodeId()
        self._stale = False
        self._asked: WeakKeyDictionary[InternalSession, dict[str, float]] = WeakKeyDictionary()
        self._heartbeat = -1
        self._owner: InternalSession | None = None
        self.history: ServedHistory | None = None
        """Where readings are kept for HistoryRead, if they are."""

    def actions(self) -> dict[str, Action]:
        """The methods by path."""
        verbs = {path: self._verb(verb) for verb, path in nodes.VERBS.items()}
        pauses = energy_actions(self.plc, self._pause)
        return {nodes.APPLY: self._apply, nodes.ADVANCE: self._advance, **verbs, **pauses}

    async def appear(self, image: Image, found: dict[str, ua.NodeId], speed: float) -> None:
        """Show everything for the first time."""
        self._image = image
        now_us = self.plc.now_us
        await image.put(nodes.EPOCH, image.stamp(0), now_us)
        await image.put(nodes.SPEED, speed, now_us)
        await image.put(nodes.LOCKSTEP, self._lockstep, now_us)
        for name, value in self.plc.active.items():
            await image.put(self.requests[name], value, now_us)
        await self._show()
        self._writable = {found[path]: name for name, path in self.requests.items()}
        self._alive, self._sequence = found[nodes.ALIVE], found[nodes.REQUEST_SEQUENCE]

    async def scan(self, until_us: int) -> None:
        """One scan of a paced line."""
        async with self._lock:
            self._journal.open_window()
            self.plc.advance(max(until_us, self.plc.now_us))
            self._by_hand()
            await self._show()
            self._journal.tell()

    def recent(self, node: ua.NodeId, attribute: ua.AttributeIds) -> ua.DataValue:
        """The last thousand transitions, for a client that has missed some."""
        return ua.DataValue(array(self._journal.recent(), DataType.INT64))

    def close(self) -> None:
        """Close the log."""
        for log in (self._log, self._shown):
            if log is not None:
                log.close()

    async def about_to_read(self, event: Any, service: Any) -> None:
        """In lockstep, what requests have changed is shown when somebody looks."""
        if self._stale and event.is_external:
            async with self._lock:
                await self._show()

    async def written(self, event: Any, service: Any) -> None:
        """Plain writes: requests wait for RequestSeq, which commits them; ControllerAlive counts."""
        session = caller()
        if not event.is_external or session is None:
            return
        commit, heartbeat = -1, None
        waiting = self._asked.setdefault(session, {})
        items = event.request_params.NodesToWrite
        for item, result in zip(items, event.response_params, strict=True):
            if not result.is_good() or item.AttributeId != ua.AttributeIds.Value:
                continue
            value = item.Value.Value.Value
            if item.NodeId in self._writable:
                waiting[self._writable[item.NodeId]] = math.nan if value is None else value
            elif value is not None and item.NodeId == self._sequence:
                commit = value
            elif value is not None and item.NodeId == self._alive:
                heartbeat = value
        if commit < 0 and heartbeat is None:
            return
        asked: tuple[Setpoint, ...] = ()
        if commit >= 0:
            asked = tuple(Setpoint(name, value) for name, value in waiting.items())
            del self._asked[session]
        async with self._lock:
            stranger = self._is_stranger(session)
            if heartbeat is not None and not stranger:
                self._heartbeat = heartbeat
            # A plain write carries no deadline: what has arrived is in time.
            batch = Batch(commit, self._heartbeat, asked, self.plc.now_us)
            self._taken(batch, stranger=stranger)
            await self._changed()

    async def _apply(
        self,
        sequence: int,
        heartbeat: int,
        deadline_us: int,
        names: Sequence[str],
        values: Sequence[float],
    ) -> list[ua.Variant]:
        if len(names) != len(values) or None in names:
            raise Refused(ua.StatusCodes.BadInvalidArgument)
        setpoints = tuple(Setpoint(*pair) for pair in zip(names, values, strict=True))
        async with self._lock:
            stranger = self._is_stranger(caller())
            if not stranger:
                self._heartbeat = heartbeat
            batch = Batch(sequence, heartbeat, setpoints, deadline_us)
            answer = self._taken(batch, stranger=stranger)
            for setpoint in setpoints:
                if setpoint.signal in self.requests:
                    path = self.requests[setpoint.signal]
                    await self._image.put(path, setpoint.value, self.plc.now_us)
            await self._changed()
        active = [answer.active.get(name, math.nan) for name in names]
        return [
            scalar(str(answer.outcome), DataType.STRING),
            scalar(answer.detail, DataType.STRING),
            array(active, DataType.DOUBLE),
        ]

    def _taken(self, batch: Batch, *, stranger: bool) -> Acknowledgement:
        """The PLC's answer to a batch, or that of a fault; told to whoever keeps the record of the server."""
        fault = "" if self._faults is None or not batch.setpoints else self._faults.plan.answers
        if fault in ("", OVERWRITTEN):
            before = dict(self.plc.active)
            answer = self.plc.apply(batch, stranger=stranger)
            for one in batch.setpoints:
                old, new = (of.get(one.signal, math.nan) for of in (before, answer.active))
                changed(f"{one.signal} {old:g} -> {new:g}, asked {one.value:g}: {answer.detail}")
            return answer
        if self._log is not None:
            self._log.refused(batch, fault)
        if fault != IGNORED:
            raise Refused(code_of(fault))
        in_force = {one.signal: self.plc.active[one.signal] for one in batch.setpoints}
        return Acknowledgement(batch.sequence, Outcome.ACCEPTED, in_force, "OK")

    def _by_hand(self) -> None:
        """What a fault moves at the PLC, past whoever is in remote control."""
        if self._faults is None:
            return
        if self._faults.look():
            self.plc.move_by_hand(self._faults.plan.by_hand)
        if self._faults.plan.answers == OVERWRITTEN:
            self.plc.move_by_hand(self.plc.recipe)

    async def _advance(self, until_us: int) -> list[ua.Variant]:
        if not self._lockstep:
            raise Refused(ua.StatusCodes.BadInvalidState)
        async with self._lock:
            if until_us < self.plc.now_us:
                raise Refused(ua.StatusCodes.BadInvalidArgument)
            self._journal.open_window()
            if until_us - self.plc.now_us > LONG_ADVANCE_US:
                step = await asyncio.to_thread(self.plc.advance, until_us)
            else:
                step = self.plc.advance(until_us)
            await self._show()
            first, events = self._journal.tell()
        return [
            scalar(step, DataType.INT64),
            scalar(first, DataType.INT64),
            array([e.time_us for e in events], DataType.INT64),
            array([e.entity for e in events], DataType.STRING),
            array([e.before for e in events], DataType.INT32),
            array([e.after for e in events], DataType.INT32),
            array([e.part for e in events], DataType.INT64),
        ]

    async def _pause(self, station: str, value: float, pause_ms: float) -> Result:
        """A station's own standby, by the methods that it has for it."""
        async with self._lock:
            before = self.plc.active.get(f"{station}.standby", math.nan)
            result = self.plc.pause(station, value, stranger=self._is_stranger(caller()))
            changed(f"{station}.standby {before:g} -> {value:g}: {result.name}")
            if result is Result.OK:
                now_us, request = self.plc.now_us, self.requests[f"{station}.standby"]
                await self._image.put(request, value, now_us)
                asked = f"Stations/{station}/EnergyManagement/PauseTime"
                await self._image.put(asked, pause_ms, now_us)
            await self._changed()
        return result

    def _verb(self, verb: str) -> Callable[..., Awaitable[list[ua.Variant]]]:
        async def command(*arguments: bool) -> list[ua.Variant]:
            async with self._lock:
                session = caller()
                if verb in _OWNERS_VERBS and self._is_stranger(session):
                    takes_over = verb == "RequestRemote" and not self._owner_lives()
                    if not takes_over:
                        raise Refused(ua.StatusCodes.BadUserAccessDenied)
                before = self._authority()
                self.plc.command(verb, float(any(arguments)))
                changed(f"{before} -> {self._authority()}")
                if verb == "RequestRemote" and self.plc.mode is PlcMode.REMOTE:
                    self._owner = session
                await self._changed()
            return []

        return command

    def _authority(self) -> str:
        plc = self.plc
        permit = "permit" if plc.permit_remote else "no permit"
        return f"{plc.mode.name}, {permit}, shed {plc.shed.name}"

    def _is_stranger(self, session: InternalSession | None) -> bool:
        """Whether the PLC is in remote control by another session; any end of it forgets whose."""
        if self.plc.mode is not PlcMode.REMOTE:
            self._owner = None
        return self._owner is not None and session is not self._owner

    def _owner_lives(self) -> bool:
        return self._owner is not None and lives(self._owner)

    async def _show(self) -> None:
        reading = self.plc.reading()
        self._stale = False
        self._journal.add(reading.events)
        if reading.events:
            await self._image.put(nodes.LATEST, self._journal.window(), reading.time_us)
        await self._image.show(reading)
        if self._shown is not None:
            self._shown.add(reading, self.plc.counter, self._image.numbers(self._watched))
        if self.history is not None:
            self.history.keep(reading, every_us=0 if self._lockstep else EVERY_US)

    async def _changed(self) -> None:
        """After a request: paced clients are told at once; in lockstep the next read shows it."""
        if self._log is not None:
            self._log.update()
        if self._lockstep:
            self._stale = True
        else:
            await self._show()
