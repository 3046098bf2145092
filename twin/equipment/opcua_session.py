"""One connection to a line: what is read, written and called while it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from asyncua import Client, ua
from asyncua.client.ua_client import StateSubscription, UaClientState

from twin.clock import monotonic_us
from twin.cycle import Acknowledgement, Batch, Event, Outcome, Reading
from twin.equipment import address_space as nodes
from twin.equipment.binding import REFUSALS, Binding, Interpreting, Refusal
from twin.equipment.ending import end
from twin.equipment.last_values import LastValues
from twin.equipment.line_clock import later
from twin.equipment.lockstep_read import StepReader
from twin.equipment.node_types import DataType
from twin.equipment.opcua_link import Found, call, unless
from twin.equipment.opcua_types import name_of, scalar
from twin.equipment.subscriptions import Subscriptions
from twin.signals import Quality, Signal

ADVANCE_TIMEOUT_S = 3600.0
"""A long step may take its time; whether the server is alive is watched beside it."""
_LOOK_S = 0.25
"""How often a paced line is looked at for silence."""

_WRONG_CALLS = {ua.StatusCodes.BadInvalidArgument, ua.StatusCodes.BadInvalidState}
"""Answers of a method that has not done what it was called for."""


class LineSession:
    """A line at one server for the time of one session.

    All methods raise ``ConnectionError`` if the line does not answer, except ``write``, whose
    outcome is then unknown. Plant time is that of the loop on this side and the server's on the
    other; they differ after ``carry_on``.
    """

    def __init__(
        self,
        client: Client,
        states: StateSubscription,
        binding: Binding,
        found: tuple[Found, Interpreting],
        timeout_s: float,
    ) -> None:
        self.client, self._binding = client, binding
        self.found, self._interpretation = found
        self._signals: Sequence[Signal] = ()
        self._states, self._timeout_s = states, timeout_s
        self._began_us = 0
        self._instants: tuple[int, ...] = ()
        self._steps: StepReader | None = None
        self.table: LastValues | None = None
        self._subscriptions: Subscriptions | None = None
        self._counts = False

    @classmethod
    async def begin(
        cls,
        client: Client,
        signals: Sequence[Signal],
        binding: Binding,
        timeout_s: float,
        fast_ms: float,
    ) -> LineSession:
        """Find the line behind a connected client and get ready to read it.

        Closes the client if that fails, with ``WrongServer`` or another ``ConnectionError``.
        """
        states = client.uaclient.subscribe_state()
        await states.__aenter__()
        session: LineSession | None = None
        try:
            found = await binding.find(client, signals)
            session = cls(client, states, binding, found, timeout_s)
            await session._get_ready(signals, fast_ms)
        except BaseException as error:
            if session is not None:
                await session.end()
            else:
                await states.__aexit__(None, None, None)
                await _hang_up(client)
            if isinstance(error, ua.UaError | TimeoutError):
                msg = f"the server does not show its line: {error!r}"
                raise ConnectionError(msg) from error
            raise
        return session

    async def _get_ready(self, signals: Sequence[Signal], fast_ms: float) -> None:
        self._signals = signals
        self._instants = tuple(n for n, s in enumerate(signals) if nodes.is_instant(s))
        if self.found.lockstep:
            self._steps = StepReader(self.client, self.found, self._timeout_s)
            await self._steps.begin()
            return
        places = {signal.node: n for n, signal in enumerate(signals)}
        alive_place = places.get(nodes.PLC_ALIVE, -1)
        self._counts = alive_place >= 0 and self.found.values[alive_place] is not None
        has_journal = nodes.LATEST in self.found.others
        states = {} if has_journal else _entities(signals)
        table = self.table = LastValues(
            self.found, len(signals), alive_place, states, self._interpretation
        )
        self._subscriptions = Subscriptions(self.client, table, fast_ms)
        await self._subscriptions.open(signals)
        self._counts = self._counts and alive_place not in table.refused
        async with asyncio.timeout(self._timeout_s):
            await unless(self._subscriptions.lost(), table.complete.wait())
        await self._refresh()

    def carry_on(self, before: LineSession, now_us: int) -> None:
        """Count on from ``now_us`` if the server's time began anew since the session before.

        It did so after the last word of the old one, however late we, who guess ``now_us``, have heard that.
        """
        self._began_us = before._began_us
        if self.found.epoch_us != before.found.epoch_us or self.time_us < before.time_us:
            self._began_us = max(self._began_us + now_us - self.time_us, before.time_us)

    @property
    def trouble(self) -> str:
        """Why requests have no chance now, or readings would be stale; empty if all is well."""
        if self.client.state is not UaClientState.CONNECTED:
            return "connection lost"
        if self.table is None or self._subscriptions is None:
            return ""
        if self._subscriptions.trouble:
            return self._subscriptions.trouble
        now_us = monotonic_us()
        if now_us - self.table.heard_us > self._timeout_s * 1e6:
            return "the line fell silent"
        if self._counts and now_us - self.table.beat_us > self._timeout_s * 1e6:
            return "the PLC fell silent: its counter stands still"
        return ""

    @property
    def refused(self) -> Mapping[str, str]:
        """Signals that the server has and does not report, and why."""
        refused = {} if self.table is None else self.table.refused
        return {s.name: refused[n] for n, s in enumerate(self._signals) if n in refused}

    @property
    def heard(self) -> Mapping[str, int]:
        """Notifications by subscription, since this session began."""
        return {} if self._subscriptions is None else self._subscriptions.heard

    @property
    def silent_s(self) -> Mapping[str, float]:
        """How long each subscription has not given a sign of life."""
        return {} if self._subscriptions is None else self._subscriptions.silent_s

    @property
    def ages_s(self) -> Mapping[str, float]:
        """How old each sampled signal is by plant time; NaN for one that was never heard of."""
        table = self.table
        if table is None:
            return {}
        passed_us = (monotonic_us() - table.heard_us) * self.found.speed
        ages_us = table.time_us + passed_us - table.source_us
        unheard = table.status & int(Quality.MISSING) != 0
        ages_s = np.where(unheard, np.nan, np.maximum(ages_us, 0) / 1e6).tolist()
        pairs = zip(self._signals, ages_s, strict=True)
        return {signal.name: age_s for signal, age_s in pairs if signal.sampled_s}

    @property
    def time_us(self) -> int:
        """The newest plant time known."""
        if self._steps is not None:
            return self._began_us + self._steps.time_us
        return self._began_us + (0 if self.table is None else self.table.time_us)

    @property
    def heard_us(self) -> int:
        """When the newest plant time came, by the monotonic clock; in lockstep it is always now."""
        return monotonic_us() if self.table is None else self.table.heard_us

    async def lost(self) -> str:
        """Return when the connection is lost, or silent: what happened."""
        while True:
            # The library's own time-out may forget that we are told to end: see `end`.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    if await self._states.next_change() is not UaClientState.CONNECTED:
                        return "connection lost"
            if trouble := self.trouble:
                return trouble

    async def returns(self, within_s: float) -> bool:
        """Whether the connection comes back by itself in this time, to the same server."""
        if self._subscriptions is not None and self._subscriptions.trouble:
            return False
        try:
            async with asyncio.timeout(within_s):
                await self._states.wait_for_state(UaClientState.CONNECTED)
            if (await self._binding.find(self.client, self._signals))[0] != self.found:
                return False
            await self._refresh()
        except Exception:  # noqa: BLE001  (whatever it is, a new session may still succeed)
            return False
        return not self.trouble

    async def catch_up(self, now_us: int) -> None:
        """Let pass what the server has queued meanwhile, until plant time is that of now.

        For no longer than an answer may take: the line may have stood still.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                while self.table is not None and self.time_us < now_us:
                    self.table.news.clear()
                    await self.table.news.wait()

    async def end(self) -> None:
        """Close the session."""
        if self._subscriptions is not None:
            await self._subscriptions.close()
        await self._states.__aexit__(None, None, None)
        await _hang_up(self.client)

    async def read(self) -> Reading:
        """All signals: the table as it is, or everything of the last step in one request."""
        if self.table is not None:
            return later(self.table.reading(), self._began_us, self._instants)
        if self._steps is None:
            raise ConnectionError("the session has not begun")
        try:
            reading = await self._steps.read()
        except ConnectionError:
            raise
        except (OSError, ua.UaError) as error:
            msg = f"the line does not answer: {error!r}"
            raise ConnectionError(msg) from error
        return later(reading, self._began_us, self._instants)

    async def write(self, batch: Batch, refusal_of: Refusal) -> Acknowledgement:
        """Send a batch once. No answer, or a doubtful one, is ``UNKNOWN``; it is not sent again.

        A refusal counts as one only in a session that stands: while it is renewed, a server denies
        what it grants a moment later, and what else was under way is not known.
        """
        theirs = replace(batch, deadline_us=batch.deadline_us - self._began_us)
        try:
            line = (self.client, self.found)
            return await self._binding.write(*line, theirs, self._timeout_s, refusal_of)
        except ua.UaStatusCodeError as error:
            result = Outcome.REJECTED if self._is_word(error.code, REFUSALS) else Outcome.UNKNOWN
            return Acknowledgement(batch.sequence, result, {}, name_of(error.code))
        except Exception as error:  # noqa: BLE001  (it has left: what it did is not known)
            return Acknowledgement(batch.sequence, Outcome.UNKNOWN, {}, repr(error))

    async def command(self, verb: str, argument: float) -> None:
        """Call a method. Raises ``ValueError`` for one that the line does not have or refuses for certain.

        What may have been done, as while the session is renewed, is a ``ConnectionError``. So is any
        denial to move plant time but that of a wrong time: such a line is out of reach.
        """
        certain = _WRONG_CALLS if verb == "Advance" else REFUSALS | _WRONG_CALLS
        try:
            if verb == "Advance":
                await self._advance(round(argument) - self._began_us)
            else:
                theirs = (self.client, self.found)
                await self._binding.command(*theirs, verb, argument, self._timeout_s)
        except ua.UaStatusCodeError as error:
            msg = f"the line refuses {verb}({argument:g}): {name_of(error.code)}"
            kind = ValueError if self._is_word(error.code, certain) else ConnectionError
            raise kind(msg) from error
        except (OSError, ua.UaError) as error:
            msg = f"no answer to {verb}: {error!r}"
            raise ConnectionError(msg) from error

    def _is_word(self, code: int, refusals: Container[int]) -> bool:
        """Whether an answer refuses for certain. Only a session that stands can."""
        return self.client.state is UaClientState.CONNECTED and code in refusals

    async def _advance(self, until_us: int) -> None:
        until = scalar(until_us, DataType.INT64)
        wanted = call(self.client, self.found, nodes.ADVANCE, [until], ADVANCE_TIMEOUT_S)
        answer = await unless(self._gone(), wanted)
        step, first, *columns = answer
        rows = zip(*(column or () for column in columns), strict=True)
        if self._steps is not None:
            self._steps.advanced(step, first, [Event(*row) for row in rows])

    async def _gone(self) -> str:
        """Return when the connection is lost, even if the library brings it back."""
        async with self.client.uaclient.subscribe_state() as states:
            while self.client.state is UaClientState.CONNECTED:
                if await states.next_change() is not UaClientState.CONNECTED:
                    break
        return "connection lost"

    async def _refresh(self) -> None:
        """Learn the plant time anew: ask for it, or wait for news where it moves by itself."""
        if self._steps is not None:
            await self._steps.refresh()
        elif self.table is not None:
            self.table.news.clear()
            self.table.beat.clear()
            async with asyncio.timeout(self._timeout_s):
                await self.table.news.wait()
                if self._counts:
                    await self.table.beat.wait()


def _entities(signals: Sequence[Signal]) -> dict[int, str]:
    """Whose state it is, for each place of one."""
    names = enumerate(signal.name.rpartition(".") for signal in signals)
    return {place: entity for place, (entity, _, column) in names if column == "state"}


async def _hang_up(client: Client) -> None:
    """Close a client whatever state it is in; a peer that does not answer cannot hold us."""
    hanging_up = asyncio.create_task(client.disconnect())
    try:
        await asyncio.wait({hanging_up}, timeout=2.0)
    finally:
        await end(hanging_up)
