"""The driver: what it carries out and what it refuses, in which order, and what goes on record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.twin.driven import PERIOD_US, TAKT, Asking, Noted, Stores, driven, loop_of
from twin import runtime as module
from twin.clock import VirtualClock
from twin.cycle import TOO_LATE, Action, Batch, Cycle, Decision, Event, Gap, Mode, Outcome, Reading
from twin.runtime import OUT_OF_SIGHT, EquipmentClock, Runtime
from twin.signals import Quality, Setpoint
from twin.store.quarantine import StoreError

DEADLINE_US = 10_000_000


def granted(mode: Mode = Mode.CLOSED, takt_s: float | None = 75.0, command: str = "") -> Decision:
    """A decision at plant time 0 with one setpoint, or the heartbeat alone."""
    setpoints = () if takt_s is None else (Setpoint(TAKT, takt_s),)
    batch = Batch(1, 1, setpoints, DEADLINE_US)
    return Decision(0, mode, (), Action({}), batch, (), command)


async def turns(runtime: Runtime, line: Noted, n: int) -> list[Cycle]:
    """The next ``n`` turns in lockstep."""
    cycles = []
    for _ in range(n):
        if runtime.latest is not None:
            time_us = runtime.latest.reading.time_us + PERIOD_US
            await runtime._clock.sleep_until(time_us)
        cycles.append(await runtime.turn(line.plc.now_us))
    return cycles


async def closed() -> tuple[Runtime, Noted, Stores]:
    """A runtime whose loop has closed and has written once."""
    runtime, line, stores = driven()
    runtime.command("close", "a test")
    await turns(runtime, line, 2)
    assert line.log[-3:] == ["intend 1", "write 1", "conclude 1"]
    assert runtime.loop.mode is Mode.CLOSED
    line.log.clear()
    return runtime, line, stores


# --- execute -------------------------------------------------------------------------------------


async def test_a_granted_batch_is_intended_then_written_then_concluded() -> None:
    runtime, line, stores = driven()
    await runtime.execute(granted(command="RequestRemote"))
    assert line.log == ["RequestRemote", "intend 1", "write 1", "conclude 1"]
    (outcome,) = stores.outcomes
    assert (outcome.outcome, dict(outcome.active)) == (Outcome.ACCEPTED, {TAKT: 75.0})
    assert line.plc.active[TAKT] == 75.0


async def test_a_heartbeat_needs_no_intent_and_has_no_outcome() -> None:
    runtime, line, stores = driven()
    await runtime.execute(granted(Mode.HOLD, None))
    assert (line.log, stores.outcomes) == (["beat"], [])
    assert (await turns(runtime, line, 1))[0].acknowledged is None


async def test_a_decision_without_a_batch_writes_nothing() -> None:
    runtime, line, _ = driven()
    await runtime.execute(Decision(0, Mode.ADVISORY, (), Action({TAKT: 75.0}), None, ()))
    assert line.log == []


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.CLOSED])
async def test_setpoints_of_any_mode_but_closed_are_skipped(mode: Mode) -> None:
    runtime, line, _ = driven()
    await runtime.execute(granted(mode))
    assert line.log == ["conclude 1", "beat"]  # as skipped
    (cycle,) = await turns(runtime, line, 1)
    assert cycle.acknowledged is not None
    assert cycle.acknowledged.outcome is Outcome.SKIPPED
    assert cycle.acknowledged.detail == f"the loop is {mode}"


async def test_a_batch_leaves_at_its_deadline_and_not_after_it() -> None:
    for late_us, left in ((0, True), (1, False)):
        runtime, line, _ = driven(VirtualClock(DEADLINE_US + late_us))
        await runtime.execute(granted())
        assert ("write 1" in line.log) is left
        (cycle,) = await turns(runtime, line, 1)
        assert cycle.acknowledged is not None
        assert (cycle.acknowledged.outcome is Outcome.SKIPPED) is not left
        assert left or cycle.acknowledged.detail == "too late: the deadline has passed"


@pytest.mark.parametrize("verb", ["open", "off", "freeze"])
@pytest.mark.parametrize("reason", ["", "alarm: heat"])
async def test_authority_taken_back_between_decision_and_write_skips_it(
    verb: str, reason: str
) -> None:
    runtime, line, _ = driven()
    runtime.command("close")
    runtime.command(verb, reason)
    await runtime.execute(granted())
    assert line.log == ["conclude 1"]  # as skipped
    (cycle,) = await turns(runtime, line, 1)
    assert cycle.acknowledged is not None
    assert cycle.acknowledged.outcome is Outcome.SKIPPED
    assert cycle.acknowledged.detail == "the operator has taken authority back"
    assert cycle.decision.mode is (Mode.OFF if verb == "off" else Mode.ADVISORY)


@pytest.mark.parametrize("verb", ["start", "close", "ack"])
async def test_other_words_of_the_operator_stop_no_write(verb: str) -> None:
    runtime, line, _ = driven()
    runtime.command(verb, "open off")
    await runtime.execute(granted())
    assert line.log == ["intend 1", "write 1", "conclude 1"]


def both(takt_s: float = 75.0) -> Decision:
    """A decision that moves two MVs."""
    batch = Batch(1, 1, (Setpoint(TAKT, takt_s), Setpoint("wash.standby", 1.0)), DEADLINE_US)
    return replace(granted(), batch=batch)


@pytest.mark.parametrize(
    ("verb", "reason", "told"),
    [
        ("mv_off", f"{TAKT} trial", f"{TAKT}: switched off by the operator meanwhile"),
        ("limits", f"{TAKT} 70.0 74.0 1 trial", f"{TAKT}: its limits were changed meanwhile"),
    ],
)
async def test_a_word_on_one_mv_stops_its_setpoint_on_its_way_and_no_other(
    verb: str, reason: str, told: str
) -> None:
    runtime, line, stores = driven()
    line.plc.command("RequestRemote")
    before = line.plc.active[TAKT]
    runtime.command(verb, reason)
    await runtime.execute(both())
    assert line.log == ["intend 1", "write 1", "conclude 1"]
    assert [[s.signal for s in one.setpoints] for one in stores.intended] == [["wash.standby"]]
    assert (line.plc.active[TAKT], line.plc.active["wash.standby"]) == (before, 1.0)
    (outcome,) = stores.outcomes
    assert (outcome.outcome, outcome.detail) == (Outcome.ACCEPTED, f"OK; {told}")


async def test_where_nothing_of_a_batch_may_leave_the_heartbeat_goes_on() -> None:
    runtime, line, stores = driven()
    runtime.command("mv_off", TAKT)
    await runtime.execute(granted())
    assert line.log == ["conclude 1", "beat"]
    assert stores.outcomes[0].outcome is Outcome.SKIPPED


async def test_a_disk_that_takes_until_after_the_deadline_makes_no_late_write() -> None:
    clock = VirtualClock()
    runtime, line, stores = driven(clock)
    line.plc.command("RequestRemote")
    intend = stores.intend

    def slow(decision: Decision, utc: str) -> None:
        intend(decision, utc)
        clock._now_us = DEADLINE_US + 1

    stores.intend = slow  # type: ignore[method-assign]
    await runtime.execute(granted())
    assert line.log == ["intend 1", "conclude 1", "beat"]
    assert stores.outcomes[0].outcome is Outcome.SKIPPED
    assert line.plc.written == []


async def test_equipment_that_needs_several_requests_asks_before_each() -> None:
    line = SeveralRequests()
    runtime = Runtime(loop_of(Asking()), line, VirtualClock())
    batch = Batch(1, 1, (), DEADLINE_US)
    assert line.refusal(batch, TAKT) == ""
    runtime.command("mv_off", TAKT)
    assert line.refusal(batch, TAKT) == "switched off by the operator meanwhile"
    assert line.refusal(batch, "wash.standby") == ""
    assert line.refusal(replace(batch, deadline_us=-1), "wash.standby") == TOO_LATE
    runtime.command("open")
    assert "authority" in line.refusal(batch, "wash.standby")


class SeveralRequests(Noted):
    refusal: Callable[[Batch, str], str]

    def recheck_by(self, refusal: Callable[[Batch, str], str]) -> None:
        self.refusal = refusal


class Blind(Noted):
    """A PLC that would not notice if we stopped."""

    unclosable = "the PLC has no heartbeat"


async def test_a_line_that_says_so_is_not_closed_on() -> None:
    line = Blind()
    runtime = Runtime(loop_of(Asking()), line, EquipmentClock(line))
    assert runtime.command("close", "trial") == "close: trial"
    (cycle,) = await turns(runtime, line, 1)
    assert cycle.commands == ("unclosable: the PLC has no heartbeat", "close: trial")
    assert cycle.decision.mode is Mode.ADVISORY
    assert cycle.decision.reasons == ("close refused: the PLC has no heartbeat",)
    assert line.log == ["read"]


async def test_a_word_that_comes_while_remote_is_requested_is_heeded() -> None:
    runtime, line, _ = driven()
    take = line.plc.command

    def told(verb: str, argument: float = 0.0) -> None:
        take(verb, argument)
        runtime.command("open")

    line.plc.command = told  # type: ignore[method-assign]
    await runtime.execute(granted(command="RequestRemote"))
    assert line.log == ["RequestRemote", "conclude 1"]


async def test_a_request_that_cannot_be_made_does_not_stop_the_loop() -> None:
    runtime, line, _ = driven()
    line.failing = {"RequestRemote": ConnectionError("gone")}
    runtime.command("close")
    cycles = await turns(runtime, line, 2)
    assert [cycle.decision.mode for cycle in cycles] == [Mode.INIT] * 2
    assert line.log.count("RequestRemote") == 2


async def test_a_request_that_the_plc_refuses_does_not_stop_the_loop() -> None:
    runtime, line, _ = driven()
    line.plc.command("RequestRemote")  # another master's
    line.failing = {"RequestRemote": ValueError("the line refuses it: BadInvalidState")}
    runtime.command("close")
    cycles = await turns(runtime, line, 8)
    assert [cycle.decision.mode for cycle in cycles[:6]] == [Mode.INIT] * 6
    assert cycles[-1].decision.mode is Mode.ADVISORY
    assert cycles[1].commands == ("refused: the line refuses it: BadInvalidState",)
    await runtime.release()
    assert "ReleaseRemote" not in line.log  # it was never ours


async def test_a_release_that_the_plc_refuses_does_not_stop_the_service() -> None:
    runtime, line, _ = await closed()
    line.failing = {"ReleaseRemote": ValueError("the line refuses it: BadInvalidState")}
    runtime.command("open")
    (cycle,) = await turns(runtime, line, 1)
    assert cycle.decision.mode is Mode.ADVISORY
    await runtime.release()
    line.failing = {}
    await runtime.release()
    assert line.log.count("ReleaseRemote") == 3
    assert line.plc.mode.name == "AUTO"


async def test_a_hand_at_the_plc_is_not_overwritten() -> None:
    runtime, line, _ = await closed()
    await turns(runtime, line, 6)
    assert runtime.loop.mode is Mode.CLOSED  # each turn has written, and nothing looked like a hand
    by_hand = line.plc.active[TAKT] + 7.0
    line.plc._put_in_force({TAKT: by_hand})
    line.plc._touched = True
    (cycle,) = await turns(runtime, line, 1)
    assert cycle.decision.reasons == (f"{TAKT} was moved at the PLC",)
    assert (cycle.decision.mode, line.plc.active[TAKT]) == (Mode.SHED, by_hand)
    assert line.plc.mode.name == "AUTO"


async def test_a_plc_that_limits_rates_and_sheds_by_itself_looks_like_no_hand() -> None:
    runtime, line, _ = await closed()
    rate_limited = line.plc._rate_limited

    def slower(name: str, value: float) -> float:
        return rate_limited(name, line.plc.active[name] + 0.4 * (value - line.plc.active[name]))

    line.plc._rate_limited = slower  # type: ignore[method-assign]
    cycles = await turns(runtime, line, 2)
    assert [cycle.decision.mode for cycle in cycles] == [Mode.CLOSED] * 2
    await runtime._clock.sleep_until(line.plc.now_us + 5 * PERIOD_US)
    cycle = await runtime.turn(line.plc.now_us)
    assert line.plc.active == line.plc.recipe
    assert cycle.decision.reasons == ("the PLC is no longer in remote control",)


async def test_an_intent_that_is_not_durable_keeps_the_write_and_sheds() -> None:
    runtime, line, stores = await closed()
    line.failing = {"intend": StoreError("audit.sqlite: disk full")}
    await turns(runtime, line, 1)
    assert line.log == ["read", "intend 2", "beat"]
    line.failing, before = {}, len(line.plc.written)
    (cycle,) = await turns(runtime, line, 1)
    assert cycle.commands == ("fault: audit.sqlite: disk full",)
    assert cycle.acknowledged is not None
    assert cycle.acknowledged.outcome is Outcome.SKIPPED
    assert cycle.decision.mode is Mode.SHED
    assert cycle.decision.reasons == ("audit.sqlite: disk full",)
    assert line.log[3:] == ["read", "ReleaseRemote"]
    assert len(line.plc.written) == before == 1
    assert [outcome.sequence for outcome in stores.outcomes] == [1]


@pytest.mark.parametrize("kind", [ConnectionError, TimeoutError])
async def test_a_lost_answer_is_unknown_and_nothing_is_sent_again(kind: type[Exception]) -> None:
    runtime, line, stores = await closed()
    line.failing = {"write": kind("no answer")}
    await turns(runtime, line, 1)
    assert line.log == ["read", "intend 2", "write 2", "conclude 2"]
    assert (stores.outcomes[-1].outcome, stores.outcomes[-1].detail) == (
        Outcome.UNKNOWN,
        "no answer",
    )
    line.failing = {}
    hold, go_on = await turns(runtime, line, 2)
    assert hold.acknowledged == stores.outcomes[1]
    assert (hold.decision.mode, go_on.decision.mode) == (Mode.HOLD, Mode.CLOSED)
    assert line.log[4:] == ["read", "beat", "read", "intend 3", "write 3", "conclude 3"]


async def test_an_answer_is_told_to_one_turn_only() -> None:
    runtime, line, stores = await closed()
    (told,) = await turns(runtime, line, 1)
    assert told.acknowledged == stores.outcomes[0]
    runtime.loop.controller.asked = {}  # type: ignore[attr-defined]
    _, silent = await turns(runtime, line, 2)
    assert silent.acknowledged is None


class Breaking(Noted):
    """A line whose connection may break, and be back, while the loop decides."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = 0
        self.gaps: list[Gap] = []

    def drain_gaps(self) -> list[Gap]:
        gaps, self.gaps = self.gaps, []
        return gaps

    def breaks(self) -> None:
        now_us = self.plc.now_us
        self.losses += 1
        self.gaps.append(Gap(now_us, now_us, "connection lost"))


