"""A policy in the loop of a line, for tests: closed courses, and what it is shown there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from controllers.policy.controller import STEPS
from tests.controllers.policy.bundles import PLANT
from tests.twin.analyze.in_step import drive, loop_of, nominal, plc_of, true
from twin.cycle import Cycle, Situation


class Keeping:
    """Passes situations on to a controller, changed by ``seen_as`` if so, and keeps them with its answers."""

    def __init__(self, controller: Any, seen_as: Callable[[int, Situation], Situation]) -> None:
        self.controller, self.seen, self.said = controller, list[Situation](), list[Any]()
        self._seen_as = seen_as

    def decide(self, situation: Situation) -> Any:
        self.seen.append(self._seen_as(len(self.seen), situation))
        self.said.append(self.controller.decide(self.seen[-1]))
        return self.said[-1]


TURNS_A_DECISION = round(60.0 / nominal(PLANT).plant.control.period_s)
assert TURNS_A_DECISION >= STEPS
DECISIONS = 20


def course(
    controller: Any,
    turns: int,
    seen_as: Callable[[int, Situation], Situation] = lambda _, situation: situation,
) -> tuple[Keeping, list[Cycle]]:
    """A closed shift, or the begin of one."""
    keeping = Keeping(controller, seen_as)
    cycles = drive(plc_of(true(PLANT), hours=4.0), loop_of(keeping, line=nominal(PLANT)), turns)
    return keeping, cycles


def with_value(situation: Situation, name: str, value: float) -> Situation:
    seen = situation.observation
    values = seen.values.copy()
    values[seen.index[name]] = value
    return replace(situation, observation=replace(seen, values=values))


def blind(first: int, last: int) -> Callable[[int, Situation], Situation]:
    """In these turns nobody knows the price of electricity."""

    def seen_as(n: int, situation: Situation) -> Situation:
        if not first <= n <= last:
            return situation
        return with_value(situation, "env.price_eur_per_mwh", math.nan)

    return seen_as
