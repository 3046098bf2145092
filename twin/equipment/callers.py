"""Which session a request to the server came by, and what it may do: the library does not tell."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server import monitored_item_service
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession, SessionState

from twin.equipment.address_space import ALIVE
from twin.equipment.gate import Gate, KnownUser, Visitor
from twin.equipment.opcua_types import status
from twin.equipment.subscribers import Party, Subscriber

_ANONYMOUS = User(role=UserRole.Anonymous)
_caller: ContextVar[tuple[InternalSession, list[str]] | None] = ContextVar("caller", default=None)


def caller() -> InternalSession | None:
    """The session whose method call or write is being carried out; None outside of both."""
    asking = _caller.get()
    return None if asking is None else asking[0]


def changed(text: str) -> None:
    """Say what the call or write that is being carried out changes: old value and new."""
    asking = _caller.get()
    if asking is not None:
        asking[1].append(text)


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
        self.makers: dict[int, Party] = {}
        """By subscription: for whom it was made."""

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

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        """As the library does, which makes a logger for each number, and logging keeps that for good."""
        result = await super().create_subscription(params, callback, request_callback)
        name = f"{monitored_item_service.__name__}.{result.SubscriptionId}"
        logging.root.manager.loggerDict.pop(name, None)
        return result

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


class _Guarded(Subscriber, _Session):
    """A session behind a gate."""

    iserver: Lobby
    _shown: bytes | None = None

    @property
    def makers(self) -> dict[int, Party]:
        return self.iserver.makers

    async def create_session(
        self, params: ua.CreateSessionParameters, sockname: tuple[str, int] | None = None
    ) -> ua.CreateSessionResult:
        self._shown = params.ClientCertificate
        try:
            self._gate.admit(params.ClientCertificate, params.ClientDescription)
        except ServiceError as error:
            self._gate.turned_away(error, self._as(None))
            await self.close_session()
            raise
        return await super().create_session(params, sockname)

    def activate_session(
        self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None
    ) -> ua.ActivateSessionResult:
        before = self.user if self.is_activated() else None
        name = getattr(params.UserIdentityToken, "UserName", None)
        try:
            self._gate.visitor = self._as(name)
            self._gate.same_channel(self._shown, peer_certificate)
            result = super().activate_session(params, peer_certificate)
        except (ServiceError, ua.UaError) as error:
            self._gate.turned_away(error, self._as(name))
            raise
        if before is None:
            self._gate.came_in("session", self._as(name), f"role {self._role}")
        elif before.name != self.user.name:
            was = f"it was that of {before.name}"
            self._gate.came_in("session taken over", self._as(name), was)
        return result

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        granted = self._granted([one.MethodId for one in params], "call")
        refused = ua.CallMethodResult(StatusCode=status(ua.StatusCodes.BadUserAccessDenied))
        return [
            await self._called(one) if may else refused
            for one, may in zip(params, granted, strict=True)
        ]

    async def _called(self, request: ua.CallMethodRequest) -> ua.CallMethodResult:
        with _asking(self) as changes:
            (result,) = await super().call([request])
        code = result.StatusCode
        verb = f"call {self._gate.path(request.MethodId)}"
        if not code.is_good():
            self._gate.refused(verb, self._visitor, f"{code.name}; {'; '.join(changes)}")
        elif changes:  # to move the clock, or to show that one is alive, changes nothing
            self._gate.granted(verb, self._visitor, "; ".join(changes))
        return result

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        items = params.NodesToWrite
        granted = self._granted([one.NodeId for one in items], "write")
        params.NodesToWrite = [one for one, may in zip(items, granted, strict=True) if may]
        before = [self._value_of(one.NodeId) for one in params.NodesToWrite]
        with _asking(self) as changes:
            codes = await super().write(params)
        self._wrote(params.NodesToWrite, before, codes, changes)
        answers = iter(codes)
        refused = ua.StatusCodes.BadUserAccessDenied
        return [next(answers) if may else status(refused) for may in granted]

    def _wrote(
        self,
        items: Sequence[ua.WriteValue],
        before: Sequence[object],
        codes: Sequence[ua.StatusCode],
        changes: list[str],
    ) -> None:
        """Tell which values were replaced by which, and what that changed at the line."""
        told = []
        for item, old, code in zip(items, before, codes, strict=True):
            path = self._gate.path(item.NodeId)
            if not code.is_good():
                self._gate.refused(f"write {path}", self._visitor, str(code.name))
            elif path != ALIVE:
                told.append(f"{path}: {old!r} -> {_inside(item.Value)!r}")
        if told:
            what = (
                f"write {len(told)} values" if len(told) > 1 else f"write {told[0].split(':')[0]}"
            )
            self._gate.granted(what, self._visitor, "; ".join([*changes, *told]))

    def _value_of(self, node: ua.NodeId) -> object:
        return _inside(self.aspace.read_attribute_value(node, ua.AttributeIds.Value))

    def party(self) -> Party:
        return self.user.name, self._shown

    def reached_out(self, verb: str, number: int) -> None:
        what = f"{verb} of subscription {number}"
        self._gate.refused(what, self._visitor, "it is not this session's")

    def _granted(self, asked: Sequence[ua.NodeId], verb: str) -> list[bool]:
        return [self._gate.may(self.user, node, verb, self._visitor) for node in asked]

    @property
    def _gate(self) -> Gate:
        gate = self.iserver.gate
        assert gate is not None
        return gate

    @property
    def _role(self) -> str:
        return self.user.may.name if isinstance(self.user, KnownUser) else "none"

    @property
    def _visitor(self) -> Visitor:
        return self._as(self.user.name)

    def _as(self, user: str | None) -> Visitor:
        return Visitor(user or "", self._shown, self.name)


def _inside(value: ua.DataValue | None) -> object:
    return None if value is None or value.Value is None else value.Value.Value


@contextmanager
def _asking(session: InternalSession) -> Iterator[list[str]]:
    """While a session is heard; what is said to have changed meanwhile comes into the list."""
    outer = _caller.get()
    changes = [] if outer is None or outer[0] is not session else outer[1]
    token = _caller.set((session, changes))
    try:
        yield changes
    finally:
        _caller.reset(token)