def breaking(*turns_with_a_break: int) -> tuple[Runtime, Breaking, Stores]:
    """A loop told to close, and its line that breaks in these turns, counted from 0, after it was read."""
    line = Breaking()
    stores = Stores(line)
    clock = EquipmentClock(line)
    runtime = Runtime(loop_of(Asking()), line, clock, samples=stores, record=stores)
    step, at = runtime.loop.step, iter(range(99))

    def meanwhile(*given: Any) -> Cycle:
        if next(at) in turns_with_a_break:
            line.breaks()
        return step(*given)

    runtime.loop.step = meanwhile  # type: ignore[method-assign]
    runtime.command("close")
    return runtime, line, stores


async def test_what_was_decided_before_a_break_never_leaves_after_it() -> None:
    runtime, line, stores = breaking(2)
    await turns(runtime, line, 2)
    line.log.clear()
    await turns(runtime, line, 1)
    assert line.log == ["read", "conclude 2", "beat"]
    outcome = stores.outcomes[-1]
    assert (outcome.outcome, outcome.detail) == (Outcome.SKIPPED, OUT_OF_SIGHT)
    hold, back = await turns(runtime, line, 2)
    assert hold.commands == ("gap: connection lost",)
    assert (hold.decision.mode, back.decision.mode) == (Mode.HOLD, Mode.CLOSED)
    assert line.log[-1] == "conclude 3"
    assert stores.outcomes[-1].outcome is Outcome.ACCEPTED


