"""The table of what comes from outside: one row a minute."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.anchor_lines import serial_plant
from tests.twin.line.small_lines import Run, changed, fixed
from twin.config import Plant, PlantError
from twin.kernels.draws import PLANT, TWIN
from twin.line import schema as s
from twin.line.model import build_line
from twin.line.scenario import build_table, held, scenario_of, shift_orders

PRICES = tuple(float(10 * hour) for hour in range(24))
FLAT = (50.0,) * 24


def plant(disturbance: dict[str, Any] | None = None, **scenario: Any) -> Plant:
    """One station, one disturbance ``d``, a scenario ``event`` besides the nominal one."""
    values: dict[str, Any] = {
        "demand.capacity_good_parts_per_h": 50.0,
        "demand.utilisation": 0.8,
        "energy.tariff": "hourly",
        "energy.tariffs_eur_per_mwh": {"hourly": PRICES, "flat": FLAT},
        "energy.adders_eur_per_mwh": 5.0,
        "scenarios.event": {"title": "event", **scenario},
    }
    if disturbance is not None:
        spec = {"unit": "1", "kind": "constant", "mean": 3.0, "validity": (-1e6, 1e6)}
        values["disturbances.d"] = {**spec, **disturbance}
    return changed(serial_plant(fixed(5.0), []), values)


def columns(of: Plant, hours: float, scenario: str = "nominal", **more: Any) -> NDArray[np.float64]:
    """The table as an array: rows by columns."""
    seed, world = more.pop("seed", 1), more.pop("world", PLANT)
    table = np.array(build_table(of, seed, world, hours, scenario, **more))
    return table.reshape(-1, len(of.disturbances) + 2)


def test_one_row_a_minute_and_one_for_the_end() -> None:
    table = columns(plant({}), 2.0)
    assert table.shape == (121, 3)
    assert (table[:, 0] == 3.0).all()
    assert (table[:, 2] == 1.0).all()


def test_orders_of_a_shift_are_known_at_its_start() -> None:
    table = columns(plant(), 17.0)
    assert shift_orders(plant(), 0.8) == 320
    assert table[[0, 479, 480, 959, 960], 0].tolist() == [320, 320, 640, 640, 960]
    assert columns(plant(), 1.0, utilisation=0.5)[0, 0] == 200


def test_a_rush_order_covers_the_rest_of_its_shift() -> None:
    table = columns(plant(from_h=2.0, demand_factor=1.5), 17.0, "event")
    assert table[[0, 119, 120, 479, 480], 0].tolist() == [320, 320, 440, 440, 760]
    brief = columns(plant(from_h=2.0, until_h=4.0, demand_factor=1.5), 8.0, "event")
    assert brief[120, 0] == 320 + 40
    late = columns(plant(from_h=14.0, demand_factor=1.5), 17.0, "event")
    assert late[[839, 840, 960], 0].tolist() == [640, 680, 1000]


def test_failures_come_more_often_inside_the_window_only() -> None:
    table = columns(plant(from_h=1.0, until_h=2.0, failure_rate_factor=3.0), 3.0, "event")
    assert table[[59, 60, 119, 120], 1].tolist() == [1.0, 3.0, 3.0, 1.0]
    assert (columns(plant(failure_rate_factor=3.0), 3.0)[:, 1] == 1.0).all()


def test_a_shift_of_a_disturbance_stays_inside_its_validity() -> None:
    of = plant({"validity": (0.0, 4.5)}, from_h=1.0, until_h=2.0, shift={"d": 2.0})
    assert columns(of, 3.0, "event")[[59, 60, 119, 120], 0].tolist() == [3.0, 4.5, 4.5, 3.0]


def test_tariff_hours_follow_the_clock() -> None:
    of = changed(plant({"kind": "tariff"}, tariff="flat"), {"energy.starts_at_h": 6.5})
    price = columns(of, 24.0)[:, 0]
    # At half past six; seven comes after half an hour, midnight after seventeen and a half.
    expected = {0: 60, 29: 60, 30: 70, 17 * 60 + 29: 230, 17 * 60 + 30: 0, 24 * 60: 60}
    for minute, eur_per_mwh in expected.items():
        assert price[minute] == eur_per_mwh + 5.0
    assert (columns(of, 24.0, "event")[:, 0] == 55.0).all()


def test_the_warmest_time_of_day_is_three() -> None:
    warmth = columns(plant({"kind": "daily", "mean": 20.0, "sd": 2.0}), 24.0)[:, 0]
    assert int(warmth.argmax()) == 9 * 60
    assert warmth.max() == pytest.approx(20.0 + 2.0 * math.sqrt(2.0))
    assert warmth[:-1].std() == pytest.approx(2.0)


def test_a_lot_lasts_as_long_as_it_may() -> None:
    of = plant({"kind": "lots", "mean": 1.0, "sd": 0.1, "hours": (2.0, 6.0)})
    values = columns(of, 4000.0)[:, 0]
    starts = np.flatnonzero(np.diff(values)) + 1
    stays_h = np.diff(starts) / 60.0
    assert len(stays_h) > 800
    assert 2.0 - 1 / 60 <= stays_h.min() < 2.1
    assert 5.9 < stays_h.max() <= 6.0 + 1 / 60
    assert stays_h.mean() == pytest.approx(4.0, abs=0.2)
    lots = values[starts]
    assert lots.mean() == pytest.approx(1.0, abs=0.015)
    assert lots.std() == pytest.approx(0.1, rel=0.1)


def test_a_mix_takes_its_choices_alike() -> None:
    of = plant({"kind": "mix", "choices": (40.0, 60.0, 90.0), "hours": (1.0, 1.0)})
    values = columns(of, 3000.0)[:-1:60, 0]
    shares = {choice: float((values == choice).mean()) for choice in (40.0, 60.0, 90.0)}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert all(abs(share - 1 / 3) < 0.04 for share in shares.values())


def test_a_walk_has_its_spread_and_its_memory() -> None:
    walk = columns(plant({"kind": "walk", "mean": 7.0, "sd": 2.0, "hours": (0.5, 0.5)}), 3000.0)
    values = walk[:, 0] - 7.0
    assert values.mean() == pytest.approx(0.0, abs=0.15)
    assert values.std() == pytest.approx(2.0, rel=0.05)
    later = np.corrcoef(values[:-30], values[30:])[0, 1]
    assert later == pytest.approx(math.exp(-1.0), abs=0.05)


@pytest.mark.parametrize("kind", ["lots", "walk"])
def test_a_course_is_a_pure_function_of_seed_and_world(kind: str) -> None:
    of = plant({"kind": kind, "sd": 1.0})
    once = columns(of, 30.0)
    assert (columns(of, 30.0) == once).all()
    assert (columns(of, 10.0) == once[:601]).all()
    for other in ({"seed": 2}, {"world": TWIN}):
        assert not (columns(of, 30.0, **other)[:, 0] == once[:, 0]).any()


def test_recorded_values_are_used_and_repeated() -> None:
    recorded = {"d": np.array([1.0, 2.0, 4.0])}
    plain = columns(plant({}), 0.1, recorded=recorded)
    assert plain[:, 0].tolist() == [1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 1.0]
    scaled = plant({"recorded": {"column": "x", "scale": 4.0, "offset": 1.0}})
    assert columns(scaled, 0.05, recorded=recorded)[:3, 0].tolist() == [5.0, 9.0, 17.0]
    standard = plant({"sd": 0.5, "recorded": {"column": "x", "standardise": True}})
    values = columns(standard, 2 / 60, recorded=recorded)[:3, 0]
    assert (values.mean(), values.std()) == pytest.approx((3.0, 0.5))


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf]], ids=["none", "nan", "inf"])
def test_recorded_values_must_be_numbers(bad: list[float]) -> None:
    with pytest.raises(PlantError, match="'d'"):
        columns(plant({}), 1.0, recorded={"d": np.array(bad)})


def test_an_unknown_scenario_is_refused() -> None:
    assert scenario_of(plant(), "event").title == "event"
    with pytest.raises(PlantError, match=r"no scenario 'storm'.*nominal, event"):
        scenario_of(plant(), "storm")


def test_a_twin_holds_the_present() -> None:
    assert held([1.5, 2.5], 40.0) == [1.5, 2.5, 40.0, 1.0]


def test_the_line_sees_each_row_from_its_minute_on_and_the_last_one_for_ever() -> None:
    line = build_line(plant({}))
    run = Run(line, [1.0, 1.0, 1.0, 2.0, 5.0, 2.0, 3.0, 7.0, 1.0])
    at = line.k[s.K_DISTURBANCE_F]
    seen = []
    for minute in (0.5, 1.0, 1.5, 2.5, 100.0):
        run.to(60.0 * minute)
        seen.append((run.state.floats[at], run.count(s.ORDERED)))
    # Half-open: what is due at a minute has not happened when a run up to that minute ends.
    assert seen == [(1.0, 1), (1.0, 1), (2.0, 5), (3.0, 7), (3.0, 7)]
