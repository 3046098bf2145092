from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from asyncua import Client, ua
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.equipment.lines import (
    FEED,
    PERIOD_US,
    SPEED,
    batch,
    index,
    mvs,
    plant,
    plc,
    signals,
    value,
)
from twin.cycle import Batch, Outcome
from twin.equipment.address_space import NAMESPACE
from twin.equipment.emulator import Emulated
from twin.equipment.opcua import OpcUaEquipment, OutOfStep, WrongServer
from twin.equipment.plc import Plc, PlcMode
from twin.signals import Quality, Setpoint

ROOT = "acme/ulm/machining/line1"


@pytest_asyncio.fixture
async def line() -> AsyncIterator[Emulated]:
    async with Emulated(plc(), lockstep=True, insecure=True) as emulated:
        yield emulated


@pytest_asyncio.fixture
async def equipment(line: Emulated) -> AsyncIterator[OpcUaEquipment]:
    async with OpcUaEquipment.connect(
        line.endpoint, signals(), plant_hash=plant().config_hash
    ) as connected:
        yield connected


@pytest_asyncio.fixture
async def foreign(line: Emulated) -> AsyncIterator[Client]:
    async with Client(line.endpoint) as client:
        yield client


async def node(client: Client, path: str):
    return client.get_node(ua.NodeId(f"{ROOT}/{path}", await client.get_namespace_index(NAMESPACE)))


async def ask(client: Client, verb: str) -> None:
    control = await node(client, "Control")
    await control.call_method(await node(client, f"Control/{verb}"))


async def test_a_client_that_comes_later_reads_the_present(line):
    hour = 3600_000_000
    async with OpcUaEquipment.connect(line.endpoint, signals(), plant_hash=None) as first:
        await first.command("Advance", float(hour))
        assert len((await first.read()).events) > 100
    async with OpcUaEquipment.connect(line.endpoint, signals(), plant_hash=None) as equipment:
        await equipment.command("Advance", float(hour + PERIOD_US))
        reading = await equipment.read()
        assert reading.time_us == hour + PERIOD_US
        assert all(event.time_us >= hour for event in reading.events)
        assert value(reading, "line.released_count") > 10
        assert equipment.clock().now_us() == reading.time_us


async def test_a_step_that_is_not_ours_is_noticed(line, equipment):
    await equipment.command("Advance", float(PERIOD_US))
    async with OpcUaEquipment.connect(line.endpoint, signals(), plant_hash=None) as other:
        await other.command("Advance", float(2 * PERIOD_US))
    with pytest.raises(OutOfStep, match="another client moves the line"):
        await equipment.read()


async def test_a_long_step_does_not_lose_the_connection(line, equipment):
    await equipment.command("Advance", 3.5 * 3600e6)
    reading = await equipment.read()
    assert reading.step == 1
    assert len(reading.events) > 500
    assert equipment.drain_gaps() == ()


async def test_the_watchdog_sheds_after_three_silent_periods_and_stays(equipment):
    await equipment.command("RequestRemote")
    await equipment.command("Advance", float(PERIOD_US))
    accepted = await equipment.write(batch(1, PERIOD_US, line__takt_s=80.0))
    assert accepted.outcome is Outcome.ACCEPTED
    await equipment.command("Advance", float(4 * PERIOD_US - 1))
    assert value(await equipment.read(), "control.mode") == PlcMode.REMOTE
    await equipment.command("Advance", float(4 * PERIOD_US))
    reading = await equipment.read()
    assert value(reading, "control.mode") == PlcMode.AUTO
    assert value(reading, "line.takt_s") == 72.0  # the recipe's
    await equipment.command("RequestRemote")
    refused = await equipment.write(batch(2, 4 * PERIOD_US, line__takt_s=80.0))
    assert (refused.outcome, refused.detail) == (Outcome.REJECTED, "NOT_REMOTE")


async def test_a_batch_out_of_range_is_refused_as_a_whole(equipment, line):
    await equipment.command("RequestRemote")
    before = dict(line.plc.active)
    asked = batch(1, 0, **{SPEED: 221.0, FEED: 0.9})
    answer = await equipment.write(asked)
    assert (answer.outcome, answer.detail) == (Outcome.REJECTED, "OUT_OF_RANGE")
    assert answer.active == {SPEED: 220.0, FEED: 0.3}
    assert line.plc.active == before


async def test_a_server_with_another_plant_file_is_refused(line):
    with pytest.raises(WrongServer, match="runs another plant file"):
        async with OpcUaEquipment.connect(line.endpoint, signals(), plant_hash="0123456789abcdef"):
            pass


async def test_a_server_without_our_namespace_is_refused():
    from asyncua import Server

    server = Server()
    await server.init()
    server.disable_clock()
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    server.set_endpoint("opc.tcp://127.0.0.1:0/other")
    async with server:
        url = f"opc.tcp://127.0.0.1:{server.bserver.port}/other"
        with pytest.raises(WrongServer, match="does not know the namespace"):
            async with OpcUaEquipment.connect(url, signals(), plant_hash=None):
                pass