async def test_remote_control_is_not_asked_for_by_what_was_decided_before_a_break() -> None:
    runtime, line, _ = breaking(0)
    asked, again = await turns(runtime, line, 2)
    assert (asked.decision.command, again.decision.command) == ("RequestRemote",) * 2
    assert line.log == ["read", "beat", "read", "RequestRemote", "beat"]


async def test_the_line_is_given_back_though_it_broke_since_that_was_decided() -> None:
    runtime, line, _ = breaking(2)
    await turns(runtime, line, 2)
    runtime.command("open")
    await turns(runtime, line, 1)
    assert line.log[-2:] == ["read", "ReleaseRemote"]


async def test_a_break_between_two_requests_of_a_batch_stops_what_is_left_of_it() -> None:
    runtime, line, _ = breaking()
    await turns(runtime, line, 1)
    batch = Batch(1, 1, (), DEADLINE_US)
    assert runtime._withheld(batch, TAKT) == ""
    line.breaks()
    assert runtime._withheld(batch, TAKT) == OUT_OF_SIGHT


# --- reading -------------------------------------------------------------------------------------


async def test_each_reading_is_kept_once_and_each_turn_recorded() -> None:
    runtime, _, stores = driven()
    await runtime.run(0, 4 * PERIOD_US)
    assert [reading.time_us for reading in stores.readings] == [n * PERIOD_US for n in range(5)]
    assert [cycle.reading for cycle in stores.cycles] == stores.readings
    assert stores.gaps == []
    assert runtime.latest is stores.cycles[-1]


