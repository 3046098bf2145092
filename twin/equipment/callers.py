"""Which session a request to the server came by: its methods are not told by the library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession, SessionState

_ANONYMOUS = User(role=UserRole.Anonymous)
_caller: ContextVar[InternalSession | None] = ContextVar("caller", default=None)


def caller() -> InternalSession | None:
    """The session whose method call or write is being carried out; None outside of both."""
    return _caller.get()


def lives(session: InternalSession) -> bool:
    """Whether a session is still open; it outlives its connection by its time-out."""
    return session.state is not SessionState.Closed


class Lobby(InternalServer):
    """The inner server of the library, with sessions that are known while they ask."""

    def create_session(
        self, name: str, user: User = _ANONYMOUS, external: bool = False
    ) -> InternalSession:
        """A session for a new client."""
        return _Session(
            self, self.aspace, self.subscription_service, name, user=user, external=external
        )


class _Session(InternalSession):
    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        with _asking(self):
            return await super().call(params)

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        with _asking(self):
            return await super().write(params)


@contextmanager
def _asking(session: InternalSession) -> Iterator[None]:
    token = _caller.set(session)
    try:
        yield
    finally:
        _caller.reset(token)
