from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from asyncua import Client, ua

from tests.twin.equipment.lines import PERIOD_US, plc, signals
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_security import (
    CLIENT_URI,
    ClientSecurity,
    ServerSecurity,
    is_loopback,
    own_certificate,
    read_users,
)


async def both_sides(folder: Path) -> tuple[ServerSecurity, ClientSecurity]:
    """A server and a client that know each other's certificate."""
    server = ServerSecurity(folder / "server", {"loop": "correct horse"})
    shown, _ = await own_certificate(folder / "client", CLIENT_URI)
    trusted = folder / "server" / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "loop.der").write_bytes(shown.read_bytes())
    certificate = folder / "server" / "own" / "certificate.der"
    return server, ClientSecurity(folder / "client", certificate, "loop", "correct horse")


async def test_two_that_know_each_other_talk_in_secret(tmp_path):
    server, client = await both_sides(tmp_path)
    async with asyncio.timeout(60), Emulated(plc(), lockstep=True, security=server) as line:
        for policy in ("Basic256Sha256", "Aes256_Sha256_RsaPss"):
            async with OpcUaEquipment.connect(
                line.endpoint,
                signals(),
                plant_hash=None,
                security=replace(client, policy=policy),
            ) as equipment:
                await equipment.command("Advance", float(line.plc.now_us + PERIOD_US))
                assert (await equipment.read()).time_us == line.plc.now_us


async def test_everybody_else_is_refused(tmp_path):
    server, client = await both_sides(tmp_path)
    async with asyncio.timeout(60), Emulated(plc(), lockstep=True, security=server) as line:
        strangers = {
            "password": replace(client, password="wrong"),
            "user": replace(client, user="admin"),
            "certificate": replace(client, pki=tmp_path / "stranger"),
        }
        for security in strangers.values():
            with pytest.raises(ConnectionError, match="no OPC UA server lets us in"):
                async with OpcUaEquipment.connect(
                    line.endpoint, signals(), plant_hash=None, security=security
                ):
                    pass
        assert len(list((tmp_path / "server" / "rejected").glob("*.der"))) == 1
        with pytest.raises((ua.UaError, ConnectionError)):  # there is no endpoint in the clear
            await Client(line.endpoint).connect()


async def test_a_key_is_its_owners_alone(tmp_path):
    _, key = await own_certificate(tmp_path, CLIENT_URI)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    again, _ = await own_certificate(tmp_path, CLIENT_URI)
    assert again.read_bytes() == (tmp_path / "own" / "certificate.der").read_bytes()


def test_a_server_without_users_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one user"):
        asyncio.run(_enter(Emulated(plc(), lockstep=True, security=ServerSecurity(tmp_path, {}))))


async def _enter(line: Emulated) -> None:
    async with line:
        pass


def test_passwords_that_others_may_read_are_refused(tmp_path):
    users = tmp_path / "users"
    users.write_text("loop:correct horse\n\nviewer:battery:staple\n")
    users.chmod(0o644)
    with pytest.raises(PermissionError, match="chmod 600"):
        read_users(users)
    users.chmod(0o600)
    assert read_users(users) == {"loop": "correct horse", "viewer": "battery:staple"}
    users.write_text("loop\n")
    with pytest.raises(ValueError, match="users:1: expected user:password"):
        read_users(users)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("192.168.1.4", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host, loopback):
    assert is_loopback(host) is loopback
