"""One turn of the loop: no I/O, the same every time, blind to the plant's truth and its luck."""

from __future__ import annotations

import builtins
import io
import os
import socket
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.twin.analyze.in_step import PLANTS, drive, loop_of, nominal, plc_of, tampered, true
from twin.cli.shift import Shift
from twin.config import load_truth, untuned
from twin.cycle import Action, Cycle, Mode, Reading, Situation
from twin.equipment.plc import Plc
from twin.line import schema as s
from twin.line.model import Line
from twin.loop import ControlLoop
from twin.plugins import find_controller
from twin.signals import Quality
from twin.state import LineState

PLANT_SEED, TWIN_SEED = 987_654_321, 5
TURNS = 40


class Watching:
    """Keeps what it has seen; ``asks`` in every situation."""

    def __init__(self, what: Callable[[Situation], Action] = lambda _: Action({})) -> None:
        self.seen: list[Situation] = []
        self._what = what

    def decide(self, situation: Situation) -> Action:
        self.seen.append(situation)
        return self._what(situation)


@cache
def recorded(plant: str) -> tuple[Cycle, ...]:
    """A closed course with a fault of the line and an operator who takes it back and gives it."""
    words = {0: "close", 20: "open: lunch", 24: "close", 30: "off", 34: "start"}
    plc, loop = plc_of(true(plant)), loop_of("rules", TWIN_SEED, nominal(plant))
    state = next(signal.name for signal in loop.signals if signal.critical)

    def ill(n: int, reading: Reading) -> Reading:
        if n not in (12, 13):
            return reading
        return tampered(loop, reading, status={state: Quality.BAD})

    return tuple(drive(plc, loop, TURNS, words, ill))


def again(cycles: tuple[Cycle, ...], loop: ControlLoop) -> list[Cycle]:
    """The same readings, words and answers once more."""
    return [loop.step(cycle.reading, cycle.commands, cycle.acknowledged) for cycle in cycles]


# --- pure ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("plant", PLANTS)
def test_the_same_readings_give_the_same_cycles_to_the_byte(plant: str) -> None:
    cycles = recorded(plant)
    modes = {cycle.decision.mode for cycle in cycles}
    assert modes >= {Mode.OFF, Mode.ADVISORY, Mode.INIT, Mode.CLOSED, Mode.HOLD}
    first, second = (loop_of("rules", TWIN_SEED, nominal(plant)) for _ in range(2))
    wanted = [cycle.to_json() for cycle in cycles]
    assert [cycle.to_json() for cycle in again(cycles, first)] == wanted
    assert [cycle.to_json() for cycle in again(cycles, second)] == wanted
    assert first.memory.twin == second.memory.twin


@pytest.mark.parametrize("plant", PLANTS)
def test_a_cycle_on_record_is_computed_again_from_its_text(plant: str) -> None:
    loop = loop_of("rules", TWIN_SEED, nominal(plant))
    for cycle in recorded(plant):
        text = cycle.to_json()
        assert loop.step(*Cycle.inputs_from_json(text)).to_json() == text


