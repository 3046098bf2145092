"""The connection and its supervisor: dead peers, moved namespaces, and what only a person can settle."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from asyncua import Server, ua

from tests.twin.equipment.lines import plant, plc, signals
from tests.twin.equipment.wires import Wire
from twin.config import PlantError
from twin.equipment import emulator, opcua
from twin.equipment.emulator import Emulated
from twin.equipment.link_state import is_hard
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_link import NoServer, OpenNetwork, WrongServer
from twin.equipment.opcua_security import Unknown
from twin.equipment.opcua_types import refusal
from twin.equipment.pki import CertificateError
from twin.signals import Quality

PATIENCE_S = 240.0
CODES = ua.StatusCodes


def closed_by(code: int) -> Exception:
    """How the client tells that a server let us not in."""
    error = NoServer(f"no OPC UA server lets us in ({code:#x})")
    error.__cause__ = refusal(code)
    return error


@pytest.mark.parametrize(
    "error",
    [
        WrongServer("another plant"),
        OpenNetwork("another machine"),
        Unknown("not trusted", ""),
        CertificateError("expired", ""),
        PlantError(("signals",), "no such type", ""),
        closed_by(CODES.BadCertificateUntrusted),
        closed_by(CODES.BadUserAccessDenied),
        closed_by(CODES.BadSecurityPolicyRejected),
        refusal(CODES.BadIdentityTokenRejected),
    ],
    ids=repr,
)
def test_what_only_a_person_can_settle_is_hard(error: Exception) -> None:
    assert is_hard(error)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "nobody there"),
        TimeoutError(),
        NoServer("nobody answers"),
        closed_by(CODES.BadTooManySessions),
        closed_by(CODES.BadSecureChannelClosed),
        refusal(CODES.BadSessionIdInvalid),
        RuntimeError("whatever"),
    ],
    ids=repr,
)
def test_what_may_pass_by_itself_is_transient(error: Exception) -> None:
    assert not is_hard(error)


async def test_a_dead_peer_is_noticed_and_its_client_thrown_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All connections stand and nobody speaks, for longer than the library may try: a new client."""
    monkeypatch.setattr(opcua, "RETURN_S", 1.0)
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, speed=10.0, insecure=True) as line,
        Wire(line.endpoint) as wire,
        OpcUaEquipment.connect(
            wire.endpoint, signals(), plant_hash=None, timeout_s=1.0, fast_ms=50.0
        ) as equipment,
    ):
        first = equipment._session.client
        assert (equipment.state.sessions, equipment.state.losses) == (1, 0)
        wire.hang()
        await equipment.wait_connected(connected=False)
        while equipment._session.client.state.name != "DISCONNECTED":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        state = equipment.state
        assert not state.connected
        assert state.trouble
        assert not state.is_hard
        heard = state.heard["fast"]
        wire.mend()
        await equipment.wait_connected()
        await equipment.read()
        state = equipment.state
        assert equipment._session.client is not first
        assert (state.sessions, state.losses) == (2, 1)
        assert state.heard["fast"] > heard  # counted over both
        (gap,) = equipment.drain_gaps()
        assert gap.from_us < gap.until_us


async def test_a_line_in_another_namespace_after_a_restart_is_found_by_its_uri(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with Emulated(plc(), lockstep=False, speed=10.0, insecure=True) as line:
            port = int(line.endpoint.rpartition(":")[2].partition("/")[0])
            stack = OpcUaEquipment.connect(
                line.endpoint, signals(), plant_hash=plant().config_hash, timeout_s=2.0
            )
            equipment = await stack.__aenter__()
            before = equipment._session.found
        await equipment.wait_connected(connected=False)
        add_nodes = emulator.add_nodes

        async def after_others(server: Server, *rest: Any, **more: Any) -> Any:
            for n in range(3):
                await server.register_namespace(f"urn:somebody:{n}")
            return await add_nodes(server, *rest, **more)

        monkeypatch.setattr(emulator, "add_nodes", after_others)
        again = Emulated(plc(), port=port, lockstep=False, speed=10.0, insecure=True)
        async with again:
            await equipment.wait_connected()
            after = equipment._session.found
            assert after.root.NamespaceIndex == before.root.NamespaceIndex + 3
            reading = await equipment.read()
            assert not any(math.isnan(v) for v in reading.values[[0, 1]])
            await stack.__aexit__(None, None, None)


async def test_a_hard_refusal_is_shown_tried_at_leisure_and_ends_when_it_is_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opcua, "HARD_DELAY_S", 0.4)
    monkeypatch.setattr(opcua, "RETURN_S", 0.5)
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, speed=10.0, insecure=True) as line,
        Wire(line.endpoint) as wire,
        OpcUaEquipment.connect(
            wire.endpoint, signals(), plant_hash=None, timeout_s=2.0
        ) as equipment,
    ):
        dial, tries = opcua.dial, 0

        async def turned_away(*_: object) -> Any:
            nonlocal tries
            tries += 1
            raise closed_by(CODES.BadUserAccessDenied)

        monkeypatch.setattr(opcua, "dial", turned_away)
        wire.cut()
        while tries < 3:  # noqa: ASYNC110  (by its own rhythm)
            await asyncio.sleep(0.05)
        state = equipment.state
        assert state.is_hard
        assert "lets us in" in state.trouble
        monkeypatch.setattr(opcua, "dial", dial)
        wire.mend()
        await equipment.wait_connected()
        assert not equipment.state.is_hard
        assert equipment.state.trouble == ""


async def test_each_class_has_a_subscription_and_each_sampled_signal_an_age() -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, speed=10.0, insecure=True) as line,
        OpcUaEquipment.connect(
            line.endpoint, signals(), plant_hash=None, fast_ms=50.0
        ) as equipment,
    ):
        clock = equipment.clock()
        await clock.sleep_until(clock.now_us() + 10_000_000)
        state = equipment.state
        assert list(state.silent_s) == ["fast", "slow", "audit", "events"]
        assert set(state.heard) == set(state.silent_s)
        assert all(count > 0 for count in state.heard.values())
        assert (state.dropped, state.late) == (0, 0)
        sampled = {signal.name for signal in signals() if signal.sampled_s}
        assert set(state.ages_s) == sampled
        assert all(0.0 <= age_s < 60.0 for age_s in state.ages_s.values())
        table = equipment._session.table
        assert table is not None
        table.status[:] = int(Quality.MISSING)
        assert all(math.isnan(age_s) for age_s in equipment.state.ages_s.values())
