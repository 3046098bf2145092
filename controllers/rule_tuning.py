"""The best thresholds of each rule, found on shifts of those on which ``fixed`` is tuned.

A rule has one to three thresholds, so the search goes along each in turn, from end to end and then in ever smaller
steps about the best: it ends where a step is a hundredth of the way, or where the evaluations are used up. Each choice drives every
tuning shift of the true line, seeing it once a control period, and is judged by its energy under the limits of
``controllers.thrift``: ``fixed`` itself sets them. The best few, and the rule as it was, are then compared on the
selection shifts, which the search has not seen. Process setpoints are those tuned for ``fixed``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controllers.buffer_rules import NPolicy, Opportunity, Upstream
from controllers.rules import AlwaysOn, FullPace, Pi, TimeOut
from controllers.shift_cost import Outcome, Shift
from controllers.thrift import penalised
from controllers.trials import Trial
from controllers.tuning import SELECTION_SEEDS, TUNING_SEEDS
from twin.config import TunedPoint
from twin.line.model import build_line
from twin.spread import forked

RULES: Mapping[str, type[AlwaysOn]] = {
    rule.rule: rule for rule in (AlwaysOn, TimeOut, FullPace, Upstream, NPolicy, Opportunity, Pi)
}
WAYS: Mapping[str, tuple[float, float]] = {
    "even_share": (0.6, 1.0),
    "rests": (0.1, 300.0),
    "wake_at": (1.0, 12.0),
    "n_policy.wake_at": (2.0, 12.0),
    "margin": (0.2, 500.0),
    "gain_s": (0.1, 30.0),
    "reset_s": (300.0, 36000.0),
}
"""Between what each threshold is searched, on a logarithmic scale; parts are whole.

Of a rule's own, ``rule.threshold``, where it has a way of its own: an N-policy that wakes at the first part
is the upstream rule. Time-outs are counted in a station's own rests that just pay: 300 of them are hours.
"""
GRID = 8
"""Points of the first look along each threshold."""
FINEST = 0.01
FINALISTS = 3


@dataclass(frozen=True, slots=True)
class RuleFound:
    """One evaluated choice, what came of each shift, and how good that is: EUR of energy a part, and penalties."""

    thresholds: Mapping[str, float]
    trial: Trial
    score: float

    @property
    def eur_per_part(self) -> float:
        """Its mean cost."""
        return self.trial.eur_per_part


def way_of(rule: str, name: str) -> tuple[float, float]:
    """Between what a threshold of a rule is searched."""
    return WAYS.get(f"{rule}.{name}", WAYS[name])


def threshold_at(rule: str, name: str, share: float) -> float:
    """The threshold of a rule at a share (0 to 1) of its way."""
    lo, hi = way_of(rule, name)
    value = lo * (hi / lo) ** min(max(share, 0.0), 1.0)
    return float(round(value)) if name == "wake_at" else round(value, 2)


def share_of(rule: str, name: str, value: float) -> float:
    """Where a threshold lies on its way, 0 to 1."""
    lo, hi = way_of(rule, name)
    return min(max(math.log(value / lo) / math.log(hi / lo), 0.0), 1.0)


_shift: Shift | None = None


def _prepare(plant_name: str, utilisation: float, variant: str) -> None:
    global _shift  # noqa: PLW0603 - one shift a worker process, made once
    _shift = Shift(plant_name, utilisation, variant)


def outcome(task: tuple[str, int, TunedPoint]) -> Outcome:
    """One shift under one rule, or under no rule at the constant setpoints; in a process that was prepared."""
    assert _shift is not None
    rule, seed, point = task
    if rule not in RULES:
        return _shift.outcome(seed, point.setpoints)
    return _shift.driven(seed, RULES[rule](build_line(_shift.plant), point))


def tune_rule(
    rule: str,
    plant_name: str,
    utilisation: float,
    variant: str,
    point: TunedPoint,
    *,
    evaluations: int = 600,
    seeds: Sequence[int] = TUNING_SEEDS,
    selection_seeds: Sequence[int] = SELECTION_SEEDS,
    workers: int = 2,
    progress: Callable[[int, float], None] = lambda _n, _best: None,
) -> tuple[RuleFound, list[RuleFound]]:
    """The best thresholds of one rule, scored on the selection seeds, and the log. Deterministic."""
    with forked(workers, _prepare, plant_name, utilisation, variant) as pool:

        def driven(driver: str, chosen: TunedPoint, on: Sequence[int]) -> Trial:
            tasks = [(driver, seed, chosen) for seed in on]
            return Trial(chosen.setpoints, tuple(pool.map(outcome, tasks, chunksize=4)))

        def judged(thresholds: Mapping[str, float], on: Sequence[int], base: Trial) -> RuleFound:
            chosen = point.model_copy(update={"thresholds": {rule: dict(thresholds)}})
            trial = driven(rule, chosen, on)
            return RuleFound(thresholds, trial, penalised(trial, base))

        log: list[RuleFound] = []
        of_fixed, selected_fixed = (driven("fixed", point, on) for on in (seeds, selection_seeds))

        def score(thresholds: Mapping[str, float]) -> float:
            for found in log:
                if found.thresholds == thresholds:
                    return found.score
            log.append(judged(thresholds, seeds, of_fixed))
            progress(len(log), min(found.eur_per_part for found in log))
            return log[-1].score

        own = {name: float(getattr(RULES[rule], name)) for name in RULES[rule].thresholds}
        score(own)
        _look(rule, score, lambda: len(log) < evaluations)
        finalists = [log[0], *sorted(log[1:], key=lambda one: one.score)[:FINALISTS]]
        last = [judged(one.thresholds, selection_seeds, selected_fixed) for one in finalists]
    return min(last, key=lambda one: one.score), log


def _look(
    rule: str,
    score: Callable[[Mapping[str, float]], float],
    has_more: Callable[[], bool],
) -> None:
    """Along each threshold in turn from end to end, then about the best in steps that are halved."""
    names = RULES[rule].thresholds
    best = [share_of(rule, name, float(getattr(RULES[rule], name))) for name in names]
    least = np.inf

    def look(n: int, shares: Sequence[float]) -> None:
        nonlocal best, least
        for x in shares:
            if not has_more():
                return
            at = [*best[:n], min(max(x, 0.0), 1.0), *best[n + 1 :]]
            cost = score(
                {name: threshold_at(rule, name, y) for name, y in zip(names, at, strict=True)}
            )
            if cost < least:
                best, least = at, cost

    for n in range(len(names)):
        look(n, [x / (GRID - 1.0) for x in range(GRID)])
    step = 0.5 / (GRID - 1.0)
    while step >= FINEST and has_more():
        for n in range(len(names)):
            middle = best[n]
            look(n, [middle - step, middle + step])
        step *= 0.5
