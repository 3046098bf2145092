"""When the MPC plans anew, and how much of the twin it may ask for."""

from __future__ import annotations

from dataclasses import replace

from controllers.mpc.controller import Mpc
from controllers.mpc.plans import all_ready
from controllers.mpc.trial import DRIVES, Trial
from tests.controllers.test_reasons import Watched
from tests.twin.analyze.in_step import drive, loop_of, nominal, plant_of, plc_of, true
from twin.config import untuned
from twin.cycle import Situation, Twin
from twin.line import schema as s


def driven(name: str, turns: int) -> Watched:
    watched = Watched(Mpc(nominal(name), untuned(plant_of(name))))
    drive(plc_of(true(name)), loop_of(watched, line=nominal(name)), turns)
    return watched


def with_orders(situation: Situation, more: float) -> Situation:
    seen = situation.observation
    values = seen.values.copy()
    values[seen.index["line.ordered_count"]] += more
    return replace(situation, observation=replace(seen, values=values))


def test_a_rush_order_is_planned_for_at_once_and_single_orders_are_not() -> None:
    watched = driven("machining_line", 4)
    mpc, last = watched.mpc, watched.seen[-1]
    mpc._memory.planned_s = planned_s = last.time_s - 60.0
    mpc.decide(with_orders(last, 1.0))
    assert mpc._memory.planned_s == planned_s
    mpc.decide(with_orders(last, 41.0))
    assert mpc._memory.planned_s == last.time_s


def test_no_decision_drives_more_hours_than_eight_worlds_of_three_plans() -> None:
    watched = driven("machining_line", 1)
    situation, drives = watched.seen[0], 0

    def counted(world: int) -> Twin:
        nonlocal drives
        drives += 1
        return situation.fork(world)

    watched.mpc._memory.planned_s = -1e9
    watched.mpc.decide(replace(situation, fork=counted))
    assert 0 < drives <= DRIVES
    for count in range(2, 9):
        drives = 0
        plans = [all_ready(2, 1, 50.0 + n, "x") for n in range(count)]

        class Counting(Trial):
            __slots__ = ()

            def _driven(self, plan, world, total):  # type: ignore[no-untyped-def]
                nonlocal drives
                drives += 1
                return total - plan.takt_s

        trial = Counting(situation, (), (), None, None, 300.0, None, {})  # type: ignore[arg-type]
        assert trial.best(plans) is plans[-1]
        assert drives <= DRIVES


def test_a_held_station_is_left_as_it_is_whatever_the_plan() -> None:
    line = nominal("machining_line")
    watched = driven("machining_line", 2)
    mpc, last = watched.mpc, watched.seen[-1]
    mpc._nominal = tuple(
        replace(c, spec=c.spec.model_copy(update={"min_standby_s": 900.0})) for c in mpc._nominal
    )
    name = mpc._nominal[2].name
    mpc._memory.switches.asleep[name] = False
    seen, values = last.observation, last.observation.values.copy()
    values[seen.index[f"{name}.state"]] = float(s.STANDBY)
    asked = mpc.decide(replace(last, observation=replace(seen, values=values))).setpoints
    assert asked[f"{name}.standby"] == 1.0
    assert line.plant.station(name).min_standby_s == 0.0
