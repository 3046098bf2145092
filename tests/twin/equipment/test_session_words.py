"""What the answer to a method means: a refusal for certain, or something that may have been done."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from asyncua import ua
from asyncua.client.ua_client import UaClientState

from twin.equipment.opcua_session import LineSession
from twin.equipment.opcua_types import refusal

CODES = ua.StatusCodes


class Denying:
    """A binding to a line that answers every verb with one status."""

    def __init__(self, code: int) -> None:
        self.code = code

    async def command(self, *_: object) -> None:
        raise refusal(self.code)


def denied(code: int, state: UaClientState = UaClientState.CONNECTED) -> LineSession:
    return LineSession(SimpleNamespace(state=state), None, Denying(code), (None, None), 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "code",
    [
        CODES.BadUserAccessDenied,
        CODES.BadNotExecutable,
        CODES.BadNotWritable,
        CODES.BadMethodInvalid,
        CODES.BadInvalidArgument,
        CODES.BadInvalidState,
    ],
)
async def test_a_denial_in_a_session_that_stands_is_for_certain(code: int) -> None:
    with pytest.raises(ValueError, match="the line refuses RequestRemote"):
        await denied(code).command("RequestRemote", 0.0)
    for state in (UaClientState.RECONNECTING, UaClientState.DISCONNECTED):
        with pytest.raises(ConnectionError, match="the line refuses RequestRemote"):
            await denied(code, state).command("RequestRemote", 0.0)


@pytest.mark.parametrize("code", [CODES.BadUnexpectedError, CODES.BadTimeout])
async def test_an_answer_that_leaves_open_what_was_done_is_no_refusal(code: int) -> None:
    with pytest.raises(ConnectionError, match="the line refuses RequestRemote"):
        await denied(code).command("RequestRemote", 0.0)
