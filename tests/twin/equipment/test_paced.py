from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from asyncua import ua

from tests.twin.equipment.lines import PLANTS, SPEED, batch, plant, plc, signals, value
from tests.twin.equipment.wires import Wire
from twin.cycle import Action, Event, Mode, Outcome, Reading, Situation
from twin.equipment import own_line, subscriptions
from twin.equipment.binding import quality
from twin.equipment.emulator import Emulated
from twin.equipment.journal import EventInbox
from twin.equipment.last_values import LastValues
from twin.equipment.line_clock import LineClock
from twin.equipment.opcua import OpcUaEquipment
from twin.equipment.opcua_link import Found
from twin.equipment.wire import FILETIME_UNIX_US
from twin.line.model import build_line
from twin.loop import ControlLoop
from twin.sense.cleaning import Cleaner
from twin.signals import FUTURE_US, Quality, Role

FAST = 120.0
PATIENCE_S = 240.0
"""A busy machine gets there too."""
SLOW_S = 30.0
"""An answer may take so long where nothing is to be noticed by its absence."""


async def shown(equipment: OpcUaEquipment, wanted: Callable[[Reading], bool]) -> Reading:
    """The first reading that is as wanted; the test's own patience ends the wait."""
    clock = equipment.clock()
    while not wanted(reading := await equipment.read()):
        await clock.sleep_until(clock.now_us() + 1_000_000)
    return reading


async def test_a_paced_line_runs_by_itself_and_is_read_without_asking():
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, speed=30.0, insecure=True) as line,
        OpcUaEquipment.connect(
            line.endpoint, signals(), plant_hash=plant().config_hash, timeout_s=SLOW_S, fast_ms=50.0
        ) as equipment,
    ):
        clock = equipment.clock()
        assert not equipment.lockstep
        first = await equipment.read()
        sampled = [n for n, signal in enumerate(signals()) if signal.sampled_s]
        # A sampled signal is news by its time, even if its value did not change.
        second = await shown(equipment, lambda r: r.source_us[sampled].min() > first.time_us)
        assert second.step == 0
        assert first.time_us < second.time_us <= line.plc.now_us
        assert second.time_us <= clock.now_us()
        assert not (second.status & Quality.MISSING).any()
        assert (second.source_us <= second.time_us).all()
        await equipment.command("RequestRemote")
        answer = await equipment.write(batch(1, second.time_us + 10**9, **{SPEED: 230.0}))
        assert answer.outcome is Outcome.ACCEPTED
        third, number = await equipment.read(), itertools.count(2)
        while (value(third, SPEED), value(third, "control.mode")) != (230.0, 3.0):
            beat = await equipment.write(batch(next(number), 0))
            assert beat.outcome is Outcome.ACCEPTED
            await clock.sleep_until(clock.now_us() + 1_000_000)
            third = await equipment.read()
        late = await equipment.write(batch(next(number), -10_000_000, **{SPEED: 231.0}))
        assert (late.outcome, late.detail) == (Outcome.REJECTED, "LATE")
        with pytest.raises(ValueError, match="BadInvalidState"):
            await equipment.command("Advance", 1e12)
        assert equipment.lost_notifications == 0
        assert equipment.drain_gaps() == ()


async def test_no_transition_is_lost_when_the_wire_is_cut():
    """Subscriptions are carried over to the new connection, with what was queued meanwhile."""
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, speed=FAST, insecure=True) as line,
        Wire(line.endpoint) as wire,
        OpcUaEquipment.connect(
            wire.endpoint, signals(), plant_hash=None, timeout_s=SLOW_S, fast_ms=50.0
        ) as equipment,
    ):
        journal = line._served._journal
        inbox = equipment._session.table.inbox
        begun = inbox._next - len(inbox._events)
        clock = equipment.clock()
        received = list((await equipment.read()).events)
        await clock.sleep_until(clock.now_us() + 120_000_000)
        wire.cut()
        await equipment.wait_connected(connected=False)
        with pytest.raises(ConnectionError):
            await equipment.read()
        with pytest.raises(ConnectionError):
            await equipment.write(batch(1, 0))
        wire.mend()
        await equipment.wait_connected()
        (gap,) = equipment.drain_gaps()
        assert gap.reason == "connection lost"
        assert gap.from_us < gap.until_us
        until_us = line.plc.now_us + 240_000_000  # all that happened meanwhile, and more

        def is_through(reading: Reading) -> bool:
            received.extend(reading.events)
            return len(received) > 10 and received[-1].time_us > until_us

        await shown(equipment, is_through)
        happened = journal._events[begun - journal._first :]
        assert received == happened[: len(received)]
        assert equipment.lost_notifications == 0


