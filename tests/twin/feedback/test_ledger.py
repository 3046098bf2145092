from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.feedback.books import booked, plant, reading, signals, simulated
from twin.config import Plant
from twin.cycle import Reading
from twin.feedback import Ledger, UndefinedError
from twin.feedback.quarters import QUARTER_US
from twin.line import schema as s
from twin.signals import Quality

NAN = math.nan


def starting_at(hour: float) -> Plant:
    return plant().model_copy(
        update={"energy": plant().energy.model_copy(update={"starts_at_h": hour})}
    )


def metered(kwh: Sequence[float], step_s: float, **also: float) -> list[Reading]:
    return [
        reading(n * step_s, {"line.energy_kwh": value} | {f"env.{k}": v for k, v in also.items()})
        for n, value in enumerate(kwh)
    ]


def test_energy_is_charged_at_the_price_that_the_later_reading_shows() -> None:
    rows = [(0, 0.0, 999.0), (30, 2.0, 100.0), (60, 5.0, 200.0)]
    ledger = booked(
        [
            reading(t, {"line.energy_kwh": kwh, "env.price_eur_per_mwh": price})
            for t, kwh, price in rows
        ]
    )
    account = ledger.account()
    assert account.electricity_cost_eur == pytest.approx((2.0 * 100.0 + 3.0 * 200.0) / 1000.0)
    assert account.price_eur_per_mwh == pytest.approx(160.0)
    assert not account.doubts.in_full()


def test_an_unknown_price_is_held_and_said() -> None:
    prices = [NAN, NAN, 100.0, NAN, 300.0]
    ledger = booked(
        [
            reading(30 * n, {"line.energy_kwh": float(n), "env.price_eur_per_mwh": price})
            for n, price in enumerate(prices)
        ]
    )
    account = ledger.account()
    # The first kWh waits for the first price, the third is charged at the one held.
    assert account.electricity_cost_eur == pytest.approx((100.0 + 100.0 + 100.0 + 300.0) / 1000.0)
    assert any("2.000 kWh were charged at a price held over" in d for d in account.doubts.in_full())


def test_without_any_price_the_cost_is_unknown_and_not_zero() -> None:
    ledger = booked(
        [
            reading(30 * n, {"line.energy_kwh": float(n), "env.price_eur_per_mwh": NAN})
            for n in range(4)
        ]
    )
    with pytest.raises(UndefinedError, match="price"):
        _ = ledger.account().electricity_cost_eur


def test_quarters_are_those_of_the_clock() -> None:
    # The run starts at 06:06: the first whole quarter is that from 06:15, nine minutes later.
    power_kw = [10.0] * 18 + [40.0] * 30 + [20.0] * 30 + [99.0] * 5
    kwh = np.concatenate(([0.0], np.cumsum(power_kw) * 30.0 / 3600.0))
    ledger = booked(metered(kwh.tolist(), 30.0), starting_at(6.1))
    quarters = ledger.account().quarters
    assert [q.from_us for q in quarters] == [540_000_000, 540_000_000 + QUARTER_US]
    assert [q.mean_kw for q in quarters] == pytest.approx([40.0, 20.0])
    assert not any(q.is_interpolated for q in quarters)


def test_the_site_load_belongs_to_the_peak() -> None:
    loads = [7.0] + [20.0] * 30 + [50.0] * 30
    readings = [
        reading(30.0 * n, {"line.energy_kwh": n * 0.1, "env.site_load_kw": load})
        for n, load in enumerate(loads)
    ]
    means = [quarter.mean_kw for quarter in booked(readings).account().quarters]
    assert means == pytest.approx([12.0 + 20.0, 12.0 + 50.0])


def test_a_gap_over_a_boundary_is_interpolated_and_said() -> None:
    readings = [
        reading(t, {"line.energy_kwh": kwh})
        for t, kwh in [(0, 0.0), (600, 10.0), (1200, 22.0), (1800, 34.0), (2700, 40.0)]
    ]
    account = booked(readings).account()
    assert [q.mean_kw for q in account.quarters] == pytest.approx([64.0, 72.0, 24.0])
    assert [q.is_interpolated for q in account.quarters] == [True, True, False]
    assert any(
        "2 of 3 quarters of an hour were interpolated" in d for d in account.doubts.in_full()
    )


