"""A policy at work: heard where it was trained, replaced where it was not, never further than approved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from controllers.policy.controller import STEPS, Policy
from controllers.policy.manifest import Approval
from tests.controllers.policy.bundles import PLANT
from tests.controllers.policy.courses import (
    TURNS_A_DECISION,
    blind,
    course,
)
from tests.twin.analyze.in_step import nominal
from twin.act.guard import ADVICE
from twin.config import untuned
from twin.cycle import Mode
from twin.plugins import RefusedError, check_controller


def test_it_keeps_the_contract(policy: Callable[..., Policy]) -> None:
    seen, _ = course(policy(), 12)
    for how in ({}, {"wide": False}, {"base": "fixed"}, {"state": Approval.SHADOW}):
        check_controller(lambda how=how: policy(**how), seen.seen)  # type: ignore[misc]


def test_it_asks_for_what_the_network_says_once_a_decision_period(
    policy: Callable[..., Policy],
) -> None:
    made = policy()
    turns = TURNS_A_DECISION
    seen, cycles = course(made, 3 * turns + 1)
    fields = made._fields
    said = [tuple(a.setpoints[f.name] for f in fields) for a in seen.said]
    moves = [n for n in range(1, len(said)) if said[n] != said[n - 1]]
    assert moves == [turns, 2 * turns, 3 * turns]
    active = seen.seen[0].active
    assert dict(zip((f.name for f in fields), said[0], strict=True)).items() <= active.items()
    assert all(f.lo <= value <= f.hi for row in said for f, value in zip(fields, row, strict=True))
    assert {a.status for a in seen.said} == {"ok"}
    assert cycles[-1].decision.mode is Mode.CLOSED
    assert any(c.decision.batch and c.decision.batch.setpoints for c in cycles)


def test_what_training_left_alone_stays_at_the_recipe(policy: Callable[..., Policy]) -> None:
    seen, _ = course(policy(), 2)
    recipe = untuned(nominal(PLANT).plant).setpoints
    left = {n: v for n, v in recipe.items() if n.endswith(".standby_after_s")}
    assert left
    assert left.items() <= seen.said[0].setpoints.items()


def test_it_hands_over_when_blind_and_comes_back_after_a_while(
    policy: Callable[..., Policy],
) -> None:
    turns = TURNS_A_DECISION
    first, last = turns + 2, 3 * turns + 1
    seen, cycles = course(policy(), 9 * turns, blind(first, last))
    handed = [n for n, a in enumerate(seen.said) if a.status == "fallback: ok"]
    # It is blind at the decisions 2 and 3, and fit at 4, 5 and 6: return_after is 3.
    assert handed == list(range(2 * turns, 6 * turns))
    action = seen.said[handed[0]]
    assert "env.price_eur_per_mwh is not known; tuned constant setpoints" in action.reason
    assert set(action.why) == set(action.setpoints)
    assert "fixed stands in for policy ppo" in action.in_words
    assert "fit again for 2 of 3 decisions" in seen.said[handed[-1]].reason
    assert cycles[-1].decision.mode is Mode.CLOSED


def test_nobody_sees_in_the_line_who_takes_over(policy: Callable[..., Policy]) -> None:
    """From where the setpoints are to where they shall be in equal steps, both ways."""
    turns = TURNS_A_DECISION
    seen, _ = course(policy(), 9 * turns, blind(4 * turns, 4 * turns))
    changes = (4 * turns, 7 * turns)
    assert [a.status.startswith("fallback") for a in seen.said] == [
        changes[0] <= n < changes[1] for n in range(len(seen.said))
    ]
    discrete = {s.name for s in seen.seen[0].signals if s.discrete}
    for n in changes:
        target = seen.said[n + STEPS - 1].setpoints
        moved = 0
        for k in range(STEPS):
            active, asked = seen.seen[n + k].active, seen.said[n + k].setpoints
            for name in set(target) - discrete:
                expected = active[name] + (target[name] - active[name]) / (STEPS - k)
                assert asked[name] == pytest.approx(expected, abs=1e-9), (n, k, name)
                moved += asked[name] != active[name]
        assert moved > STEPS, "there was nowhere to go"


def test_a_late_decision_hands_over(policy: Callable[..., Policy]) -> None:
    made = policy()
    seen, _ = course(policy(), 2)
    assert made.decide(seen.seen[0]).status == "ok"
    later = replace(seen.seen[1], time_s=91.0)
    action = made.decide(later)
    assert action.status == "fallback: ok"
    assert "decides late: 91 s after the last time, not 60 s" in action.reason


def test_a_slow_decision_hands_over_where_time_is_looked_at(
    policy: Callable[..., Policy],
) -> None:
    times = iter([0, 900_000, 1_000_000, 2_000_001])
    made = policy(clock=lambda: next(times), patience_s=1.0)
    seen, _ = course(policy(), 2 * TURNS_A_DECISION + 1)
    assert made.decide(seen.seen[0]).status == "ok"
    assert made.decide(seen.seen[TURNS_A_DECISION]).status == "ok"
    action = made.decide(seen.seen[2 * TURNS_A_DECISION])
    assert action.status == "fallback: ok"
    assert "took longer than 1 s" in action.reason
    nobody = policy(clock=lambda: pytest.fail("in lockstep no clock is asked"))
    for situation in seen.seen:
        assert nobody.decide(situation).status == "ok"


@pytest.mark.parametrize("state", [Approval.DRAFT, Approval.ADVISORY])
def test_one_that_may_only_advise_never_writes(
    state: Approval, policy: Callable[..., Policy]
) -> None:
    with pytest.raises(
        RefusedError, match=f"is approved as {state}, and this loop is to be closed"
    ):
        policy(state)
    seen, cycles = course(policy(state, use="advise"), 6)
    assert all(a.status.startswith(ADVICE) for a in seen.said)
    assert all(c.decision.mode is Mode.ADVISORY for c in cycles)
    assert all(c.decision.batch is None for c in cycles)
    assert "close refused: the controller only advises" in cycles[0].decision.reasons[0]
    assert policy(state, use="trial").decide(seen.seen[0]).status == "ok"


def test_a_residual_moves_its_base_and_no_further_than_its_authority(
    policy: Callable[..., Policy],
) -> None:
    made = policy(base="fixed")
    seen, _ = course(made, 15)
    base = untuned(nominal(PLANT).plant).setpoints
    moved = 0
    for action in seen.said:
        for field in made._fields:
            if field.name in base:
                off = abs(action.setpoints[field.name] - base[field.name])
                assert off <= 0.1 * 0.5 * (field.hi - field.lo) * (1.0 + 1e-6)
                moved += off > 0.0
    assert moved
    assert "on fixed" in seen.said[0].reason


def test_a_policy_that_leans_on_another_is_refused(policy: Callable[..., Policy]) -> None:
    with pytest.raises(RefusedError, match="which is a policy itself"):
        policy(base="rl")
    with pytest.raises(RefusedError, match="a controller that is not there"):
        policy(base="nobody")


def test_without_a_bundle_it_says_where_one_would_be() -> None:
    with pytest.raises(
        RefusedError, match="there is no policy for 'rl' of molding_cell"
    ) as refused:
        Policy(nominal(PLANT), untuned(nominal(PLANT).plant))
    assert "PLANT.rl.policy" in refused.value.hint
