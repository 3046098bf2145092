"""What comes of those who are let in, and of those who knock: subscriptions, passwords, the record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from tests.twin.equipment.lines import PERIOD_US, batch
from tests.twin.equipment.sides import PASSWORD, Sides, dialled
from twin.equipment.emulator import Emulated
from twin.equipment.opcua_link import NoServer
from twin.equipment.users import MOST_GUESSED, PAUSE_US, TRIES, Doorman, account, write_users

UNKNOWN = "BadSubscriptionIdInvalid"
Reach = Callable[[Client, int, int], Awaitable[Any]]


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def parameters(kind: type, number: int, **more: Any) -> Any:
    found = kind()
    found.SubscriptionId = number
    for name, value in more.items():
        setattr(found, name, value)
    return found


async def delete(client: Client, number: int, item: int) -> Any:
    return await client.uaclient.session.delete_subscriptions([number])


async def transfer(client: Client, number: int, item: int) -> Any:
    wanted = ua.TransferSubscriptionsParameters([number], SendInitialValues=False)
    (moved,) = await client.uaclient.session.transfer_subscriptions(wanted)
    return [moved.StatusCode]


async def silence(client: Client, number: int, item: int) -> Any:
    wanted = ua.SetPublishingModeParameters(PublishingEnabled=False, SubscriptionIds=[number])
    return await client.uaclient.session.set_publishing_mode(wanted)


async def modify(client: Client, number: int, item: int) -> Any:
    wanted = parameters(ua.ModifySubscriptionParameters, number, RequestedPublishingInterval=9e9)
    return await client.uaclient.session.modify_subscription(wanted)


async def switch_off(client: Client, number: int, item: int) -> Any:
    wanted = parameters(ua.SetMonitoringModeParameters, number, MonitoredItemIds=[item])
    wanted.MonitoringMode = ua.MonitoringMode.Disabled
    return await client.uaclient.session.set_monitoring_mode(wanted)


async def delete_items(client: Client, number: int, item: int) -> Any:
    wanted = parameters(ua.DeleteMonitoredItemsParameters, number, MonitoredItemIds=[item])
    return await client.uaclient.session.delete_monitored_items(wanted)


async def modify_items(client: Client, number: int, item: int) -> Any:
    wanted = parameters(ua.ModifyMonitoredItemsParameters, number)
    return await client.uaclient.session.modify_monitored_items(wanted)


async def create_items(client: Client, number: int, item: int) -> Any:
    wanted = parameters(ua.CreateMonitoredItemsParameters, number)
    return await client.uaclient.session.create_monitored_items(wanted)


async def republish(client: Client, number: int, item: int) -> Any:
    return await client.uaclient.session.republish(number, 1)


async def refresh(client: Client, number: int, item: int) -> Any:
    kind = client.get_node(ua.NodeId(ua.ObjectIds.ConditionType))
    method = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)
    return await kind.call_method(method, ua.Variant(number, ua.VariantType.UInt32))


SERVICES: dict[str, Reach] = {
    "DeleteSubscriptions": delete,
    "SetPublishingMode": silence,
    "ModifySubscription": modify,
    "SetMonitoringMode": switch_off,
    "DeleteMonitoredItems": delete_items,
    "ModifyMonitoredItems": modify_items,
    "CreateMonitoredItems": create_items,
    "Republish": republish,
    "ConditionRefresh": refresh,
}


async def answered(reach: Reach, client: Client, number: int, item: int) -> str:
    try:
        answer = await reach(client, number, item)
    except ua.UaStatusCodeError as error:
        return type(error).__name__
    return str(answer[0].name)


class Heard:
    """Takes notifications, and lets somebody wait for the next."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def datachange_notification(self, node: object, value: object, data: object) -> None:
        self.came.set()


@pytest.mark.parametrize("who", ["viewer", "operator"])
async def test_a_session_touches_its_own_subscriptions_alone(sides: Sides, who: str) -> None:
    """Not even those of the same user in another session, but for moving them over."""
    async with (
        asyncio.timeout(60),
        sides.serving() as line,
        dialled(line, sides.as_user("operator")) as owner,
        dialled(line, sides.as_user(who)) as other,
    ):
        mine, theirs, heard = owner._session.client, other._session.client, Heard()
        subscription = await mine.create_subscription(50.0, heard)
        number = subscription.subscription_id
        index, root = owner._session.found.root.NamespaceIndex, owner._session.found.root.Identifier
        node = mine.get_node(ua.NodeId(f"{root}/Control/ControllerAlive", index))
        item = await subscription.subscribe_data_change(node)
        reaches = SERVICES | ({"TransferSubscriptions": transfer} if who == "viewer" else {})
        for name, reach in reaches.items():
            assert await answered(reach, theirs, number, item) == UNKNOWN, name
        await heard.came.wait()
        heard.came.clear()
        await node.write_value(7, ua.VariantType.Int64)
        await heard.came.wait()  # it goes on as if nothing had been asked
        refusals = [row for row in sides.told if row[0].startswith("refused: ")]
        assert [what for what, *_ in refusals] == [
            f"refused: {name} of subscription {number}" for name in reaches
        ]
        assert all(asked.startswith(f"{who}, ") for _, asked, _ in refusals)
        if who == "operator":
            assert await answered(transfer, theirs, number, item) == "Good"
            assert await answered(delete, mine, number, item) == UNKNOWN  # it has moved
            assert await answered(delete, theirs, number, item) == "Good"
        else:
            assert await answered(delete, mine, number, item) == "Good"
            assert await answered(delete, mine, number, item) == UNKNOWN  # and is gone
        assert len(sides.told) == 2 + len(reaches) + (who == "operator")


