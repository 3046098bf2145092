"""The independent stack of these tests: programs for Node with node-opcua, each in its own process.

``make test`` installs it where there is npm: `npm ci` in this folder, by its lock file. Without it the
tests skip and say why, or fail where ``TAKTTWIN_INTEROP`` is ``required``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
PATIENCE_S = 180.0
"""A loaded machine takes a while to read so many scripts."""


def needs_node() -> None:
    """Skip, or fail where that is asked for, unless Node and its packages are here."""
    why = ""
    if shutil.which("node") is None:
        why = "there is no node: install Node 20"
    elif not (FOLDER / "node_modules" / "node-opcua").is_dir():
        why = "node-opcua is not installed: make interop"
    if why and os.environ.get("TAKTTWIN_INTEROP") == "required":
        pytest.fail(why)
    if why:
        pytest.skip(why)


class Program:
    """A Node program that tells what it does in lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.told: list[dict[str, Any]] = []
        self._news = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.startswith(b"{"):  # the library prints warnings too
                async with self._news:
                    self.told.append(json.loads(line))
                    self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def until(self, what: str, **wanted: Any) -> dict[str, Any]:
        """The first record that has a key ``what`` and these values."""

        def find() -> dict[str, Any] | None:
            return next((r for r in self.told if what in r and wanted.items() <= r.items()), None)

        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: find() is not None or self._listening.done())
        found = find()
        assert found is not None, f"it ended without {what} {wanted}: {self.told}"
        return found

    async def end(self) -> tuple[int, str]:
        """Wait for its end: exit code, and what it complained of."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            complaint = (await self.process.stderr.read()).decode()
            await self._listening
            return await self.process.wait(), complaint


@asynccontextmanager
async def running(script: str, *arguments: str, **environment: str) -> AsyncIterator[Program]:
    """A program of this folder for as long as the context is open."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(FOLDER / script),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment,
    )
    program = Program(process)
    try:
        yield program
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await program._listening
        process._transport.close()  # type: ignore[attr-defined]