async def test_a_silent_line_is_noticed_without_being_asked():
    """The wire holds, requests would be answered, but no news come: the line is not connected."""
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, insecure=True) as line,
        OpcUaEquipment.connect(
            line.endpoint, signals(), plant_hash=None, timeout_s=1.0
        ) as equipment,
    ):
        assert line._scanning is not None
        line._scanning.cancel()
        await equipment.wait_connected(connected=False)
        with pytest.raises(ConnectionError, match="fell silent"):
            await equipment.read()


def table(n_signals: int = 2, speed: float = 1.0) -> LastValues:
    found = Found(
        ua.NodeId(),
        (ua.NodeId(),) * n_signals,
        {"b": ua.NodeId()},
        {},
        ("a", "c"),
        FILETIME_UNIX_US,
        speed,
        lockstep=False,
        started=None,
    )
    return LastValues(found, n_signals)


def said(value: float | None, time_us: int, code: int = 0) -> ua.DataValue:
    stamp = ua.win_epoch_to_datetime((FILETIME_UNIX_US + time_us) * 10)
    return ua.DataValue(ua.Variant(value), ua.StatusCode(code), stamp)


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_in_force_comes_with_the_number_by_which_it_came(name):
    """Else a reading may show the number of a batch, and a setpoint as it was before that."""
    told = [s for s in signals(name) if s.role is Role.MV or s.name.startswith("control.")]
    assert len({subscriptions._class_of(signal) for signal in told}) == 1


def test_the_newest_value_wins_whatever_the_order():
    last = table()
    last.take(0, said(1.0, 10))
    last.take(0, said(3.0, 30))
    last.take(0, said(2.0, 20))
    reading = last.reading()
    assert (reading.values[0], reading.source_us[0], reading.time_us) == (3.0, 30, 30)
    assert last.late == 1


def test_a_stamp_of_the_future_moves_no_clock_and_is_marked():
    last = table()
    now = ua.DataValue(ua.Variant(1_000_000, ua.VariantType.Int64))
    last.take(last.time_place, now)
    last.take(0, said(1.0, 900_000))
    last.take(1, said(2.0, 1_000_000 + 20 * FUTURE_US))
    reading = last.reading()
    assert reading.time_us == 1_000_000
    cleaner = Cleaner(signals()[:2], 90.0)
    _, marks = cleaner.clean(reading, cleaner.begin())
    assert [bool(mark & Quality.FUTURE) for mark in marks] == [False, True]
    last.take(1, said(3.0, 1_100_000))  # what comes in time is not late against it
    assert (last.reading().values[1], last.late) == (3.0, 0)
    assert last.reading().time_us == 1_100_000


def test_on_a_fast_line_a_value_that_overtakes_the_time_is_not_of_the_future():
    """A tenth of a second between two notifications is a quarter of a minute there."""
    last = table(speed=150.0)
    last.take(last.time_place, ua.DataValue(ua.Variant(1_000_000, ua.VariantType.Int64)))
    last.take(0, said(1.0, 16_000_000))
    last.take(1, said(2.0, 1_000_000 + 150 * 20 * FUTURE_US))
    assert last.reading().time_us == 16_000_000
    cleaner = Cleaner(signals()[:2], 90.0)
    _, marks = cleaner.clean(last.reading(), cleaner.begin())
    assert [bool(mark & Quality.FUTURE) for mark in marks] == [False, True]


