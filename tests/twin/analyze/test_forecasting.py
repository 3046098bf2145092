"""Forecasts: the tariff is known, the rest persists with intervals that hold what they promise."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from tests.twin.analyze.in_step import nominal, observed, plant_of
from twin.analyze.forecasting import KEPT, STEPS, Z80, Forecaster, ForecastMemory
from twin.cycle import Forecast, Observation
from twin.kernels import draws
from twin.line.initial import initial_state

PRICE, AMBIENT, LOAD = "env.price_eur_per_mwh", "env.ambient_c", "env.site_load_kw"
STEP_S = 300.0
LINE = nominal("machining_line")
STATE = initial_state(LINE, 1, draws.PLANT)
SEEN = observed(LINE, STATE)


def at(time_s: float, told: Mapping[str, float]) -> Observation:
    values = SEEN.values.copy()
    for name, value in told.items():
        values[SEEN.index[name]] = value
    return Observation(round(time_s * 1e6), 0, values, SEEN.quality, SEEN.part_ids, (), SEEN.index)


class Forecasting:
    def __init__(self) -> None:
        self.forecaster = Forecaster(plant_of("machining_line"))
        self.memory = ForecastMemory()

    def of(self, time_s: float, **told: float) -> Forecast:
        given = {name.replace("__", "."): value for name, value in told.items()}
        return self.forecaster.forecast(at(time_s, given), self.memory)


def test_a_price_on_a_known_tariff_follows_it() -> None:
    plant = plant_of("machining_line")
    day = plant.energy.tariffs_eur_per_mwh["solar_day"]
    adders = float(plant.energy.adders_eur_per_mwh)
    # At 7 h 50 min on the clock: ten minutes of this hour, an hour of the next, and the rest.
    forecast = Forecasting().of(6600.0, env__price_eur_per_mwh=day[7] + adders)
    expected = [day[7]] * 2 + [day[8]] * 12 + [day[9]] * 10
    assert forecast.step_s == STEP_S
    assert forecast.mean[PRICE].tolist() == [price + adders for price in expected]
    assert forecast.lower[PRICE].tolist() == forecast.upper[PRICE].tolist()


@pytest.mark.parametrize("late_s", [0.0, 30.0, 59.0])
def test_on_the_stroke_of_the_hour_the_old_price_may_still_be_shown(late_s: float) -> None:
    plant = plant_of("machining_line")
    day = plant.energy.tariffs_eur_per_mwh["solar_day"]
    adders = float(plant.energy.adders_eur_per_mwh)
    for price in (day[7], day[8]):
        forecast = Forecasting().of(7200.0 + late_s, env__price_eur_per_mwh=price + adders)
        expected = [day[8]] * 12 + [day[9]] * 12
        assert forecast.mean[PRICE].tolist() == [price + adders for price in expected]


def test_the_line_really_shows_it_late() -> None:
    """What the twin sees of a solar day at each full hour is on the tariff."""
    plant = plant_of("machining_line")
    from twin.line.scenario import build_table
    from twin.line.simulator import Simulator

    simulator = Simulator(LINE, build_table(plant, 1, draws.PLANT, 8.0, "tariff_day"))
    state = STATE.copy()
    forecaster, memory = Forecaster(plant), ForecastMemory()
    for n in range(1, 7 * 12):
        simulator.advance(state, {}, n * STEP_S)
        forecast = forecaster.forecast(observed(LINE, state), memory)
        assert len(set(forecast.mean[PRICE].tolist())) > 1, n
        assert (forecast.lower[PRICE] == forecast.upper[PRICE]).all()


def test_a_price_on_no_tariff_persists() -> None:
    forecast = Forecasting().of(0.0, env__price_eur_per_mwh=123.456)
    assert forecast.mean[PRICE].tolist() == [123.456] * STEPS


def test_where_nothing_is_known_of_errors_the_interval_is_that_of_the_plant_file() -> None:
    forecast = Forecasting().of(0.0, env__ambient_c=20.0)
    width = forecast.upper[AMBIENT] - forecast.mean[AMBIENT]
    assert width[0] == 0.0  # now is known
    assert width[1:] == pytest.approx(Z80 * math.sqrt(2.0) * 2.5, rel=1e-12)


def test_a_value_that_is_not_there_is_not_forecast() -> None:
    forecast = Forecasting().of(0.0, env__ambient_c=math.nan)
    assert AMBIENT not in forecast.mean
    assert AMBIENT not in forecast.lower
    assert "env.hardness_rel" in forecast.mean


def test_a_forecast_is_made_once_a_step() -> None:
    forecasting = Forecasting()
    first = forecasting.of(0.0, env__ambient_c=20.0)
    assert forecasting.of(299.9, env__ambient_c=25.0) is first
    second = forecasting.of(300.0, env__ambient_c=25.0)
    assert second is not first
    assert second.mean[AMBIENT].tolist() == [25.0] * STEPS


def test_intervals_widen_with_the_horizon_and_memory_is_bounded() -> None:
    forecasting = Forecasting()
    forecast = forecasting.of(0.0, env__site_load_kw=0.0)
    for n in range(1, 300):
        load = 100.0 + 10.0 * math.sin(n / 9.0)
        forecast = forecasting.of(n * STEP_S, env__site_load_kw=load)
    width = forecast.upper[LOAD] - forecast.lower[LOAD]
    assert (np.diff(width) >= 0.0).all()
    assert width[1] > 0.0
    assert len(forecasting.memory.past[LOAD]) == KEPT


@pytest.mark.parametrize("keep", [1.0, 0.9])
def test_four_values_in_five_fall_inside_the_interval(keep: float) -> None:
    """A random walk and an autoregressive course: 80 % means 80 %."""
    forecasting = Forecasting()
    n = KEPT + 1200
    course = np.zeros(n + STEPS)
    for row in range(1, n + STEPS):
        luck = draws.normal(7, draws.WHAT_IF, 1, draws.DISTURBANCE, row)
        course[row] = keep * course[row - 1] + luck
    course += 1000.0
    inside = np.zeros(STEPS)
    made = 0
    for row in range(n):
        forecast = forecasting.of(row * STEP_S, env__site_load_kw=float(course[row]))
        if row >= KEPT:
            made += 1
            came = course[row : row + STEPS]
            inside += (forecast.lower[LOAD] <= came) & (came <= forecast.upper[LOAD])
    coverage = inside[1:] / made
    assert made == 1200
    assert coverage[:6] == pytest.approx(0.8, abs=0.03)
    assert coverage == pytest.approx(0.8, abs=0.12)  # forecasts overlap: fewer of their own