def test_a_meter_that_is_silent_at_a_boundary_is_interpolated_too() -> None:
    readings = [
        reading(t, {"line.energy_kwh": kwh})
        for t, kwh in [(0, 0.0), (600, 10.0), (900, NAN), (1200, 22.0), (1800, 34.0)]
    ]
    account = booked(readings).account()
    assert [q.mean_kw for q in account.quarters] == pytest.approx([64.0, 72.0])
    assert account.growth("line.energy_kwh") == 34.0


def test_a_quarter_without_a_known_site_load_is_left_out() -> None:
    loads = [NAN, NAN] + [5.0] * 59
    readings = [
        reading(30.0 * n, {"line.energy_kwh": n * 0.1, "env.site_load_kw": load})
        for n, load in enumerate(loads)
    ]
    account = booked(readings).account()
    assert [q.is_complete for q in account.quarters] == [False, True]
    assert account.quarters[1].mean_kw == pytest.approx(17.0)
    assert any("left out of the peak" in d for d in account.doubts.in_full())


def test_a_counter_that_goes_backwards_begins_a_new_segment() -> None:
    kwh = [100.0, 104.0, 110.0, 3.0, 5.0, 9.0]
    account = booked(metered(kwh, 300.0, price_eur_per_mwh=100.0)).account()
    assert account.growth("line.energy_kwh") == pytest.approx(
        10.0 + 4.0
    )  # the new segment begins when it is confirmed
    assert account.electricity_cost_eur == pytest.approx(1.4)
    assert any("line.energy_kwh went backwards 1 times" in d for d in account.doubts.in_full())
    assert not account.quarters[0].is_complete


def test_rounding_is_no_restart() -> None:
    account = booked(metered([100.0, 100.0 - 1e-12, 101.0], 30.0)).account()
    assert account.growth("line.energy_kwh") == pytest.approx(1.0)
    assert not account.doubts.in_full()


def test_growth_over_a_hole_is_booked_when_the_counter_is_back() -> None:
    counts = [5.0, NAN, NAN, 9.0]
    account = booked(
        [reading(30 * n, {"line.good_count": count}) for n, count in enumerate(counts)]
    ).account()
    assert account.growth("line.good_count") == 4.0
    assert any("line.good_count (2)" in d for d in account.doubts.in_full())


def test_a_value_that_its_source_calls_bad_is_unknown() -> None:
    readings = [
        reading(0, {"line.good_count": 1.0}),
        reading(30, {"line.good_count": 900.0}, {"line.good_count": int(Quality.BAD)}),
        reading(60, {"line.good_count": 3.0}),
    ]
    assert booked(readings).account().growth("line.good_count") == 2.0


def test_a_counter_that_never_came_is_not_zero() -> None:
    account = booked([reading(30 * n, {"line.gas_kwh": NAN}) for n in range(3)]).account()
    with pytest.raises(UndefinedError, match=r"line\.gas_kwh"):
        account.growth("line.gas_kwh")


def test_stocks_at_both_ends() -> None:
    begin = {"line.ordered_count": 10.0, "line.good_count": 4.0, "line.wip": 6.0}
    end = {
        "line.ordered_count": 30.0,
        "line.good_count": 5.0,
        "line.wip": 9.0,
        "wash.state": float(s.STANDBY),
        "milling.state": float(s.WARM_UP),
        "milling.state_since_s": 30.0,
        "turning.state": float(s.PROCESSING),
        "drilling.state": float(s.IDLE),
        "inspection.state": float(s.DOWN),
    }
    ready = {f"{station.name}.state": float(s.IDLE) for station in plant().stations}
    account = booked([reading(0, begin | ready), reading(60, end)]).account()
    before, after = account.stocks_at_start(), account.stocks_at_end()
    assert (before.backlog, before.wip, before.heat_owed_kwh) == (6.0, 6.0, 0.0)
    assert (after.backlog, after.wip) == (25.0, 9.0)
    # The washer sleeps: 12 kW for 300 s. The mill has 60 s of its 90 s to go at 6 kW.
    assert after.heat_owed_kwh == pytest.approx(12.0 * 300.0 / 3600.0 + 6.0 * 60.0 / 3600.0)


def test_a_state_that_is_no_code_is_said() -> None:
    account = booked([reading(0, {"wash.state": 42.0})]).account()
    with pytest.raises(UndefinedError, match=r"wash\.state is 42"):
        account.stocks_at_start()


