"""When the MPC plans anew, how much of the twin it may ask for, and what it says when a solve fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controllers.mpc.controller import Mpc
from controllers.mpc.holds import Hold
from controllers.mpc.last_parts import rests
from controllers.mpc.plans import all_ready
from controllers.mpc.stations import Prices
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

        trial = Counting(situation, (), (), None, None, 300.0, None, {}, None)  # type: ignore[arg-type]
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


def with_values(situation: Situation, **told: float) -> Situation:
    """The situation with other readings; two underscores stand for the dot of a name."""
    seen, values = situation.observation, situation.observation.values.copy()
    for name, value in told.items():
        values[seen.index[name.replace("__", ".")]] = value
    return replace(situation, observation=replace(seen, values=values))


def without_use(solve: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **options: replace(solve(*args, **options), usable=False)


def test_a_steady_pace_that_is_not_found_is_said_until_one_is() -> None:
    watched = driven("machining_line", 2)
    mpc, last = watched.mpc, watched.seen[-1]
    assert "fallback" not in watched.asked[-1].status
    solve, point = mpc._operating.solve, mpc._memory.point
    mpc._operating.solve = without_use(solve)  # type: ignore[method-assign]
    mpc._memory.planned_s = -1e9
    action = mpc.decide(last)
    assert action.status.startswith("fallback: steady pace")
    assert "last point kept; highs" in action.status  # the plan is a fresh one
    assert mpc._memory.point is point
    assert "fallback: steady pace" in mpc.decide(last).status
    mpc._operating.solve, mpc._memory.planned_s = solve, -1e9  # type: ignore[method-assign]
    assert "fallback" not in mpc.decide(last).status


def test_a_plan_that_is_not_found_is_said_until_one_is() -> None:
    watched = driven("machining_line", 2)
    mpc, last = watched.mpc, watched.seen[-1]
    solve, blocks, count = mpc._line.solve, mpc._blocks, len(mpc._cells)
    mpc._line.solve = lambda *_: all_ready(blocks, count, 50.0, "fallback: highs: x")  # type: ignore[method-assign, misc, assignment]
    mpc._memory.planned_s = -1e9
    assert mpc.decide(last).status.startswith("fallback: highs: x; kept ")
    assert "fallback" in mpc.decide(last).status
    mpc._line.solve, mpc._memory.planned_s = solve, -1e9  # type: ignore[method-assign]
    assert "fallback" not in mpc.decide(last).status


def test_a_station_that_finds_no_setpoints_is_said_for_that_turn_alone() -> None:
    watched = driven("machining_line", 2)
    mpc, last = watched.mpc, watched.seen[-1]
    m = mpc._moving[0]
    solve = mpc._stations[m].solve
    mpc._stations[m].solve = without_use(solve)  # type: ignore[method-assign]
    status = mpc.decide(last).status
    assert status.startswith(f"fallback: {mpc._cells[m].name} ")
    assert "setpoints held" in status
    assert "kept " in status
    mpc._stations[m].solve = solve  # type: ignore[method-assign]
    assert "fallback" not in mpc.decide(last).status


def test_always_on_and_the_plan_of_last_time_see_as_many_worlds_as_any_that_is_kept() -> None:
    situation = driven("machining_line", 1).seen[0]
    seen: dict[float, set[int]] = {}

    class Counting(Trial):
        __slots__ = ()

        def _driven(self, plan, world, total):  # type: ignore[no-untyped-def]
            seen.setdefault(plan.takt_s, set()).add(world)
            # In the first two worlds those that are carried are the dearest by far, in the others the cheapest.
            return total + (plan.takt_s if world < 2 else -100.0 * plan.takt_s)

    trial = Counting(situation, (), (), None, None, 300.0, None, {}, None)  # type: ignore[arg-type]
    for count in range(5, 9):
        seen.clear()
        plans = [all_ready(2, 1, 50.0 + n, "x") for n in range(count)]
        best = trial.best(plans, {plan.key for plan in plans[-2:]})
        assert best is plans[-1]
        assert seen[plans[-1].takt_s] == seen[plans[-2].takt_s] == seen[plans[0].takt_s]
        assert len(seen[best.takt_s]) > 3
        assert sum(map(len, seen.values())) <= DRIVES


def test_a_replan_soon_after_planning_does_not_jump_ahead() -> None:
    watched = driven("machining_line", 2)
    mpc, last = watched.mpc, watched.seen[-1]
    old = mpc._memory.plan
    assert old is not None
    asked: list[int] = []

    class Shifting(type(old)):  # type: ignore[misc]
        __slots__ = ()

        def shifted(self, blocks: int):  # type: ignore[no-untyped-def]
            asked.append(blocks)
            return super().shifted(blocks)

    for since_s, blocks in ((30.0, 0), (300.0, 1)):
        mpc._memory.plan = Shifting(
            old.ready, old.parts, old.takt_s, old.status, old.dozes, old.keeps
        )
        mpc._memory.planned_s = last.time_s - since_s
        mpc.decide(with_orders(last, 41.0 * len(asked) + 41.0))
        assert asked[-1] == blocks


def test_where_orders_go_on_coming_the_end_of_the_work_is_that_of_the_shift() -> None:
    watched = driven("molding_cell", 1)
    mpc, last = watched.mpc, watched.seen[-1]
    plan_s = mpc._blocks * mpc._block_s
    assert mpc._ends_within_s(last) == plan_s
    demand = mpc._plant.demand.model_copy(update={"arrive": "evenly"})
    mpc._plant = mpc._plant.model_copy(update={"demand": demand})
    assert mpc._ends_within_s(last) == 0.0
    assert mpc._ends_within_s(replace(last, time_s=mpc._shift_s - plan_s)) == plan_s


def test_at_the_end_of_the_work_sentences_give_the_reason_of_the_rule() -> None:
    watched = driven("machining_line", 2)
    mpc, last = watched.mpc, watched.seen[-1]
    ordered = last.observation["line.ordered_count"]
    done = with_values(
        last,
        line__released_count=ordered,
        line__good_count=ordered,
        line__scrap_count=0.0,
        line__wip=0.0,
        **{name.replace(".", "__"): 0.0 for name in last.observation.index if name.endswith(".level")},
        **{f"{cell.name}__part_id": 0.0 for cell in mpc._cells},
    )  # fmt: skip
    found = rests(mpc._cells, mpc._buffers, done, 60.0, Prices(0.16, 5.0, 20.0))
    slept = [name for name, rest in found.items() if name.endswith(".standby") and rest.asked > 0.5]
    assert len(slept) > 1
    why = mpc.decide(done).why
    told = [why[name] for name in slept if name in why]
    assert told
    assert all("no part is left in the line and no order open" in sentence for sentence in told)
    assert all(len(rest.why.split("; ")) == 3 and "risks" in rest.why for rest in found.values())


@pytest.mark.parametrize(
    ("down", "down_s", "sleeps"), [("assembly", 10.0, False), ("molding_2", 20_000.0, True)]
)
def test_while_the_last_part_waits_for_a_repair_only_a_long_one_is_slept_through(
    down: str, down_s: float, sleeps: bool
) -> None:
    """A short stop of the assembly lasts for minutes, a mould that has stood for hours stands for an hour more."""
    watched = driven("molding_cell", 2)
    mpc, last = watched.mpc, watched.seen[-1]
    ordered = last.observation["line.ordered_count"]
    told = {
        "line.released_count": 1.05 * ordered,
        "line.good_count": ordered - 1.0,
        "line.scrap_count": 0.05 * ordered,
        "line.wip": 1.0,
        "orders.level": 0.0,
        "b_moulded.level": 0.0,
        **{f"{cell.name}.part_id": 0.0 for cell in mpc._cells},
        **{f"{cell.name}.state": float(s.IDLE) for cell in mpc._cells},
        f"{down}.part_id": ordered,
        f"{down}.state": float(s.DOWN),
        f"{down}.state_since_s": last.time_s - down_s,
    }
    seen = with_values(last, **{name.replace(".", "__"): value for name, value in told.items()})
    found = rests(mpc._cells, mpc._buffers, seen, 18.0, Prices(0.16, 0.1, 3.0))
    assert (found["molding_1.standby"].asked > 0.5) is sleeps


@pytest.mark.parametrize("ready", [True, False])
def test_a_station_that_is_held_says_for_how_long(ready: bool) -> None:
    why = Hold(ready, 240.0).why
    assert ("awake" if ready else "asleep") in why
    assert "240 s" in why
    assert len(why.split("; ")) == 3
