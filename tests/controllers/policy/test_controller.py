"""A policy at work: heard where it was trained, replaced where it was not, never further than approved."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.fixed import Fixed
from controllers.policy.controller import STEPS, Policy, Residual
from controllers.policy.manifest import Approval
from controllers.policy.training_range import TrainingRange
from tests.controllers.policy.bundles import PLANT, TURNS, bundle, observations, placed, point
from tests.twin.analyze.in_step import drive, loop_of, nominal, plc_of, true
from twin.act.guard import ADVICE
from twin.config import untuned
from twin.cycle import Action, Cycle, Mode, Situation
from twin.equipment.plc import Plc
from twin.line.scenario import scenario_of
from twin.plugins import RefusedError, check_controller


class Keeping:
    """Passes situations on to a controller, changed by ``seen_as`` if so, and keeps them with its answers."""

    def __init__(self, controller: Any, seen_as: Callable[[int, Situation], Situation]) -> None:
        self.controller, self.seen, self.said = controller, list[Situation](), list[Any]()
        self._seen_as = seen_as

    def decide(self, situation: Situation) -> Any:
        self.seen.append(self._seen_as(len(self.seen), situation))
        self.said.append(self.controller.decide(self.seen[-1]))
        return self.said[-1]


TURNS_A_DECISION = round(60.0 / nominal(PLANT).plant.control.period_s)
assert TURNS_A_DECISION >= STEPS


@pytest.fixture
def policy(tmp_path: Path) -> Callable[..., Policy]:
    def make(
        state: Approval = Approval.CLOSED,
        use: str = "drive",
        base: str | None = None,
        wide: bool = True,
        clock: Callable[[], int] | None = None,
        **how: Any,
    ) -> Policy:
        found = bundle(PLANT, state, base=base)
        if wide:  # trained everywhere: only what a test does leads out of the range
            limits = found.manifest.spaces.observation
            ranges = found.manifest.training_range.model_copy(
                update={
                    "lowest": tuple(f.lo - 1.0 for f in limits),
                    "highest": tuple(f.hi + 1.0 for f in limits),
                    "distance_limit": 1e9,
                }
            )
            changed = found.manifest.model_copy(update={"training_range": ranges})
            found = replace(found, manifest=changed)
        file = placed(found, tmp_path / "it.policy", use=use, **how)
        kind = Policy if base is None else Residual
        arguments = (nominal(PLANT), point(PLANT, kind.name, file))
        return kind(*arguments) if clock is None else kind(*arguments, clock)

    return make


def course(
    controller: Any,
    turns: int,
    seen_as: Callable[[int, Situation], Situation] = lambda _, situation: situation,
) -> tuple[Keeping, list[Cycle]]:
    """A closed shift, or the begin of one."""
    keeping = Keeping(controller, seen_as)
    cycles = drive(plc_of(true(PLANT), hours=4.0), loop_of(keeping, line=nominal(PLANT)), turns)
    return keeping, cycles


def with_value(situation: Situation, name: str, value: float) -> Situation:
    seen = situation.observation
    values = seen.values.copy()
    values[seen.index[name]] = value
    return replace(situation, observation=replace(seen, values=values))


def blind(first: int, last: int) -> Callable[[int, Situation], Situation]:
    """In these turns nobody knows the price of electricity."""

    def seen_as(n: int, situation: Situation) -> Situation:
        if not first <= n <= last:
            return situation
        return with_value(situation, "env.price_eur_per_mwh", math.nan)

    return seen_as


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


class Broken:
    """A network that answers with something else."""

    def __init__(self, answer: float) -> None:
        self._answer = answer

    def act(self, rows: Any) -> Any:
        return np.full((1, 13), self._answer)


@pytest.mark.parametrize("answer", [math.nan, math.inf])
def test_an_answer_that_is_no_number_hands_over(
    answer: float, policy: Callable[..., Policy]
) -> None:
    made = policy()
    made._loaded = replace(made._loaded, network=Broken(answer))  # type: ignore[arg-type]
    seen, cycles = course(made, 2 * TURNS_A_DECISION)
    assert [a.status for a in seen.said[TURNS_A_DECISION:]] == ["fallback: ok"] * TURNS_A_DECISION
    assert "its answer is not a number" in seen.said[-1].reason
    assert cycles[-1].decision.mode is Mode.CLOSED


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


def test_in_the_shadow_it_speaks_and_the_fallback_drives(policy: Callable[..., Policy]) -> None:
    seen, cycles = course(policy(Approval.SHADOW), 15)
    loud = policy()
    said = [loud.decide(situation) for situation in seen.seen[: TURNS_A_DECISION + 1]]
    for action in seen.said:
        assert action.status == "shadow: ok"
        assert "in the shadow of fixed, it would say" in action.reason
    would = said[-1].setpoints["line.takt_s"]
    assert f"line.takt_s {would:.6g}" in seen.said[TURNS_A_DECISION].reason
    alone, _ = course(Fixed(nominal(PLANT), untuned(nominal(PLANT).plant)), 15)
    assert [dict(a.setpoints) for a in seen.said] == [dict(a.setpoints) for a in alone.said]
    assert cycles[-1].decision.mode is Mode.CLOSED


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


@pytest.mark.slow
def test_in_the_loop_it_does_what_it_would_do_in_training(policy: Callable[..., Policy]) -> None:
    """Decision for decision: the same sight of the line, and the same setpoints."""
    pytest.importorskip("gymnasium")
    from controllers.env.single import LineEnv

    made = policy(use="trial")
    spaces = made._loaded.bundle.manifest.spaces
    lo, hi = (np.array([getattr(f, end) for f in spaces.observation]) for end in ("lo", "hi"))
    least, most = (np.array([getattr(f, end) for f in spaces.action]) for end in ("lo", "hi"))
    lines = LineEnv(PLANT, world="nominal")
    seen, _ = lines.reset(seed=5)
    trained = []
    for _ in range(30):
        answer = made._loaded.network.act((0.5 * ((1.0 - seen) * lo + (1.0 + seen) * hi))[None])[0]
        trained.append(answer)
        shares = np.clip((2.0 * answer - least - most) / (most - least), -1.0, 1.0)
        seen, *_ = lines.step(shares)
    world = lines._books.lay_in(0, 5)
    again = Plc(world.line, world.rows, 5, scenario_of(nominal(PLANT).plant, world.scenario))
    keeping = Keeping(made, lambda _, situation: situation)
    lines.close()
    drive(again, loop_of(keeping, line=nominal(PLANT)), 30 * TURNS_A_DECISION + 1)
    for n, answer in enumerate(trained):
        asked = keeping.said[(n + 1) * TURNS_A_DECISION].setpoints
        ours = np.array([asked[f.name] for f in spaces.action])
        assert np.max(np.abs(ours - answer) / (most - least)) < 1e-6, n


class Silent:
    """A companion from elsewhere, which says nothing of standby."""

    def __init__(self, line: Any, tuned: Any) -> None:
        self._takt_s = tuned.setpoints["line.takt_s"]

    def decide(self, situation: Situation) -> Action:
        return Action({"line.takt_s": self._takt_s}, "a constant takt")


@pytest.mark.parametrize("base", [None, "silent"])
def test_what_the_policy_sent_to_sleep_is_woken_by_whoever_takes_over(
    base: str | None, policy: Callable[..., Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a fallback that never names a standby, and by a base to which the policy adds nothing."""
    monkeypatch.setattr("controllers.policy.controller.find_controller", lambda _: Silent)
    made = policy(base=base)
    seen, _ = course(Silent(nominal(PLANT), untuned(nominal(PLANT).plant)), TURNS_A_DECISION + 1)
    asleep = {f.name for f in made._fields if f.name.endswith(".standby")}
    assert asleep

    def while_asleep(n: int) -> Situation:
        found = seen.seen[n]
        return replace(found, active={**found.active, **dict.fromkeys(asleep, 1.0)})

    made.decide(while_asleep(0))
    situation = while_asleep(TURNS_A_DECISION)
    if base is None:  # the policy hands over
        situation = with_value(situation, "env.price_eur_per_mwh", math.nan)
    asked = made.decide(situation).setpoints
    assert all(asked[name] < 0.5 for name in asleep)
