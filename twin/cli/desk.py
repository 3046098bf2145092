"""The operator's desk of a running loop: a socket in the run folder that takes commands.

Requests and answers are one line of JSON each. The socket is its owner's alone (mode 600), and who asks is
what the kernel says, not the request: only the owner of the loop and root are heard. What is asked is in the
audit before it is done, and so is what was refused; what gives authority up is done whether the audit can keep
it at once or not.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.act.limit_change import LimitChange
from twin.act.modes import COMMANDS, GIVING_UP, LIMITS, MV_COMMANDS
from twin.cli.handover import CARRIED, FROZEN, Handover, subject
from twin.cli.lease import Lease
from twin.cli.local_socket import ANSWER_S, SOCKET, Peer, bound, peer_of
from twin.cli.problems import CONFLICT, REFUSED, USAGE, Problem, nearest, pick
from twin.clock import utc_now
from twin.cycle import Cycle, Mode
from twin.line.snapshot import to_json
from twin.signals import Limits, Role
from twin.solves import Solve, solve_record
from twin.store.quarantine import StoreError

if TYPE_CHECKING:
    from twin.feedback.alarms import Alarm
    from twin.runtime import Runtime
    from twin.store.audit import Audit

_log = logging.getLogger(__name__)
LOOKING = ("status", "snapshot", "limits?", "segment")
"""What may be asked and is no command: it changes nothing on the line."""
REASONED = ("close", "ack", LIMITS)
WRONG_MODE = {
    ("close", Mode.OFF): (REFUSED, "the loop is off", "first: twin loop start"),
    ("close", Mode.SHED): (REFUSED, "the loop has shed", "first: twin loop ack --reason …"),
    ("close", Mode.INIT): (CONFLICT, "the loop is being closed already", ""),
    ("close", Mode.CLOSED): (CONFLICT, "the loop is closed already", ""),
    ("close", Mode.HOLD): (CONFLICT, "the loop is closed and holding", ""),
    ("freeze", Mode.OFF): (CONFLICT, "there is nothing to freeze: the loop is off", ""),
    ("freeze", Mode.ADVISORY): (
        CONFLICT,
        "there is nothing to freeze: the loop writes nothing",
        "",
    ),
    ("freeze", Mode.SHED): (CONFLICT, "there is nothing to freeze: the PLC runs the line", ""),
    ("ack", Mode.OFF): (CONFLICT, "there is nothing to acknowledge: the loop is off", ""),
    ("ack", Mode.INIT): (CONFLICT, "there is nothing to acknowledge", ""),
    ("ack", Mode.CLOSED): (CONFLICT, "there is nothing to acknowledge: the loop is closed", ""),
    ("ack", Mode.HOLD): (CONFLICT, "nothing is latched: a hold ends by itself", ""),
}
_REACHED = {
    "start": (Mode.ADVISORY,),
    "close": (Mode.INIT, Mode.CLOSED),
    "open": (Mode.ADVISORY, Mode.OFF),
    "off": (Mode.OFF,),
    "freeze": (Mode.HOLD, Mode.ADVISORY, Mode.SHED),
    "ack": (Mode.ADVISORY,),
}


class Desk:
    """Takes the operator's commands for one loop.

    ``facts`` are shown with its status, and so is what ``trouble`` says, if anything, and ``doubts`` of the
    connection's certificates, and the ``alarms`` that stand. ``segment``
    brings all decisions to disk, closes a segment of samples for whoever reads while the loop runs, and gives
    the plant time up to which they now reach.
    """

    def __init__(
        self,
        runtime: Runtime,
        audit: Audit,
        facts: Mapping[str, object],
        lease: Lease | None,
        trouble: Callable[[], str],
        segment: Callable[[], float],
        doubts: Callable[[], list[str]] = list,
        alarms: Callable[[], Sequence[Alarm]] = tuple,
    ) -> None:
        self._runtime, self._audit, self._facts, self._lease = runtime, audit, dict(facts), lease
        self._trouble, self._segment, self._doubts = trouble, segment, doubts
        self._alarms = alarms
        self._waiting: list[asyncio.Future[Cycle]] = []
        self._solves: dict[str, Solve] = {}
        self._as_before: dict[str, str] = {}
        """What holds because it did in the run before, until an operator says otherwise."""
        self._closing = ""
        """The command to close that waits for its turn."""
        self._limiting = asyncio.Lock()
        """One change of limits at a time: the next one is judged by the version that it leaves."""

    def command(self, verb: str, who: str, reason: str) -> str:
        """Put an operator's command on record and pass it on; as the turn will name it.

        One that gives authority up is passed on whatever the record says.
        """
        try:
            self._audit.command(verb, who, reason, utc_now())
        except Exception as error:
            if verb not in GIVING_UP:  # it is never refused
                raise
            _log.warning("%s of %s is carried out and not on record yet: %s", verb, who, error)
        self._as_before.pop(subject(verb, reason), None)
        return self._runtime.command(verb, reason)

    def take_over(self, before: Handover) -> dict[str, str]:
        """Put in force, and on record, what operators took from the loop in the run before; gives it in words."""
        for verb, reason in before.commands(self._runtime.loop.signals):
            self.command(verb, CARRIED, reason)
            about = subject(verb, reason)
            self._as_before[about] = reason if about == FROZEN else reason.partition(" ")[2]
        return dict(self._as_before)

    def tell(self, name: str, fact: object) -> None:
        """Show one more fact with the status."""
        self._facts[name] = fact

    def turned(self, cycle: Cycle) -> None:
        """Tell those who wait that a turn is over; who has given up authority frees the line."""
        self._solves |= cycle.decision.asked.solves
        if self._closing in cycle.commands:
            self._closing = ""
        given_up = self._runtime.loop.mode in (Mode.OFF, Mode.ADVISORY)
        if self._lease is not None and given_up and not self._closing:
            self._lease.give_back()
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(cycle)
        self._waiting.clear()

    @asynccontextmanager
    async def open(self, folder: Path) -> AsyncIterator[None]:
        """Take commands at the folder's socket for a while."""
        taken = bound(folder)
        server = await asyncio.start_unix_server(self._serve, sock=taken)
        try:
            yield
        finally:
            (folder / SOCKET).unlink(missing_ok=True)
            server.close()
            for waiting in self._waiting:
                waiting.cancel()
            if self._lease is not None:
                self._lease.give_back()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            try:
                who = peer_of(writer.get_extra_info("socket"))
                line = await asyncio.wait_for(reader.readline(), 5.0)
                answer = await self.answer(json.loads(line), who)
            except Problem as problem:
                answer = {"error": problem.message, "exit_code": problem.code}
                answer |= {"hint": problem.hint} if problem.hint else {}
            except (ValueError, TimeoutError, AttributeError) as error:
                answer = {"error": f"not a request: {error!r}", "exit_code": USAGE}
            except StoreError as error:
                answer = {"error": str(error), "exit_code": REFUSED, "hint": error.hint}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def answer(self, request: dict[str, Any], who: Peer) -> dict[str, Any]:
        """One request. Raises ``Problem`` for what is refused, once that is on record."""
        verb, reason = str(request.get("verb")), str(request.get("reason") or "").strip()
        try:
            return await self._heard(verb, reason, request, who)
        except Problem as problem:
            with suppress(StoreError):  # what is refused stays refused
                why = f"{problem.message}; asked: {reason}" if reason else problem.message
                self._audit.command(f"refused: {verb[:40]}", str(who), why, utc_now())
            raise

    async def _heard(
        self, verb: str, reason: str, request: Mapping[str, object], who: Peer
    ) -> dict[str, Any]:
        if not who.is_owner:
            msg = f"{who} is not the owner of this loop"
            raise Problem("refused", msg, "its owner and root may ask", code=REFUSED)
        if verb in LOOKING:
            return self._looked(verb)
        if verb not in COMMANDS:
            raise Problem("usage", f"there is no command {verb!r}", nearest(verb, COMMANDS))
        if verb in REASONED and not reason:
            raise Problem("usage", f"{verb} needs a reason")
        if verb == LIMITS:
            return await self._limit(request, str(who), reason)
        return await self._commanded(verb, request, str(who), reason)

    def _looked(self, verb: str) -> dict[str, Any]:
        """What changes nothing, and so is no command."""
        if verb == "snapshot":
            loop = self._runtime.loop
            return {"snapshot": to_json(loop.line, loop.memory.twin)}
        if verb == "segment":
            return {"segments_until_s": self._segment()}
        return self.limits() if verb == "limits?" else self.status()

    async def _commanded(
        self, verb: str, request: Mapping[str, object], who: str, reason: str
    ) -> dict[str, Any]:
        if verb in MV_COMMANDS:
            mvs = self._runtime.loop.mvs
            name = pick(str(request.get("mv")), mvs, "manipulated variable")
            reason = f"{name} {reason}".strip()
        mode = self._runtime.loop.mode
        if (verb, mode) in WRONG_MODE:
            code, why, hint = WRONG_MODE[verb, mode]
            raise Problem("conflict", why, hint, code=code)
        if verb == "close" and FROZEN in self._as_before:
            why = f"the loop was frozen in the run before: {self._as_before[FROZEN]}"
            raise Problem("refused", why, "first: twin loop open", code=REFUSED)
        if verb == "ack" and mode is Mode.ADVISORY and (doubted := self._doubted()):
            reason = f"{reason} (the model is in doubt: {', '.join(doubted)})"  # as it was seen
        if verb == "close" and self._lease is not None:
            self._lease.take()
        command = self.command(verb, who, reason)
        if verb == "close":
            self._closing = command
        cycle = await self._turn_with(command)
        reached = cycle.decision.mode
        if reached not in _REACHED.get(verb, tuple(Mode)):
            why = "; ".join(cycle.decision.reasons)
            raise Problem("refused", f"the loop stays {reached}: {why}", code=REFUSED)
        return self.status()

    async def _limit(self, request: Mapping[str, object], who: str, reason: str) -> dict[str, Any]:
        """New limits for one MV: inside the engineering limits, and from the version looked at."""
        loop = self._runtime.loop
        name = pick(str(request.get("mv")), loop.mvs, "manipulated variable")
        signal = next(one for one in loop.signals if one.name == name)
        try:
            limits = Limits(float(str(request.get("lo"))), float(str(request.get("hi"))))
            change = LimitChange(name, limits, int(str(request.get("version"))))
        except ValueError as error:
            raise Problem("usage", str(error), "give LO and HI, and --version") from error
        async with self._limiting:
            guard = loop.memory.guard
            if refusal := change.refusal(signal, guard.limits_version):
                raise _unchanged(refusal, is_old=change.version != guard.limits_version)
            await self._turn_with(self.command(LIMITS, who, change.in_words(reason)))
            # One that nobody waited for any more may have come first; the turn then drops this one.
            made = guard.limits.get(name) == limits and guard.limits_version == change.version + 1
            if not made:
                raise _unchanged(change.refusal(signal, guard.limits_version), is_old=True)
        return self.limits()

    def limits(self) -> dict[str, Any]:
        """The limits of all MVs, and the version at which they are."""
        loop = self._runtime.loop
        changed = loop.memory.guard.limits
        return {
            "version": loop.memory.guard.limits_version,
            "limits": {
                signal.name: {
                    "unit": signal.unit,
                    "engineering": _ends(signal.engineering),
                    "operator": _ends(signal.operator),
                    "is_changed": signal.name in changed,
                }
                for signal in loop.limited
                if signal.role is Role.MV
            },
        }

    def status(self) -> dict[str, Any]:
        """Where the loop stands after its last turn."""
        latest, loop = self._runtime.latest, self._runtime.loop
        found: dict[str, Any] = {**self._facts, "mode": str(loop.mode), "pid": os.getpid()}
        found["requested"] = str(loop.memory.guard.requested)
        if alarms := self._alarms():
            found["alarms"] = [
                {
                    "alarm": one.name,
                    "why": one.why,
                    "since_s": one.since_us / 1e6,
                    "response": one.response,
                }
                for one in alarms
            ]
        if trouble := self._trouble():
            found["trouble"] = trouble
        if doubts := self._doubts():
            found["certificates"] = doubts
        if latest is not None:
            decision = latest.decision
            found |= {
                "plant_time_s": decision.time_us / 1e6,
                "reasons": list(decision.reasons),
                "turns": latest.number,
                "asked": decision.asked.reason,
                "why": dict(decision.asked.why),
                "solver": decision.asked.status,
                "solves": {name: solve_record(one) for name, one in self._solves.items()},
                "clips": len(decision.clips),
            }
        if health := loop.health:
            found["model_trust"] = {name: round(one.trust, 3) for name, one in health.items()}
        if doubted := self._doubted():
            found["in_doubt"] = doubted
        guard = loop.memory.guard
        if accepted := sorted(guard.accepted_doubts):
            found["doubt_accepted"] = accepted
        if off := sorted(guard.off_mvs):
            found["switched_off"] = off
        if guard.is_frozen:
            found["frozen"] = True
        if self._as_before:
            found["as_before"] = dict(self._as_before)
        if guard.limits:
            found["limits_changed"] = sorted(guard.limits)
        return found

    def _doubted(self) -> dict[str, str]:
        """The doubts in the model that stand, by quantity."""
        return {name: one.doubt for name, one in self._runtime.loop.health.items() if one.doubt}

    async def _turn_with(self, command: str) -> Cycle:
        """The turn that took the command; one under way has not."""
        while True:
            waiting: asyncio.Future[Cycle] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                cycle = await asyncio.wait_for(waiting, ANSWER_S)
            except TimeoutError:
                msg = "no turn has come: the command waits"
                raise Problem("conflict", msg, "see: twin loop status", code=CONFLICT) from None
            if command in cycle.commands:
                return cycle


def _unchanged(why: str, *, is_old: bool) -> Problem:
    hint = "look again: twin limits get" if is_old else "the plant file sets those"
    kind, code = ("conflict", CONFLICT) if is_old else ("refused", REFUSED)
    return Problem(kind, why, hint, code=code)


def _ends(limits: Limits | None) -> list[float] | None:
    return None if limits is None else [limits.lo, limits.hi]
