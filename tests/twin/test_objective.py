"""The one objective, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.twin.analyze.in_step import PLANTS, plant_of
from twin.objective import SHIFTS_PER_YEAR, Objective, Stocks, Used

USED = Used(
    energy_kwh=100.0,
    price_eur_per_mwh=180.0,
    gas_kwh=50.0,
    material_kg=38.0,
    scrap_kg=3.8,
    good=9.0,
    edges={"turning": 0.25, "milling": 0.125},
)


def test_prices_are_those_of_the_plant_file() -> None:
    objective = Objective.of(plant_of("machining_line"))
    assert objective.material_eur_per_kg == 1.4
    assert objective.scrap_eur_per_kg == 0.25
    assert objective.gas_eur_per_mwh == 55.0
    assert objective.backlog_eur_per_part == 20.0
    assert objective.wip_eur_per_part == pytest.approx(3.8 * 1.4 + 0.5)
    assert objective.edge_cost_eur == {"turning": 4.0, "milling": 4.0, "drilling": 4.0}
    assert objective.tool_budget_eur_per_part == 0.2375
    assert objective.peak_eur_per_kw == pytest.approx(119.08 / SHIFTS_PER_YEAR)


def test_a_window_costs_what_its_parts_cost() -> None:
    objective = Objective.of(plant_of("machining_line"))
    edges = 4.0 * 0.25 + 4.0 * 0.125
    assert objective.tools_eur(USED) == edges
    # Electricity, gas, material, scrap; edges count as their budget until they exceed it.
    expected = 18.0 + 2.75 + 38.0 * 1.4 - 3.8 * 0.25 + 9.0 * 0.2375
    assert objective.running_eur(USED) == pytest.approx(expected, rel=1e-12)


def test_edges_above_the_budget_are_dear() -> None:
    objective = Objective.of(plant_of("machining_line"))
    blunt = replace(USED, edges={"turning": 1.0})
    above = 4.0 - 9.0 * 0.2375
    dearer = objective.running_eur(blunt) - objective.running_eur(USED)
    assert dearer == pytest.approx(objective.tool_excess_factor * above, rel=1e-12)


def test_stocks_are_owed_or_worth() -> None:
    objective = Objective.of(plant_of("machining_line"))
    assert objective.stocks_eur(Stocks(0.0, 0.0, 0.0), 180.0) == 0.0
    owed = objective.stocks_eur(Stocks(3.0, 0.0, 10.0), 180.0)
    assert owed == pytest.approx(3.0 * 20.0 + 10.0 * 0.18)
    held = objective.stocks_eur(Stocks(3.0, 4.0, 10.0), 180.0)
    assert owed - held == pytest.approx(4.0 * (3.8 * 1.4 + 0.5))
    cold = objective.stocks_eur(Stocks(3.0, 0.0, 10.0, 20.0), 180.0)
    assert cold - owed == pytest.approx(20.0 * 0.055)


@pytest.mark.parametrize("name", PLANTS)
def test_every_shipped_plant_has_an_objective(name: str) -> None:
    plant = plant_of(name)
    objective = Objective.of(plant)
    tools = {station.name for station in plant.stations if station.tool is not None}
    assert set(objective.edge_cost_eur) == tools
    nothing = Used(0.0, 100.0, 0.0, 0.0, 0.0, 0.0, {})
    assert objective.running_eur(nothing) == 0.0
