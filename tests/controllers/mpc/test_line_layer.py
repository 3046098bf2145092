"""The line layer's plans: cheap blocks, low quarters, rests and runs of a least length."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from controllers.mpc.grid import Grid
from controllers.mpc.holds import Hold, SwitchMemory, held
from controllers.mpc.line_layer import LineLayer
from controllers.mpc.outlook import Outlook
from controllers.mpc.peak import GridMemory, PeakCharge, peak_charge
from controllers.mpc.plans import LinePlan, all_ready, distinct, staggered
from controllers.mpc.rates import Rate
from controllers.mpc.stations import Cell, Prices, cells_of
from controllers.mpc.tariff import PRICE, BlockPrices, block_prices, flat
from tests.twin.analyze.in_step import nominal, observed
from twin.config import load_plant
from twin.cycle import Forecast
from twin.kernels import draws
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.optim.milp import MilpProblem
from twin.optim.result import Solution

BLOCK_S, BLOCKS = 300.0, 12
PRICES = Prices(0.2, 5.0, 20.0)


def cells(count: int, **spec: float) -> tuple[Cell, ...]:
    """So many stations in a row, each with a buffer before and behind it."""
    found = []
    for n, cell in enumerate(cells_of(nominal("machining_line"))[:count]):
        spec_n = cell.spec.model_copy(update={"restart_scrap_parts": 0, **spec})
        found.append(
            replace(
                cell, spec=spec_n, takes_from=f"b{n}", gives_to=f"b{n + 1}", availability=1.0,
                idle_kw=5.0, standby_kw=1.0, warm_up_kw=5.0, warm_up_s=30.0,
            )
        )  # fmt: skip
    return tuple(found)


def layer(blocks: int = BLOCKS, stations: int = 1, room: float = 1e4) -> LineLayer:
    return LineLayer({f"b{n}": room for n in range(stations + 1)}, "b0", 50.0, BLOCK_S, blocks)


def outlook(stations: int, orders: float, awake: bool = True, filled: float = 0.0) -> Outlook:
    levels = {f"b{n}": (filled if n < stations else 0.0) for n in range(stations + 1)}
    return Outlook(np.full(stations, awake), np.zeros(stations), levels, orders)


def falling(dear: float, cheap: float, blocks: int = BLOCKS) -> BlockPrices:
    half = blocks // 2
    return BlockPrices(np.array([dear] * half + [cheap] * (blocks - half)), cheap)


# --- tariff ----------------------------------------------------------------------------------


def forecast(*eur_per_mwh: float) -> Forecast:
    mean = {PRICE: np.array(eur_per_mwh)}
    return Forecast(300.0, mean, mean, mean)


def test_one_price_is_that_price_to_the_last_digit() -> None:
    price = 180.7
    tariff = block_prices(forecast(*[price] * 24), 70.0, 0.1, BLOCK_S, 12, 28_800.0)
    assert tariff.is_flat
    assert np.all(tariff.blocks == price * 1e-3)
    kwh = np.cumsum(np.full(13, 0.1))
    assert tariff.electricity_eur(kwh) == price * 1e-3 * float(kwh[-1] - kwh[0])


def test_a_block_has_the_mean_of_its_prices_and_later_is_what_the_shift_has_left() -> None:
    known = forecast(*[100.0] * 2, *[200.0] * 12, *[50.0] * 10)
    tariff = block_prices(known, 150.0, 0.1, BLOCK_S, 12, 28_800.0)
    assert tariff.blocks[:3] == pytest.approx([0.1, 0.15, 0.2])
    # The plan ends 3750 s into the forecast: 450 s at 200, the rest of it at 50.
    assert tariff.later == pytest.approx((450 * 0.2 + 3000 * 0.05) / 3450)
    ends = block_prices(known, 150.0, 0.1, BLOCK_S, 12, 1800.0)
    assert ends.later == ends.blocks[-1]


def test_without_a_forecast_and_for_negative_prices() -> None:
    none = Forecast(300.0, {}, {}, {})
    gaps = forecast(*[100.0] * 20, *[float("nan")] * 4)
    for unknown, why in ((none, "no forecast"), (gaps, "gaps")):
        found = block_prices(unknown, 0.0, 0.1, BLOCK_S, 12, 1e4)
        assert found.blocks.tolist() == [0.1] * 12
        assert why in found.doubt
    assert block_prices(forecast(*[-20.0] * 24), 0.0, 0.1, BLOCK_S, 12, 1e4).later == 1e-3


def test_a_course_of_the_meter_is_charged_block_by_block() -> None:
    tariff = falling(0.3, 0.1, 4)
    assert tariff.electricity_eur(np.array([1.0, 2.0, 4.0, 8.0, 16.0])) == pytest.approx(
        0.3 * 3.0 + 0.1 * 12.0
    )


def test_work_that_may_wait_is_done_in_the_cheap_blocks() -> None:
    one, rate = cells(1), (Rate(30.0, 0.05, 2.0),)
    plan = layer().solve(one, outlook(1, 12.0), rate, PRICES, falling(0.3, 0.1))
    assert plan.parts[:6].sum() == pytest.approx(0.0, abs=1e-6)
    assert plan.parts[6:].sum() == pytest.approx(12.0)
    assert not plan.ready[:6].any()


def test_work_that_may_not_wait_is_done_at_any_price() -> None:
    one, urgent = cells(1), (Rate(30.0, 20.0, 2.0),)
    plan = layer().solve(one, outlook(1, 1e3), urgent, PRICES, falling(0.3, 0.1))
    assert plan.parts[:6].sum() > 30.0


def test_a_flat_forecast_gives_the_plan_of_one_price() -> None:
    three, rates = cells(3), tuple(Rate(40.0, 0.1, 0.3) for _ in range(3))
    tariff = block_prices(forecast(*[200.0] * 24), 30.0, 0.2, BLOCK_S, BLOCKS, 1e4)
    plans = [
        layer(stations=3).solve(three, outlook(3, 40.0), rates, PRICES, t)
        for t in (flat(0.2, BLOCKS), tariff)
    ]
    assert plans[0].key == plans[1].key
    assert np.array_equal(plans[0].parts, plans[1].parts)


@pytest.mark.parametrize("blocks", [12, 24])
def test_the_status_tells_how_far_the_bound_is(blocks: int) -> None:
    two, rates = cells(2), (Rate(40.0, 0.1, 0.3),) * 2
    plan = layer(blocks, 2).solve(two, outlook(2, 30.0), rates, PRICES, flat(0.2, blocks))
    assert plan.ready.shape == (blocks, 2)
    assert plan.status in {f"highs: solved, within {n} % of the bound" for n in (0, 1)}


def test_a_warm_up_of_a_block_and_a_half_leaves_half_of_the_second_block() -> None:
    slow = tuple(replace(c, warm_up_s=450.0) for c in cells(1))
    start = outlook(1, 0.0, awake=False, filled=1e3)
    plan = layer().solve(slow, start, (Rate(30.0, 2.0),), PRICES, flat(0.2, BLOCKS))
    assert woken_in(plan, 0) == 0
    assert plan.parts[:3, 0] == pytest.approx([0.0, 5.0, 10.0])


# --- peak ------------------------------------------------------------------------------------


def charge(eur_per_kw: float, base_kw: float = 0.0) -> PeakCharge:
    return peak_charge(eur_per_kw, base_kw, GridMemory(used_kwh=0.0), 0.0, 0.0, BLOCK_S, BLOCKS)


def woken_in(plan: LinePlan, m: int) -> int:
    return int(np.argmax(plan.ready[:, m]))


def test_machines_that_would_wake_in_one_quarter_are_staggered_where_a_peak_is_dear() -> None:
    hot = tuple(replace(c, warm_up_kw=120.0, warm_up_s=240.0) for c in cells(2))
    start = replace(outlook(2, 0.0, awake=False, filled=30.0), open_orders=0.0)
    rates = (Rate(30.0, 2.0, 0.1),) * 2
    free, dear = (
        layer(stations=2).solve(hot, start, rates, PRICES, flat(0.2, BLOCKS), charge(price, 40.0))
        for price in (0.0, 3.0)
    )
    assert woken_in(free, 0) == woken_in(free, 1) == 0
    assert woken_in(dear, 0) // 3 != woken_in(dear, 1) // 3
    assert dear.parts.sum() == pytest.approx(free.parts.sum())  # all is made, only later


def test_a_charged_peak_is_what_lies_above_the_highest_quarter_so_far() -> None:
    kwh = np.concatenate([[0.0], np.cumsum([1.0] * 3 + [3.0] * 3 + [1.0] * 6)])
    assert charge(2.0).charge_eur(kwh) == pytest.approx(2.0 * 36.0)
    assert charge(2.0, 30.0).charge_eur(kwh) == pytest.approx(2.0 * 6.0)
    assert charge(2.0, 40.0).charge_eur(kwh) == 0.0


def test_the_running_quarter_counts_with_what_it_has_taken() -> None:
    memory = GridMemory(highest_kw=10.0, used_kwh=8.0)
    found = peak_charge(1.0, 0.0, memory, 600.0, 0.0, BLOCK_S, 12)
    kwh = np.concatenate([[0.0], np.full(12, 2.0)])
    assert found.charge_eur(kwh) == pytest.approx((8.0 + 2.0) * 4.0 - 10.0)
    unseen = peak_charge(1.0, 0.0, replace(memory, used_kwh=math.nan), 600.0, 0.0, BLOCK_S, 12)
    assert unseen.charge_eur(kwh) == 0.0


def test_the_meter_is_cut_at_the_quarters_of_the_clock() -> None:
    memory, power_kw = GridMemory(), {0: 40.0, 1: 10.0, 2: 25.0}
    kwh, last_s = 0.0, 0.0
    for time_s in range(0, 2701, 70):
        for second in range(int(last_s), time_s):
            kwh += power_kw[min((second + 300) // 900, 2)] / 3600.0
        memory.book(float(time_s), kwh, 5.0, 6.0 + 300.0 / 3600.0, 28_800.0)
        last_s = time_s
    # The first quarter was not seen whole; of the others the third is higher, with the site's 5 kW.
    assert memory.highest_kw == pytest.approx(30.0, abs=1.5)
    memory.book(28_800.0, kwh, 5.0, 6.0, 28_800.0)
    assert memory.highest_kw == 0.0  # another shift


def test_a_late_start_does_not_take_an_unseen_peak_for_none() -> None:
    late, early = GridMemory(), GridMemory()
    late.book(7200.0, 50.0, 0.0, 6.0, 28_800.0)
    early.book(30.0, 0.0, 0.0, 6.0, 28_800.0)
    assert "120 min of the shift were not metered" in late.doubt
    assert not early.doubt
    late.book(8100.0, 55.0, 0.0, 6.0, 28_800.0)
    assert late.highest_kw == pytest.approx(20.0)  # of what was seen
    assert late.doubt
    late.book(28_800.0, 60.0, 0.0, 6.0, 28_800.0)
    assert not late.doubt  # the next shift is seen from its beginning


def test_a_meter_that_begins_anew_or_is_unknown_makes_no_peak() -> None:
    memory = GridMemory()
    for time_s, kwh in ((0.0, 100.0), (300.0, math.nan), (600.0, 1.0), (900.0, 2.0)):
        memory.book(time_s, kwh, 0.0, 6.0, 28_800.0)
    assert memory.highest_kw == 0.0


def test_what_a_quarter_may_take_without_a_new_peak_is_not_known_across_a_gap_of_the_meter() -> (
    None
):
    memory = GridMemory()
    for minute in range(0, 31, 5):
        memory.book(60.0 * minute, 7.5 * minute / 15.0, 0.0, 6.0, 28_800.0)
    assert memory.paid_kw == pytest.approx(30.0)
    memory.book(2100.0, math.nan, 0.0, 6.0, 28_800.0)
    assert memory.paid_kw == pytest.approx(30.0)  # no quarter fits into five minutes
    memory.book(2800.0, math.nan, 0.0, 6.0, 28_800.0)
    assert memory.paid_kw == math.inf
    memory.book(3600.0, 30.0, 0.0, 6.0, 28_800.0)
    assert memory.paid_kw == math.inf
    assert "30 min of the shift were not metered" in memory.doubt
    memory.book(28_860.0, math.nan, 0.0, 6.0, 28_800.0)
    assert memory.paid_kw == 0.0  # another shift has paid for nothing yet
    memory.book(29_700.0, math.nan, 0.0, 6.0, 28_800.0)
    assert memory.paid_kw == math.inf


def test_a_quarter_of_the_last_shift_is_not_paid_for_in_this_one() -> None:
    """60 kW, then 10: the reading at the change of shift is lost, the next one closes the old shift's quarter."""
    for lost in ((), (28_800.0,), (28_800.0, 28_860.0)):
        memory, kwh = GridMemory(), 0.0
        for minute in range(450, 511):
            time_s = 60.0 * minute
            memory.book(time_s, math.nan if time_s in lost else kwh, 0.0, 6.0, 28_800.0)
            kwh += (60.0 if time_s < 28_800.0 else 10.0) / 60.0
        assert memory.paid_kw == pytest.approx(10.0, abs=1e-9 if not lost else 4.0), lost


