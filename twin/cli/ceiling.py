"""Who drives with the luck of the shift known, and what the shift costs at least: for evaluations alone.

None of these is a controller that a plant could run: they open the truth, and two of them see what comes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twin.cli.shift import Shift
    from twin.config import TunedPoint
    from twin.equipment.plc import Plc

HINDSIGHT = "hindsight"
"""The cheapest of many constant plans."""
MPC_TRUE = "mpc_true"
"""The MPC with true parameters, its forks in the shift that really comes."""
BOUND = "bound"
"""Nobody: what the shift costs at least, whoever drives."""
ALL = (HINDSIGHT, MPC_TRUE, BOUND)
SEARCH, FORESIGHT, LOWER_BOUND = (
    "controllers.hindsight",
    "controllers.foresight",
    "controllers.lower_bound",
)
PLANS = 500
"""Plans that are replayed for each shift in hindsight."""


def in_hindsight(shift: Shift, point: TunedPoint) -> TunedPoint:
    """The cheapest of many constant plans for this very shift."""
    search = importlib.import_module(SEARCH)
    best: Mapping[str, float] = search.best_plan(
        shift.place,
        shift.demanded,
        shift.variant,
        shift.scenario,
        shift.seed,
        point.setpoints,
        hours=shift.hours,
        plans=PLANS,
    )
    return point.model_copy(update={"setpoints": dict(best)})


def foreseeing(shift: Shift, point: TunedPoint, plc: Plc) -> Any:
    """The MPC that looks at the plant behind ``plc`` itself."""
    return importlib.import_module(FORESIGHT).Foreseeing(
        plc.line, point, shift.table(), lambda: plc.state, shift.engine
    )


def bound_record(shift: Shift) -> tuple[dict[str, Any], str]:
    """The least cost of the shift as a record of figures with this one alone, and why if there is none."""
    from twin.cycle import Kpi
    from twin.feedback import Kpis, kpi_record
    from twin.feedback.evaluation import OBJECTIVE

    lower_bound = importlib.import_module(LOWER_BOUND)
    until_us = round(shift.hours * 3.6e9)
    try:
        eur = lower_bound.least_cost_eur(
            shift.place,
            shift.demanded,
            shift.variant,
            shift.scenario,
            shift.seed,
            shift.hours,
        )
    except lower_bound.NoBoundError as error:
        return kpi_record(Kpis((), {OBJECTIVE: str(error)})), f"no lower bound: {error}"
    return kpi_record(Kpis((Kpi(OBJECTIVE, eur, "EUR", 0, until_us),))), ""
