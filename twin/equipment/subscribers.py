"""Sessions that reach their own subscriptions alone: the library lets every session touch every one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import InternalSession

from twin.equipment.opcua_types import node_id, status

T = TypeVar("T")
Party = tuple[str | None, bytes | None]
"""A user, and the certificate of the application that asks for him."""
_UNKNOWN = ua.StatusCodes.BadSubscriptionIdInvalid
_REFRESHES = (
    node_id(ua.ObjectIds.ConditionType_ConditionRefresh),
    node_id(ua.ObjectIds.ConditionType_ConditionRefresh2),
)


class Subscriber(InternalSession, ABC):
    """A session to which the subscriptions of others are not there.

    The same user from the same application may move one here, as after a lost connection (OPC UA Part 4,
    TransferSubscriptions); for all else it must be this session's.
    """

    @property
    @abstractmethod
    def makers(self) -> dict[int, Party]:
        """By subscription, for all sessions of a server: for whom it was made."""

    @abstractmethod
    def party(self) -> Party:
        """For whom this session asks."""

    @abstractmethod
    def reached_out(self, verb: str, number: int) -> None:
        """Take note that somebody asked for a subscription that is not his."""

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        """A subscription that is this session's."""
        result = await super().create_subscription(params, callback, request_callback)
        for number in self.makers.keys() - self.subscription_service.subscriptions.keys():
            del self.makers[number]  # those that have ended
        self.makers[result.SubscriptionId] = self.party()
        return result

    def modify_subscription(
        self, params: ua.ModifySubscriptionParameters
    ) -> ua.ModifySubscriptionResult:
        """Other intervals, of its own."""
        self._insist("ModifySubscription", params.SubscriptionId)
        return super().modify_subscription(params)

    async def set_publishing_mode(
        self, params: ua.SetPublishingModeParameters
    ) -> list[ua.StatusCode]:
        """Silence or not, of its own."""

        async def mine(ids: list[int]) -> list[ua.StatusCode]:
            params.SubscriptionIds = ids
            return await super(Subscriber, self).set_publishing_mode(params)

        ids = params.SubscriptionIds
        return await self._each("SetPublishingMode", ids, self._is_mine, mine, status(_UNKNOWN))

    async def delete_subscriptions(self, ids: list[int]) -> list[ua.StatusCode]:
        """The end, of its own."""
        mine = super().delete_subscriptions
        return await self._each("DeleteSubscriptions", ids, self._is_mine, mine, status(_UNKNOWN))

    async def transfer_subscriptions(  # type: ignore[override]
        self, params: ua.TransferSubscriptionsParameters, callback: Callable[..., Any]
    ) -> list[ua.TransferResult]:
        """Those of the same user and application become this session's."""

        async def mine(ids: list[int]) -> list[ua.TransferResult]:
            params.SubscriptionIds = ids
            return await super(Subscriber, self).transfer_subscriptions(params, callback)

        unknown = ua.TransferResult(status(_UNKNOWN))
        ids = params.SubscriptionIds
        return await self._each("TransferSubscriptions", ids, self._is_ours, mine, unknown)

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        """Once more what was sent, of its own."""
        self._insist("Republish", params.SubscriptionId)
        return super().republish(params)

    def publish(
        self, acks: Iterable[ua.SubscriptionAcknowledgement] | None = None
    ) -> tuple[int, list[ua.StatusCode]]:
        """What is acknowledged is forgotten: that of others is not."""
        given = list(acks or ())
        mine = self._split("Publish", [one.SubscriptionId for one in given], self._is_mine)
        count, good = super().publish(
            [one for one, is_mine in zip(given, mine, strict=True) if is_mine]
        )
        answers = iter(good)
        return count, [next(answers) if is_mine else status(_UNKNOWN) for is_mine in mine]

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        """Items for one of its own."""
        self._insist("CreateMonitoredItems", params.SubscriptionId)
        return await super().create_monitored_items(params)

    async def modify_monitored_items(
        self, params: ua.ModifyMonitoredItemsParameters
    ) -> list[ua.MonitoredItemModifyResult]:
        """Other items in one of its own."""
        self._insist("ModifyMonitoredItems", params.SubscriptionId)
        return await super().modify_monitored_items(params)

    async def set_monitoring_mode(
        self, params: ua.SetMonitoringModeParameters
    ) -> list[ua.StatusCode]:
        """Items of its own on or off."""
        self._insist("SetMonitoringMode", params.SubscriptionId)
        return await super().set_monitoring_mode(params)

    async def delete_monitored_items(
        self, params: ua.DeleteMonitoredItemsParameters
    ) -> list[ua.StatusCode]:
        """Items of its own no more."""
        self._insist("DeleteMonitoredItems", params.SubscriptionId)
        return await super().delete_monitored_items(params)

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        """The standard's methods name a subscription too, as their first argument."""
        for one in params:
            if one.MethodId in _REFRESHES and one.InputArguments:
                self._insist("ConditionRefresh", one.InputArguments[0].Value)
        return await super().call(params)

    def _is_mine(self, number: int) -> bool:
        known = self.subscription_service.subscriptions.get(number)
        return known is not None and known.session_id == self.session_id

    def _is_ours(self, number: int) -> bool:
        return self._is_mine(number) or self.makers.get(number) == self.party()

    def _insist(self, verb: str, number: int) -> None:
        if not self._is_mine(number):
            self._note(verb, number)
            raise ServiceError(_UNKNOWN)

    def _split(self, verb: str, ids: Sequence[int], may: Callable[[int], bool]) -> list[bool]:
        """Which of these the session may touch; the others go on record."""
        found = [may(number) for number in ids]
        for number, is_mine in zip(ids, found, strict=True):
            if not is_mine:
                self._note(verb, number)
        return found

    def _note(self, verb: str, number: int) -> None:
        """One that has ended may be asked for by whoever had it: that is no news."""
        if number in self.subscription_service.subscriptions:
            self.reached_out(verb, number)

    async def _each(
        self,
        verb: str,
        ids: list[int],
        may: Callable[[int], bool],
        do: Callable[[list[int]], Awaitable[list[T]]],
        refused: T,
    ) -> list[T]:
        """The answers of ``do`` for those that the session may touch, ``refused`` for the others."""
        mine = self._split(verb, ids, may)
        answers = iter(
            await do([number for number, is_mine in zip(ids, mine, strict=True) if is_mine])
        )
        return [next(answers) if is_mine else refused for is_mine in mine]
