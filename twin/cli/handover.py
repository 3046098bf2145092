"""What operators took from the loop of a line and did not give back, by the newest audit of one.

A run ends, and with it what its guard remembers. The next one on the same line begins with no more authority
than that one had: MVs that were switched off stay off, limits that were narrower stay so, and a loop that was
frozen is not closed before somebody has opened it. Where an operator gave more than the plant file does, that
is not carried on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from twin.act.limit_change import FIRST, LimitChange
from twin.act.modes import GIVING_UP, LIMITS, MV_COMMANDS, OPERATOR_EVENTS
from twin.cli.lease import server_of
from twin.cycle import Mode
from twin.signals import Limits, Role, Signal
from twin.store.audit import Audit
from twin.store.quarantine import StoreError

if TYPE_CHECKING:
    from twin.store.audit_rows import Note, OperatorCommand

RUN = "twin run"
"""Who commands what the run itself has to say; no operator's word."""
CARRIED = "twin run, as before"
"""Who commands at the start what an operator had said in a run before."""
FROZEN = "frozen"


@dataclass(slots=True)
class Handover:
    """What stands: switched off MVs and limits with who said it and why, and that of a freeze, if any.

    ``closed`` is who had the loop closed, where that was the last word: it is told, and never done again.
    ``trouble`` tells what could not be read.
    """

    off: dict[str, str] = field(default_factory=dict)
    limits: dict[str, tuple[Limits, str]] = field(default_factory=dict)
    frozen: str = ""
    closed: str = ""
    trouble: list[str] = field(default_factory=list)

    def hear(self, said: OperatorCommand) -> None:
        """One command more, in the order of the record."""
        name, _, why = said.reason.partition(" ")
        by = "" if said.who == CARRIED else f" ({said.who}, {said.utc[:16]})"
        if said.verb == "mv_off":
            self.off[name] = f"{why}{by}".strip()
        elif said.verb == "mv_on":
            self.off.pop(name, None)
        elif said.verb == LIMITS:
            change = LimitChange.parse(said.reason)
            why = " ".join(said.reason.split(None, 4)[4:])
            self.limits[change.signal] = (change.limits, f"{why}{by}".strip())
        elif said.verb in OPERATOR_EVENTS:
            self.frozen = f"{said.reason}{by}".strip() if said.verb == "freeze" else ""

    def commands(self, signals: Iterable[Signal]) -> Iterator[tuple[str, str]]:
        """Verb and reason of each command that brings it back where these signals have their plant file's limits."""
        mvs = {signal.name: signal for signal in signals if signal.role is Role.MV}
        yield from (("mv_off", f"{name} {why}") for name, why in self.off.items() if name in mvs)
        version = FIRST
        for name, (limits, why) in self.limits.items():
            if name not in mvs:
                continue
            kept = _within(limits, mvs[name])
            if kept is None:
                was = f"its limits [{limits.lo:g}, {limits.hi:g}] lie outside the plant file's"
                yield "mv_off", f"{name} {was}: {why}"
            elif kept != (mvs[name].operator or mvs[name].engineering):
                yield LIMITS, LimitChange(name, kept, version).in_words(why)
                version += 1
        if self.frozen:
            yield "freeze", self.frozen


def subject(verb: str, reason: str) -> str:
    """What a command says something about, of what can be handed over; empty if it does not."""
    if verb in MV_COMMANDS:
        return f"{reason.partition(' ')[0]} off"
    if verb == LIMITS:
        return f"{reason.partition(' ')[0]} limits"
    return FROZEN if verb in GIVING_UP else ""


def handover(root: Path, plant: str, endpoint: str) -> Handover:
    """What stands of the runs under ``root`` of the plant at the endpoint's server, by the newest that was commanded."""
    runs: list[tuple[str, Handover, str | None]] = []
    trouble = []
    server = cache(server_of)
    for manifest in sorted(root.glob("[!.]*/manifest.json")):
        try:
            run: Mapping[str, object] = json.loads(manifest.read_text("utf-8"))
            arguments = run["arguments"]
            other = str(arguments["equipment"]) if isinstance(arguments, dict) else ""
        except (OSError, ValueError, LookupError):
            continue  # no run of ours, or not one of a line
        if run.get("plant") != plant or not (
            other == endpoint or ("://" in other and server(other) == server(endpoint))
        ):
            continue
        for path in sorted(manifest.parent.glob("*/audit.sqlite")):
            try:
                with Audit(path, read_only=True) as audit:
                    said = [one for one in audit.commands() if one.who != RUN]
                    closed = _closed(said, audit.notes())
                stands = Handover()
                for one in said:
                    stands.hear(one)
            except (OSError, ValueError, StoreError, sqlite3.Error) as error:
                trouble.append(f"{path}: what operators took there is not known: {error}")
                continue
            if said:
                runs.append((said[-1].utc, stands, closed))
    found = Handover()
    for _, stands, closed in sorted(runs, key=lambda one: one[0]):
        stands.closed = (
            found.closed if closed is None else closed
        )  # None: nobody has answered since
        found = stands
    found.trouble = trouble
    return found


def _closed(said: Iterable[OperatorCommand], notes: Iterable[Note]) -> str | None:
    """Who had the loop closed, if that was the last word on its mode; None if there was no word that led anywhere."""
    times, found = [one.utc for one in notes if one.mode == Mode.CLOSED], None
    for one in said:
        if one.verb == "close" and any(utc >= one.utc for utc in times):
            found = f"{one.reason} ({one.who}, {one.utc[:16]})".strip()
        elif one.verb in OPERATOR_EVENTS and one.verb != "close" and one.who != CARRIED:
            found = ""
    return found


def _within(limits: Limits, signal: Signal) -> Limits | None:
    """As much of the limits as the plant file allows too; None if that is nothing."""
    nested = [one for one in (signal.operator, signal.engineering) if one is not None]
    lo, hi = (max(one.lo for one in (limits, *nested)), min(one.hi for one in (limits, *nested)))
    return Limits(lo, hi) if nested and lo <= hi else None
