"""Which session a request to the server came by, and what it may do: the library does not tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession, SessionState

from twin.equipment.gate import Gate, KnownUser, who_is
from twin.equipment.opcua_types import status

_ANONYMOUS = User(role=UserRole.Anonymous)
_caller: ContextVar[InternalSession | None] = ContextVar("caller", default=None)


def caller() -> InternalSession | None:
    """The session whose method call or write is being carried out; None outside of both."""
    return _caller.get()


def lives(session: InternalSession) -> bool:
    """Whether a session is still open; it outlives its connection by its time-out."""
    return session.state is not SessionState.Closed


class Anybody:
    """The user manager of a server without users: everybody is a user, and nobody an administrator."""

    def get_user(self, *_: Any, **__: Any) -> User:
        """A user."""
        return User(role=UserRole.User)


class Lobby(InternalServer):
    """The inner server of the library, with sessions that are known while they ask.

    ``gate`` says who may come in and do what; without one everybody may do everything.
    """

    def __init__(self, gate: Gate | None) -> None:
        super().__init__(user_manager=gate or Anybody())  # type: ignore[arg-type]
        self.gate = gate
        self.owners: dict[int, str | None] = {}
        """By subscription: the user whose it is. The library lets every session end every one."""

    def create_session(
        self, name: str, user: User = _ANONYMOUS, external: bool = False
    ) -> InternalSession:
        """A session for a new client."""
        common = (self, self.aspace, self.subscription_service, name)
        if self.gate is None:
            return _Session(*common, user=user, external=external)
        return _Guarded(*common, user=user, external=external)


class _Session(InternalSession):
    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        with _asking(self):
            return await super().call(params)

    async def history_read(self, params: ua.HistoryReadParameters) -> list[ua.HistoryReadResult]:
        """Node by node: one without a history spoils nothing for the others."""
        results = []
        for node in params.NodesToRead:
            alone = dataclasses.replace(params, NodesToRead=[node])
            try:
                results += await super().history_read(alone)
            except ua.UaStatusCodeError as error:
                result = ua.HistoryReadResult()
                result.StatusCode = status(error.code)
                results.append(result)
        return results

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        with _asking(self):
            return await super().write(params)


class _Guarded(_Session):
    """A session behind a gate."""

    iserver: Lobby
    _shown: bytes | None = None

    async def create_session(
        self, params: ua.CreateSessionParameters, sockname: tuple[str, int] | None = None
    ) -> ua.CreateSessionResult:
        self._shown = params.ClientCertificate
        try:
            self._gate.admit(params.ClientCertificate, params.ClientDescription)
        except ServiceError as error:
            self._gate.turned_away(error, self._who(None))
            await self.close_session()
            raise
        return await super().create_session(params, sockname)

    def activate_session(
        self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None
    ) -> ua.ActivateSessionResult:
        before = self.user if self.is_activated() else None
        name = getattr(params.UserIdentityToken, "UserName", None)
        try:
            self._gate.same_channel(self._shown, peer_certificate)
            result = super().activate_session(params, peer_certificate)
        except (ServiceError, ua.UaError) as error:
            self._gate.turned_away(error, self._who(name))
            raise
        if before is None:
            self._gate.tell("session", self._who(name), f"role {self._role}")
        elif before.name != self.user.name:
            self._gate.tell("session taken over", self._who(name), f"it was that of {before.name}")
        return result

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        granted = self._granted([one.MethodId for one in params], "call")
        answers = iter(
            await super().call([one for one, may in zip(params, granted, strict=True) if may])
        )
        refused = ua.StatusCodes.BadUserAccessDenied
        return [
            next(answers) if may else ua.CallMethodResult(StatusCode=status(refused))
            for may in granted
        ]

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        items = params.NodesToWrite
        granted = self._granted([one.NodeId for one in items], "write")
        params.NodesToWrite = [one for one, may in zip(items, granted, strict=True) if may]
        answers = iter(await super().write(params))
        refused = ua.StatusCodes.BadUserAccessDenied
        return [next(answers) if may else status(refused) for may in granted]

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        result = await super().create_subscription(params, callback, request_callback)
        known, owners = self.subscription_service.subscriptions, self.iserver.owners
        for number in owners.keys() - known.keys():  # those that have expired
            del owners[number]
        owners[result.SubscriptionId] = self.user.name
        return result

    async def delete_subscriptions(self, ids: list[int]) -> list[ua.StatusCode]:
        owned = self._owned(ids)
        mine = [number for number, is_mine in zip(ids, owned, strict=True) if is_mine]
        answers = iter(await super().delete_subscriptions(mine))
        for number in mine:
            self.iserver.owners.pop(number, None)
        unknown = status(ua.StatusCodes.BadSubscriptionIdInvalid)
        return [next(answers) if is_mine else unknown for is_mine in owned]

    async def transfer_subscriptions(  # type: ignore[override]
        self, params: ua.TransferSubscriptionsParameters, callback: Callable[..., Any]
    ) -> list[ua.TransferResult]:
        ids = params.SubscriptionIds
        owned = self._owned(ids)
        params.SubscriptionIds = [n for n, is_mine in zip(ids, owned, strict=True) if is_mine]
        answers = iter(await super().transfer_subscriptions(params, callback))
        unknown = ua.TransferResult(status(ua.StatusCodes.BadSubscriptionIdInvalid))
        return [next(answers) if is_mine else unknown for is_mine in owned]

    def _owned(self, ids: Sequence[int]) -> list[bool]:
        """Which of these subscriptions the session's user has made; others are not even there."""
        return [self.iserver.owners.get(number, "") == self.user.name for number in ids]

    def _granted(self, asked: Sequence[ua.NodeId], verb: str) -> list[bool]:
        who = self._who(self.user.name)
        return [self._gate.may(self.user, node, verb, who) for node in asked]

    @property
    def _gate(self) -> Gate:
        gate = self.iserver.gate
        assert gate is not None
        return gate

    @property
    def _role(self) -> str:
        return self.user.may.name if isinstance(self.user, KnownUser) else "none"

    def _who(self, user: str | None) -> str:
        return who_is(user, self._shown, self.name)


@contextmanager
def _asking(session: InternalSession) -> Iterator[None]:
    token = _caller.set(session)
    try:
        yield
    finally:
        _caller.reset(token)