@pytest.mark.parametrize("plant", PLANTS)
def test_a_step_opens_nothing_and_asks_no_clock(
    plant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycles = recorded(plant)
    loop = loop_of("rules", TWIN_SEED, nominal(plant))

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a step reaches out")

    with monkeypatch.context() as patch:
        for module, name in ((builtins, "open"), (io, "open"), (os, "open"), (socket, "socket")):
            patch.setattr(module, name, forbidden)
        for name in ("time", "monotonic", "perf_counter", "process_time", "sleep"):
            patch.setattr(time, name, forbidden)
            patch.setattr(time, f"{name}_ns", forbidden, raising=False)
        replayed = again(cycles, loop)
    assert len(replayed) == TURNS


def test_a_model_in_doubt_keeps_the_loop_open_until_somebody_accepts_it() -> None:
    """A meter that shows three times the energy: the correction is out of all reason, turn after turn."""
    plc, loop = plc_of(true("machining_line")), loop_of("rules", TWIN_SEED)
    energy = next(name for name in loop.tags.index if name.endswith(".last_energy_kwh"))

    def threefold(_: int, reading: Reading) -> Reading:
        shown = reading.values[loop.tags.index[energy]]
        return tampered(loop, reading, values={energy: 3.0 * shown})

    words = {0: "close", 10: "close: on", 11: "ack: a new meter", 12: "close: on"}
    decisions = [cycle.decision for cycle in drive(plc, loop, 40, words, threefold)]
    doubted = next(n for n, one in enumerate(decisions) if "in doubt" in one.reasons[0])
    assert doubted < 10
    assert {one.mode for one in decisions[doubted:12]} == {Mode.ADVISORY}
    why = f"close refused: the model is in doubt: the correction of {energy} is out of all reason"
    assert decisions[10].reasons[0].startswith(why)
    assert {one.mode for one in decisions[15:25]} == {Mode.CLOSED}
    # It keeps coming out above what even the corrected model says: that is news.
    assert decisions[-1].mode is Mode.ADVISORY
    assert loop.health[energy].doubt
    assert not loop.memory.guard.accepted_doubts


def test_a_step_leaves_its_reading_as_it_was() -> None:
    loop = loop_of("rules", TWIN_SEED)
    for cycle in recorded("machining_line"):
        reading, _, _ = Cycle.inputs_from_json(cycle.to_json())
        parts = dict(reading.part_ids)
        arrays = (reading.values, reading.source_us, reading.status)
        before = [array.tobytes() for array in arrays]
        loop.step(reading, cycle.commands, cycle.acknowledged)
        assert [array.tobytes() for array in arrays] == before
        assert reading.part_ids == parts


# --- what is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize("plant", PLANTS)
def test_a_loop_that_cannot_see_the_line_asks_nothing(plant: str) -> None:
    watching = Watching(lambda situation: Action(dict(situation.active)))
    loop, plc = loop_of(watching, line=nominal(plant)), plc_of(nominal(plant))
    critical = [signal.name for signal in loop.signals if signal.critical]

    def blind(n: int, reading: Reading) -> Reading:
        if n < 3:
            return reading
        return tampered(loop, reading, status={critical[n % len(critical)]: Quality.BAD})

    cycles = drive(plc, loop, 3 + len(critical), tamper=blind)
    assert len(watching.seen) == 3
    for cycle in cycles[3:]:
        assert dict(cycle.decision.asked.setpoints) == {}
        assert cycle.decision.asked.reason == "the line cannot be seen: nothing is asked"
        assert cycle.decision.batch is None or cycle.decision.batch.setpoints == ()


def test_a_loop_that_is_off_asks_nothing_and_goes_on_watching() -> None:
    watching = Watching()
    loop, plc = loop_of(watching), plc_of(nominal("machining_line"))
    cycles = drive(plc, loop, 9, {2: "off", 6: "start"})
    modes = [cycle.decision.mode for cycle in cycles]
    assert modes == [Mode.ADVISORY] * 2 + [Mode.OFF] * 4 + [Mode.ADVISORY] * 3
    # The turn that takes the word has decided before it; the one that ends it decides after.
    assert [situation.time_s / 30.0 for situation in watching.seen] == [0, 1, 2, 7, 8]
    for cycle in cycles[3:6]:
        assert dict(cycle.decision.asked.setpoints) == {}
        assert cycle.decision.asked.reason == "the loop is off"
        assert cycle.decision.batch is None
    assert loop.memory.twin.now_s == 8 * 30.0


def test_an_advisory_loop_asks_and_writes_nothing() -> None:
    watching = Watching(lambda _: Action({"line.takt_s": 100.0}))
    cycles = drive(plc_of(nominal("machining_line")), loop_of(watching), 4, {})
    assert all(dict(c.decision.asked.setpoints) == {"line.takt_s": 100.0} for c in cycles)
    assert all(c.decision.batch is None for c in cycles)


# --- what a controller sees ------------------------------------------------------------------------


def reachable(root: object) -> Iterator[object]:
    """Everything that can be got at from an object: fields, items, closures, arrays."""
    todo, known = [root], set()
    while todo:
        it = todo.pop()
        if id(it) in known or isinstance(it, type):
            continue
        known.add(id(it))
        yield it
        if isinstance(it, dict):
            todo += [*it.keys(), *it.values()]
        elif isinstance(it, list | tuple | set | frozenset):
            todo += it
        elif isinstance(it, np.ndarray):
            todo += it.ravel().tolist()
        else:
            todo += [cell.cell_contents for cell in getattr(it, "__closure__", None) or ()]
            if type(it).__module__.partition(".")[0] == "twin" or isinstance(it, Watching):
                todo += getattr(it, "__dict__", {}).values()
                slots = [n for kind in type(it).__mro__ for n in getattr(kind, "__slots__", ())]
                todo += [getattr(it, name) for name in slots if hasattr(it, name)]


@pytest.mark.parametrize("plant", PLANTS)
def test_neither_the_plant_nor_its_seed_can_be_got_at_from_a_situation(plant: str) -> None:
    watching = Watching()
    plc = plc_of(true(plant), PLANT_SEED)
    drive(plc, loop_of(watching, TWIN_SEED, nominal(plant)), 8)
    found = list(reachable(watching.seen[-1]))
    assert any(it is not plc.state and isinstance(it, LineState) for it in found)
    assert TWIN_SEED in [it for it in found if type(it) is int]
    assert PLANT_SEED not in [it for it in found if type(it) is int]
    assert all(it is not plc.state and it is not plc.line for it in found)
    assert not any(isinstance(it, Plc) for it in found)
    # The same search does find it where it is.
    assert PLANT_SEED in [it for it in reachable(plc) if type(it) is int]


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_done_to_forks_and_estimates_does_not_reach_the_live_twin(plant: str) -> None:
    def wild(situation: Situation) -> Action:
        for world in (0, 3):
            fork = situation.fork(world)
            fork.advance({"line.takt_s": 60.0}, situation.time_s + 900.0)
            fork.state.ints[:] = [0] * len(fork.state.ints)
        situation.estimate.state.floats[:] = [-1.0] * len(situation.estimate.state.floats)
        return Action({"line.takt_s": 80.0})

    def calm(_: Situation) -> Action:
        return Action({"line.takt_s": 80.0})

    loops = [loop_of(Watching(what), TWIN_SEED, nominal(plant)) for what in (wild, calm)]
    courses = [drive(plc_of(true(plant)), loop, 12) for loop in loops]
    one, other = ([cycle.to_json() for cycle in course] for course in courses)
    assert one == other
    assert loops[0].memory.twin == loops[1].memory.twin
    assert loops[0].memory.twin.ints[loops[0].line.k[s.K_LINE_I] + s.SEED] == TWIN_SEED


# --- the truth -------------------------------------------------------------------------------------


@pytest.mark.parametrize("controller", ["rules", "mpc"])
@pytest.mark.parametrize("plant", PLANTS)
def test_a_loop_is_built_and_runs_where_the_truth_cannot_be_read(
    plant: str, controller: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line: Line = true(plant)
    plc = plc_of(line)

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def instead(file: Any, *rest: Any, **named: Any) -> Any:
            if str(file).endswith(".truth.yaml"):
                raise PermissionError(f"the truth is not for the loop: {file}")
            return function(file, *rest, **named)

        return instead

    for module in (builtins, io, os):
        monkeypatch.setattr(module, "open", guarded(module.open))
    shift = Shift(plant, TWIN_SEED)
    with pytest.raises(Exception, match=r"truth\.yaml|the truth is not for the loop"):
        load_truth(plant, shift.plant)
    loop = shift.loop(find_controller(controller), untuned(shift.plant))
    cycles = drive(plc, loop, 12)
    assert cycles[-1].decision.mode is Mode.CLOSED
    assert any(c.decision.batch is not None and c.decision.batch.setpoints for c in cycles)
    assert loop.ledger is not None


def test_a_controller_that_fails_is_held_not_obeyed() -> None:
    class Failing:
        def decide(self, situation: Situation) -> Action:
            if situation.time_s > 100.0:
                raise ZeroDivisionError("no pace")
            return Action({"line.takt_s": 70.0})

    plc, loop = plc_of(nominal("machining_line")), loop_of(Failing())
    cycles = drive(plc, loop, 16)
    modes = [cycle.decision.mode for cycle in cycles]
    assert modes[3] is Mode.CLOSED
    assert modes[4] is Mode.HOLD
    assert modes[-1] is Mode.SHED
    assert "no pace" in cycles[4].decision.reasons[0]
    assert all(row.time_us <= 90_000_000 for row in plc.written)


@pytest.mark.parametrize("answer", [None, Action({"line.takt_s": "60"})])  # type: ignore[dict-item]
def test_an_answer_that_is_no_action_is_held_not_obeyed(answer: Action) -> None:
    class Odd:
        def decide(self, situation: Situation) -> Action:
            return answer if situation.time_s > 100.0 else Action({"line.takt_s": 70.0})

    cycles = drive(plc_of(nominal("machining_line")), loop_of(Odd()), 6)
    assert [cycle.decision.mode for cycle in cycles[3:]] == [Mode.CLOSED, Mode.HOLD, Mode.HOLD]
    assert "the controller failed" in cycles[-1].decision.reasons[0]


def test_the_mpc_goes_on_without_a_counter_and_a_level() -> None:
    lost = {"line.ordered_count": Quality.BAD, "b_turned.level": Quality.BAD}
    loop = loop_of("mpc")
    cycles = drive(
        plc_of(nominal("machining_line")),
        loop,
        20,
        tamper=lambda n, reading: tampered(loop, reading, status=lost) if n > 5 else reading,
    )
    assert {cycle.decision.mode for cycle in cycles[3:]} == {Mode.CLOSED}
    assert cycles[-1].decision.asked.setpoints
