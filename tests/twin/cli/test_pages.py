"""The pages of a running loop: who may look, what is there, and what they say."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

import pytest

from tests.twin.driven import driven
from twin.cli.monitor import LEAST_S, Pulse
from twin.cli.pages import HOST, PLAIN, Page, judged, served


async def asked(address: str, request: str) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection(HOST, int(address.rpartition(":")[2]))
    writer.write(request.encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    return int(first.split(" ")[1]), dict(line.split(": ", 1) for line in lines), body


def pages() -> dict[str, object]:
    return {
        "/metrics": lambda: Page(HTTPStatus.OK, PLAIN, b"one 1\n"),
        "/healthz": lambda: judged([], {}),
        "/readyz": lambda: judged(["connection lost"], {"mode": "HOLD"}),
    }


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        ("GET /metrics HTTP/1.1\r\nHost: localhost:9\r\n\r\n", 200, b"one 1\n"),
        ("GET /metrics?a=b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200, b"one 1\n"),
        ("HEAD /metrics HTTP/1.1\r\nHost: [::1]:9\r\n\r\n", 200, b""),
        ("POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, b"here is nothing but to look\n"),
        ("GET /secrets HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, b"there are: /metrics /healthz /readyz\n"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, b"this machine only\n"),
        ("GET /metrics HTTP/1.1\r\n\r\n", 403, b"this machine only\n"),
    ],
)  # fmt: skip
async def test_one_may_look_from_this_machine_and_no_more(
    request_: str, status: int, body: bytes
) -> None:
    async with served(0, pages()) as address:  # type: ignore[arg-type]
        assert address.startswith("http://127.0.0.1:")
        got, head, text = await asked(address, request_)
    assert (got, text) == (status, body)
    assert head["Connection"] == "close"


async def test_faults_are_told_with_503() -> None:
    async with served(0, pages()) as address:  # type: ignore[arg-type]
        well = await asked(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ill = await asked(address, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (well[0], json.loads(well[2])) == (200, {"ok": True, "faults": []})
    assert (ill[0], json.loads(ill[2])) == (
        503,
        {"ok": False, "faults": ["connection lost"], "mode": "HOLD"},
    )


@pytest.mark.parametrize(
    "nonsense", ["\r\n\r\n", "GET\r\n\r\n", "A" * 20_000, "GET / HTTP/1.1\r\n"]
)
async def test_nonsense_costs_a_connection_and_nothing_else(nonsense: str) -> None:
    async with served(0, pages()) as address:  # type: ignore[arg-type]
        _, writer = await asyncio.open_connection(HOST, int(address.rpartition(":")[2]))
        writer.write(nonsense.encode())
        writer.close()
        status, _, _ = await asked(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status == 200


async def test_a_loop_that_does_not_turn_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr("twin.cli.monitor.monotonic_us", lambda: now[0])
    pulse = Pulse(period_s=30.0)
    now[0] = 90_000_000
    assert pulse.stopped() == []
    now[0] = 91_000_000
    assert pulse.stopped() == ["no turn for 91 s"]
    runtime, _, _ = driven()
    pulse.turned(await runtime.turn(0))
    assert pulse.stopped() == []
    quick = Pulse(period_s=0.1)
    now[0] += int(LEAST_S * 1e6)
    assert quick.stopped() == []
