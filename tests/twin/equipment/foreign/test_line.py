from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from asyncua import ua

from tests.twin.equipment.foreign.mapped_lines import (
    SPEED,
    closed_run,
    confirmed,
    drafted,
    loaded,
    quick_plant,
    quick_plc,
    quick_signals,
)
from tests.twin.equipment.wires import Wire
from twin.cycle import REFUSED_IN_PART, TOO_LATE, Action, Batch, Cycle, Mode, Outcome, Situation
from twin.equipment.emulator import Emulated
from twin.equipment.foreign.calls import bare, write_values
from twin.equipment.foreign.line import ForeignLine, LackingNodes
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_link import WrongServer, dial
from twin.equipment.opcua_types import refusal
from twin.equipment.plc import Result
from twin.line.tags import CONTROL_TAGS
from twin.signals import Quality, Setpoint

PATIENCE_S = 150.0
"""A busy machine gets there, and an idle one in a few seconds."""
TOLD = re.compile(r"^  turning\.state:.*$", re.MULTILINE)


class UpAndDown:
    """Moves one cutting speed at each turn, and puts the wash to sleep at the third."""

    def __init__(self) -> None:
        self.turns = 0

    def decide(self, situation: Situation) -> Action:
        self.turns += 1
        wanted = {SPEED: 200.0 + 0.1 * (self.turns % 2)}
        if self.turns >= 3:
            wanted["wash.standby"] = 1.0
        return Action(wanted, "test")


@pytest.fixture
async def line() -> AsyncIterator[Emulated]:
    async with (
        asyncio.timeout(2 * PATIENCE_S),
        Emulated(quick_plc(), lockstep=False, insecure=True) as served,
    ):
        yield served


@asynccontextmanager
async def connected(url: str, text: str, folder: Path) -> AsyncIterator[OpcUaEquipment]:
    binding = ForeignLine(loaded(text, folder), quick_plant(), quick_signals())
    async with OpcUaEquipment.connect(
        url, quick_signals(), plant_hash=None, binding=binding, timeout_s=30.0, fast_ms=50.0
    ) as equipment:
        yield equipment


def accepted(least: int) -> Callable[[list[Cycle]], bool]:
    """Whether so many batches were accepted."""

    def is_enough(cycles: list[Cycle]) -> bool:
        answers = [c.acknowledged for c in cycles if c.acknowledged is not None]
        return sum(a.outcome is Outcome.ACCEPTED for a in answers) >= least

    return is_enough


def value(reading, name: str) -> float:
    return float(reading.values[[s.name for s in quick_signals()].index(name)])


async def test_the_loop_closes_by_a_draft_that_somebody_confirmed(line, tmp_path):
    text = confirmed(await drafted(line.endpoint))
    async with connected(line.endpoint, text, tmp_path) as equipment:
        cycles = await closed_run(equipment, UpAndDown(), accepted(6), PATIENCE_S)
        modes = [cycle.decision.mode for cycle in cycles]
        assert modes[0] is Mode.INIT
        assert set(modes) <= {Mode.INIT, Mode.CLOSED, Mode.HOLD}  # it may hold on a busy machine
        answers = [c.acknowledged for c in cycles if c.acknowledged is not None]
        assert sum(a.outcome is Outcome.ACCEPTED for a in answers) == 6
        # A machine that has other things to do makes batches late, never wrong.
        others = [a for a in answers if a.outcome is not Outcome.ACCEPTED]
        assert {(a.outcome, a.detail) for a in others} <= {(Outcome.SKIPPED, TOO_LATE)}
        received = line.plc.written
        assert {r.signal for r in received} == {SPEED, "wash.standby"}
        assert {r.result for r in received} == {Result.OK}
        assert ("wash.standby", 1.0) in {(r.signal, r.value) for r in received}
        assert line.plc.mode.name == "AUTO"  # released at the end
        assert line.plc.active == line.plc.recipe


