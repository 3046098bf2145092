"""Who takes over a line wakes what the one before has sent to sleep, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.fixed import Fixed
from controllers.rules import AlwaysOn, FullPace
from controllers.waking import all_awake
from tests.twin.analyze.in_step import drive, loop_of, nominal, plc_of, true
from twin.config import untuned
from twin.cycle import Action, Situation
from twin.line import schema as s

LINE = nominal("machining_line")
STATION = "milling"
BEFORE, ASLEEP, TURNS = 20, 4, 60


class HandingOver:
    """Sends a station to sleep for a few turns in the middle of somebody else's shift."""

    def __init__(self, after: Any) -> None:
        self._after, self._turn = after, 0
        self.said: list[Action] = []

    def decide(self, situation: Situation) -> Action:
        self._turn += 1
        if BEFORE <= self._turn < BEFORE + ASLEEP:
            return Action({f"{STATION}.standby": 1.0})
        self.said.append(self._after.decide(situation))
        return self.said[-1]


@pytest.mark.parametrize("kind", [Fixed, FullPace, AlwaysOn])
def test_the_line_goes_on_after_a_hand_over(kind: Any) -> None:
    handing = HandingOver(kind(LINE, untuned(LINE.plant)))
    plc = plc_of(true("machining_line"), seed=3)
    cycles = drive(plc, loop_of(handing), TURNS)
    at = next(n for n, station in enumerate(LINE.stations) if station.name == STATION) + 1
    ints = plc.state.ints
    assert ints[at * s.E_INTS + s.STANDBY_ASKED] == 0
    tags = loop_of(handing).tags.index
    made = [c.reading.values[tags[f"{STATION}.op_count"]] for c in cycles]
    assert made[-1] > made[BEFORE + ASLEEP] + 3
    named = [f"{STATION}.standby" in action.setpoints for action in handing.said]
    woke = named.index(True)
    assert woke == BEFORE - 1  # the first that it says after the others
    assert sum(named) <= 2  # until it is seen awake, and not once more
    assert "asleep by request" in handing.said[woke].in_words


def test_an_action_is_left_as_it_is_where_nobody_sleeps_or_it_says_who() -> None:
    seen: list[Situation] = []

    class Keeping:
        def decide(self, situation: Situation) -> Action:
            seen.append(situation)
            return Action({f"{STATION}.standby": 1.0})

    drive(plc_of(true("machining_line")), loop_of(Keeping()), 4)
    quiet, said = Action({"line.takt_s": 70.0}), Action({f"{STATION}.standby": 1.0})
    assert all_awake(quiet, seen[0]) is quiet
    assert seen[-1].active[f"{STATION}.standby"] == 1.0
    assert all_awake(said, seen[-1]) is said
    assert all_awake(quiet, seen[-1]).setpoints == {"line.takt_s": 70.0, f"{STATION}.standby": 0.0}
