"""What the driver reads, what it misses, and that nothing decided before a break leaves after it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.twin.driven import PERIOD_US, TAKT, Asking, Noted, Stores, driven, loop_of
from tests.twin.lockstep import DEADLINE_US, closed, turns
from twin import runtime as module
from twin.clock import VirtualClock
from twin.cycle import Batch, Cycle, Event, Gap, Mode, Outcome
from twin.runtime import OUT_OF_SIGHT, EquipmentClock, Runtime
from twin.signals import Quality

# --- readings ------------------------------------------------------------------------------------


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


# --- breaks --------------------------------------------------------------------------------------


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
