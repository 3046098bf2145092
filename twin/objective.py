"""The one objective: what controllers minimise, what trains policies, what is reported.

Prices come from the plant file. Costs are EUR over a window of plant time; a comparison per good
part divides by the good parts of that window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twin.config import Plant
from twin.kernels.cost import running_cost_eur, stock_cost_eur, tool_charge_eur

SHIFTS_PER_YEAR = 500
"""Over how many shifts the yearly demand charge is spread: two shifts on 250 days; assumption."""


def _usual_eur_per_mwh(plant: Plant) -> float:
    tariff = plant.energy.tariffs_eur_per_mwh[plant.energy.tariff]
    return sum(tariff) / len(tariff) + float(plant.energy.adders_eur_per_mwh)


@dataclass(frozen=True, slots=True)
class Used:
    """What a window of plant time took and gave."""

    energy_kwh: float
    price_eur_per_mwh: float
    """The mean price at which the energy was drawn."""
    gas_kwh: float
    material_kg: float
    scrap_kg: float
    good: float
    edges: Mapping[str, float]
    """Edges used up, by station: changes, plus the share of life lost by the edges in place."""


@dataclass(frozen=True, slots=True)
class Stocks:
    """What stands in the line at one instant."""

    backlog: float
    """Good parts ordered and not made."""
    wip: float
    heat_owed_kwh: float
    """Electricity that brings every station back to ready."""
    gas_owed_kwh: float = 0.0
    """Gas that brings every zone back to its recipe's temperature; negative where it is hotter."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Prices of one plant, ready to be applied."""

    gas_eur_per_mwh: float
    material_eur_per_kg: float
    scrap_eur_per_kg: float
    backlog_eur_per_part: float
    wip_eur_per_part: float
    edge_cost_eur: Mapping[str, float]
    tool_budget_eur_per_part: float
    tool_excess_factor: float
    usual_eur_per_mwh: float
    """Electricity, at the mean of the plant's tariff: what it is taken to cost where nobody tells."""
    peak_eur_per_kw: float
    """Demand charge of one shift for each kW of its highest quarter of an hour."""

    @staticmethod
    def of(plant: Plant) -> Objective:
        """The prices of a plant file. A part in the line is worth its blank and the work in it."""
        blank = float(plant.source.blank_kg) * float(plant.source.blank_eur_per_kg)
        return Objective(
            gas_eur_per_mwh=float(plant.energy.gas_eur_per_mwh),
            material_eur_per_kg=float(plant.source.blank_eur_per_kg),
            scrap_eur_per_kg=float(plant.source.scrap_return_eur_per_kg),
            backlog_eur_per_part=float(plant.demand.backlog_eur_per_part),
            wip_eur_per_part=blank + float(plant.demand.wip_eur_per_part),
            edge_cost_eur={
                s.name: float(s.tool.edge_cost_eur) for s in plant.stations if s.tool is not None
            },
            tool_budget_eur_per_part=(
                float(plant.tooling.budget_eur_per_part) if plant.tooling is not None else 0.0
            ),
            tool_excess_factor=plant.tooling.excess_factor if plant.tooling is not None else 1.0,
            usual_eur_per_mwh=_usual_eur_per_mwh(plant),
            peak_eur_per_kw=float(plant.energy.demand_charge_eur_per_kw_year) / SHIFTS_PER_YEAR,
        )

    def tools_eur(self, used: Used) -> float:
        """What the edges themselves cost."""
        return sum(n * self.edge_cost_eur[name] for name, n in used.edges.items())

    def material_eur(self, used: Used) -> float:
        """What the material costs, less what scrap brings back."""
        return used.material_kg * self.material_eur_per_kg - used.scrap_kg * self.scrap_eur_per_kg

    def energy_eur(self, used: Used, end: Stocks) -> float:
        """What electricity and gas cost, with what brings a line that began ready back to that."""
        electricity_kwh = used.energy_kwh + end.heat_owed_kwh
        gas_kwh = used.gas_kwh + end.gas_owed_kwh
        return (electricity_kwh * used.price_eur_per_mwh + gas_kwh * self.gas_eur_per_mwh) * 1e-3

    def running_eur(self, used: Used) -> float:
        """What the window cost, stocks aside."""
        budget = self.tool_budget_eur_per_part * used.good
        return running_cost_eur(
            used.energy_kwh,
            used.price_eur_per_mwh,
            used.gas_kwh,
            self.gas_eur_per_mwh,
            used.material_kg,
            self.material_eur_per_kg,
            used.scrap_kg,
            self.scrap_eur_per_kg,
            tool_charge_eur(self.tools_eur(used), budget, self.tool_excess_factor),
        )

    def stocks_eur(self, stocks: Stocks, price_eur_per_mwh: float) -> float:
        """What the stocks of one instant are owed (positive) or worth (negative)."""
        return stock_cost_eur(
            stocks.backlog,
            self.backlog_eur_per_part,
            stocks.wip,
            self.wip_eur_per_part,
            stocks.heat_owed_kwh,
            price_eur_per_mwh,
            stocks.gas_owed_kwh,
            self.gas_eur_per_mwh,
        )