class _Seen(NamedTuple):
    """As much of a situation as a grid meter asks for."""

    time_s: float
    observation: Any


def test_the_rest_of_the_site_is_taken_off_what_the_line_may_draw() -> None:
    plant = load_plant("paint_cure_line")
    grid, memory = Grid(plant, (), 0.24, BLOCKS), GridMemory()

    def read(minute: int, kwh: float, site_kw: float) -> float:
        seen = _Seen(60.0 * minute, _Signals({"line.energy_kwh": kwh, "env.site_load_kw": site_kw}))
        grid.read(seen, memory)  # type: ignore[arg-type]
        return grid.paid_kw(memory)

    assert read(0, 0.0, 40.0) == -40.0
    assert read(10, 3.0, 40.0) == -40.0
    assert read(15, 5.0, 40.0) == pytest.approx(
        20.0
    )  # 60 kW were paid for, 40 of them are the site's
    assert read(20, 6.0, 50.0) == pytest.approx(10.0)
    assert read(25, 7.0, math.nan) == pytest.approx(10.0)  # as it was last known


class _Signals(dict[str, float]):
    """Values by name."""

    @property
    def index(self) -> dict[str, float]:
        return self


# --- plans -----------------------------------------------------------------------------------


def test_what_is_left_of_a_plan_begins_with_the_block_that_is_now() -> None:
    ready = np.eye(4, dtype=bool)
    plan = LinePlan(ready, ready.astype(float), 50.0, "fresh")
    assert plan.shifted(0).key == plan.key
    assert plan.shifted(1).ready.argmax(axis=1).tolist() == [1, 2, 3, 3]
    assert plan.shifted(3).parts.argmax(axis=1).tolist() == [3, 3, 3, 3]


