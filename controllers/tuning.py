"""The best constant setpoints of a plant, found by search and shipped with the search's log.

``fixed`` is the controller to beat, so it must be no straw man: every process setpoint, the takt and
one standby time-out for each station are searched together on the true plant, over shifts that no
report uses, all on common random numbers. First by the one objective, EUR per good part ordered: the
recipe, what the nominal model proposes, seeded random points, and CMA-ES from the best of them (Hansen,
Ostermeier, Evolutionary Computation 9 (2001) 159), which learns that setpoints hang together: a slower
turning pays only with a slower takt. A search over twenty shifts also learns those shifts by heart, so
the best points are compared on sixty others. Then, with the other half of the evaluations and on other shifts,
for the least energy that costs nothing else: ``controllers.thrift``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from controllers.proposed_points import proposals
from controllers.thrift import thriftiest
from controllers.trials import Search, Trial, prepare
from controllers.tuning_space import Knob, knobs, point_at, shares_of
from twin.config import Plant, load_plant
from twin.kernels import draws
from twin.spread import forked

TUNING_SEEDS = tuple(range(1001, 1021))
"""Twenty shifts; reports use seeds below 1000."""
FURTHER_ON = 100
"""The second half has as many shifts of its own, so many seeds further on: there the winner of the first has no luck."""
SELECTION_SEEDS = tuple(range(2001, 2061))
JUDGING_SEEDS = tuple(range(2101, 2341))
"""On the first the best by the objective are compared, on the second those of least energy."""
FINALISTS = 10
COST_SHARE = 0.5
"""Share of the evaluations that goes by the objective."""
SPREAD = 0.15
"""The first standard deviation of CMA-ES, as a share of each knob's way; assumption."""


def tune(
    plant_name: str,
    utilisation: float,
    variant: str = "nominal",
    *,
    random_points: int = 100,
    evaluations: int = 600,
    seeds: Sequence[int] = TUNING_SEEDS,
    begins: Sequence[Mapping[str, float]] = (),
    workers: int = 2,
    progress: Callable[[int, float], None] = lambda _n, _best: None,
) -> tuple[Trial, list[Trial]]:
    """The best point, scored on the judging seeds, and the log of both halves.

    ``begins`` are points known from elsewhere, another utilisation's for instance. Deterministic for
    given arguments.
    """
    plant = load_plant(plant_name)
    with forked(workers, prepare, plant_name, utilisation, variant) as pool:
        search = Search(pool, seeds, evaluations, progress)
        space = knobs(plant)
        _by_cost(search, plant, space, begins, random_points)
        finalists = sorted(search.log, key=lambda trial: trial.eur_per_part)[:FINALISTS]
        judged = [search.on(SELECTION_SEEDS, one.setpoints) for one in (*finalists, search.log[0])]
        base = min(judged, key=lambda trial: trial.eur_per_part)
        others = [*proposals(plant, base.tools_eur_per_part), *begins]
        thrift = replace(search, seeds=tuple(seed + FURTHER_ON for seed in seeds))
        best = thriftiest(thrift, space, base.setpoints, others, JUDGING_SEEDS)
    return best, search.log


def _by_cost(
    search: Search,
    plant: Plant,
    space: Sequence[Knob],
    begins: Sequence[Mapping[str, float]],
    random_points: int,
) -> None:
    """The recipe, what the model proposes, random points, and CMA-ES from the best of them."""
    import cma  # takes a second, and nobody else needs it

    def score(shares: Sequence[float]) -> float:
        return search.at(point_at(space, shares)).eur_per_part

    best = [knob.share(knob.start) for knob in space]
    least = score(best)
    for point in (*proposals(plant), *begins):
        shares = shares_of(space, point)
        if (cost := score(shares)) < least:
            best, least = shares, cost
    for n in range(random_points):  # half of the points lie anywhere, half about the best so far
        spread = 1.0 if n % 2 else 0.15
        shares = [_random_share(x, spread, n, m) for m, x in enumerate(best)]
        if (cost := score(shares)) < least:
            best, least = shares, cost
    evolution = cma.CMAEvolutionStrategy(
        best, SPREAD, {"bounds": [0.0, 1.0], "seed": 7, "verbose": -9, "verb_log": 0}
    )
    most = round(COST_SHARE * search.evaluations)
    while len(search.log) + evolution.popsize < most:
        points = evolution.ask()
        evolution.tell(points, [score(point) for point in points])
    score(evolution.result.xfavorite)  # the middle of what it has found: luck averages out


def _random_share(best: float, spread: float, n: int, m: int) -> float:
    luck = draws.uniform(7, draws.TWIN, m, draws.DISTURBANCE, n)
    if spread >= 1.0:
        return luck
    return min(max(best + spread * (2.0 * luck - 1.0), 0.0), 1.0)
