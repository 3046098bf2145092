"""What a stretch of production costs: one formula for the loop, the score and the reward.

The functions take scalars or arrays of equal shape (one entry an environment).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Amount = TypeVar("Amount", float, NDArray[np.float64])


def running_cost_eur(
    energy_kwh: Amount,
    price_eur_per_mwh: Amount,
    gas_kwh: Amount,
    gas_eur_per_mwh: float,
    material_kg: Amount,
    material_eur_per_kg: float,
    scrap_kg: Amount,
    scrap_eur_per_kg: float,
    tools_eur: Amount,
) -> Amount:
    """Electricity, gas, material less what scrap brings back, and the charge for tools, EUR."""
    return (
        energy_kwh * price_eur_per_mwh * 1e-3
        + gas_kwh * (gas_eur_per_mwh * 1e-3)
        + material_kg * material_eur_per_kg
        - scrap_kg * scrap_eur_per_kg
        + tools_eur
    )


def tool_charge_eur(tools_eur: Amount, budget_eur: Amount, excess_factor: float) -> Amount:
    """Worn edges as the objective sees them: the budget, and dearly what goes beyond it.

    Edges saved under the budget bring nothing, so that no controller can buy energy with edges or
    edges with energy; see decision 0002.
    """
    excess = np.maximum(tools_eur - budget_eur, 0.0)
    charge: Amount = budget_eur + excess_factor * excess
    return charge


def stock_cost_eur(
    backlog: Amount,
    backlog_eur_per_part: float,
    wip: Amount,
    wip_eur_per_part: float,
    heat_owed_kwh: Amount,
    price_eur_per_mwh: Amount,
    gas_owed_kwh: Amount,
    gas_eur_per_mwh: float,
) -> Amount:
    """What is left behind at the end: unmet orders, parts in the line, cold machines.

    Parts in the line are worth something (a credit); heat that must be put back before the next
    part is owed, be it by electricity or by gas.
    """
    return (
        backlog * backlog_eur_per_part
        - wip * wip_eur_per_part
        + heat_owed_kwh * price_eur_per_mwh * 1e-3
        + gas_owed_kwh * (gas_eur_per_mwh * 1e-3)
    )