async def test_a_gap_goes_from_the_last_reading_to_the_next_with_its_first_reason() -> None:
    runtime, line, stores = driven()
    await turns(runtime, line, 2)
    for reason in ("cable cut", "still dead"):
        line.failing = {"read": ConnectionError(reason)}
        (cycle,) = await turns(runtime, line, 1)
        assert (cycle.reading.status == int(Quality.MISSING)).all()
    line.failing = {}
    await turns(runtime, line, 2)
    line.failing = {"read": TimeoutError("slow")}
    await turns(runtime, line, 1)
    line.failing = {}
    await turns(runtime, line, 1)
    at = [0, 1, 4, 5, 7]
    assert [reading.time_us for reading in stores.readings] == [n * PERIOD_US for n in at]
    assert len(stores.cycles) == 8
    assert stores.gaps == [
        (PERIOD_US, 4 * PERIOD_US, "cable cut"),
        (5 * PERIOD_US, 7 * PERIOD_US, "slow"),
    ]


async def test_a_line_out_of_sight_is_waited_for_and_one_whose_inputs_are_bad_is_not() -> None:
    for bad in (False, True):
        runtime, line, _ = await closed()
        if bad:
            line.failing_inputs = Quality.BAD
        else:
            line.failing = {"read": ConnectionError("cable cut")}
        cycles = await turns(runtime, line, 3)
        assert [c.decision.mode for c in cycles[:2]] == [Mode.HOLD] * 2
        assert cycles[2].decision.mode is (Mode.SHED if bad else Mode.HOLD)
        (reason,) = cycles[2].decision.reasons
        assert reason.endswith("is not usable for 3 readings" if bad else "no reading of the line")


