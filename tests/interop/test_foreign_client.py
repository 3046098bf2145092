"""Somebody else's client at the emulator, and somebody else's reader of its NodeSet2 file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.interop.node import PATIENCE_S, needs_node, running
from tests.twin.equipment.lines import plant, plc, signals
from twin.equipment.emulator import Emulated
from twin.equipment.energy import STANDBY_MODE, SUCCESS
from twin.equipment.nodeset import write_nodeset
from twin.equipment.opcua_security import POLICIES, ServerSecurity
from twin.equipment.pki import Pki, read_certificate
from twin.equipment.users import account, write_users
from twin.line.model import build_line
from twin.store.historian import Historian

ROOT = "acme/ulm/machining/line1"
USER = {"TAKTTWIN_USER": "op", "TAKTTWIN_PASSWORD": "correct horse"}

pytestmark = pytest.mark.slow


async def test_it_may_do_all_that_a_client_does_under_each_policy(tmp_path: Path):
    needs_node()
    pki = Pki(tmp_path / "server", "server")
    pki.own()
    write_users(pki.users, {"op": account("op", "operator", USER["TAKTTWIN_PASSWORD"])})
    told: list[tuple[str, str, str]] = []
    security = ServerSecurity(pki, pki.users, lambda *record: told.append(record))
    with Historian(tmp_path / "past.duckdb", signals()) as past:
        async with (
            asyncio.timeout(2 * PATIENCE_S),
            Emulated(plc(), lockstep=False, security=security, past=past) as line,
        ):
            arguments = (line.endpoint, str(tmp_path / "client"), ROOT, *POLICIES)
            async with running("client.js", *arguments, **USER) as stranger:
                code, _ = await stranger.end()
                assert code == 1  # nobody has trusted its certificate yet
            (shown,) = (tmp_path / "server" / "rejected").glob("*.der")
            pki.trust(read_certificate(shown))
            async with running("client.js", *arguments, **USER) as client:
                code, complaint = await client.end()
                assert code == 0, complaint
    assert len(client.told) == len(POLICIES) == 3
    for turn, (visit, policy) in enumerate(zip(client.told, POLICIES, strict=True), 1):
        assert visit["policy"].endswith(f"#{policy}")
        assert set(visit["stations"]) == {station.name for station in plant().stations}
        assert visit["config_hash"] == plant().config_hash
        assert (visit["range"]["low"], visit["range"]["high"]) == (20.0, 600.0)
        assert visit["remote"] == "Good"
        assert visit["written"] == ["Good", "Good", "Good"]
        assert visit["seen"] == [71.0 + turn, 72.0 + turn]
        assert visit["refused"] in ("BadNotWritable", "BadUserAccessDenied")
        assert visit["mistyped"] == "BadTypeMismatch"
        assert visit["pause"][0] == STANDBY_MODE
        assert visit["pause"][-1] == SUCCESS
        assert visit["history_status"] == "Good"
        assert len(visit["history"]) >= 2
        assert visit["history"] == sorted(visit["history"])
    takt = [r.value for r in line.plc.written if r.signal == "line.takt_s"]
    assert takt == [73.0, 74.0, 75.0]


async def test_it_reads_the_nodeset_as_we_meant_it(tmp_path: Path):
    needs_node()
    path = tmp_path / "line.NodeSet2.xml"
    count = await write_nodeset(build_line(plant()), signals(), path)
    async with running("nodeset.js", str(path), ROOT) as reader:
        code, complaint = await reader.end()
        assert code == 0, complaint
    (told,) = reader.told
    assert told["nodes"] in (count, count + 1)  # the namespace may have a node of its own
    assert told["type"] == "AnalogItemType"
    assert (told["range"], told["unit"], told["high_limit"]) == ([0.15, 0.38], "mm", 0.38)
    assert told["takes"] == ["Sequence", "Heartbeat", "DeadlineUs", "Names", "Values"]
