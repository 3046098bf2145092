"""The shipped constant setpoints are no straw man: what lies about them is not better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pytest

from controllers.shift_cost import Shift
from controllers.thrift import TIME_OUTS_S, is_inside
from controllers.trials import Trial
from controllers.tuning import FURTHER_ON, JUDGING_SEEDS, SELECTION_SEEDS, TUNING_SEEDS
from controllers.tuning_space import knobs, point_at, shares_of
from twin.cli.tuned import baseline
from twin.feedback.compare import student_t

NEIGHBOURS = 50
SPREAD = 0.05
"""Standard deviation of each knob's step, as a share of its way."""
MOST = {"eur_per_part": 0.01, "energy_eur_per_part": 0.005}
LOOKS = (range(3001, 3013), range(3101, 3141), range(4001, 4121))
"""Shifts on which each neighbour is tried, and then those again that looked better. The search has seen none of them."""
LEVELS = (0.9, 0.8, 0.7, 0.6)
NOT_YET = pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="a few of fifty neighbours cost less or take less: two searches of 1,600 points have not found the best of the oven",
)
PLANTS = ("machining_line", "molding_cell", "paint_cure_line")
FAILS = {("paint_cure_line", 0.9), ("paint_cure_line", 0.6)}
CASES = [
    pytest.param(
        plant,
        level,
        marks=[pytest.mark.long, *[NOT_YET] * ((plant, level) in FAILS)],
    )
    for plant in PLANTS
    for level in LEVELS
]


def saved(trials: tuple[Trial, Trial], of: str) -> tuple[float, float]:
    """What the second saves of a figure, as a share of what the first could save, and the 95 % half-width.

    The material of the parts stays out of what the share is taken of. Energy is looked at in the shifts in
    which the first met all orders.
    """
    tuned, other = trials
    pairs = list(zip(tuned.outcomes, other.outcomes, strict=True))
    if of == "energy_eur_per_part":
        pairs = [(a, b) for a, b in pairs if a.is_calm] or pairs
        whole = np.mean([getattr(a, of) for a, _ in pairs])
    else:
        whole = np.mean([a.eur_per_part - a.material_eur_per_part for a, _ in pairs])
    gains = np.array([getattr(a, of) - getattr(b, of) for a, b in pairs]) / whole
    half = student_t(gains.size - 1) * gains.std(ddof=1) / gains.size**0.5
    return float(gains.mean()), float(half)


@pytest.mark.slow
@pytest.mark.parametrize(("plant", "level"), CASES)
def test_no_neighbour_of_the_tuned_point_is_better(plant: str, level: float) -> None:
    """Neither by the objective, by 1 %, nor in energy inside the limits for all else, by 0.5 %.

    Fifty random neighbours, most of which break a limit, and each time-out by itself, which breaks none.

    The best of fifty on a few shifts is mostly the luckiest. So one that looks better is looked at again on
    forty others, and then on many, and is better if its mean is in each look and the 95 % interval of the
    last excludes zero.
    """
    shift = Shift(plant, level, "nominal")
    tuned = baseline(plant, shift.plant, level, "nominal").point.setpoints
    searched = {*TUNING_SEEDS, *(seed + FURTHER_ON for seed in TUNING_SEEDS), *SELECTION_SEEDS}
    assert not {seed for look in LOOKS for seed in look} & {*searched, *JUDGING_SEEDS}
    space = knobs(shift.plant)

    def on(look: range, point: Mapping[str, float]) -> Trial:
        return Trial(point, tuple(shift.outcome(seed, point) for seed in look))

    @cache
    def at_tuned(look: range) -> Trial:
        return on(look, tuned)

    def better_in(point: Mapping[str, float]) -> Sequence[str]:
        better = ["eur_per_part", "energy_eur_per_part"]
        for look in LOOKS:
            pair = at_tuned(look), on(look, point)
            gains = {of: saved(pair, of) for of in better}
            better = [of for of, (gain, _) in gains.items() if gain > MOST[of]]
            if not is_inside(pair[1], pair[0]):
                better = [of for of in better if of == "eur_per_part"]
            if look == LOOKS[-1]:
                better = [of for of in better if gains[of][0] > gains[of][1]]
            if not better:
                break
        return better

    luck = np.random.default_rng(1)
    points = []
    for _ in range(NEIGHBOURS):
        steps = luck.normal(0.0, SPREAD, len(space))
        near = np.clip(np.add(shares_of(space, tuned), steps), 0.0, 1.0)
        points.append(point_at(space, near.tolist()))
    assert len({tuple(point.values()) for point in points}) == NEIGHBOURS
    points += [
        {**tuned, knob.name: time_out_s}
        for knob in space
        if knob.logarithmic
        for time_out_s in TIME_OUTS_S
    ]
    assert [(better, point) for point in points if (better := better_in(point))] == []