async def test_what_was_granted_is_on_record_with_old_and_new_values(sides: Sides) -> None:
    async with (
        asyncio.timeout(60),
        sides.serving() as line,
        dialled(line, sides.as_user("operator")) as equipment,
    ):
        await equipment.command("RequestRemote")
        await equipment.command("Advance", float(PERIOD_US))
        await equipment.write(batch(1, PERIOD_US))  # a heartbeat
        await equipment.write(batch(2, PERIOD_US, line__takt_s=73.0))
        await equipment.write(batch(2, PERIOD_US, line__takt_s=74.0))
        client, root = equipment._session.client, equipment._session.found.root
        index, path = root.NamespaceIndex, root.Identifier

        async def put(leaf: str, value: float, kind: ua.VariantType) -> None:
            await client.get_node(ua.NodeId(f"{path}/{leaf}", index)).write_value(value, kind)

        await put("Control/ControllerAlive", 9, ua.VariantType.Int64)
        await put("Line/Setpoints/takt_s/Request", 75.0, ua.VariantType.Double)
        await put("Control/RequestSeq", 3, ua.VariantType.Int64)
        active = line.plc.active["line.takt_s"]
    told = [(what, why) for what, who, why in sides.told if what.startswith(("call", "write"))]
    assert all(who.startswith("operator, certificate ") for _, who, _ in sides.told)
    assert told == [
        (
            "call Control/RequestRemote",
            "AUTO, permit, shed NONE -> REMOTE, permit, shed NONE",
        ),
        ("call Control/ApplySetpoints", "line.takt_s 72 -> 73, asked 73: OK"),
        ("call Control/ApplySetpoints", "line.takt_s 73 -> 73, asked 74: OLD_SEQUENCE"),
        ("write Line/Setpoints/takt_s/Request", "Line/Setpoints/takt_s/Request: 74.0 -> 75.0"),
        (
            "write Control/RequestSeq",
            f"line.takt_s 73 -> {active:g}, asked 75: CLAMPED; Control/RequestSeq: 0 -> 3",
        ),
    ]


async def test_junk_at_the_port_keeps_nothing_off_the_record(sides: Sides) -> None:
    async with asyncio.timeout(60), sides.serving() as line:
        host, port = "127.0.0.1", int(line.endpoint.split(":")[2].split("/")[0])
        for _ in range(200):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n" * 4)
            await reader.read()  # until the server hangs up
            writer.close()
        await refused(line, sides, "not it, once more")
    whats = [what for what, _, _ in sides.told]
    assert whats == [
        "refused: connection",
        "refused: session (BadUserAccessDenied)",
        "refused: connection",
    ]
    assert sides.told[-1][2].startswith("199 more within a minute; the last: ")


async def refused(line: Emulated, sides: Sides, password: str) -> None:
    with pytest.raises(NoServer, match="no OPC UA server lets us in"):
        async with dialled(line, sides.as_user(password=password)):
            pass


async def test_who_guesses_passwords_is_refused_unheard(sides: Sides) -> None:
    async with asyncio.timeout(60), sides.serving() as line:
        for _ in range(TRIES):
            await refused(line, sides, "not it, once more")
        await refused(line, sides, PASSWORD)  # right, and too late
        async with dialled(line, sides.as_user("viewer")):
            pass  # nobody else suffers
    assert sides.whys == ["wrong password"] * 5 + ["5 wrong passwords in a row: wait a minute"] + [
        "role viewer"
    ]


def test_a_name_is_slowed_down_where_it_is_guessed_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_us = 0
    write_users(tmp_path / "users", {"anna": account("anna", "operator", PASSWORD)})
    doorman = Doorman(tmp_path / "users", lambda: now_us)
    monkeypatch.setattr("twin.equipment.users.matches", lambda given, _: given == PASSWORD)
    for _ in range(TRIES):
        assert doorman.role("anna", "guess", "10.0.0.9") == (None, "wrong password")
    assert doorman.role("anna", PASSWORD, "10.0.0.9")[0] is None
    role, why = doorman.role("anna", PASSWORD, "10.0.0.1")
    assert (role, why) != (None, "")
    assert role is not None
    now_us = PAUSE_US
    assert doorman.role("anna", PASSWORD, "10.0.0.9")[0] is role
    for k in range(2 * MOST_GUESSED):
        doorman.role("anna", "guess", f"place {k}")
    assert len(doorman._wrong) == MOST_GUESSED
