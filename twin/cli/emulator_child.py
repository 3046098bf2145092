"""The emulator of a run: a second process that lives as long as the run, and no longer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from twin.cli.problems import UNREACHABLE, Problem

START_S = 120.0
"""How long it may take to come up, compiling included."""
STOP_S = 10.0
GONE_S = 2.0
"""How long a process that hung up may take to be gone."""


@asynccontextmanager
async def emulator(arguments: Sequence[str], log: Path) -> AsyncIterator[str]:
    """Serve by ``twin emulate`` with these arguments on a free port; gives the endpoint.

    It answers this machine alone, and its own session keeps it from the terminal's interrupts. Its
    standard input is ours: if we die in any way, it stops. What it says goes to ``log``.
    """
    command = [sys.executable, "-m", "twin.cli", "emulate", *arguments]
    command += ["--port", "0", "--insecure", "--with-parent", "--json"]
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        try:
            yield await _endpoint(process, log)
        except ConnectionError as error:
            await _blame(process, log, error)
            raise
        finally:
            await _stop(process)


async def _blame(process: asyncio.subprocess.Process, log: Path, error: Exception) -> None:
    """A connection that ended because the emulator did is told as that."""
    with suppress(TimeoutError):
        code = await asyncio.wait_for(process.wait(), GONE_S)
        msg = f"the emulator of this run ended (exit code {code}): {_last_words(log)}"
        hint = f"all it said: {log}; what there is of the run: twin report"
        raise Problem("unreachable", msg, hint, code=UNREACHABLE) from error


async def _endpoint(process: asyncio.subprocess.Process, log: Path) -> str:
    line = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline() if process.stdout is not None else b""
    try:
        told = json.loads(line)
        return str(told["endpoint"])
    except (ValueError, KeyError, TypeError):
        msg = f"the emulator did not start: {_last_words(log)}"
        raise Problem("unreachable", msg, f"all it said: {log}", code=UNREACHABLE) from None


def _last_words(log: Path) -> str:
    """Its error, or else the last line that it wrote."""
    said = log.read_text("utf-8", errors="replace").strip().splitlines()
    errors = [text for text in said if text.startswith("error")]
    return (errors or said or ["it said nothing"])[-1]


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End it gently, then firmly."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
