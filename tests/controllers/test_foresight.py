"""The MPC of evaluations that sees what comes, and the others that must not."""

from __future__ import annotations

from controllers.foresight import Foreseeing
from controllers.mpc.controller import Mpc
from twin.cli.ceiling import ALL, foreseeing
from twin.cli.shift import Shift
from twin.config import untuned
from twin.cycle import Action, Situation
from twin.line.tags import NO_CONTROL, TagReader
from twin.loop import ControlLoop
from twin.plugins import controller_names

SHIFT = Shift("machining_line", 7, 2.0, utilisation=0.8, engine="auto")


def test_no_plant_can_run_those_that_know() -> None:
    assert not set(ALL) & set(controller_names())
    assert Mpc.worlds > Foreseeing.worlds == 1


def test_its_forks_are_the_shift_that_comes() -> None:
    plc = SHIFT.plc()
    known = foreseeing(SHIFT, untuned(SHIFT.plant), plc)
    plc.advance(600_000_000)
    before = plc.state.copy()
    fork = known._fork(0)
    fork.advance({}, 5400.0)
    assert (plc.state.floats, plc.state.ints) == (before.floats, before.ints)
    plc.advance(5_400_000_000)
    there = TagReader(plc.line)
    true = dict(zip(there.index, there.read(plc.state, NO_CONTROL).tolist(), strict=True))
    foreseen = fork.meters()
    for name in ("line.good_count", "line.energy_kwh", "milling.failure_count"):
        assert foreseen[name] == true[name], name
    assert true["line.good_count"] > 0.0


def test_the_loop_hands_its_forks_to_nobody_else() -> None:
    """An ordinary controller beside it gets the twin's own forks, which know no more than the twin."""
    asked: list[Situation] = []

    class Watching:
        def decide(self, situation: Situation) -> Action:
            asked.append(situation)
            return Action({})

    plc = SHIFT.plc()
    loop = ControlLoop(SHIFT.nominal_line, Watching(), 0, "auto")
    loop.step(plc.reading())
    (situation,) = asked
    known = foreseeing(SHIFT, untuned(SHIFT.plant), plc)
    known.decide(situation)
    fork, foreseen = situation.fork(0), known._fork(0)
    for one in (fork, foreseen):
        one.advance({}, 3600.0)
    assert fork.meters()["line.energy_kwh"] != foreseen.meters()["line.energy_kwh"]