def without(text: str, *words: str) -> str:
    """The mapping of a PLC that lacks some words of the handshake."""
    text = re.sub(rf"(?m)^  control\.({'|'.join(words)}):.*\n", "", text)
    text += "" if re.search("(?m)^absent:", text) else "absent:\n"
    return text + "".join(f"  - {{signals: control.{name}, why: no such word}}\n" for name in words)


async def test_what_the_plc_lacks_the_loop_stands_in_for(line, tmp_path):
    """A PLC without mode word, permit, latch and echo: it takes what is written in its own mode."""
    lacking = ("mode", "permit_remote", "shed", "echo_seq", "result")
    text = without(confirmed(await drafted(line.endpoint)), *lacking)
    async with connected(line.endpoint, text, tmp_path) as equipment:
        before = await equipment.read()
        assert [value(before, f"control.{n}") for n in ("mode", "permit_remote", "shed")] == [
            2,
            1,
            0,
        ]
        await equipment.command("RequestRemote")
        assert value(await equipment.read(), "control.mode") == 3.0
        answer = await equipment.write(
            Batch(7, 1, (Setpoint(SPEED, value(before, SPEED) + 0.25),), 10**15)
        )
        assert answer.outcome is Outcome.ACCEPTED
        assert value(await equipment.read(), "control.echo_seq") == 7.0
        await equipment.command("ReleaseRemote")
        assert value(await equipment.read(), "control.mode") == 2.0


async def test_a_line_without_a_heartbeat_says_that_it_is_for_advice(line, tmp_path):
    text = confirmed(await drafted(line.endpoint))
    lacking = re.sub(r"(?m)^  heartbeat: .*$", "  heartbeat: {absent: no watchdog}", text)
    assert lacking != text
    async with connected(line.endpoint, lacking, tmp_path) as equipment:
        assert equipment.unclosable.startswith("the PLC has no heartbeat")
        cycles = await closed_run(equipment, UpAndDown(), accepted(0), PATIENCE_S)
    assert cycles[0].decision.mode is Mode.ADVISORY
    assert cycles[0].decision.reasons == (f"close refused: {equipment.unclosable}",)
    assert line.plc.mode.name == "AUTO"


async def test_a_value_that_is_not_taken_is_a_mismatch_with_what_is_in_force(line, tmp_path):
    text = confirmed(await drafted(line.endpoint)).replace(
        "  application_uri", "  readback_s: 0.3\n  application_uri"
    )
    async with connected(line.endpoint, text, tmp_path) as equipment:
        held = value(await equipment.read(), SPEED)
        batch = Batch(1, 1, (Setpoint(SPEED, held + 0.2),), 10**15)
        answer = await equipment.write(batch)  # nobody asked for remote control
        assert answer.outcome is Outcome.MISMATCH
        assert answer.active == {SPEED: held}
        assert f"{SPEED} is {held:g}" in answer.detail
        assert [r.result for r in line.plc.written] == [Result.NOT_REMOTE]


async def test_a_node_that_may_not_be_written_refuses_for_certain(line, tmp_path):
    text = confirmed(await drafted(line.endpoint))
    text = text.replace("cutting_speed_m_per_min/Request", "cutting_speed_m_per_min/Active", 1)
    async with connected(line.endpoint, text, tmp_path) as equipment:
        await equipment.command("RequestRemote")
        answer = await equipment.write(Batch(1, 1, (Setpoint(SPEED, 201.0),), 10**15))
        assert answer.outcome is Outcome.REJECTED
        assert "Bad" in answer.detail
        unbound = await equipment.write(Batch(2, 2, (Setpoint("line.wip", 1.0),), 10**15))
        assert unbound.outcome is Outcome.REJECTED
        assert line.plc.written == []


