"""What the driver writes of what it was granted and what it skips, in which order, and what goes on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.twin.driven import TAKT, Asking, Noted, driven, loop_of
from tests.twin.lockstep import DEADLINE_US, closed, granted, turns
from twin.clock import VirtualClock
from twin.cycle import TOO_LATE, Action, Batch, Decision, Mode, Outcome
from twin.runtime import Runtime
from twin.signals import Setpoint
from twin.store.quarantine import StoreError


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