def test_bad_is_nan_and_uncertain_keeps_its_value():
    last = table()
    last.take(0, said(None, 5, ua.StatusCodes.BadSensorFailure))
    last.take(1, said(4.5, 6, ua.StatusCodes.UncertainLastUsableValue))
    reading = last.reading()
    np.testing.assert_array_equal(reading.values, [np.nan, 4.5])
    np.testing.assert_array_equal(reading.status, [Quality.BAD, Quality.UNCERTAIN])
    assert quality(ua.StatusCodes.BadNoCommunication) is Quality.BAD


@pytest.mark.parametrize("strange", ["broken", [1.0, 2.0], b"7"])
def test_a_value_of_a_wrong_type_is_bad_and_ends_nothing(strange, caplog):
    last = table()
    last.take(0, said(1.0, 10))
    for time_us in (20, 30):
        last.take(0, said(strange, time_us))
    last.take(1, said(2.0, 31))
    reading = last.reading()
    np.testing.assert_array_equal(reading.values, [np.nan, 2.0])
    np.testing.assert_array_equal(reading.status, [Quality.BAD, Quality.GOOD])
    last.take(0, said(3.0, 40))
    assert last.reading().values[0] == 3.0
    told = [record.message for record in caplog.records]
    assert [("marked bad" in text, "again" in text) for text in told] == [(1, 0), (0, 1)]


def test_lists_and_times_that_are_none_are_left_out():
    last = table()
    last.take(last.time_place, ua.DataValue(ua.Variant(1_000_000, ua.VariantType.Int64)))
    last.take(last.time_place, ua.DataValue(ua.Variant("noon")))
    last.take(last.time_place, ua.DataValue(ua.Variant([5, 6], ua.VariantType.Int64)))
    last.take(2, ua.DataValue(ua.Variant(["a", "b"])))
    assert (last.reading().time_us, last.reading().part_ids) == (1_000_000, {})
    for told, known in (([7, 8], {"b": (7, 8)}), ([], {"b": ()}), (None, {})):
        last.take(2, ua.DataValue(ua.Variant(told, ua.VariantType.Int64, is_array=True)))
        assert last.reading().part_ids == known
    for strange in ([4, 1, 0], [4, 1, 9, 3, 4, 9], ["x"]):
        assert not last.take(last.time_place + 1, ua.DataValue(ua.Variant(strange)))
    assert last.overflows == 2  # a gap on record: transitions may be missing
    assert last.reading().events == ()


@pytest.mark.parametrize("refused", ["turning.state", "turning.power_kw", "control.plc_alive"])
async def test_what_the_server_refuses_to_report_is_bad_and_the_rest_goes_on(refused, monkeypatch):
    place = [signal.name for signal in signals()].index(refused)
    item = subscriptions._item

    def unknown(at: int, node: ua.NodeId, *more, **named):
        return item(at, ua.NodeId("no such node") if at == place else node, *more, **named)

    monkeypatch.setattr(subscriptions, "_item", unknown)
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, speed=30.0, insecure=True) as line,
        OpcUaEquipment.connect(
            line.endpoint, signals(), plant_hash=None, timeout_s=SLOW_S
        ) as equipment,
    ):
        assert dict(equipment.refused) == {refused: "BadNodeIdUnknown"}
        reading = await equipment.read()
        assert reading.status[place] & Quality.BAD
        others = np.delete(reading.status, place)
        assert not (others & (Quality.BAD | Quality.MISSING)).any()
        loop = ControlLoop(build_line(plant()), Still(), 0)
        cycle = loop.step(reading, ("close: trial",))
        is_critical = signals()[place].critical
        assert cycle.decision.mode is (Mode.ADVISORY if is_critical else Mode.INIT)
        if is_critical:
            assert cycle.decision.reasons == (
                f"close refused: critical input {refused} is not usable",
            )


