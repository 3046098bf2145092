"""The rules: what each does with pace and standby, seen in closed courses of the true line."""

from __future__ import annotations

import math
from typing import Any

import pytest

from controllers.break_even import break_even_s
from controllers.buffer_rules import NPolicy, Opportunity, Upstream
from controllers.mpc.stations import cells_of
from controllers.rules import AlwaysOn, FullPace, Pi, TimeOut
from tests.twin.analyze.in_step import drive, loop_of, nominal, plc_of, true
from twin.config import untuned
from twin.cycle import Cycle
from twin.equipment.plc import Plc
from twin.line import schema as s

LINE = nominal("machining_line")


def course(rule: type[AlwaysOn], turns: int = 240, **given: Any) -> tuple[list[Cycle], Plc]:
    """Two hours under a rule."""
    controller = rule(LINE, untuned(LINE.plant))
    for name, value in given.items():
        setattr(controller, name, value)
    plc = plc_of(true("machining_line"), hours=3.0)
    return drive(plc, loop_of(controller), turns), plc


def asked(cycles: list[Cycle], name: str) -> list[float]:
    found = [cycle.decision.asked.setpoints.get(name, math.nan) for cycle in cycles]
    return [value for value in found if not math.isnan(value)]


def slept_s(plc: Plc) -> float:
    """Time in standby of all stations."""
    f = plc.state.floats
    return sum(
        f[(n + 1) * s.E_FLOATS + s.TIME_S + s.STANDBY] for n in range(len(LINE.plant.stations))
    )


def made(plc: Plc) -> int:
    return plc.state.ints[LINE.k[s.K_LINE_I] + s.GOOD]


def test_process_setpoints_are_the_tuned_ones() -> None:
    point = untuned(LINE.plant)
    tuned = point.model_copy(update={"setpoints": {**point.setpoints, "turning.feed_mm": 0.27}})
    for rule in (AlwaysOn, TimeOut, FullPace, Pi, Upstream, NPolicy, Opportunity):
        cycles = drive(plc_of(true("machining_line")), loop_of(rule(LINE, tuned)), 3)
        assert asked(cycles, "turning.feed_mm") == [0.27] * len(asked(cycles, "turning.feed_mm"))
        assert asked(cycles, "turning.feed_mm")


def test_full_pace_is_the_operators_fastest_and_an_even_one_fills_the_shift() -> None:
    lo, hi = LINE.plant.source.takt_s.operator
    assert set(asked(course(FullPace, 20)[0], "line.takt_s")) == {lo}
    even = asked(course(AlwaysOn, 20)[0], "line.takt_s")
    assert all(lo < takt_s < hi for takt_s in even)


def test_nobody_sleeps_when_machines_are_always_on() -> None:
    assert slept_s(course(AlwaysOn)[1]) == 0.0
    assert slept_s(course(Pi)[1]) == 0.0


def test_the_more_parts_wait_the_longer_stations_sleep() -> None:
    _, upstream = course(Upstream)
    _, n_policy = course(NPolicy)
    assert 600.0 < slept_s(upstream) < slept_s(n_policy)
    assert made(n_policy) > 30


def test_a_station_that_sleeps_wakes_for_the_last_parts() -> None:
    rule = NPolicy(LINE, untuned(LINE.plant))
    plc = plc_of(true("machining_line"), hours=3.0, utilisation=0.05)  # some twenty orders
    drive(plc, loop_of(rule), 300)
    k = LINE.k[s.K_LINE_I]
    assert plc.state.ints[k + s.GOOD] == plc.state.ints[k + s.ORDERED] > 10


def test_windows_open_only_where_the_bottleneck_does_not_feel_them() -> None:
    cycles, plc = course(Opportunity)
    _, even = course(AlwaysOn)
    assert slept_s(plc) > 0.0
    assert made(plc) > 0.8 * made(even)  # windows of several stations add up
    # Milling is the slowest, but for the first minutes and its stops.
    periods = {name: sum(asked(cycles, f"{name}.standby")) for name in ("milling", "inspection")}
    assert periods["milling"] < 10 < periods["inspection"]


def test_the_break_even_time_weighs_the_warm_up_against_the_rest() -> None:
    turning = LINE.plant.station("turning")
    power, warm_up_s = turning.power, float(turning.warm_up_s)
    idle_kw, standby_kw, warm_up_kw = map(
        float, (power.idle_kw, power.standby_kw, power.warm_up_kw)
    )
    rest_s = break_even_s(idle_kw, standby_kw, warm_up_kw, warm_up_s)
    asleep = standby_kw * (rest_s - warm_up_s) + warm_up_kw * warm_up_s
    assert asleep == pytest.approx(idle_kw * rest_s)
    # Rules and MPC say the same of the same station.
    assert {cell.name: cell.break_even_s for cell in cells_of(LINE)}["turning"] == rest_s
    assert break_even_s(2.0, 2.0, 5.0, 60.0) == math.inf


def test_pi_hurries_when_it_is_behind() -> None:
    # The fastest takt is faster than the line: whatever was lost is made up for.
    cycles, _ = course(Pi, 240)
    takts = asked(cycles, "line.takt_s")
    assert min(takts) < takts[0] - 1.0
    lo, hi = LINE.plant.source.takt_s.operator
    assert all(lo <= takt_s <= hi for takt_s in takts)