async def test_a_batch_of_which_one_value_is_refused_says_which(line, tmp_path):
    text = confirmed(await drafted(line.endpoint))
    text = text.replace("cutting_speed_m_per_min/Request", "cutting_speed_m_per_min/Active", 1)
    async with connected(line.endpoint, text, tmp_path) as equipment:
        await equipment.command("RequestRemote")
        moves = (Setpoint(SPEED, 201.0), Setpoint("line.takt_s", 73.0))
        answer = await equipment.write(Batch(1, 1, moves, 10**15))
        assert answer.outcome is Outcome.MISMATCH
        assert answer.detail.startswith(f"{REFUSED_IN_PART}: {SPEED}: Bad")
        assert answer.active["line.takt_s"] == 73.0


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system does not have it")
async def test_what_a_network_keeps_back_is_not_sent_for_ever(line):
    client = await dial(line.endpoint, 4.0, None)
    try:
        await write_values(client, [bare(ua.NodeId(1), 1, "Int32")], 1.5)
        connection = client.uaclient.protocol.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1500
    finally:
        await client.disconnect()


PAUSED = """  wash.standby:
    node: "ns2:s={at}/Setpoints/standby/Active"
    pause:
      of: {{node: "ns2:s={at}/EnergyManagement"}}
      start: {{node: "ns2:s={at}/EnergyManagement/StartPause"}}
      end: {{node: "ns2:s={at}/EnergyManagement/EndPause"}}
"""


async def test_a_machine_is_not_called_for_what_may_not_leave_any_more(line, tmp_path):
    text = paused(confirmed(await drafted(line.endpoint)))
    async with connected(line.endpoint, text, tmp_path) as equipment:
        await equipment.command("RequestRemote")
        speed = value(await equipment.read(), SPEED)
        moves = (Setpoint(SPEED, speed + 0.25), Setpoint("wash.standby", 1.0))
        late = await equipment.write(Batch(1, 1, moves, equipment.clock().now_us() - 1))
        assert late.outcome is Outcome.MISMATCH
        assert "wash.standby was not called: too late" in late.detail
        told = {"wash.standby": "switched off"}
        equipment.recheck_by(lambda _, name: told.get(name, ""))
        off = await equipment.write(Batch(2, 2, moves[1:], 10**15))
        assert off.outcome is Outcome.SKIPPED
        assert off.detail == "wash.standby was not called: switched off"
        assert {r.signal for r in line.plc.written} == {SPEED}
        told.clear()
        taken = await equipment.write(Batch(3, 3, moves[1:], 10**15))
        assert taken.outcome is Outcome.ACCEPTED
        assert line.plc.active["wash.standby"] == 1.0


async def test_a_call_whose_answer_leaves_open_what_it_did_is_unknown(line, tmp_path, monkeypatch):
    text = paused(confirmed(await drafted(line.endpoint)))

    async def vague(*_: object) -> list[object]:
        raise refusal(ua.StatusCodes.BadUnexpectedError)

    async with connected(line.endpoint, text, tmp_path) as equipment:
        monkeypatch.setattr("twin.equipment.foreign.pause.call_method", vague)
        answer = await equipment.write(Batch(1, 1, (Setpoint("wash.standby", 1.0),), 10**15))
    assert (answer.outcome, answer.detail) == (Outcome.UNKNOWN, "BadUnexpectedError")


def paused(text: str) -> str:
    """The mapping with the wash put to sleep by the methods of its energy management."""
    at = re.search(r"(?m)^  wash\.state: .*?s=(.*?)/Status", text)[1]
    changed, count = re.subn(r"(?m)^  wash\.standby: .*\n", PAUSED.format(at=at), text)
    assert count == 1
    return changed


async def test_an_echo_goes_on_where_a_counter_begins_again(line, tmp_path):
    text = confirmed(await drafted(line.endpoint))
    tags = line.plc._control_tags
    at = [name for name, _ in CONTROL_TAGS].index("control.echo_seq")

    def narrow() -> tuple[float, ...]:
        shown = list(tags())
        shown[at] %= 4.0
        return tuple(shown)

    line.plc._control_tags = narrow
    async with connected(line.endpoint, text, tmp_path) as equipment:
        await equipment.command("RequestRemote")
        echo = equipment._session._binding._bound.interpretation.echo
        assert echo.width == 2**63  # of an Int64
        echo.width = 4  # as if its node held no more
        for n in range(1, 7):
            batch = Batch(n, n, (Setpoint("wash.standby", float(n % 2)),), 10**15)
            assert (await equipment.write(batch)).outcome is Outcome.ACCEPTED, n


