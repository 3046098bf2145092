"""What is left of a shift: which stage counts, and what a part more is worth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from controllers.mpc.line_layer import LineLayer
from controllers.mpc.operating_point import OperatingPoint
from controllers.mpc.outlook import Outlook
from controllers.mpc.progress import (
    SLOWEST,
    Progress,
    leads,
    progress_of,
    stages_of,
    winding_down,
)
from controllers.mpc.rates import Rate
from controllers.mpc.stations import Cell, Prices, cells_of, leads_at, per_part_at
from controllers.mpc.tariff import flat
from tests.twin.analyze.in_step import nominal
from twin.config import untuned

CYCLES_S = [50.0, 60.0, 50.0, 40.0, 40.0]
BACKLOG_EUR = 20.0
EVEN = [1.0] * 5
SETPOINTS = untuned(nominal("machining_line").plant).setpoints


def cells() -> tuple[Cell, ...]:
    return cells_of(nominal("machining_line"))


def meters(good: float, levels: tuple[float, ...], ordered: float = 400.0) -> dict[str, float]:
    """A line whose stations are all empty."""
    found = {f"{cell.name}.part_id": 0.0 for cell in cells()}
    names = [cell.takes_from for cell in cells()]
    found |= {f"{name}.level": level for name, level in zip(names, levels, strict=True)}
    return found | {"line.good_count": good, "line.wip": sum(levels), "line.ordered_count": ordered}


def progress(
    good: float, levels: tuple[float, ...], left_s: float, down_s: float = 0.0
) -> Progress:
    stands_s = [0.0, down_s, 0.0, 0.0, 0.0]
    return progress_of(cells(), CYCLES_S, meters(good, levels), left_s, stands_s, BACKLOG_EUR)


def test_parts_are_through_a_stage_when_they_lie_behind_it() -> None:
    found = progress(100.0, (4.0, 3.0, 2.0, 1.0, 0.0), 7200.0)
    assert found.past == (106.0, 103.0, 101.0, 100.0, 100.0)


def test_stations_that_take_from_one_buffer_are_one_stage_with_their_paces_added() -> None:
    one, other, *_ = cells()
    beside = (one, replace(other, takes_from=one.takes_from))
    (stage,) = stages_of(beside, [60.0, 30.0])
    assert stage.cells == (0, 1)
    assert stage.cycle_s == pytest.approx(20.0)


def test_only_the_stage_that_is_furthest_behind_counts() -> None:
    found = progress(100.0, (4.0, 10.0, 0.0, 0.0, 0.0), 7200.0)
    assert found.behind == (1,)  # the slowest, and all before it lies ready
    at_end = found.missed_eur(meters(160.0, (4.0, 10.0, 0.0, 0.0, 0.0)), 3600.0)
    washed = found.missed_eur(meters(160.0, (4.0, 9.0, 1.0, 0.0, 0.0)), 3600.0)
    turned = found.missed_eur(meters(160.0, (3.0, 11.0, 0.0, 0.0, 0.0)), 3600.0)
    assert washed < at_end  # milling has made one more
    assert turned == pytest.approx(at_end)


def test_a_part_more_is_worth_its_order_only_where_the_order_may_be_missed() -> None:
    assert progress(390.0, (1.0,) * 5, 20_000.0).eur_per_part < 0.01
    late = progress(10.0, (1.0,) * 5, 7200.0)
    assert late.eur_per_part == pytest.approx(BACKLOG_EUR, rel=1e-3)
    between = progress(300.0, (0.0,) * 5, 7000.0).eur_per_part
    assert 1.0 < between < 19.0
    assert progress(300.0, (0.0,) * 5, 7000.0, down_s=1000.0).eur_per_part > between


def test_what_is_missed_falls_by_what_a_part_is_worth() -> None:
    found = progress(300.0, (0.0,) * 5, 7000.0)
    costs = [found.missed_eur(meters(good, (0.0,) * 5), 7000.0) for good in (299.5, 300.5)]
    assert costs[0] - costs[1] == pytest.approx(found.eur_per_part, rel=1e-3)
    assert all(cost >= 0.0 for cost in costs)


def test_a_late_line_keeps_the_paces_that_were_tuned_on_the_line_itself() -> None:
    tuned = leads_at(cells(), SETPOINTS, EVEN)
    assert max(tuned) == 1.0
    assert tuned[3:] == (1.0, 1.0)  # nobody sets anything at the washer and the inspection
    faster = leads_at(cells(), SETPOINTS | {"drilling.cutting_speed_m_per_min": 100.0}, EVEN)
    assert faster[2] < tuned[2]
    slow = leads_at(cells(), SETPOINTS, [1.0, 1.0, 1.2, 1.0, 1.0])
    assert slow[2] > tuned[2]  # as it has been learned by now
    late = progress(10.0, (1.0,) * 5, 7200.0)
    calm = (1.0, 1.2, 1.0, 1.0, 1.0)
    assert leads(late, tuned, calm) == tuned
    assert leads(progress(390.0, (1.0,) * 5, 20_000.0), tuned, calm) == calm


def moulded(waiting: float, ordered: float) -> tuple[float, ...]:
    """How many times the pace each station of the moulding cell may take, with parts waiting for assembly."""
    both = cells_of(nominal("molding_cell"))
    found = {f"{cell.name}.part_id": 0.0 for cell in both}
    found |= {"orders.level": 0.0, "b_moulded.level": waiting, "b_assembled.level": 0.0}
    found |= {"line.good_count": 0.0, "line.wip": waiting, "line.ordered_count": ordered}
    at_end = progress_of(both, [36.0, 36.0, 18.0, 16.0], found, 20_000.0, [0.0] * 4, BACKLOG_EUR)
    return winding_down(at_end, both, 18.0, 3600.0)


def test_who_spoils_parts_after_a_rest_is_done_when_the_buffers_behind_are_empty() -> None:
    # Sixty parts to make, twenty before the assembly: it takes as long for eighty as they then do for sixty.
    one, other, *rest = moulded(20.0, 80.0)
    assert (one, other) == pytest.approx((80.0 / 60.0,) * 2)
    assert rest == [1.0, 1.0]
    assert moulded(0.0, 80.0) == (1.0,) * 4
    assert moulded(20.0, 300.0) == (1.0,) * 4  # the end is far: stock keeps the line going
    assert moulded(40.0, 42.0)[0] == SLOWEST
    assert moulded(20.0, 20.0) == (1.0,) * 4


def test_who_spoils_nothing_after_a_rest_keeps_the_pace_to_the_end() -> None:
    at_end = progress(340.0, (0.0, 0.0, 0.0, 20.0, 0.0), 7200.0)
    assert winding_down(at_end, cells(), 50.0, 7200.0) == (1.0,) * 5


def test_a_station_nobody_sets_may_be_the_one_that_others_are_ahead_of() -> None:
    slowest_last = [1.0, 1.0, 1.0, 1.0, 3.0]
    tuned = leads_at(cells(), SETPOINTS, slowest_last)
    assert max(tuned[:3]) < 1.0
    assert tuned[4] == 1.0


def test_stations_that_share_their_parts_have_one_lead() -> None:
    both = cells_of(nominal("molding_cell"))
    one, other, *rest = leads_at(both, {"molding_1.cooling_time_s": 30.0}, [1.0] * len(both))
    assert one == other
    assert rest == [1.0] * len(rest)


def test_the_steady_course_keeps_who_is_ahead_as_far_ahead() -> None:
    line = cells()
    course = OperatingPoint(line, 50.0)
    part = per_part_at(line, SETPOINTS)
    ahead = (1.0, 1.0, 0.9, 1.0, 1.0)
    found = {
        leads: course.solve(
            line,
            [(1.0, 1.0)] * 5,
            [cell.d for cell in line],
            Prices(0.16, 5.0, BACKLOG_EUR),
            60.0,
            part.edges_eur,
            part.defects,
            ahead=leads,
        )
        for leads in ((), ahead)
    }
    assert found[()].ahead == (1.0,) * 5
    assert found[ahead].ahead == ahead
    own_s = {
        leads: [
            cell.share * float(cell.equations(
                cell.lo + z * (cell.hi - cell.lo), cell.d, 0.5 * cell.life_mm
            )[0]) / cell.availability
            for cell, z in zip(line, point.z, strict=True)
        ]
        for leads, point in found.items()
    }  # fmt: skip
    assert own_s[ahead][2] <= 0.9 * found[ahead].pace_s + 1e-3
    assert own_s[()][2] > 0.95 * found[()].pace_s


def test_a_line_without_such_stations_has_nothing_to_weigh() -> None:
    found = progress_of((), [], {"line.ordered_count": 5.0}, 3600.0, [], BACKLOG_EUR)
    assert (found.eur_per_part, found.missed_eur({}, 0.0)) == (0.0, 0.0)


def test_the_plan_lets_those_sleep_who_bring_no_order_nearer() -> None:
    """The second of two stations is down for the hour: the first has filled the buffer and rests."""
    row = cells()[:2]
    rates = (Rate(50.0, 0.01), Rate(60.0, 0.01))
    stands = progress_of(
        row, [50.0, 60.0], meters(100.0, (4.0, 10.0, 0.0, 0.0, 0.0)), 14_400.0, [0.0, 7200.0], BACKLOG_EUR
    )  # fmt: skip
    room = {cell.takes_from: 10.0 for cell in row}
    layer = LineLayer(room, row[0].takes_from, 50.0, 300.0, 12)
    levels = {row[0].takes_from: 4.0, row[1].takes_from: 10.0}
    outlook = Outlook(np.array([True, True]), np.array([0.0, 24.0]), levels, 200.0)
    plan = layer.solve(
        row, outlook, rates, Prices(0.2, 5.0, BACKLOG_EUR), flat(0.2, 12), progress=stands
    )
    assert not plan.ready[:, 0].any()
    assert math.isclose(plan.parts.sum(), 0.0, abs_tol=1e-6)
