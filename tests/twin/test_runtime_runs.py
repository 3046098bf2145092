"""Runs of the driver: their ends, and the words of operators that come meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from tests.twin.driven import PERIOD_US, TAKT, driven
from tests.twin.lockstep import turns
from twin.cycle import Cycle, Mode, Reading


async def test_a_run_ends_with_a_turn_at_its_very_end() -> None:
    runtime, _, stores = driven()
    seen: list[Cycle] = []
    await runtime.run(0, 2 * PERIOD_US + 7, seen.append)
    times = [reading.time_us for reading in stores.readings]
    assert times == [0, PERIOD_US, 2 * PERIOD_US, 2 * PERIOD_US + 7]
    assert seen == stores.cycles


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
