"""No course of the true line costs less than the bound, and the bound is near enough to mean something."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from controllers.envelope import Envelope
from controllers.lower_bound import NoBoundError, least_cost_eur
from controllers.realised_luck import doomed_lines, down_lines, edge_lines, lower_lines
from controllers.row_of_stations import known_shift
from controllers.shift_cost import Shift as Judged
from controllers.tuning_space import knobs
from twin.cli.episode import Episode, play
from twin.cli.shift import Shift
from twin.feedback.evaluation import objective_eur
from twin.feedback.kpi import kpis_from_record


@cache
def bound_eur(plant: str, utilisation: float, seed: int, hours: float, scenario: str) -> float:
    return least_cost_eur(plant, utilisation, "nominal", scenario, seed, hours)


@pytest.mark.parametrize(
    ("plant", "utilisation", "seed"),
    [
        ("machining_line", 0.9, 1),
        pytest.param("machining_line", 0.6, 2, marks=pytest.mark.long),
        pytest.param("machining_line", 0.15, 3, marks=pytest.mark.long),
        ("molding_cell", 0.8, 2),
        pytest.param("molding_cell", 0.15, 3, marks=pytest.mark.long),
    ],
)
def test_no_controller_is_cheaper_than_the_bound(plant: str, utilisation: float, seed: int) -> None:
    shift = Shift(plant, seed, 1.0, utilisation=utilisation, engine="auto")
    least = bound_eur(plant, utilisation, seed, 1.0, "nominal")
    for controller in ("fixed", "full_pace", "n_policy", "mpc", "mpc_true"):
        cost = objective_eur(kpis_from_record(play(Episode(shift, controller))["kpi"]))
        assert least <= cost, controller


@pytest.mark.parametrize(
    ("plant", "scenario"),
    [
        *(
            ("machining_line", name)
            for name in ("nominal", "failure_burst", "tariff_day", "mismatch")
        ),
        ("molding_cell", "nominal"),
    ],
)
def test_no_constant_plan_is_cheaper_than_the_bound(plant: str, scenario: str) -> None:
    luck = np.random.default_rng(3)
    for utilisation, seed in ((0.9, 1), (0.8, 7), (0.6, 4)):
        shift = Judged(plant, utilisation, "nominal", scenario)
        orders = round(utilisation * float(shift.plant.demand.capacity_good_parts_per_h) * 8.0)
        least = bound_eur(plant, utilisation, seed, 8.0, scenario) / orders
        space = knobs(shift.plant)
        for spread in (0.1, 1.0) * 10:
            plan = {}
            for knob in space:
                share = knob.share(knob.start) + spread * (luck.random() - 0.5) * 2.0
                plan[knob.name] = knob.at(min(max(share, 0.0), 1.0))
            assert least <= shift.outcome(seed, plan).drawn_eur_per_part


def test_the_bound_is_near_what_was_done() -> None:
    for seed in (2, 4):
        shift = Shift("machining_line", seed, 8.0, utilisation=0.8, engine="auto")
        done = objective_eur(kpis_from_record(play(Episode(shift, "fixed"))["kpi"]))
        assert 0.95 * done < bound_eur("machining_line", 0.8, seed, 8.0, "nominal") < done


def test_where_nothing_has_been_derived_there_is_no_bound() -> None:
    with pytest.raises(NoBoundError, match="is continuous"):
        bound_eur("paint_cure_line", 0.8, 1, 8.0, "nominal")
    with pytest.raises(NoBoundError, match="faulty sensors"):
        bound_eur("machining_line", 0.8, 1, 8.0, "sensor_faults")


def test_the_planes_lie_below_the_model() -> None:
    shift = known_shift("machining_line", 0.8, "nominal", "nominal", 1, 8.0)
    luck = np.random.default_rng(5)
    for (station,) in shift.stages:
        cell = station.cell
        planes = Envelope(cell, station.disturbances, station.drifts, 8.0).planes()
        for _ in range(200):
            u = cell.lo + luck.random(len(cell.mvs)) * (cell.hi - cell.lo)
            x = luck.random(len(cell.model.states)) * cell.life_mm
            d = np.array([luck.uniform(tried[0], tried[-1]) for tried in station.disturbances])
            p = cell.p * (1.0 + station.drifts * luck.uniform(0.0, 8.0))
            y = cell.model.numbers()(x, u, d, p)
            taken = (y[0], y[1], y[4] / (cell.life_mm or 1.0))
            for *weights, least in planes:
                assert np.dot(weights, taken) >= least


def test_known_luck_becomes_lines_on_the_safe_side() -> None:
    steps = [(0.0, 0.0), (1.0, 0.0), (2.0, 3.0), (3.0, 3.0), (4.0, 8.0)]
    for x, y in steps:
        assert max(a * x + b for a, b in lower_lines(steps)) <= y + 1e-12
    shift = known_shift("machining_line", 0.8, "nominal", "nominal", 1, 8.0)
    milling = shift.stages[1][0].cell.e
    lines, most_s = down_lines(shift.line, 1, milling, 1.0, 28800.0)
    assert 0.0 < most_s < 28800.0
    assert max(a * most_s + b for a, b in lines) <= 28800.0 - most_s + 1e-6
    assert min(a * 1.0 + b for a, b in edge_lines(shift.line, 1, milling, 9.0)) > 0.0
    worked = doomed_lines(1, [(1, 0.0), (2, 0.05)], 100)
    assert worked[0] == worked[1]  # what the second spoils has passed both
    assert max(a * 100.0 + b for a, b in worked[0]) > 1.0
