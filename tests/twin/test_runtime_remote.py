"""Remote control in the driver's hands: asked for, heeded when refused or taken, and given back."""

from __future__ import annotations

from tests.twin.driven import PERIOD_US, TAKT, Asking, Noted, driven, loop_of
from tests.twin.lockstep import closed, granted, turns
from twin.cycle import Mode
from twin.runtime import EquipmentClock, Runtime


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
