"""The processes of a campaign: an emulated line, loops on it, and what the kernel says of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

START_S = 180.0
"""How long a process may take to come up on a busy machine, compiling included."""
STOP_S = 30.0
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Link:
    """How a line and its loops talk: encrypted, with keys of their own in a folder, or in the clear."""

    keys: Path
    is_open: bool

    @property
    def options(self) -> Sequence[str]:
        """What their commands say of it: nothing, for the default is a secure link."""
        return ("--insecure",) if self.is_open else ()

    @property
    def environment(self) -> Mapping[str, str]:
        """Where their keys are; the line, which starts first, makes them. No login of this account counts."""
        return {"TAKTTWIN_KEYS": str(self.keys), "TAKTTWIN_USER": "", "TAKTTWIN_PASSWORD": ""}


class NotStarted(RuntimeError):  # noqa: N818  (what it is)
    """A process of the campaign itself did not come up, or not any more: no verdict on the product."""


class Child:
    """One process of the command line, with what it says in a file."""

    def __init__(self, process: asyncio.subprocess.Process, said: Path) -> None:
        self._process, self.said = process, said

    @classmethod
    async def start(
        cls,
        arguments: Sequence[str],
        said: Path,
        more: Mapping[str, str],
        before: Sequence[str] = (),
    ) -> Child:
        """``twin`` with these arguments, in a session of its own; ``before`` runs it."""
        with said.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(*before, sys.executable, "-m", "twin.cli", *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=file,
                env={**os.environ, **more},
                start_new_session=True,
            )
        return cls(process, said)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    @property
    def code(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.returncode

    async def line(self) -> str:
        """The first line of what it has to say; ``NotStarted`` without one."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                told = await self._process.stdout.readline()
        except TimeoutError:
            told = b""
        if not told:
            raise NotStarted(f"no word from a process; what it said last: {self.last_words}")
        return told.decode()

    @property
    def last_words(self) -> str:
        """The end of what it said."""
        return self.said.read_text("utf-8", errors="replace")[-400:].strip()

    def send(self, number: signal.Signals) -> None:
        """A signal, if it still lives."""
        if self.lives:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal, and by force if that does not help; its children with it."""
        self.send(signal.SIGCONT)
        self.send(number)
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # whoever is left of its session


async def emulate(
    plant: str, speed: float, port: int, files: Mapping[str, Path], said: Path, link: Link
) -> tuple[Child, str]:
    """An emulated line; its endpoint. ``files`` are the options of ``twin emulate`` that name one."""
    arguments = ["emulate", plant, "--speed", repr(speed), "--port", str(port), *link.options]
    for option, path in files.items():
        arguments += [f"--{option}", str(path)]
    child = await Child.start([*arguments, "--with-parent", "--json"], said, link.environment)
    try:
        return child, str(json.loads(await child.line())["endpoint"])
    except BaseException:
        await child.end()
        raise


def memory_kb(pid: int) -> int:
    """The resident memory of a process, 0 if it is gone."""
    with suppress(OSError):
        for text in Path(f"/proc/{pid}/status").read_text().splitlines():
            if text.startswith("VmRSS:"):
                return int(text.split()[1])
    return 0


def files_of(pid: int) -> int:
    """How many files and sockets a process holds open."""
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0


def children_of(pid: int) -> list[int]:
    """The children of a process, oldest first."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return sorted(found)


def is_worker(pid: int) -> bool:
    """Whether a process is one in which a controller decides."""
    with suppress(OSError):
        return b"multiprocessing.spawn" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