async def test_a_line_that_is_never_read_leaves_one_gap_over_the_whole_run() -> None:
    runtime, line, stores = driven()
    line.failing = {"read": ConnectionError("nobody there")}
    await runtime.run(0, 3 * PERIOD_US)
    assert stores.readings == []
    assert stores.gaps == [(0, 3 * PERIOD_US, "nobody there")]


async def test_a_paced_line_without_news_is_lost_and_not_read_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "NEWS_S", 0.0)
    runtime, line, stores = driven(VirtualClock(), paced=True)
    await runtime.turn(0)
    await runtime.turn(PERIOD_US)
    assert line.log == ["read"] * (1 + module.NEWS_TRIES)
    assert [reading.time_us for reading in stores.readings] == [0]
    line.plc.advance(2 * PERIOD_US)
    await runtime.turn(2 * PERIOD_US)
    assert stores.gaps == [(0, 2 * PERIOD_US, "the line has no news")]


async def test_what_happened_in_a_reading_that_is_not_later_is_told_with_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "NEWS_S", 0.0)
    runtime, line, _ = driven(VirtualClock(), paced=True)
    await runtime.turn(0)
    early = Event(0, "turning", 3, 4, 1)
    line.plc._events.append(early)
    await runtime.turn(PERIOD_US)  # no news but this
    line.plc.advance(2 * PERIOD_US)
    cycle = await runtime.turn(2 * PERIOD_US)
    assert cycle.reading.events[0] == early
    assert cycle.reading.events.count(early) == 1


