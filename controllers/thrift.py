"""The second half of the search for ``fixed``: the least energy that costs nothing else.

By the objective alone a search hardly sees energy. On the machining line a part scrapped costs as much as
the electricity of fifty, and an order missed as that of two hundred; two points that differ in one of them
by luck differ by more than the best and the worst point do in energy. So energy is looked at by itself:
its cost over the shifts in which all orders are met, under limits for all that it may not be paid with.
They are those of the best point by the objective, on the same shifts: its cost, its edges and its scrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, stdev

from controllers.trials import Search, Trial
from controllers.tuning_space import NEVER_S, Knob, point_at, shares_of
from twin.feedback.compare import student_t

COST, EDGES, SCRAP = 0.001, 0.005, 0.0005
"""How much more the cost and the edges of a part may be, as shares, and the scrap: half of the margins by which
controllers are compared, or less."""
KEPT_TO = 0.5
"""Share of these limits that the search keeps to, so that the luck of other shifts does not break them."""
SCRAP_WEIGHT, PENALTY = 10.0, 10.0
"""Scrap counts in tenths of a part; beyond a limit energy counts as so many times the excess dearer; assumption."""
SPREAD = 0.06
"""The first standard deviation of CMA-ES here, as a share of each knob's way: it begins near; assumption."""
TIME_OUTS_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 2400.0, NEVER_S)
"""Those that are tried for each station in the end."""
FINALISTS = 8

Score = Callable[[Trial], float]


def excess(trial: Trial, base: Trial, share: float = 1.0) -> float:
    """How far a point is beyond a share of the limits; 0 inside it."""
    edges_eur = base.tools_eur_per_part
    over = (
        trial.eur_per_part / base.eur_per_part - 1.0 - share * COST,
        trial.tools_eur_per_part / edges_eur - 1.0 - share * EDGES if edges_eur > 0.0 else 0.0,
        (trial.scrap_share - base.scrap_share - share * SCRAP) * SCRAP_WEIGHT,
    )
    return sum(max(one, 0.0) for one in over)


def penalised(trial: Trial, base: Trial, share: float = 1.0) -> float:
    """EUR of energy a part in the shifts in which ``base`` met all orders, dearer beyond a share of its limits."""
    energy_eur = trial.calm_energy_eur_per_part(base)
    return energy_eur * (1.0 + PENALTY * excess(trial, base, share))


def is_inside(trial: Trial, base: Trial) -> bool:
    """Whether no limit is shown to be broken: no 95 % interval of what more is taken lies beyond it.

    ``base`` is a winner, and on the shifts that it won by its luck is part of that: both are to be judged on others.
    """
    mine, theirs = trial.outcomes, base.outcomes
    limits = (
        ("eur_per_part", COST * base.eur_per_part),
        ("tools_eur_per_part", EDGES * base.tools_eur_per_part),
        ("scrap_share", SCRAP),
    )
    for figure, limit in limits:
        more = [getattr(a, figure) - getattr(b, figure) for a, b in zip(mine, theirs, strict=True)]
        half = student_t(len(more) - 1) * stdev(more) / math.sqrt(len(more))
        if fmean(more) - half > limit:
            return False
    return True


def thriftiest(
    search: Search,
    space: Sequence[Knob],
    base: Mapping[str, float],
    begins: Iterable[Mapping[str, float]],
    judging_seeds: Sequence[int],
) -> Trial:
    """The point of least energy inside the limits that ``base`` sets, on shifts that no search has seen.

    Looked for from ``base`` and from ``begins`` with what is left of the evaluations, on the shifts of ``search``,
    on which ``base`` was not chosen; ``base`` itself where nothing takes less. Last each station's time-out in turn,
    over and over, on the many shifts: what one of them saves is less than luck on a few.
    """
    first = len(search.log)
    of_base = search.on(search.seeds, base)

    def score(trial: Trial) -> float:
        return penalised(trial, of_base, KEPT_TO)

    best = reference = search.on(judging_seeds, base)
    judged = [reference]

    def judge(setpoints: Mapping[str, float]) -> Trial:
        judged.append(search.on(judging_seeds, setpoints))
        inside = [trial for trial in judged if is_inside(trial, reference)]
        return min(inside, key=lambda trial: trial.calm_energy_eur_per_part(reference))

    begin = min([of_base, *(search.at(point) for point in begins)], key=score)
    _evolved(search, space, begin, score)
    for finalist in sorted(search.log[first:], key=score)[:FINALISTS]:
        best = judge(finalist.setpoints)
    return _swept(judge, best, [knob.name for knob in space if knob.logarithmic])


def _evolved(search: Search, space: Sequence[Knob], begin: Trial, score: Score) -> None:
    """All knobs together, by CMA-ES about the best point so far."""
    import cma  # takes a second, and nobody else needs it

    evolution = cma.CMAEvolutionStrategy(
        shares_of(space, begin.setpoints),
        SPREAD,
        {"bounds": [0.0, 1.0], "seed": 11, "verbose": -9, "verb_log": 0},
    )
    while len(search.log) + evolution.popsize <= search.evaluations:
        asked = evolution.ask()
        evolution.tell(asked, [score(search.at(point_at(space, shares))) for shares in asked])


def _swept(
    judge: Callable[[Mapping[str, float]], Trial], best: Trial, names: Sequence[str]
) -> Trial:
    """Each time-out in turn, over and over, as long as one of them can be bettered."""
    is_better = True
    while is_better:
        before = best
        for name in names:
            for time_out_s in TIME_OUTS_S:
                if best.setpoints[name] != time_out_s:
                    best = judge({**best.setpoints, name: time_out_s})
        is_better = best is not before
    return best
