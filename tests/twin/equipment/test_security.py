from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from tests.twin.equipment.certificates import expired
from tests.twin.equipment.lines import PERIOD_US, batch, plc
from tests.twin.equipment.sides import PASSWORD, Sides, dialled
from twin.cycle import Outcome
from twin.equipment.emulator import Emulated
from twin.equipment.opcua_link import NoServer
from twin.equipment.opcua_security import (
    POLICIES,
    ClientSecurity,
    ServerSecurity,
    Unknown,
    introduce,
    is_loopback,
)
from twin.equipment.pki import CertificateError, Pki, read_certificate
from twin.equipment.users import UsersError, account, read_users, write_users


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


async def refused(line: Emulated, security: ClientSecurity) -> str:
    with pytest.raises(NoServer, match="no OPC UA server lets us in") as caught:
        async with dialled(line, security):
            pass
    return str(caught.value)


async def test_two_that_were_introduced_talk_in_secret_by_each_policy(sides: Sides) -> None:
    async with asyncio.timeout(240), sides.serving() as line:
        for policy in POLICIES:
            security = ClientSecurity(sides.client, policy=policy)
            async with dialled(line, security) as equipment:
                await equipment.command("Advance", float(line.plc.now_us + PERIOD_US))
                assert (await equipment.read()).time_us == line.plc.now_us
                shown = {s: one.thumbprint for s, one in equipment.state.certificates.items()}
                own = {"client": sides.client.own(), "server": sides.server.own()}
                assert shown == {side: one.thumbprint for side, one in own.items()}
        found = await Client(line.endpoint).connect_and_get_server_endpoints()
        modes = {(e.SecurityPolicyUri.rpartition("#")[2], e.SecurityMode.name) for e in found}
        assert modes == {(policy, "SignAndEncrypt") for policy in POLICIES}
    assert not introduce(sides.server, sides.client)  # there are users: a person decides


async def test_trust_and_users_are_looked_up_at_each_connection(
    sides: Sides, tmp_path: Path
) -> None:
    stranger = Pki(tmp_path / "other", "client")
    shown = stranger.own()
    visitor = ClientSecurity(stranger, sides.server.certificate, "guest", PASSWORD)
    async with asyncio.timeout(240), sides.serving() as line:
        assert "BadCertificateUntrusted" in await refused(line, visitor)
        assert [known.der for known in sides.server.rejected()] == [shown.der]
        path = sides.server.trust(shown)
        assert sides.server.rejected() == []
        assert "BadUserAccessDenied" in await refused(line, visitor)
        users = read_users(sides.server.users)
        write_users(sides.server.users, users | {"guest": account("guest", "viewer", PASSWORD)})
        async with dialled(line, visitor) as equipment:
            assert (await equipment.read()).time_us == 0
        path.unlink()
        assert "BadCertificateUntrusted" in await refused(line, visitor)
    assert sides.whys == [
        "the certificate is not trusted",
        "no such user",
        "role viewer",
        "the certificate is not trusted",
    ]


async def test_a_server_must_show_the_certificate_that_was_pinned(
    sides: Sides, tmp_path: Path
) -> None:
    client = Pki(tmp_path / "new", "client")
    sides.server.trust(client.own())
    async with asyncio.timeout(240), sides.serving() as line:
        security = ClientSecurity(client, user="viewer", password=PASSWORD)
        with pytest.raises(Unknown, match="certificate is not trusted") as caught:
            async with dialled(line, security):
                pass
        (shown,) = client.rejected()
        assert shown.der == read_certificate(sides.server.certificate).der
        assert f"twin cert trust {shown.thumbprint[:16]}" in caught.value.hint
        client.trust(shown)
        async with dialled(line, security):
            pass
        other = Pki(tmp_path / "third", "server").own()
        with pytest.raises(Unknown, match="another certificate than"):
            async with dialled(line, replace(security, server=other.path)):
                pass
    assert "wrong password" not in sides.whys


async def test_a_client_that_wants_encryption_takes_no_other(sides: Sides) -> None:
    async with asyncio.timeout(240), Emulated(plc(), lockstep=True, insecure=True) as line:
        with pytest.raises(Unknown, match="no encryption that is taken here is offered, but None"):
            async with dialled(line, sides.as_user()):
                pass