async def test_turns_that_were_skipped_are_a_gap_on_record() -> None:
    runtime, line, stores = driven(VirtualClock(), paced=True)
    for periods in (0, 1, 3, 7):
        line.plc.advance(periods * PERIOD_US)
        await runtime._clock.sleep_until(periods * PERIOD_US)
        await runtime.turn(periods * PERIOD_US)
    assert stores.gaps == [(3 * PERIOD_US, 7 * PERIOD_US, "turns were skipped, late")]


# --- run -----------------------------------------------------------------------------------------


async def test_a_run_ends_with_a_turn_at_its_very_end() -> None:
    runtime, _, stores = driven()
    seen: list[Cycle] = []
    await runtime.run(0, 2 * PERIOD_US + 7, seen.append)
    times = [reading.time_us for reading in stores.readings]
    assert times == [0, PERIOD_US, 2 * PERIOD_US, 2 * PERIOD_US + 7]
    assert seen == stores.cycles


async def test_a_line_is_released_at_the_end_by_the_loop_that_has_it() -> None:
    runtime, line, _ = driven()
    runtime.command("close")
    await runtime.run(0, 3 * PERIOD_US)
    assert line.log[-1] == "ReleaseRemote"
    assert line.plc.mode == 2
    await runtime.release()
    assert line.log.count("ReleaseRemote") == 1


async def test_a_loop_that_only_advises_leaves_the_remote_control_of_another_alone() -> None:
    runtime, line, _ = driven()
    line.plc.command("RequestRemote")
    await runtime.run(0, 2 * PERIOD_US)
    assert line.log == ["read"] * 3
    assert line.plc.mode == 3


async def test_a_line_that_has_been_given_back_is_not_released_again() -> None:
    runtime, line, _ = await closed()
    runtime.command("open")
    await turns(runtime, line, 1)
    assert line.log == ["read", "ReleaseRemote"]
    await runtime.release()
    assert line.log == ["read", "ReleaseRemote"]


async def test_a_line_that_cannot_be_reached_at_the_end_is_no_error() -> None:
    runtime, line, _ = await closed()
    line.failing = {"ReleaseRemote": ConnectionError("gone")}
    await runtime.release()
    assert line.log == ["ReleaseRemote"]


