"""An emulated line, a wire and loops on it, as real processes; and hands to break them.

All that is needed to judge stays in the folder: what the line received and showed, and the runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from twin.chaos import restless
from twin.chaos.case import Step
from twin.chaos.processes import (
    LOOK_S,
    START_S,
    Child,
    Link,
    NotStarted,
    children_of,
    emulate,
    files_of,
    is_worker,
    memory_kb,
)
from twin.chaos.proxy import Proxy, Weather
from twin.clock import utc_now
from twin.config import Plant, load_plant

Ask = Callable[[Path, Mapping[str, object]], dict[str, Any]]
"""One request to the loop of a run folder: the operator's word, or a look."""

NOTHING: Mapping[str, str] = {}


class Missed(Exception):  # noqa: N818  (what happened)
    """Something that was waited for has not come: the case fails, and says what."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds: memory in kB, and open files."""

    memory_kb: int
    files: int


@dataclass(slots=True)
class Fault:
    """When a fault was in force, seconds of the calendar, and what has to come of it."""

    from_s: float
    steps: tuple[Step, ...] = ()
    until_s: float = float("inf")


@dataclass(slots=True)
class Story:
    """What was done in a case, for its judges."""

    faults: list[Fault] = field(default_factory=list)
    before: Footprint | None = None
    after: Footprint | None = None
    recovered_s: list[float] = field(default_factory=list)
    """From the end of each fault until the loop was closed again."""
    notes: list[str] = field(default_factory=list)
    """What went wrong while the case was played, in words: each is a finding."""


def now_s() -> float:
    """The calendar time as the records have it, seconds."""
    return seconds(utc_now())


def seconds(utc: str) -> float:
    """A time of a record as seconds of the calendar."""
    return datetime.fromisoformat(utc).astimezone(UTC).timestamp()


class Loop:
    """One loop of the rig: its process and its run folder."""

    def __init__(self, child: Child, runs: Path, ask: Ask, known: Collection[Path]) -> None:
        self.child, self.runs, self._ask, self._known = child, runs, ask, known
        self.folder = runs

    async def up(self) -> float:
        """Wait until it takes commands; how long that took, seconds."""
        began_s = now_s()
        while True:
            found = [
                path.parent
                for path in self.runs.glob("*/loop.sock")
                if path.parent not in self._known
            ]
            if found:
                self.folder = found[0]
                with suppress(Missed):
                    if "turns" in await self.ask("status"):
                        return now_s() - began_s
            if not self.child.lives:
                raise NotStarted(f"a loop has ended: {self.child.last_words}")
            if now_s() - began_s > START_S:
                raise NotStarted(f"a loop does not come up: {self.child.last_words}")
            await asyncio.sleep(LOOK_S)

    async def ask(self, verb: str, reason: str = "", **more: object) -> dict[str, Any]:
        """An operator's command or a look; ``Missed`` if nobody answers. Refusals are answers."""
        request = {"verb": verb, "reason": reason, **more}
        try:
            return await asyncio.to_thread(self._ask, self.folder, request)
        except (OSError, ValueError) as error:
            raise Missed(f"the loop does not answer {verb}: {error}") from error

    async def until(self, modes: Collection[str], within_s: float) -> dict[str, Any]:
        """The status once it is in one of these modes; ``Missed`` if it does not come in time."""
        seen: dict[str, Any] = {}
        deadline_s = now_s() + within_s
        while now_s() < deadline_s:
            with suppress(Missed):
                seen = await self.ask("status")
                if seen.get("mode") in modes:
                    return seen
            if not self.child.lives:
                raise Missed(f"the loop has ended with code {self.child.code}")
            await asyncio.sleep(LOOK_S)
        where = f"it is {seen.get('mode')}: {'; '.join(seen.get('reasons', ()))}"
        raise Missed(f"not {' or '.join(sorted(modes))} within {within_s:.0f} s; {where}")

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[list[str]]:
        """The modes that it shows from here on, each change once, as long as the context is open."""
        modes: list[str] = []

        async def watch() -> None:
            while True:
                with suppress(Missed):
                    mode = str((await self.ask("status")).get("mode"))
                    if modes[-1:] != [mode]:
                        modes.append(mode)
                await asyncio.sleep(LOOK_S)

        watching = asyncio.create_task(watch())
        try:
            yield modes
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def turns(self, count: int, within_s: float) -> dict[str, Any]:
        """Wait for so many turns more."""
        began = int((await self.ask("status")).get("turns", 0))
        deadline_s = now_s() + within_s
        while True:
            with suppress(Missed):
                seen = await self.ask("status")
                if int(seen.get("turns", 0)) >= began + count:
                    return seen
            if now_s() > deadline_s:
                raise Missed(f"no {count} turns within {within_s:.0f} s")
            await asyncio.sleep(LOOK_S)

    @property
    def worker(self) -> int:
        """The process in which its controller decides."""
        found = [pid for pid in children_of(self.child.pid) if is_worker(pid)]
        if not found:
            raise Missed("the loop has no process for its controller")
        return found[-1]

    @property
    def footprint(self) -> Footprint:
        """What it holds now."""
        return Footprint(memory_kb(self.child.pid), files_of(self.child.pid))