def test_readings_must_fit_and_go_forward() -> None:
    ledger = booked([reading(30, {})])
    with pytest.raises(ValueError, match="not later"):
        ledger.book(reading(30, {}))
    short = Reading(60, 0, np.zeros(3), np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="has 3 values"):
        ledger.book(short)
    with pytest.raises(ValueError, match="at least one reading"):
        Ledger(plant(), signals()).account()
    with pytest.raises(ValueError, match="none of its counters"):
        Ledger(plant(), signals()[-4:])


@pytest.mark.parametrize("wrong", [1e6, 0.0])
def test_a_single_wrong_reading_does_not_stay_in_the_books(wrong: float) -> None:
    counts = [100.0, 101.0, wrong, 103.0, 104.0]
    ledger = booked([reading(30 * n, {"line.good_count": v}) for n, v in enumerate(counts)])
    account = ledger.account()
    assert account.growth("line.good_count") == 4.0
    assert any("line.good_count moved 1 times as it cannot" in d for d in account.doubts.in_full())


def test_a_step_that_stays_is_booked() -> None:
    counts = [100.0, 1100.0, 1101.0]
    ledger = booked([reading(30 * n, {"line.good_count": v}) for n, v in enumerate(counts)])
    assert ledger.account().growth("line.good_count") == 1001.0


@settings(deadline=None, max_examples=25)
@given(cut=st.integers(1, 959))
def test_parts_add_up_to_the_whole(cut: int) -> None:
    _, readings = simulated()
    whole = booked(readings).account()
    parts = [booked(readings[: cut + 1]).account(), booked(readings[cut:]).account()]
    for name, grown in whole.counted.items():
        assert sum(part.counted[name] for part in parts) == pytest.approx(grown, abs=1e-9)
    cost_eur = sum(part.electricity_cost_eur for part in parts)
    assert cost_eur == pytest.approx(whole.electricity_cost_eur, rel=1e-12)
    # A quarter is in a part unless the cut goes through it.
    found = {q.from_us: q.grid_kwh for part in parts for q in part.quarters}
    cut_us = readings[cut].time_us
    kept = {
        q.from_us: q.grid_kwh
        for q in whole.quarters
        if not q.from_us < cut_us < q.from_us + QUARTER_US
    }
    assert found == pytest.approx(kept)


@settings(deadline=None, max_examples=50)
@given(
    counts=st.lists(st.one_of(st.just(NAN), st.floats(0.0, 1e6)), min_size=2, max_size=30),
)
def test_nothing_is_ever_negative(counts: list[float]) -> None:
    readings = [
        reading(30 * n, {"line.energy_kwh": count, "env.price_eur_per_mwh": 50.0})
        for n, count in enumerate(counts)
    ]
    account = booked(readings).account()
    known = [count for count in counts if not math.isnan(count)]
    if not known:
        assert "line.energy_kwh" not in account.counted
        return
    rises = [max(b - a, 0.0) for a, b in pairwise(known)]
    booked_kwh = account.counted["line.energy_kwh"]
    assert 0.0 <= booked_kwh <= sum(rises) * (1.0 + 1e-9)
    assert account.electricity_cost_eur == pytest.approx(booked_kwh * 0.05)
    assert all(quarter.grid_kwh >= 0.0 for quarter in account.quarters)


@pytest.mark.parametrize(
    ("standby_s", "scenario"), [(0.0, "nominal"), (90.0, "nominal"), (60.0, "sensor_faults")]
)
def test_energy_of_each_class_is_that_of_the_true_line(standby_s: float, scenario: str) -> None:
    plc, readings = simulated(8, 7, standby_s, scenario)
    account = booked(readings).account()
    f, i, now_s = plc.state.floats, plc.state.ints, plc.state.now_s
    for n, station in enumerate(plant().stations):
        e, state = (n + 1) * s.E_FLOATS, i[(n + 1) * s.E_INTS + s.STATE]
        kwh = np.array(f[e + s.ENERGY_KWH : e + s.ENERGY_KWH + s.N_STATES])
        kwh[state] += f[e + s.POWER_KW] * (now_s - f[e + s.BOOKED_S]) / 3600.0
        awake = kwh[[s.IDLE, s.BLOCKED, s.DOWN, s.TOOL_CHANGE]].sum()
        true = [kwh[s.PROCESSING], awake, kwh[s.WARM_UP], kwh[[s.OFF, s.STANDBY]].sum()]
        found = account.energy_kwh[station.name]
        assert sum(found) == pytest.approx(kwh.sum())
        # A reading each 30 s cuts at a state's edges only nearly: 1 % of a class at the most.
        assert found == pytest.approx(true, rel=0.01, abs=0.03)
