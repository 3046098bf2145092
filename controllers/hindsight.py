"""What could have been done at best: a search over constant plans with the luck of the shift known.

Nobody can drive like this. It says how much there was to be saved, and so what the savings of a
controller are worth. The search is that of ``controllers.tuning``, on one shift: points about the
tuned one, then CMA-ES, every plan replayed on the true line with its own failures to come.
"""

from __future__ import annotations

from collections.abc import Mapping

from controllers.shift_cost import Shift
from controllers.tuning import SPREAD
from controllers.tuning_space import knobs, point_at, shares_of


def best_plan(
    plant_name: str,
    utilisation: float,
    variant: str,
    scenario: str,
    seed: int,
    begin: Mapping[str, float],
    *,
    hours: float,
    plans: int,
) -> Mapping[str, float]:
    """The cheapest setpoints for one shift of so many hours, by the objective, of so many that were replayed.

    ``begin`` is the first plan that is tried, so what is found is never worse. Deterministic.
    """
    import cma

    shift = Shift(plant_name, utilisation, variant, scenario, hours)
    space = knobs(shift.plant)
    best, least = dict(begin), shift.outcome(seed, begin).drawn_eur_per_part
    evolution = cma.CMAEvolutionStrategy(
        shares_of(space, begin),
        SPREAD,
        {"bounds": [0.0, 1.0], "seed": 7, "verbose": -9, "verb_log": 0},
    )
    tried = 1
    while tried < plans:
        asked = evolution.ask()
        costs = []
        for shares in asked:
            plan = point_at(space, shares)
            cost = shift.outcome(seed, plan).drawn_eur_per_part
            if cost < least:
                best, least = plan, cost
            costs.append(cost)
        evolution.tell(asked, costs)
        tried += len(asked)
    return best
