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
AGAIN_S = 10.0
"""How long a run without its emulator may take to put its things in order."""


@asynccontextmanager
async def emulator(arguments: Sequence[str], log: Path) -> AsyncIterator[str]:
    """Serve by ``twin emulate`` with these arguments on a free port; gives the endpoint.

    Its own session keeps it from the terminal's interrupts. Its
    standard input is ours: if we die in any way, it stops. What it says goes to ``log``. If it ends
    before the block does, the block is cancelled, whatever it waits for, and that is the ``Problem``.
    """
    run = asyncio.current_task()
    assert run is not None
    command = [sys.executable, "-m", "twin.cli", "emulate", *arguments]
    command += ["--port", "0", "--with-parent", "--json"]
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        watching: asyncio.Task[None] | None = None
        try:
            endpoint = await _endpoint(process, log)
            watching = asyncio.create_task(_end_with(process, run))
            yield endpoint
        except asyncio.CancelledError as error:
            if process.returncode is None or watching is None:
                raise  # by somebody else
            run.uncancel()
            raise _ended(process.returncode, log) from error
        except (ConnectionError, TimeoutError) as error:
            with suppress(TimeoutError):
                raise _ended(await asyncio.wait_for(process.wait(), GONE_S), log) from error
            raise
        finally:
            if watching is not None:
                watching.cancel()
            await _stop(process)


async def _end_with(process: asyncio.subprocess.Process, run: asyncio.Task[object]) -> None:
    """Cancel a run that goes on after its emulator; again, if it clings to something."""
    await process.wait()
    while True:
        run.cancel()
        await asyncio.sleep(AGAIN_S)


def _ended(code: int, log: Path) -> Problem:
    why = _errors(log)
    msg = f"the emulator of this run ended (exit code {code})" + (f": {why[-1]}" if why else "")
    hint = f"all it said: {log}; what there is of the run: twin report"
    return Problem("unreachable", msg, hint, code=UNREACHABLE)


async def _endpoint(process: asyncio.subprocess.Process, log: Path) -> str:
    line = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline() if process.stdout is not None else b""
    try:
        told = json.loads(line)
        return str(told["endpoint"])
    except (ValueError, KeyError, TypeError):
        why = (_errors(log) or ["it gave no reason"])[-1]
        msg = f"the emulator did not start: {why}"
        raise Problem("unreachable", msg, f"all it said: {log}", code=UNREACHABLE) from None


def _errors(log: Path) -> list[str]:
    """What it gave as its error; whatever else it says is no reason for its end."""
    said = log.read_text("utf-8", errors="replace").splitlines()
    return [text for text in said if text.startswith("error")]


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
