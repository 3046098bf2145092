"""The shipped constant setpoints are no straw man: what lies about them is not better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from controllers.shift_cost import Shift
from controllers.tuning import SELECTION_SEEDS, TUNING_SEEDS, knobs
from twin.cli.tuned import baseline
from twin.feedback.compare import student_t

NEIGHBOURS = 50
SPREAD = 0.05
"""Standard deviation of each knob's step, as a share of its way."""
MOST = 0.01
FIRST_LOOK = {"machining_line": 8, "molding_cell": 4, "paint_cure_line": 6}
"""On how many shifts each neighbour is tried: so many that no plant takes much longer than a minute."""
LOOKS_AGAIN = (range(3101, 3141), range(4001, 4121))
"""Shifts on which those are tried again that looked better. The search has seen none of them."""
PLANTS = (
    "machining_line",
    "molding_cell",
    pytest.param(
        "paint_cure_line",
        marks=pytest.mark.xfail(
            strict=True,
            raises=AssertionError,
            reason="one of the fifty scraps less: about 4 % better of what can be saved. "
            "The oven wants a longer search",
        ),
    ),
)


def costs(shift: Shift, seeds: Sequence[int], point: Mapping[str, float]) -> NDArray[np.float64]:
    """EUR per good part ordered, shift by shift."""
    return np.array([shift.outcome(seed, point).eur_per_part for seed in seeds])


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS)
def test_no_neighbour_of_the_tuned_point_is_better_by_more_than_one_percent(plant: str) -> None:
    """Of what can be saved: the material of the parts stays out of what the share is taken of.

    The best of fifty on a few shifts is mostly the luckiest. So one that looks better is looked at
    again on forty others, and then on many, and is better if its mean is in each look and the 95 %
    interval of the last excludes zero.
    """
    shift = Shift(plant, 0.8, "nominal")
    tuned = baseline(plant, shift.plant, 0.8, "nominal").point.setpoints
    looks = (range(3001, 3001 + FIRST_LOOK[plant]), *LOOKS_AGAIN)
    assert not {seed for look in looks for seed in look} & {*TUNING_SEEDS, *SELECTION_SEEDS}

    @cache
    def at_tuned(look: range) -> NDArray[np.float64]:
        return costs(shift, look, tuned)

    material = np.mean([shift.outcome(seed, tuned).material_eur_per_part for seed in looks[0]])
    one_percent = MOST * (at_tuned(looks[0]).mean() - material)
    assert 0.0 < one_percent < MOST * at_tuned(looks[0]).mean()

    def is_better(point: Mapping[str, float]) -> bool:
        for look in looks:
            gains = at_tuned(look) - costs(shift, look, point)
            if gains.mean() <= one_percent:
                return False
        half = student_t(gains.size - 1) * gains.std(ddof=1) / gains.size**0.5
        return bool(gains.mean() > half)

    luck = np.random.default_rng(1)
    points = []
    for _ in range(NEIGHBOURS):
        steps = luck.normal(0.0, SPREAD, len(knobs(shift.plant)))
        points.append(
            {
                knob.name: knob.at(float(np.clip(knob.share(tuned[knob.name]) + step, 0.0, 1.0)))
                for knob, step in zip(knobs(shift.plant), steps, strict=True)
            }
        )
    assert len({tuple(point.values()) for point in points}) == NEIGHBOURS
    assert [point for point in points if is_better(point)] == []