async def test_units_words_and_bad_values(line, tmp_path):
    text = confirmed(await drafted(line.endpoint))
    text, n = re.subn(r'(?m)^(  turning\.power_kw: \{node: "[^"]+")', r"\1, unit: W", text)
    text, m = re.subn(r'(?m)^(  infeed\.level: \{node: "[^"]+")', r"\1, bad_values: [0]", text)
    text, k = re.subn(r'"3": "idle"', '"3": "blocked"', text)
    assert (n, m, k) == (1, 1, 5)
    async with connected(line.endpoint, text, tmp_path) as equipment:
        await equipment.clock().sleep_until(equipment.clock().now_us() + 1_000_000)
        reading = await equipment.read()
        names = [s.name for s in quick_signals()]
        at = names.index("infeed.level")
        assert np.isnan(reading.values[at])
        assert reading.status[at] == int(Quality.BAD)
        assert 0.0 < value(reading, "turning.power_kw") < 0.1  # kilowatts that were taken for watts
        assert value(reading, "inspection.state") != 3.0


async def test_the_same_session_goes_on_after_the_wire_was_cut(line, tmp_path):
    text = confirmed(await drafted(line.endpoint))
    async with Wire(line.endpoint) as wire, connected(wire.endpoint, text, tmp_path) as equipment:
        first = equipment._session
        before = await equipment.read()
        wire.cut()
        await equipment.wait_connected(connected=False)
        wire.mend()
        await equipment.wait_connected()
        assert equipment._session is first
        (gap,) = equipment.drain_gaps()
        assert gap.reason == "connection lost"
        after = await equipment.read()
        assert after.time_us > before.time_us
        assert (after.source_us <= after.time_us + 2_000_000).all()


async def test_what_the_loop_stands_in_for_outlives_a_cut_of_the_wire(line, tmp_path):
    text = without(confirmed(await drafted(line.endpoint)), "mode", "echo_seq")
    async with Wire(line.endpoint) as wire, connected(wire.endpoint, text, tmp_path) as equipment:
        first = equipment._session
        before = await equipment.read()
        await equipment.command("RequestRemote")
        wire.cut()
        await equipment.wait_connected(connected=False)
        wire.mend()
        await equipment.wait_connected()
        assert equipment._session is first
        assert value(await equipment.read(), "control.mode") == 3.0
        # On a busy machine its watchdog may have bitten.
        for verb in ("ResetShed", "RequestRemote"):
            line.plc.command(verb)
        wanted = Setpoint(SPEED, value(before, SPEED) + 0.25)
        answer = await equipment.write(Batch(7, 1, (wanted,), 10**15))
        assert answer.outcome is Outcome.ACCEPTED
        assert value(await equipment.read(), "control.echo_seq") == 7.0
        await equipment.command("ReleaseRemote")
        assert value(await equipment.read(), "control.mode") == 2.0


async def test_another_server_and_lacking_nodes_are_told(line, tmp_path):
    text = confirmed(await drafted(line.endpoint))
    lacking = TOLD.sub('  turning.state: {node: "ns2:s=NoSuch"}', text)
    with pytest.raises(LackingNodes, match=r"signals\.turning\.state \(ns2:s=NoSuch\)"):
        async with connected(line.endpoint, lacking, tmp_path):
            pass
    foreign = text.replace('"urn:takttwin:emulator"', '"urn:somebody:else"')
    with pytest.raises(WrongServer, match="calls itself urn:takttwin:emulator"):
        async with connected(line.endpoint, foreign, tmp_path):
            pass
