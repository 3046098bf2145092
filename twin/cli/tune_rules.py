"""``twin tune --rules``: the best thresholds of each rule, searched and put beside the plant file."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from twin.cli.searches import begun, tell, write
from twin.cli.shift import Shift

SEARCH = "controllers.rule_tuning"
SELECTION = 3
"""Selection shifts for each tuning shift, if not all are asked for: as many as all have for all."""


def search_rules(
    path: Path,
    shift: Shift,
    levels: Sequence[float],
    evaluations: int,
    shifts: int | None,
    workers: int,
    anew: bool,
) -> bool:
    """Search every rule at every utilisation that the file lacks; whether there was any.

    A rule may have been tuned before for another utilisation: then the search begins at its own thresholds
    all the same, so that the order of searches does not matter.
    """
    from twin.cli.tuned import baseline
    from twin.config import RuleTrial, TunedRule, TunedRules

    tuning = importlib.import_module(SEARCH)
    selection = None if shifts is None else SELECTION * shifts
    tuned = begun(path, shift, levels, shifts, evaluations, TunedRules, selection, anew=anew)
    missing = [
        (level, rule)
        for level in levels
        for rule in tuning.RULES
        if rule not in tuned.points.get(repr(level), {})
    ]
    for level, rule in missing:
        point = baseline(shift.place, shift.plant, level, shift.variant).point
        best, log = tuning.tune_rule(
            rule,
            shift.place,
            level,
            shift.variant,
            point.model_copy(update={"thresholds": {}}),
            evaluations=evaluations,
            seeds=tuned.seeds,
            selection_seeds=tuned.selection_seeds,
            workers=workers,
            progress=partial(tell, f"{rule} at {level:g}"),
        )
        found = TunedRule(
            thresholds=dict(best.thresholds),
            eur_per_part=best.eur_per_part,
            log=tuple(
                RuleTrial(thresholds=dict(one.thresholds), eur_per_part=one.eur_per_part)
                for one in log
            ),
        )
        held = {**tuned.points.get(repr(level), {}), rule: found}
        tuned = tuned.model_copy(update={"points": {**tuned.points, repr(level): held}})
        write(path, tuned)
    return bool(missing)
