"""The command line tools of the OPC UA library, as anybody would use them on the emulator."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.twin.equipment.lines import emulator_process, plant

ROOT = "acme/ulm/machining/line1"
TOOLS = Path(sys.executable).parent


async def tool(name: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        str(TOOLS / name),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.slow
async def test_one_can_look_around_read_and_write():
    async with asyncio.timeout(120), emulator_process("--speed", "10") as (_, told):
        url = told["endpoint"]
        listed = await tool("uals", "-u", url, "-n", f"ns=2;s={ROOT}", "-d", "2")
        for name in ("Stations", "Buffers", "Control", "Identification", "Simulation", "Line"):
            assert name in listed
        hashed = await tool("uaread", "-u", url, "-n", f"ns=2;s={ROOT}/Identification/ConfigHash")
        assert plant().config_hash in hashed
        takt = await tool("uaread", "-u", url, "-n", f"ns=2;s={ROOT}/Line/Setpoints/takt_s/Active")
        assert "72.0" in takt
        request = f"ns=2;s={ROOT}/Line/Setpoints/takt_s/Request"
        await tool("uawrite", "-u", url, "-n", request, "-t", "double", "75.0")
        assert "75.0" in await tool("uaread", "-u", url, "-n", request)
