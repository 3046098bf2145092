"""Equipment over OPC UA: a PLC, or the emulator of one. They differ by the endpoint alone.

In lockstep everything is read in one request after each step, and must carry that step's number.
Paced, subscriptions fill a table of last values, and reading is taking a snapshot of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Self

from twin.clock import VirtualClock
from twin.cycle import TOO_LATE, Acknowledgement, Batch, Gap, Reading
from twin.equipment.asyncua_log import quiet_asyncua
from twin.equipment.binding import Binding
from twin.equipment.ending import end
from twin.equipment.line_clock import LineClock
from twin.equipment.link_state import LinkCounts, LinkState, is_hard
from twin.equipment.lockstep_read import OutOfStep
from twin.equipment.opcua_link import WrongServer, dial
from twin.equipment.opcua_security import ClientSecurity, certificates_of
from twin.equipment.opcua_session import LineSession
from twin.equipment.own_line import OwnLine
from twin.equipment.pki import Known
from twin.protocols import Clock
from twin.signals import Signal

__all__ = ["OpcUaEquipment", "OutOfStep", "WrongServer"]

RETURN_S = 10.0
"""How long the library may try to bring a session back before we begin a new one."""
BEGIN_S = 60.0
"""A new session that is not there after this time never comes: its client is thrown away."""
SHORTEST_DELAY_S, LONGEST_DELAY_S, HARD_DELAY_S = 0.2, 2.0, 30.0
"""Between two attempts; the last where a person has to do something first, whom no haste helps."""

_log = logging.getLogger(__name__)


class OpcUaEquipment:
    """A production line behind an OPC UA server; made by ``connect``.

    While the line cannot be reached every method raises ``ConnectionError`` at once. Once a write
    has left, its loss is ``Outcome.UNKNOWN``, and nothing is ever sent again: after a return the
    first thing to do is to read. ``drain_gaps`` tells the interruptions. Plant time never goes back:
    that of a server which counts from zero after a restart is carried on.
    """

    def __init__(
        self,
        url: str,
        signals: Sequence[Signal],
        binding: Binding,
        timeout_s: float,
        security: ClientSecurity | None,
        *,
        fast_ms: float,
    ) -> None:
        self._url, self._signals, self._binding = url, tuple(signals), binding
        self._timeout_s, self._security = timeout_s, security
        self._fast_ms = fast_ms
        self._session: LineSession
        self._certificates: dict[str, Known] = {}
        self._clock: Clock
        self._online = False
        self._why = f"not connected to {url}"
        self._refused: WrongServer | None = None
        self._is_hard = False
        self._counts = LinkCounts(sessions=1)
        self._change = asyncio.Condition()
        self._gaps: list[Gap] = []
        self._drained_us = self._dropped = 0
        self._recheck: Callable[[Batch, str], str] = self._late

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        signals: Sequence[Signal],
        *,
        plant_hash: str | None,
        timeout_s: float = 4.0,
        security: ClientSecurity | None = None,
        fast_ms: float = 100.0,
        binding: Binding | None = None,
    ) -> AsyncIterator[Self]:
        """Connect, and stay connected as long as the context is open.

        ``plant_hash`` is the plant file's own, which the server must show (None: any line will do).
        A server without our address space needs a ``binding`` of its own, which then says what it
        must show.
        ``fast_ms`` is the shortest publishing interval of a paced line. Without ``security`` only
        this very machine is talked to. Raises ``WrongServer`` for a server
        with another plant, ``ConnectionError`` if nobody answers.
        """
        quiet_asyncua()
        bound = OwnLine(plant_hash) if binding is None else binding
        equipment = cls(url, signals, bound, timeout_s, security, fast_ms=fast_ms)
        equipment._session = await equipment._begin()
        equipment._clock = equipment._begin_clock()
        equipment._drained_us = equipment._session.time_us
        equipment._online = True
        watching = asyncio.create_task(equipment._watch())
        try:
            yield equipment
        finally:
            await end(watching)
            equipment._online, equipment._why = False, f"{url} was closed"
            await equipment._session.end()

    @property
    def connected(self) -> bool:
        """Whether the line can be reached now."""
        return self._online and not self._session.trouble

    @property
    def lockstep(self) -> bool:
        """Whether plant time moves by ``Advance`` only."""
        return self._session.found.lockstep

    @property
    def speed(self) -> float:
        """Plant seconds in a wall second; a real plant and a line in lockstep have 1."""
        return self._session.found.speed

    @property
    def missing(self) -> tuple[str, ...]:
        """Signals that the server does not have; they read as ``Quality.MISSING``."""
        pairs = zip(self._signals, self._session.found.values, strict=True)
        return tuple(signal.name for signal, node in pairs if node is None)

    @property
    def refused(self) -> Mapping[str, str]:
        """Signals that the server has and does not report to us, and why; they read as bad."""
        return self._session.refused

    @property
    def lost_notifications(self) -> int:
        """Values and events that the server reported to have dropped, in this session."""
        table = self._session.table
        return 0 if table is None else table.overflows + table.inbox.lost

    @property
    def barred(self) -> Mapping[str, str]:
        """MVs that the server does not let us write, and why."""
        return self._session.found.barred

    @property
    def unclosable(self) -> str:
        """Why no loop must be closed on this line; empty if one may."""
        return self._session.found.unclosable

    @property
    def state(self) -> LinkState:
        """The connection now, for those who watch over it."""
        session, counts = self._session, self._counts
        table, is_up = session.table, self.connected
        return LinkState(
            is_up,
            "" if is_up else session.trouble if self._online else self._why,
            self._is_hard,
            counts.sessions,
            counts.losses,
            counts.dropped + self.lost_notifications,
            counts.late + (0 if table is None else table.late),
            counts.heard + Counter(session.heard),
            session.silent_s,
            session.ages_s,
            self._certificates,
        )

    @property
    def losses(self) -> int:
        """How often the connection was lost, in all sessions; counted before it is back."""
        return self._counts.losses

    def drain_gaps(self) -> tuple[Gap, ...]:
        """The gaps that have ended since the last call, oldest first.

        Values that the server reports to have dropped are a gap of their own, from the last call
        to now: when exactly they were dropped nobody knows.
        """
        self._note_dropped()
        gaps, self._gaps = tuple(self._gaps), []
        return gaps

    def clock(self) -> Clock:
        """Plant time: of the last step read in lockstep, carried on between notifications if paced."""
        return self._clock

    async def wait_connected(self, *, connected: bool = True) -> None:
        """Return when the line can be reached, or no longer."""
        async with self._change:
            await self._change.wait_for(lambda: self.connected == connected)

    async def read(self) -> Reading:
        """All signals at one instant."""
        reading = await self._reach().read()
        if self.lockstep:
            await self._clock.sleep_until(reading.time_us)
        return reading

    async def write(self, batch: Batch) -> Acknowledgement:
        """Send setpoints and heartbeat; read back what is then in force."""
        return await self._reach().write(batch, partial(self._recheck, batch))

    def recheck_by(self, refusal: Callable[[Batch, str], str]) -> None:
        """Ask this before each further request of one batch: why an MV's setpoint must not leave any more.

        Until then the deadline alone is kept.
        """
        self._recheck = refusal

    def _late(self, batch: Batch, _: str) -> str:
        return TOO_LATE if self._clock.now_us() > batch.deadline_us else ""

    async def command(self, verb: str, argument: float = 0.0) -> None:
        """Call a method of the line; ``Advance`` takes the plant time to reach, microseconds."""
        await self._reach().command(verb, argument)

    def _reach(self) -> LineSession:
        if self._refused is not None:
            raise WrongServer(str(self._refused))
        if not self._online:
            raise ConnectionError(self._why)
        if trouble := self._session.trouble:
            msg = f"{self._url}: {trouble}"
            raise ConnectionError(msg)
        return self._session

    def _begin_clock(self) -> Clock:
        if self.lockstep:
            return VirtualClock(self._session.time_us)
        heard = lambda: (self._session.time_us, self._session.heard_us)  # noqa: E731
        return LineClock(heard, self._session.found.speed)

    async def _begin(self) -> LineSession:
        client = await dial(self._url, self._timeout_s, self._security)
        self._certificates = certificates_of(client)
        return await LineSession.begin(
            client, self._signals, self._binding, self._timeout_s, self._fast_ms
        )

    async def _watch(self) -> None:
        """Notice each loss, and do not rest until the line is back."""
        try:
            while True:
                await self._lose_and_find(await self._session.lost())
        except Exception as error:  # noqa: BLE001  (its end must not go unnoticed)
            self._why = f"{self._url}: no longer watched: {error!r}"
            _log.exception("%s", self._why)
            await self._turn(online=False)

    async def _lose_and_find(self, reason: str) -> None:
        lost_us = self._session.time_us
        self._counts.losses += 1
        self._why = f"{self._url}: {reason}"
        await self._turn(online=False)
        _log.warning("%s at plant time %.3f s", self._why, lost_us / 1e6)
        if await self._session.returns(RETURN_S):
            await self._session.catch_up(self._clock.now_us())
        else:
            self._note_dropped()
            await self._session.end()
            session = await self._begin_anew()
            session.carry_on(self._session, self._clock.now_us())
            self._retire()
            self._session, self._dropped = session, 0
            self._counts.sessions += 1
            reason += ", new session"
        self._gaps.append(Gap(lost_us, self._session.time_us, reason))
        await self._turn(online=True)
        _log.warning("%s: back at %.3f s", self._url, self._session.time_us / 1e6)

    def _note_dropped(self) -> None:
        now_us, dropped = self._session.time_us, self.lost_notifications
        if dropped > self._dropped:
            self._gaps.append(
                Gap(self._drained_us, now_us, "the server dropped values", was_lost=False)
            )
        self._drained_us, self._dropped = now_us, dropped

    def _retire(self) -> None:
        """Take over the counts of a session that will not be asked again."""
        session, counts = self._session, self._counts
        counts.dropped += self.lost_notifications
        counts.heard.update(session.heard)
        if session.table is not None:
            counts.late += session.table.late

    async def _begin_anew(self) -> LineSession:
        """A new client and all that hangs on it, however long it takes."""
        delay_s, told = SHORTEST_DELAY_S, ""
        while True:
            try:
                async with asyncio.timeout(BEGIN_S):
                    session = await self._begin()
            except Exception as error:  # noqa: BLE001  (no foreign server may end our attempts)
                self._refused = error if isinstance(error, WrongServer) else None
                self._is_hard = is_hard(error)
                self._why = str(error) if isinstance(error, ConnectionError) else repr(error)
            else:
                self._refused, self._is_hard = None, False
                return session
            if self._is_hard and self._why != told:
                told = self._why
                _log.error("%s: somebody has to see to it", told)
            await asyncio.sleep(delay_s)
            delay_s = min(2.0 * delay_s, HARD_DELAY_S if self._is_hard else LONGEST_DELAY_S)

    async def _turn(self, *, online: bool) -> None:
        async with self._change:
            self._online = online
            self._change.notify_all()