def test_a_plan_that_highs_does_not_find_is_said_to_be_a_fallback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solve = MilpProblem.solve

    def failed(self: MilpProblem, **options: Any) -> Solution:
        return replace(solve(self, **options), feasible=False)

    monkeypatch.setattr(MilpProblem, "solve", failed)
    rates = (Rate(50.0, 1.0),)
    plan = layer().solve(cells(1), outlook(1, 10.0), rates, PRICES, falling(0.2, 0.2))
    assert plan.status.startswith("fallback: ")
    assert plan.ready.all()
    assert plan.takt_s == 50.0


def test_a_staggered_plan_wakes_one_after_the_other() -> None:
    plan = staggered(all_ready(5, 3, 50.0, "all"), np.array([False, False, False]))
    assert plan.ready.argmax(axis=0).tolist() == [0, 1, 2]
    assert plan.ready[2:].all()


def test_plans_that_ask_for_the_same_are_one() -> None:
    plans = [all_ready(3, 2, takt, "x") for takt in (50.0, 50.0, 60.0)]
    assert [p.takt_s for p in distinct(plans)] == [50.0, 60.0]


# --- minimum up and down times ---------------------------------------------------------------


def lengths(ready: np.ndarray, value: bool) -> list[int]:
    """Lengths of the inner stretches of one value."""
    edges = np.flatnonzero(np.diff(ready.astype(int))) + 1
    return [len(run) for run in np.split(ready, edges)[1:-1] if bool(run[0]) is value]