async def test_nobody_at_the_endpoint_is_a_connection_error_with_a_hint():
    with pytest.raises(ConnectionError, match="Connection refused") as caught:
        async with OpcUaEquipment.connect("opc.tcp://127.0.0.1:9/x", signals(), plant_hash=None):
            pass
    assert caught.value.hint == "start the emulator, or check the address"


async def test_a_foreign_host_is_not_talked_to_in_the_clear():
    with pytest.raises(ConnectionRefusedError, match="without encryption"):
        async with OpcUaEquipment.connect("opc.tcp://192.0.2.1:4840/x", signals(), plant_hash=None):
            pass


async def test_an_unknown_method_and_a_step_back_are_value_errors(equipment):
    with pytest.raises(ValueError, match="no method 'Explode'"):
        await equipment.command("Explode")
    await equipment.command("Advance", float(PERIOD_US))
    with pytest.raises(ValueError, match="refuses Advance"):
        await equipment.command("Advance", 0.0)


async def test_signals_that_the_server_lacks_are_missing_and_said_so(line):
    from dataclasses import replace

    lacking = (*signals(), replace(signals()[0], name="line.humidity", node="Line/Humidity"))
    async with OpcUaEquipment.connect(line.endpoint, lacking, plant_hash=None) as equipment:
        assert equipment.missing == ("line.humidity",)
        reading = await equipment.read()
        assert math.isnan(reading.values[-1])
        assert reading.status[-1] == Quality.MISSING
        assert not reading.status[:-1].any()


async def test_a_foreign_client_commits_plain_writes_by_their_number(line, equipment, foreign):
    await ask(foreign, "RequestRemote")
    await equipment.command("Advance", float(PERIOD_US))
    speed = await node(foreign, "Stations/turning/Setpoints/cutting_speed_m_per_min/Request")
    feed = await node(foreign, "Stations/turning/Setpoints/feed_mm/Request")
    number = await node(foreign, "Control/RequestSeq")
    await foreign.write_values([speed], [230.0])
    assert line.plc.active[SPEED] == 220.0  # not committed yet
    await foreign.write_values([number, feed], [5, 0.31])  # one request, the order is no matter
    assert (line.plc.active[SPEED], line.plc.active[FEED]) == (230.0, 0.31)
    active = await node(foreign, "Stations/turning/Setpoints/feed_mm/Active")
    echo = await node(foreign, "Control/ApplySeq")
    assert await foreign.read_values([active, echo]) == [0.31, 5]


async def test_a_foreign_heartbeat_keeps_the_watchdog_quiet(line, equipment, foreign):
    await ask(foreign, "RequestRemote")
    alive = await node(foreign, "Control/ControllerAlive")
    for k in range(1, 8):
        await equipment.command("Advance", float(k * PERIOD_US))
        await alive.write_value(k, ua.VariantType.Int64)
    assert line.plc.mode is PlcMode.REMOTE


@pytest.mark.parametrize(
    "path",
    [
        "Line/GoodCount",
        "Stations/turning/Setpoints/feed_mm/Active",
        "Stations/turning/Setpoints/feed_mm/HighLimit",
        "Identification/ConfigHash",
        "Control/PermitRemote",
    ],
)
async def test_nothing_else_can_be_written(foreign, path):
    target = await node(foreign, path)
    held = await target.read_data_value()
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        await target.write_value(held.Value)


async def test_nobody_becomes_an_administrator_by_name(line):
    client = Client(line.endpoint)
    client.set_user("admin")
    with pytest.raises(ua.uaerrors.BadIdentityTokenRejected):
        await client.connect()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], ua.uaerrors.BadArgumentsMissing),
        ([ua.Variant(1, ua.VariantType.Int64)] * 2, ua.uaerrors.BadTooManyArguments),
        ([ua.Variant("soon", ua.VariantType.String)], ua.uaerrors.BadInvalidArgument),
        ([ua.Variant([1], ua.VariantType.Int64)], ua.uaerrors.BadInvalidArgument),
    ],
)
async def test_methods_check_their_arguments(foreign, arguments, error):
    control = await node(foreign, "Control")
    with pytest.raises(error):
        await control.call_method(await node(foreign, "Control/Advance"), *arguments)


async def test_the_state_is_told_in_words_beside_the_code(line, equipment, foreign):
    folder = "Stations/milling/Status"
    paths = ("StateText", "EquipmentStarved", "StateCurrent", "StateCurrent/EnumStrings")
    shown = [await node(foreign, f"{folder}/{path}") for path in paths]
    told = set()
    for k in range(1, 20):
        text, starved, code, names = await foreign.read_values(shown)
        told.add((names[code].Text, text, starved))
        await equipment.command("Advance", float(k * PERIOD_US))
    assert ("idle", "Suspended", True) in told
    assert ("processing", "Execute", False) in told