class Rig:
    """The line, the wire and a first loop, as long as the context is open; the story of a case.

    ``is_open``: the link is in the clear, for a case that has to know what passes the wire.
    """

    def __init__(
        self,
        folder: Path,
        plant: str,
        speed: float,
        ask: Ask,
        seed: int,
        *,
        is_open: bool = False,
    ) -> None:
        self.folder, self.place, self.speed, self.seed = folder, plant, speed, seed
        self._ask = ask
        self.link = Link(folder / "keys", is_open)
        self.plant: Plant = load_plant(plant)
        self.period_s = self.plant.control.period_s / speed
        """One turn of the loop, seconds of the wall."""
        self.story = Story()
        self.lives = 0
        """How often the line was started."""
        self.loops: list[Loop] = []
        self.line: Child
        self.wire: Proxy
        self._endpoint = ""
        self._faults, self._switch = folder / "faults.json", folder / "switch.json"

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        restless.install(self.folder / "plugins")
        self.show()
        self.line, self._endpoint = await self._begin_line(0)
        self.wire = Proxy(self._endpoint, self.seed)
        await self.wire.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for loop in self.loops:
            await loop.child.end()
        await self.wire.__aexit__(None, None, None)
        await self.line.end()

    @property
    def loop(self) -> Loop:
        """The newest loop."""
        return self.loops[-1]

    @property
    def direct(self) -> str:
        """The line's own address, past the wire."""
        return self._endpoint

    # --- processes -----------------------------------------------------------------------------

    async def _begin_line(self, port: int, plant: str = "") -> tuple[Child, str]:
        self.lives += 1
        number, folder = self.lives, self.folder
        files = {
            "write-log": folder / f"received-{number}.jsonl",
            "shown-log": folder / f"shown-{number}.jsonl",
            "faults": self._faults,
        }
        said = folder / f"line-{number}.log"
        return await emulate(plant or self.place, self.speed, port, files, said, self.link)

    async def restart_line(self, *, down_s: float = 0.0, plant: str = "") -> None:
        """Kill the server, and start another one in its place: of another plant, if one is named."""
        await self.line.end(signal.SIGKILL)
        await asyncio.sleep(down_s)
        self.line, self._endpoint = await self._begin_line(0, plant)
        self.wire.lead_to(self._endpoint)

    async def begin_loop(
        self,
        *,
        endpoint: str = "",
        runs: Path | None = None,
        before: Sequence[str] = (),
        more: Mapping[str, str] = NOTHING,
        plant: str = "",
        controller: str = restless.NAME,
    ) -> Loop:
        """One more loop at the line, up and advisory.

        By another endpoint, in another folder of runs, run by another program, with more in its
        environment, from another copy of the plant file, under another controller, if they are given.
        """
        number = len(self.loops) + 1
        runs = self.folder / f"runs-{number:03}" if runs is None else runs
        known = frozenset(runs.glob("*")) if runs.is_dir() else frozenset()
        arguments = [
            "run",
            "--plant",
            plant or self.place,
            "--endpoint",
            endpoint or self.wire.endpoint,
        ]
        arguments += [*self.link.options, "--controller", controller, "--out", str(runs)]
        path = os.pathsep.join(
            [str(self.folder / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        leases = self.folder / "leases"
        leases.mkdir(exist_ok=True)
        environment = {
            "PYTHONPATH": path,
            restless.SWITCH: str(self._switch),
            "TAKTTWIN_LOCKS": str(leases),
            **self.link.environment,
            **more,
        }
        said = self.folder / f"loop-{number}.log"
        child = await Child.start(arguments, said, environment, before)
        loop = Loop(child, runs, self._ask, known)
        self.loops.append(loop)
        await loop.up()
        return loop

    async def closed(self, turns: int = 6) -> Loop:
        """A loop that is closed, and has been so for some turns."""
        loop = self.loops[-1] if self.loops else await self.begin_loop()
        await self.close(loop)
        await loop.turns(turns, self.patience_s(turns))
        return loop

    async def close(self, loop: Loop) -> None:
        """Close it as an operator does, and wait until it is."""
        answer = await loop.ask("close", "chaos")
        if "error" in answer:
            raise Missed(f"close was refused: {answer['error']}")
        await loop.until({"CLOSED"}, self.patience_s(8))

    def patience_s(self, turns: float) -> float:
        """How long so many turns may take at most: half as long again, and ten seconds."""
        return 1.5 * turns * self.period_s + 10.0

    # --- faults --------------------------------------------------------------------------------

    def show(self, **plan: object) -> None:
        """What faults the line shows from its next scan on: see ``twin.equipment.faults``."""
        _replace(self._faults, plan)

    def decide(self, does: str) -> None:
        """What the controller does from its next decision on: see ``restless``."""
        _replace(self._switch, {"does": does})

    def begin_fault(self, *steps: Step) -> None:
        """A fault begins now; the modes that have to follow."""
        self.story.faults.append(Fault(now_s(), steps))

    def end_fault(self) -> None:
        """It has ended."""
        self.story.faults[-1].until_s = now_s()

    def calm(self) -> None:
        """All that can be mended at once is mended."""
        self.show()
        self.decide("small")
        self.wire.weather = Weather()

    # --- what comes after ----------------------------------------------------------------------

    async def recover(self, within_s: float) -> None:
        """Bring the loop back to CLOSED without a restart, as an operator would."""
        ended_s, loop = now_s(), self.loop
        deadline_s, seen = ended_s + within_s, dict[str, Any]()
        while now_s() < deadline_s:
            try:
                seen = await loop.ask("status")
            except Missed:
                seen = {}
            mode = seen.get("mode")
            if mode == "CLOSED":
                self.story.recovered_s.append(now_s() - ended_s)
                return
            if mode == "SHED":
                await self._try(loop, "ack")
            elif mode == "ADVISORY":
                await self._try(loop, "ack")
                await self._try(loop, "close")
            elif mode == "OFF":
                await self._try(loop, "start")
            if not loop.child.lives:
                raise Missed(f"the loop has ended with code {loop.child.code}")
            await asyncio.sleep(LOOK_S)
        why = "; ".join(seen.get("reasons", ()))
        raise Missed(f"not closed again within {within_s:.0f} s: {seen.get('mode')}: {why}")

    async def _try(self, loop: Loop, verb: str) -> None:
        with suppress(Missed):
            await loop.ask(verb, "chaos: the fault is over")


def _replace(path: Path, data: Mapping[str, object]) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(data), encoding="utf-8")
    draft.replace(path)