@pytest.mark.parametrize("spec", [{"min_standby_s": 1200.0}, {"min_ready_s": 1500.0}])
def test_a_station_rests_and_runs_for_its_least_times(spec: dict[str, float]) -> None:
    """Parts come in bursts: blocks that are dear and cheap by turns call for sleep and work by turns."""
    tariff = BlockPrices(np.array([0.05, 0.9] * 6), 0.4)
    start, rate = outlook(1, 0.0, filled=500.0), (Rate(30.0, 0.01, 0.2),)
    whole = layer()
    free = whole.solve(cells(1), start, rate, PRICES, tariff)
    assert min(lengths(free.ready[:, 0], value=False) or [99]) == 1
    bound = whole.solve(cells(1, **spec), start, rate, PRICES, tariff)
    if "min_standby_s" in spec:
        assert min(lengths(bound.ready[:, 0], value=False) or [99]) >= 4
    else:
        assert min(lengths(bound.ready[:, 0], value=True) or [99]) >= 5


def test_who_is_held_stays_as_it_is_in_the_program_and_in_every_other_plan() -> None:
    two = cells(2, min_standby_s=900.0)
    holds = {0: Hold(ready=False, left_s=700.0), 1: Hold(ready=True, left_s=300.0)}
    start = replace(outlook(2, 100.0, awake=False, filled=20.0), holds=holds)
    rates = (Rate(30.0, 3.0, 0.1),) * 2
    plan = layer(stations=2).solve(two, start, rates, PRICES, flat(0.2, BLOCKS))
    fixed = held(all_ready(BLOCKS, 2, 50.0, "all"), holds, BLOCK_S)
    for found in (plan, fixed):
        assert not found.ready[:3, 0].any()
        assert found.ready[3, 0]
        assert found.ready[0, 1]


def test_a_hold_lasts_from_when_the_station_was_seen_to_change() -> None:
    line = nominal("machining_line")
    first = cells_of(line)[0]
    spec = first.spec.model_copy(update={"min_ready_s": 600.0, "min_standby_s": 300.0})
    held_cell, memory = (replace(first, spec=spec),), SwitchMemory()
    state = initial_state(line, 1, draws.PLANT)
    name = f"{first.name}__state"
    asleep = observed(line, state, **{name: float(s.STANDBY)})
    awake = observed(line, state, **{name: float(s.IDLE)})
    assert memory.see(held_cell, awake, 0.0) == {}
    assert memory.see(held_cell, asleep, 30.0) == {0: Hold(ready=False, left_s=300.0)}
    assert memory.see(held_cell, asleep, 329.0) == {0: Hold(ready=False, left_s=1.0)}
    assert memory.see(held_cell, asleep, 330.0) == {}
    assert memory.see(held_cell, awake, 360.0) == {0: Hold(ready=True, left_s=600.0)}