async def test_units_and_ranges_stand_beside_the_values(foreign):
    at = "Stations/turning/Setpoints/feed_mm/Active"
    unit = await (await node(foreign, f"{at}/EngineeringUnits")).read_value()
    limits = await (await node(foreign, f"{at}/EURange")).read_value()
    assert (unit.DisplayName.Text, limits.Low, limits.High) == ("mm", 0.15, 0.38)
    kind = await (await node(foreign, at)).read_type_definition()
    assert kind == ua.NodeId(ua.ObjectIds.AnalogItemType)


async def test_all_that_the_plc_received_is_on_file(tmp_path):
    log = tmp_path / "writes.jsonl"
    async with (
        Emulated(plc(), lockstep=True, insecure=True, write_log=log) as line,
        OpcUaEquipment.connect(line.endpoint, signals(), plant_hash=None) as equipment,
    ):
        await equipment.write(batch(1, 0, **{SPEED: 230.0}))
        await equipment.command("RequestRemote")
        await equipment.write(batch(2, 0, **{SPEED: 230.0, FEED: math.nan}))
        rows = [json.loads(text) for text in log.read_text().splitlines()]
    assert [row["result"] for row in rows] == ["NOT_REMOTE", "NOT_FINITE", "NOT_FINITE"]
    assert [row["value"] for row in rows] == [230.0, 230.0, "nan"]
    assert rows[1]["active_before"] == 220.0


def test_it_is_open_to_this_machine_only_and_by_request_only():
    for host, insecure in (("127.0.0.1", False), ("0.0.0.0", True), ("plant.example", True)):  # noqa: S104
        with pytest.raises(ValueError, match="refusing to serve"):
            Emulated(plc(), host, lockstep=True, insecure=insecure)


async def test_a_taken_port_is_told(line):
    port = int(line.endpoint.split(":")[2].split("/")[0])
    with pytest.raises(OSError, match="address already in use"):
        async with Emulated(plc(), port=port, lockstep=True, insecure=True):
            pass


NAMES = [mv.name for mv in mvs()] + ["line.wip", "no.such"]
WRITES = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from(NAMES), st.one_of(st.floats(), st.floats(0.0, 400.0)), max_size=5
        ),
        st.integers(-2, 3),  # step of the sequence number
        st.booleans(),  # plain write or method
        st.integers(0, 4),  # advance by this many quarters of a period
    ),
    min_size=1,
    max_size=6,
)


async def write_plainly(client: Client, wanted: dict[str, float], sequence: int) -> None:
    paths = {mv.name: f"{mv.node}/Request" for mv in mvs()}
    asked = [(paths[name], v) for name, v in wanted.items() if name in paths]
    targets = [await node(client, path) for path, _ in asked]
    targets.append(await node(client, "Control/RequestSeq"))
    await client.write_values(targets, [*(v for _, v in asked), sequence])


def test_whatever_is_written_active_values_keep_their_limits_and_rates():
    """A foreign client and the loop write anything; the witness is the PLC itself."""
    limits = {mv.name: mv for mv in mvs()}

    async def write_all(
        line: Emulated, equipment: OpcUaEquipment, client: Client, writes: list
    ) -> None:
        served: Plc = line.plc
        await equipment.command("ResetShed")
        sequence = served.echo_sequence
        for wanted, by, plain, quarters in writes:
            sequence = max(0, sequence + by)
            now_us = served.now_us + quarters * PERIOD_US // 4
            await equipment.command("Advance", float(now_us))
            if plain:  # who writes has remote control
                await equipment.command("ReleaseRemote")
                await ask(client, "RequestRemote")
            else:
                await equipment.command("RequestRemote")
            before = dict(served.active)
            changed_us = dict(served._changed_us)
            if plain:
                await write_plainly(client, wanted, sequence)
                await ask(client, "ReleaseRemote")
            else:
                points = tuple(Setpoint(*pair) for pair in wanted.items())
                await equipment.write(Batch(sequence, sequence, points, now_us))
            reading = await equipment.read()
            for name, active in served.active.items():
                mv = limits[name]
                assert mv.validity is not None
                assert mv.validity.holds(active)
                assert reading.values[index()[name]] == active
                if not mv.discrete:
                    free_us = min(now_us - changed_us[name], PERIOD_US)
                    most = mv.rate_per_s * free_us / 1e6 * (1 + 1e-6)
                    assert abs(active - before[name]) <= most

    with asyncio.Runner() as runner:
        line = Emulated(plc(), lockstep=True, insecure=True)
        runner.run(line.__aenter__())
        connection = OpcUaEquipment.connect(line.endpoint, signals(), plant_hash=None)
        equipment = runner.run(connection.__aenter__())
        client = Client(line.endpoint)
        runner.run(client.connect())
        try:

            @settings(max_examples=40, deadline=None)
            @given(WRITES)
            def property_holds(writes):
                runner.run(write_all(line, equipment, client, writes))

            property_holds()
        finally:
            runner.run(client.disconnect())
            runner.run(connection.__aexit__(None, None, None))
            runner.run(line.__aexit__(None, None, None))
