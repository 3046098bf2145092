"""Who is not let in by an emulator in a process of its own, and that each attempt is on record."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyAes256Sha256RsaPss

from tests.twin.cli.shell import REPOSITORY, twin
from tests.twin.equipment.certificates import expired
from twin.equipment.opcua_security import introduce
from twin.equipment.pki import Known, Pki
from twin.equipment.users import account, read_users, write_users

PASSWORD = "correct horse"
TAKT = "ns=2;s=acme/ulm/machining/line1/Line/Setpoints/takt_s/Request"


@asynccontextmanager
async def emulator(pki: Path) -> AsyncIterator[str]:
    """A secure one in a process of its own; gives its endpoint."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "twin.cli", "emulate", "machining_line", "--lockstep", "--with-parent", "--json"),
        *("--port", "0", "--hours", "1h", "--pki", str(pki)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert process.stdout is not None
        yield json.loads(await process.stdout.readline())["endpoint"]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Visitor:
    """Somebody at the door, with a certificate of their own and whatever else they try."""

    def __init__(self, url: str, server: Known, pki: Pki) -> None:
        self.client = Client(url, timeout=20)
        self.server, self.pki = server, pki

    async def comes(self) -> None:
        """Ask for a session over an encrypted channel."""
        own = self.pki.own()
        self.client.application_uri = own.uri
        await self.shows(own)

    async def shows(self, certificate: Known) -> None:
        await self.client.set_security(
            SecurityPolicyAes256Sha256RsaPss,
            certificate.path,
            self.pki.key,
            server_certificate=self.server.der,
        )
        await self.client.connect()


async def anonymous(visitor: Visitor) -> None:
    # The library's client would not even ask where the server offers no such thing.
    visitor.client.server_policy = lambda _: ua.UserTokenPolicy(PolicyId="anonymous")  # type: ignore[assignment,misc]
    await visitor.comes()


async def wrong_password(visitor: Visitor) -> None:
    visitor.client.set_user("operator")
    visitor.client.set_password("incorrect horse")
    await visitor.comes()


async def unknown_user(visitor: Visitor) -> None:
    visitor.client.set_user("admin")
    visitor.client.set_password("admin")
    await visitor.comes()


async def without_encryption(visitor: Visitor) -> None:
    """The channel that is meant for looking at the endpoints, and a right password through it."""
    visitor.client.set_user("operator")
    visitor.client.set_password(PASSWORD)
    await visitor.client.connect()


async def untrusted(visitor: Visitor) -> None:
    visitor.pki = Pki(visitor.pki.folder.with_name("stranger"), "client")
    visitor.client.set_user("operator")
    visitor.client.set_password(PASSWORD)
    await visitor.comes()


async def with_a_stolen_certificate(visitor: Visitor) -> None:
    """A stranger's key on the channel; with the request for a session, somebody else's certificate."""
    trusted = visitor.pki.own()
    ask = visitor.client.uaclient.create_session

    async def asks(params: ua.CreateSessionParameters) -> ua.CreateSessionResult:
        params.ClientCertificate = trusted.der
        params.ClientDescription.ApplicationUri = trusted.uri
        return await ask(params)

    visitor.client.uaclient.create_session = asks  # type: ignore[method-assign]
    await untrusted(visitor)


async def without_a_certificate(visitor: Visitor) -> None:
    """A stranger's key on the channel, and nothing shown with the request for a session."""
    ask = visitor.client.uaclient.create_session

    async def asks(params: ua.CreateSessionParameters) -> ua.CreateSessionResult:
        params.ClientCertificate = None  # type: ignore[assignment]
        return await ask(params)

    visitor.client.uaclient.create_session = asks  # type: ignore[method-assign]
    await untrusted(visitor)


async def with_an_expired_certificate(visitor: Visitor) -> None:
    old = Pki(visitor.pki.folder.with_name("old"), "client")
    visitor.client.set_user("operator")
    visitor.client.set_password(PASSWORD)
    visitor.client.application_uri = old.own().uri
    known = expired(old)
    Pki(visitor.pki.folder.with_name("server"), "server").trust(known)
    visitor.pki = old
    await visitor.shows(known)


async def viewer_writes(visitor: Visitor) -> None:
    visitor.client.set_user("viewer")
    visitor.client.set_password(PASSWORD)
    await visitor.comes()
    node = visitor.client.get_node(TAKT)
    assert await node.read_value() == 72.0
    try:
        await node.write_value(80.0)
    finally:
        assert await node.read_value() == 72.0


CASES: dict[Callable[[Visitor], Awaitable[None]], tuple[str, str, str, str]] = {
    anonymous: ("BadIdentityTokenRejected", "session", "unknown, certificate", "no user is named"),
    wrong_password: ("BadUserAccessDenied", "session", "operator, certificate", "wrong password"),
    unknown_user: ("BadUserAccessDenied", "session", "admin, certificate", "no such user"),
    without_encryption: (
        "BadSecurityPolicyRejected",
        "session",
        "unknown, no certificate",
        "no certificate was shown, as over a channel in the clear",
    ),
    untrusted: (
        "BadCertificateUntrusted",
        "session",
        "unknown, certificate",
        "the certificate is not trusted",
    ),
    with_a_stolen_certificate: (
        "BadSecurityChecksFailed",
        "session",
        "operator, certificate",
        "the certificate shown is not that of the channel",
    ),
    without_a_certificate: (
        "BadSecurityPolicyRejected",
        "session",
        "unknown, no certificate",
        "no certificate was shown, as over a channel in the clear",
    ),
    with_an_expired_certificate: (
        "BadCertificateTimeInvalid",
        "session",
        "unknown, certificate",
        "the certificate is expired since 2020-02-02",
    ),
    viewer_writes: (
        "BadUserAccessDenied",
        "write Line/Setpoints/takt_s/Request",
        "viewer, certificate",
        "needs the role operator",
    ),
}


@pytest.mark.slow
async def test_each_of_them_is_refused_and_on_record(tmp_path: Path) -> None:
    server, client = Pki(tmp_path / "server", "server"), Pki(tmp_path / "client", "client")
    assert introduce(server, client)
    hashed = [account(role, role, PASSWORD) for role in ("viewer", "operator")]
    write_users(server.users, read_users(server.users) | {one.name: one for one in hashed})
    async with asyncio.timeout(200), emulator(server.folder) as url:
        for case, (status, _, _, _) in CASES.items():
            visitor = Visitor(url, server.own(), client)
            try:
                with pytest.raises(ua.UaError) as caught:
                    await case(visitor)
                assert status in str(caught.value), case
            finally:
                await visitor.client.disconnect()
        code, out, err = await asyncio.to_thread(
            twin, "audit", "show", server.audit, "--json", "--kind", "command"
        )
        assert code == 0, err
        assert (await asyncio.to_thread(twin, "audit", "verify", server.audit))[0] == 0
    (told,) = json.loads(out)
    refusals = [row for row in told["rows"] if row["what"].startswith("refused: ")]
    for row, (case, (status, what, who, why)) in zip(refusals, CASES.items(), strict=True):
        name = case.__name__
        assert row["what"].startswith(f"refused: {what}"), name
        assert what != "session" or status in row["what"], name
        assert row["who"].startswith(who), name
        assert row["who"].endswith(", 127.0.0.1"), name
        assert row["why"] == why, name
        assert row["utc"].startswith("20"), name
    assert len(told["rows"]) == len(CASES) + 1  # and the viewer's session, which was granted
