"""A controller that hangs, dies or fails in its own process: each turn has its decision all the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait

import pytest

from controllers.mpc.controller import Mpc
from tests.twin.analyze.in_step import drive, loop_of, nominal, plant_of, plc_of, true
from twin.cli.controller_child import START_S, ControllerChild, ControllerLate
from twin.cli.shift import Shift
from twin.config import untuned
from twin.cycle import Action, Mode, Situation

PLANT = "machining_line"


def child_of(name: str, patience_s: float = 30.0) -> ControllerChild:
    return ControllerChild(
        Shift(PLANT, engine="compiled"), name, untuned(plant_of(PLANT)), patience_s
    )


@pytest.fixture
def child() -> Iterator[ControllerChild]:
    with child_of("fixed") as found:
        yield found


def situation_of() -> Situation:
    seen: list[Situation] = []

    class Watch:
        def decide(self, situation: Situation) -> Action:
            seen.append(situation)
            return Action({})

    drive(plc_of(true(PLANT)), loop_of(Watch(), line=nominal(PLANT)), 3)
    return seen[-1]


def until_there(child: ControllerChild, situation: Situation) -> Action:
    """Ask again whenever the new process has said something, as a loop asks turn after turn."""
    while True:
        try:
            return child.decide(situation)
        except ControllerLate:
            assert child._pipe is not None
            assert wait([child._pipe], START_S), "it never came back"


def test_it_decides_as_it_does_at_home() -> None:
    situation = situation_of()
    at_home = Mpc(nominal(PLANT), untuned(plant_of(PLANT))).decide(situation)
    with child_of("mpc") as child:
        away = child.decide(situation)
    assert dict(away.setpoints) == dict(at_home.setpoints)
    assert (away.reason, away.status, dict(away.why)) == (
        at_home.reason,
        at_home.status,
        dict(at_home.why),
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_dies_or_hangs_is_replaced(how: signal.Signals) -> None:
    situation = situation_of()
    with child_of("fixed", patience_s=1.0) as child:
        before = child.decide(situation)
        first = child.pid
        assert first is not None
        os.kill(first, how)
        began = time.monotonic()
        with pytest.raises(ControllerLate, match="anew"):
            child.decide(situation)
        assert time.monotonic() - began < 5.0
        after = until_there(child, situation)
        assert child.pid != first
        assert dict(after.setpoints) == dict(before.setpoints)


def test_nothing_is_left_behind() -> None:
    with child_of("fixed") as child:
        pid = child.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@dataclass(slots=True)
class Murdered:
    """A controller whose process is killed at each of these turns, before it is asked."""

    child: ControllerChild
    at: Callable[[int], bool]
    turn: int = 0
    late: list[int] = field(default_factory=list)

    def decide(self, situation: Situation) -> Action:
        self.turn += 1
        if self.at(self.turn) and self.child.pid is not None:
            os.kill(self.child.pid, signal.SIGKILL)
        try:
            if self.turn - 1 in self.late:
                # The next turn of a real line comes later than that of a test.
                return until_there(self.child, situation)
            return self.child.decide(situation)
        except ControllerLate:
            self.late.append(self.turn)
            raise


def test_a_loop_holds_for_a_turn_and_comes_back(child: ControllerChild) -> None:
    murdered = Murdered(child, lambda turn: turn in (5, 9, 13))
    cycles = drive(plc_of(true(PLANT)), loop_of(murdered, line=nominal(PLANT)), 20)
    modes = [cycle.decision.mode for cycle in cycles]
    assert murdered.late == [5, 9, 13]
    assert [n for n, mode in enumerate(modes, start=1) if mode is Mode.HOLD] == [5, 9, 13]
    assert modes[-1] is Mode.CLOSED
    held = cycles[4].decision
    assert "anew" in held.reasons[0]
    assert held.batch is not None  # the heartbeat goes on
    assert not held.batch.setpoints
