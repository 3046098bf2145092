"""The loop closed over a PLC of somebody else: a node-opcua server, bound by a mapping file."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop.node import FOLDER, PATIENCE_S, Program, needs_node, running
from tests.twin.equipment.foreign.mapped_lines import (
    SPEED,
    closed_run,
    quick_line,
    quick_place,
    quick_plant,
    quick_signals,
)
from twin.config import load_mapping
from twin.cycle import Action, Mode, Outcome, Situation
from twin.equipment.foreign.discovery import checked, discovered
from twin.equipment.foreign.line import ForeignLine
from twin.equipment.foreign.live_check import Verdict
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_security import POLICIES, ClientSecurity, Unknown
from twin.equipment.pki import Pki, read_certificate

MAPPING = FOLDER / "plc.mapping.yaml"
FEED, TAKT = "turning.feed_mm", "line.takt_s"

pytestmark = pytest.mark.slow


class EveryKind:
    """Moves a setpoint of each type, and two machines to sleep: by a tag, and by the standby methods."""

    def __init__(self) -> None:
        self.turns = 0

    def decide(self, situation: Situation) -> Action:
        self.turns += 1
        n = self.turns
        wanted = {SPEED: 200.0 + 0.1 * (n % 3), FEED: 0.25 + 0.0004 * (n % 2), TAKT: 72.0 + n % 2}
        if n >= 3:
            wanted |= {"turning.standby": float(n < 7), "wash.standby": float(n < 7)}
        return Action(wanted, "interoperability")


@pytest.fixture
async def plc(tmp_path: Path) -> AsyncIterator[Program]:
    needs_node()
    async with running("plc.js", str(tmp_path)) as program:
        await program.until("endpoint")
        yield program


def connected(plc: Program, security: ClientSecurity | None = None):
    mapping = load_mapping(MAPPING, quick_plant(), quick_signals())
    binding = ForeignLine(mapping, quick_plant(), quick_signals())
    url = plc.told[0]["endpoint"]
    return OpcUaEquipment.connect(
        url, quick_signals(), plant_hash=None, binding=binding, fast_ms=50.0, security=security
    )


def value(reading, name: str) -> float:
    return float(reading.values[[s.name for s in quick_signals()].index(name)])


async def shows(equipment: OpcUaEquipment, name: str, wanted: float) -> None:
    """Return when a signal has this value."""
    clock = equipment.clock()
    while value(await equipment.read(), name) != wanted:
        await clock.sleep_until(clock.now_us() + 50_000)


async def test_the_loop_closes_on_it(plc):
    async with asyncio.timeout(PATIENCE_S), connected(plc) as equipment:
        cycles = await closed_run(equipment, EveryKind(), lambda run: len(run) >= 14, 120.0)
        await plc.until("signal", signal="RemoteRequest", value=0)
    modes = [cycle.decision.mode for cycle in cycles]
    assert modes[0] is Mode.INIT
    assert modes[-1] is Mode.CLOSED
    answers = [cycle.acknowledged for cycle in cycles if cycle.acknowledged is not None]
    assert len(answers) >= 8
    assert {answer.outcome for answer in answers} == {Outcome.ACCEPTED}, answers
    # What it received, in its own units and types, is what was granted, each once and in order.
    granted = [
        setpoint
        for cycle in cycles
        if cycle.decision.batch is not None
        for setpoint in cycle.decision.batch.setpoints
    ]
    received = [r for r in plc.told if "sequence" in r]
    assert {r["result"] for r in received} == {"OK"}
    speeds = [r["value"] for r in received if r["signal"] == "Turning.CuttingSpeed"]
    assert speeds == pytest.approx([s.value for s in granted if s.signal == SPEED][: len(speeds)])
    feeds = [r["value"] for r in received if r["signal"] == "Turning.Feed"]
    assert feeds == pytest.approx([1000.0 * s.value for s in granted if s.signal == FEED])
    assert [r["sequence"] for r in received] == sorted(r["sequence"] for r in received)
    sleeps = [r for r in plc.told if r.get("signal", "").startswith("Wash.")]
    assert [r["signal"] for r in sleeps] == ["Wash.StartPause", "Wash.EndPause"]
    assert sleeps[0]["pause_ms"] == 900_000.0
    asleep = [value(cycle.reading, "wash.state") for cycle in cycles]
    assert 1.0 in asleep
    assert asleep[-1] != 1.0
    assert value(cycles[-1].reading, "line.energy_kwh") > 0.0
    changes = {e.entity for cycle in cycles for e in cycle.reading.events}
    assert "wash" in changes


async def test_the_loop_closes_on_it_under_each_policy(tmp_path):
    """Encrypted, with a user, and with a certificate that their stack has made."""
    needs_node()
    user, password = "loop", "correct horse"
    async with running("plc.js", str(tmp_path / "plc"), f"{user}:{password}") as plc:
        shown = Path((await plc.until("endpoint"))["certificate"])
        pki = Pki(tmp_path / "ours", "client")
        with pytest.raises(Unknown, match="not trusted"):
            async with connected(plc, ClientSecurity(pki, None, user, password)):
                pass
        pki.trust(read_certificate(shown))
        with pytest.raises(ConnectionError, match=r"BadUserAccessDenied|BadIdentityTokenRejected"):
            async with connected(plc, ClientSecurity(pki, None, user, "another horse")):
                pass
        for policy in POLICIES:
            security = ClientSecurity(pki, None, user, password, policy)
            async with asyncio.timeout(PATIENCE_S), connected(plc, security) as equipment:
                cycles = await closed_run(equipment, EveryKind(), lambda run: len(run) >= 6, 120.0)
                await plc.until("signal", signal="RemoteRequest", value=0)
            assert cycles[-1].decision.mode is Mode.CLOSED, cycles[-1].decision.reasons
            answers = [cycle.acknowledged for cycle in cycles if cycle.acknowledged is not None]
            assert {answer.outcome for answer in answers} == {Outcome.ACCEPTED}, answers
        assert {r["result"] for r in plc.told if "sequence" in r} == {"OK"}


async def test_it_sheds_without_our_heartbeat_and_is_reset_by_its_method(plc):
    async with asyncio.timeout(PATIENCE_S), connected(plc) as equipment:
        await equipment.command("RequestRemote")
        await plc.until("signal", signal="Watchdog")
        await shows(equipment, "control.shed", 1.0)
        await shows(equipment, "control.mode", 2.0)
        await equipment.command("ResetShed")
        await shows(equipment, "control.shed", 0.0)


async def test_its_nodes_are_checked_and_a_mapping_is_drafted(plc):
    url, plant, signals = plc.told[0]["endpoint"], quick_plant(), quick_signals()
    mapping = load_mapping(MAPPING, plant, signals)
    rows = await checked(url, plant, quick_line(), signals, mapping, None)
    assert {row.verdict for row in rows} == {Verdict.OK, Verdict.ABSENT}
    made = await discovered(url, plant.name, signals, None)
    known = {name: spec.where for name, spec in mapping.signals.items() if spec.node is not None}
    guessed = {name: entry["node"] for name, entry in made.signals.items()}
    wrong = {n: at for n, at in guessed.items() if n in known and known[n] != at}
    assert wrong == {}
    assert set(guessed) - set(mapping.signals) == set()  # nothing is invented
    assert len(guessed) >= 40
    assert made.signals["turning.power_kw"]["unit"] == "W"
    assert made.signals[FEED]["write"] == {"node": "plc:s=Turning.Feed.Set", "type": "Float"}


async def command(folder: Path, *arguments: object) -> tuple[str, str]:
    """What ``twin`` says, as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "twin.cli", *(str(one) for one in arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"TAKTTWIN_LOCKS": str(folder)},
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode(), err.decode()


async def test_the_command_line_takes_the_mapping(plc, tmp_path):
    url = plc.told[0]["endpoint"]
    against = ("check", quick_place(), "--against", url, "--mapping", MAPPING, "--insecure")
    out, _ = await command(tmp_path, *against)
    assert "every signal is there and readable" in out
    run = ("run", "--plant", quick_place(), "--endpoint", url, "--mapping", MAPPING, "--insecure")
    runs = tmp_path / "runs"
    await command(tmp_path, *run, "--controller", "fixed", "--shift", "3s", "--out", runs)
    (kept,) = runs.glob("*/mapping.yaml")
    assert kept.read_text("utf-8") == MAPPING.read_text("utf-8")