async def test_what_a_user_may_do_is_a_matter_of_role_and_node(sides: Sides) -> None:
    asked = batch(1, 0, line__takt_s=73.0)
    async with asyncio.timeout(240), sides.serving() as line:
        async with dialled(line, sides.as_user("viewer")) as equipment:
            assert (await equipment.read()).time_us == 0
            for verb in ("RequestRemote", "Advance", "PermitRemote"):
                with pytest.raises((ConnectionError, ValueError), match="BadUserAccessDenied"):
                    await equipment.command(verb, 1.0)
            answer = await equipment.write(asked)
            assert (answer.outcome, answer.detail) == (Outcome.REJECTED, "BadUserAccessDenied")
        async with dialled(line, sides.as_user("operator")) as equipment:
            await equipment.command("RequestRemote")
            assert (await equipment.write(asked)).outcome is Outcome.ACCEPTED
            with pytest.raises(ValueError, match="BadUserAccessDenied"):
                await equipment.command("PermitRemote", 0.0)
        async with dialled(line, sides.as_user("engineer")) as equipment:
            await equipment.command("PermitRemote", 0.0)
    assert [what for what, _, _ in sides.told if what.startswith("refused")] == [
        "refused: call Control/RequestRemote",
        "refused: call Control/Advance",
        "refused: call Control/SetPermitRemote",
        "refused: call Control/ApplySetpoints",
        "refused: call Control/SetPermitRemote",
    ]
    assert sides.whys.count("needs the role operator") == 3
    assert sides.whys.count("needs the role engineer") == 2


async def test_plain_writes_are_granted_one_by_one(sides: Sides) -> None:
    """Nodes that nobody may write are refused to an engineer too, and the others of the batch pass."""
    async with (
        asyncio.timeout(240),
        sides.serving() as line,
        dialled(line, sides.as_user("engineer")) as equipment,
    ):
        client, root = equipment._session.client, equipment._session.found.root
        index, path = root.NamespaceIndex, root.Identifier

        def node(name: str) -> Any:
            return client.get_node(ua.NodeId(f"{path}/{name}", index))

        request, active = (node(f"Line/Setpoints/takt_s/{leaf}") for leaf in ("Request", "Active"))
        answers = await client.write_values(
            [active, request, client.nodes.namespace_array],
            [70.0, 71.0, ["mine"]],
            raise_on_partial_error=False,
        )
        names = [answer.name for answer in answers]
        assert names == ["BadUserAccessDenied", "Good", "BadUserAccessDenied"]
        assert await request.read_value() == 71.0
        assert await active.read_value() == 72.0
    assert sides.whys.count("nobody may change it from outside") == 2


def test_keys_are_their_owners_alone_and_made_once(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki", "client")
    first = pki.own()
    assert stat.S_IMODE(pki.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(pki.folder.stat().st_mode) == 0o700
    assert first.uri.startswith("urn:")
    assert first.uri.endswith(":takttwin:client")
    assert 1000 < (first.ends - first.begins).days < 1200
    assert pki.own() == first
    assert pki.renew().thumbprint != first.thumbprint
    pki.key.chmod(0o640)
    with pytest.raises(CertificateError, match="others may use this key"):
        pki.own()


def test_an_own_certificate_that_has_expired_is_not_replaced_unasked(tmp_path: Path) -> None:
    pki = Pki(tmp_path, "client")
    expired(pki)
    with pytest.raises(CertificateError, match="expired since 2020-02-02") as caught:
        pki.own()
    assert caught.value.hint.startswith("make a new one: twin cert new")


def test_files_that_are_no_certificates_trust_nobody(tmp_path: Path) -> None:
    pki = Pki(tmp_path, "server")
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "junk.der").write_bytes(b"junk")
    assert pki.trusted() == []
    assert not pki.trusts(b"junk")
    with pytest.raises(CertificateError, match="no certificate"):
        read_certificate(tmp_path / "trusted" / "junk.der")


def test_a_server_without_users_is_refused(tmp_path: Path) -> None:
    security = ServerSecurity(Pki(tmp_path, "server"), tmp_path / "users", lambda *_: None)
    with pytest.raises(ValueError, match="at least one user"):
        asyncio.run(_enter(Emulated(plc(), lockstep=True, security=security)))


async def _enter(line: Emulated) -> None:
    async with line:
        pass


def test_users_come_back_as_they_went_in_and_passwords_do_not(tmp_path: Path) -> None:
    users = tmp_path / "users"
    anna = account("anna", "operator", PASSWORD)
    write_users(users, {"anna": anna})
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    assert read_users(users) == {"anna": anna}
    assert PASSWORD not in users.read_text()
    assert account("anna", "operator", PASSWORD).hashed != anna.hashed  # a salt of its own
    users.chmod(0o644)
    with pytest.raises(UsersError, match="chmod 600"):
        read_users(users)
    for wrong in ("anna:operator:secret", "anna:king:" + anna.hashed, "a b:viewer:" + anna.hashed):
        users.write_text(wrong + "\n")
        users.chmod(0o600)
        with pytest.raises(UsersError, match="users:1: expected name:role:hash"):
            read_users(users)
    for name, role, password in (
        ("an:na", "viewer", PASSWORD),
        ("anna", "king", PASSWORD),
        ("anna", "viewer", "short"),
        ("anna", "viewer", "tab\tand more"),
    ):
        with pytest.raises(UsersError):
            account(name, role, password)


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
