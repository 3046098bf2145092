"""Lines of an evaluation, made by hand."""

from __future__ import annotations

from typing import Any

from twin.cycle import Kpi
from twin.feedback import Kpis, kpi_record

GOOD = 100.0


def episode(
    controller: str, seed: int, cost_eur: float, kwh: float, u: float = 0.8, **changed: float
) -> dict[str, Any]:
    figures = {
        "running_cost_eur": cost_eur,
        "stock_change_eur": 0.0,
        "demand_charge_eur": 0.0,
        "energy_settled_kwh_per_good_part": kwh,
        "gas_settled_kwh_per_good_part": 0.0,
        "energy_cost_settled_eur_per_good_part": 0.1,
        "throughput_parts_per_h": GOOD / 8.0,
        "scrap_share": 0.02,
        "tool_cost_eur_per_good_part": 0.2,
        "material_kg_per_good_part": 3.0,
        "good_parts": GOOD,
        **changed,
    }
    kpis = Kpis(tuple(Kpi(name, value, "1", 0, 1) for name, value in figures.items()))
    return {
        "controller": controller,
        "scenario": "nominal",
        "utilisation": u,
        "variant": "nominal",
        "seed": seed,
        "kpi": kpi_record(kpis),
        "decisions": {"made": 10, "clipped": 1, "fallbacks": 2, "not_closed": 0},
        "timing": {"decision_median_s": 0.001 * seed, "decision_longest_s": 0.01 * seed},
    }