@pytest.mark.parametrize("verb", ["fault", "confirmed", "recovered", "Close", "close: now", ""])
def test_a_word_that_no_operator_has_is_refused(verb: str) -> None:
    runtime, _, _ = driven()
    with pytest.raises(
        ValueError, match="there are: start, close, open, off, freeze, ack, mv_off, mv_on, limits"
    ):
        runtime.command(verb)
    assert list(runtime._commands) == []


@pytest.mark.parametrize("verb", ["mv_off", "mv_on"])
@pytest.mark.parametrize("reason", ["", " ", "turning.state", "no.such trial", f"trial {TAKT}"])
def test_a_word_on_no_mv_of_the_line_is_refused(verb: str, reason: str) -> None:
    runtime, _, _ = driven()
    with pytest.raises(ValueError, match="names first an MV of this line"):
        runtime.command(verb, reason)
    assert list(runtime._commands) == []
    assert runtime.command(verb, f"{TAKT} trial") == f"{verb}: {TAKT} trial"


async def test_commands_come_to_the_next_turn_in_their_order_with_their_reasons() -> None:
    runtime, line, _ = driven()
    assert runtime.command("ack", "seen: all well") == "ack: seen: all well"
    assert runtime.command("close") == "close"
    first, second = await turns(runtime, line, 2)
    assert first.commands == ("ack: seen: all well", "close")
    assert second.commands == ()


async def test_a_run_stops_after_the_turn_under_way() -> None:
    runtime, _, stores = driven()

    def leave(cycle: Cycle) -> None:
        if cycle.number == 2:
            runtime.stop()

    await runtime.run(0, 9 * PERIOD_US, leave)
    assert len(stores.cycles) == 2


async def test_a_run_that_is_stopped_takes_the_last_words_first() -> None:
    runtime, line, stores = driven()
    runtime.command("close")

    def leave(cycle: Cycle) -> None:
        if cycle.number == 3:
            runtime.command("open", "interrupted")
            runtime.stop()

    await runtime.run(0, 9 * PERIOD_US, leave)
    assert [cycle.commands for cycle in stores.cycles][2:] == [(), ("open: interrupted",)]
    assert stores.cycles[-1].decision.mode is Mode.ADVISORY
    assert line.plc.mode == 2


class NeverDue:
    """A paced clock whose next period does not come."""

    def now_us(self) -> int:
        return PERIOD_US

    async def sleep_until(self, time_us: int) -> None:
        await asyncio.Event().wait()


async def test_a_paced_line_takes_a_turn_at_once_for_an_operators_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime, line, stores = driven(NeverDue(), paced=True)
    read = line.read

    async def later() -> Reading:
        line.plc.advance(line.plc.now_us + 1_000_000)
        return await read()

    monkeypatch.setattr(line, "read", later)

    def speak(cycle: Cycle) -> None:
        if cycle.number == 1:
            runtime.command("close")
        else:
            runtime.stop()

    async with asyncio.timeout(240):
        await runtime.run(PERIOD_US, 9 * PERIOD_US, speak)
    assert [cycle.commands for cycle in stores.cycles] == [(), ("close",)]
    assert stores.cycles[-1].decision.mode is Mode.INIT


async def test_a_break_between_two_turns_is_on_record_and_makes_the_loop_hold() -> None:
    runtime, line, stores = await closed()
    told = [Gap(31_000_000, 42_000_000, "connection lost, new session")]
    told.append(Gap(40_000_000, 50_000_000, "the server dropped values", was_lost=False))
    line.losses = 0  # type: ignore[attr-defined]
    line.drain_gaps = lambda: [told.pop(0)] if told else []  # type: ignore[attr-defined]
    runtime._interrupted = line  # type: ignore[assignment]
    hold, again, after = await turns(runtime, line, 3)
    assert hold.commands == ("gap: connection lost, new session",)
    assert (hold.decision.mode, again.decision.mode) == (Mode.HOLD, Mode.CLOSED)
    assert after.commands == ()
    assert [gap[:2] for gap in stores.gaps] == [(31_000_000, 42_000_000), (40_000_000, 50_000_000)]