class Still:
    def decide(self, situation: Situation) -> Action:
        return Action({})


def test_changes_of_state_between_two_readings_are_events_where_nobody_keeps_a_journal():
    last = LastValues(table().found, 2, states={1: "turning"})
    for state, time_us in ((3, 10), (4, 20), (4, 25), (3, 30)):
        last.take(1, said(float(state), time_us))
    last.take(0, said(7.0, 31))
    last.take(0, said(8.0, 32))
    assert last.reading().events == (
        Event(20, "turning", 3, 4, 0),
        Event(30, "turning", 4, 3, 0),
    )
    last.take(1, said(None, 40, ua.StatusCodes.BadSensorFailure))
    last.take(1, said(5.0, 50))  # from what, nobody knows
    last.take(1, said(6.0, 45))  # late
    assert last.reading().events == ()


async def test_no_change_of_state_is_lost_between_two_readings_without_a_journal(monkeypatch):
    find_line = own_line.find_line

    async def without_journal(*asked):
        found = await find_line(*asked)
        others = {path: node for path, node in found.others.items() if "Events/" not in path}
        return dataclasses.replace(found, others=others, entities=())

    monkeypatch.setattr(own_line, "find_line", without_journal)
    async with (
        asyncio.timeout(PATIENCE_S),
        Emulated(plc(), lockstep=False, speed=FAST, insecure=True) as line,
        OpcUaEquipment.connect(
            line.endpoint, signals(), plant_hash=None, timeout_s=SLOW_S, fast_ms=50.0
        ) as equipment,
    ):
        first = await equipment.read()
        events: list[Event] = []

        def is_enough(reading: Reading) -> bool:
            events.extend(reading.events)
            return len(events) > 20

        last = await shown(equipment, is_enough)
        happened = line._served._journal._events
        states = {s.name: value(first, s.name) for s in signals() if s.name.endswith(".state")}
        for event in events:
            since_us = [
                event.time_us - one.time_us
                for one in happened
                if (one.entity, one.after) == (event.entity, event.after)
            ]
            # One scan: a quarter of this at this speed, more on a busy machine.
            assert any(0 <= late_us < 120_000_000 for late_us in since_us)
            assert states[f"{event.entity}.state"] == event.before
            states[f"{event.entity}.state"] = event.after
        assert states == {name: value(last, name) for name in states}


def test_what_was_never_heard_of_is_missing():
    reading = table().reading()
    assert (reading.status == Quality.MISSING).all()
    assert np.isnan(reading.values).all()


def test_the_overflow_bit_is_counted():
    last = table()
    last.take(0, said(1.0, 10, 0x480))
    assert last.overflows == 1
    assert last.reading().status[0] == Quality.GOOD


def test_a_hole_in_the_journal_asks_for_what_the_server_keeps():
    last = table()
    place = last.time_place + 1
    numbers = ua.VariantType.Int64
    assert not last.take(place, ua.DataValue(ua.Variant([4, 1, 0, 3, 4, 9], numbers)))
    assert last.inbox.drain() == ()  # before our time
    assert not last.take(place, ua.DataValue(ua.Variant([5, 2, 1, 4, 3, 9], numbers)))
    assert last.take(place, ua.DataValue(ua.Variant([8, 3, 0, 3, 4, 10], numbers)))
    assert [event.entity for event in last.inbox.drain()] == ["c"]


def test_an_inbox_that_has_not_begun_takes_nothing_for_lost():
    inbox = EventInbox(("a",))
    inbox.begin([3])
    inbox.take([3])
    assert (inbox.drain(), inbox.lost) == ((), 0)


def test_the_clock_never_goes_back():
    heard = [(1_000_000, 0)]
    from twin.clock import monotonic_us

    heard[0] = (5_000_000, monotonic_us())
    clock = LineClock(lambda: heard[0], 2.0)
    before = clock.now_us()
    heard[0] = (1_000_000, monotonic_us())
    assert clock.now_us() >= before >= 5_000_000
