"""The operator's desk of a running loop: a socket in the run folder that takes commands.

Requests and answers are one line of JSON each. The socket is its owner's alone (mode 600); what is
asked is in the audit before it is done.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.act.modes import COMMANDS, MV_COMMANDS
from twin.cli.lease import Lease
from twin.cli.problems import CONFLICT, REFUSED, USAGE, Problem, nearest, pick
from twin.clock import utc_now
from twin.cycle import Cycle, Mode
from twin.line.snapshot import to_json
from twin.solves import Solve, solve_record
from twin.store.quarantine import StoreError

if TYPE_CHECKING:
    from twin.runtime import Runtime
    from twin.store.audit import Audit

SOCKET = "loop.sock"
ANSWER_S = 120.0
"""A turn may take its time when the line is lost; then the client is told to look again."""
REASONED = ("close", "ack")
STATUS_S = 10.0
"""A loop that lives says at once where it stands."""
WRONG_MODE = {
    ("close", Mode.OFF): (REFUSED, "the loop is off", "first: twin loop start"),
    ("close", Mode.SHED): (REFUSED, "the loop has shed", "first: twin loop ack --reason …"),
    ("close", Mode.INIT): (CONFLICT, "the loop is being closed already", ""),
    ("close", Mode.CLOSED): (CONFLICT, "the loop is closed already", ""),
    ("close", Mode.HOLD): (CONFLICT, "the loop is closed and holding", ""),
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
    "ack": (Mode.ADVISORY,),
}


class Desk:
    """Takes the operator's commands for one loop.

    ``facts`` are shown with its status, and so is what ``trouble`` says, if anything.
    """

    def __init__(
        self,
        runtime: Runtime,
        audit: Audit,
        facts: Mapping[str, object],
        lease: Lease | None,
        trouble: Callable[[], str],
    ) -> None:
        self._runtime, self._audit, self._facts, self._lease = runtime, audit, facts, lease
        self._trouble = trouble
        self._waiting: list[asyncio.Future[Cycle]] = []
        self._solves: dict[str, Solve] = {}
        self._closing = ""
        """The command to close that waits for its turn."""

    def command(self, verb: str, who: str, reason: str) -> str:
        """Put an operator's command on record and pass it on; as the turn will name it."""
        try:
            self._audit.command(verb, who, reason, utc_now())
        except StoreError:
            if verb not in ("open", "off"):  # giving up authority is never refused
                raise
        return self._runtime.command(verb, reason)

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
        bound = _bound(folder)
        server = await asyncio.start_unix_server(self._serve, sock=bound)
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
                line = await asyncio.wait_for(reader.readline(), 5.0)
                answer = await self.answer(json.loads(line))
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

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request. Raises ``Problem`` for what is refused."""
        verb, reason = str(request.get("verb")), str(request.get("reason") or "").strip()
        if verb == "status":
            return self.status()
        if verb == "snapshot":
            loop = self._runtime.loop
            return {"snapshot": to_json(loop.line, loop.memory.twin)}
        if verb not in COMMANDS:
            raise Problem("usage", f"there is no command {verb!r}", nearest(verb, COMMANDS))
        if verb in MV_COMMANDS:
            mvs = self._runtime.loop.mvs
            name = pick(str(request.get("mv")), mvs, "manipulated variable")
            reason = f"{name} {reason}".strip()
        if verb in REASONED and not reason:
            raise Problem("usage", f"{verb} needs a reason")
        mode = self._runtime.loop.mode
        if (verb, mode) in WRONG_MODE:
            code, why, hint = WRONG_MODE[verb, mode]
            raise Problem("conflict", why, hint, code=code)
        if verb == "close" and self._lease is not None:
            self._lease.take()
        command = self.command(verb, str(request.get("who") or getpass.getuser()), reason)
        if verb == "close":
            self._closing = command
        cycle = await self._turn_with(command)
        reached = cycle.decision.mode
        if reached not in _REACHED.get(verb, tuple(Mode)):
            why = "; ".join(cycle.decision.reasons)
            raise Problem("refused", f"the loop stays {reached}: {why}", code=REFUSED)
        return self.status()

    def status(self) -> dict[str, Any]:
        """Where the loop stands after its last turn."""
        latest, loop = self._runtime.latest, self._runtime.loop
        found: dict[str, Any] = {**self._facts, "mode": str(loop.mode), "pid": os.getpid()}
        if trouble := self._trouble():
            found["trouble"] = trouble
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
        if off := sorted(loop.memory.guard.off_mvs):
            found["switched_off"] = off
        return found

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


def _bound(folder: Path) -> socket.socket:
    """A socket in the folder, its owner's alone. The way over /proc holds for long paths too."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    handle = os.open(folder, os.O_RDONLY)
    mask = os.umask(0o177)
    try:
        found.bind(short(folder, handle))
    except OSError:
        found.close()
        raise
    finally:
        os.umask(mask)
        os.close(handle)
    return found


def short(folder: Path, handle: int) -> str:
    """A path of the socket that fits into the 108 bytes that the kernel allows for it."""
    path = str(folder / SOCKET)
    if len(path.encode()) < 100:
        return path
    return f"/proc/self/fd/{handle}/{SOCKET}"


def ask(folder: Path, request: Mapping[str, object]) -> dict[str, Any]:
    """The client's side: one request to the loop of a run folder. ``OSError`` if nobody answers.

    A command waits for a turn of the loop, but not for a process that does not even tell its status.
    """
    if request.get("verb") != "status":
        ask(folder, {"verb": "status"})
    patience_s = STATUS_S if request.get("verb") == "status" else 2.0 * ANSWER_S + 5.0
    handle = os.open(folder, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
            found.settimeout(patience_s)
            found.connect(short(folder, handle))
            found.sendall(json.dumps(request).encode() + b"\n")
            with found.makefile("rb") as lines:
                answer = json.loads(lines.readline() or b"null")
    finally:
        os.close(handle)
    if not isinstance(answer, dict):
        raise ConnectionError("the loop went away without an answer")
    return answer


def is_served(folder: Path) -> bool:
    """Whether a loop answers in this folder; a socket that a killed one left behind does not."""
    if not (folder / SOCKET).exists():
        return False
    handle = os.open(folder, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
            found.settimeout(STATUS_S)
            found.connect(short(folder, handle))
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
