"""Where a policy has learned: it is not asked outside, nor where something it has to see is not known."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from controllers.env.schema import schema_of
from controllers.policy.controller import Policy
from controllers.policy.observing import Observing
from controllers.policy.source import spaces_of
from controllers.policy.training_range import TrainingRange, range_of
from tests.controllers.policy.bundles import PLANT, TURNS, bundle, observations
from tests.controllers.policy.courses import (
    TURNS_A_DECISION,
    course,
    with_value,
)
from tests.twin.analyze.in_step import nominal, observed
from twin.kernels import draws
from twin.line.initial import initial_state


def test_outside_the_box_it_is_not_asked(policy: Callable[..., Policy]) -> None:
    seen, _ = course(policy(wide=False), TURNS_A_DECISION + 1)
    assert seen.said[-1].status == "ok"
    fresh = policy(wide=False)
    fresh.decide(seen.seen[0])
    action = fresh.decide(with_value(seen.seen[-1], "line.scrap_count", 300.0))
    assert action.status == "fallback: ok"
    assert re.search(r"line.scrap_count = \d+(\.\d+)? was never seen in training", action.reason)


def test_a_combination_that_never_came_is_told_from_one_that_did() -> None:
    manifest = bundle(PLANT).manifest
    ranges = TrainingRange(manifest.training_range, manifest.spaces)
    seen = observations(PLANT)
    assert len(seen) == TURNS
    doubts = [ranges.doubt(row) for row in seen]
    assert not any(doubts)
    lowest, highest = seen.min(axis=0), seen.max(axis=0)
    luck = np.random.default_rng(5).uniform(size=(50, lowest.size))
    mixed = [ranges.doubt(lowest + row * (highest - lowest)) for row in luck]
    assert sum("no such combination" in doubt for doubt in mixed) >= 45


def test_the_range_looks_at_what_is_shown_and_not_at_what_is_scaled(
    policy: Callable[..., Policy],
) -> None:
    """Beyond its declared limit a number is scaled as if at it, where training has been."""
    made = policy(of_shown=True)  # trained up to every limit
    seen, _ = course(policy(), TURNS_A_DECISION + 1)
    fields = made._loaded.bundle.manifest.spaces.observation
    price = next(f for f in fields if f.name == "env.price_eur_per_mwh")
    for factor, status in ((1.0, "ok"), (10.0, "fallback: ok")):
        fresh = policy(of_shown=True)
        fresh.decide(seen.seen[0])
        dear = with_value(seen.seen[-1], price.name, factor * price.hi)
        action = fresh.decide(dear)
        assert action.status == status
    assert f"{price.name} = {10.0 * price.hi:.6g} was never seen" in action.reason


def test_a_sample_that_stops_at_the_limits_says_nothing_of_what_lies_beyond() -> None:
    manifest = bundle(PLANT).manifest
    limits = manifest.spaces.observation
    lo, hi = (np.array([getattr(f, end) for f in limits]) for end in ("lo", "hi"))
    shown = observations(PLANT)
    beyond = ((shown > hi) | (shown < lo)).any(axis=1)
    assert beyond.any()
    old, new = range_of(np.clip(shown, lo, hi), manifest.spaces), range_of(shown, manifest.spaces)
    assert (old.of_shown, new.of_shown) == (False, True)
    assert '"of_shown"' not in manifest.model_copy(update={"training_range": old}).text()
    assert not any(TrainingRange(old, manifest.spaces).doubt(row) for row in shown[beyond])
    far = np.where(shown[beyond][0] > hi, 50.0 * hi, shown[beyond][0])
    assert not TrainingRange(old, manifest.spaces).doubt(far)
    assert "was never seen" in TrainingRange(new, manifest.spaces).doubt(far)


def test_parts_that_a_plc_does_not_list_are_not_known() -> None:
    line = nominal("paint_cure_line")
    schema = schema_of(line)
    observing = Observing(line, spaces_of(schema), 60.0)
    seen = observed(line, initial_state(line, 3, draws.PLANT))
    asked = {field.name: seen[field.name] for field in schema.action}
    assert observing.seen(seen, asked).unknown == ""
    sight = observing.seen(replace(seen, part_ids={}), asked)
    assert sight.unknown.endswith(".carriers")
    assert np.isnan(sight.shown).all()
