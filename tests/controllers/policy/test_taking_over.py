"""Who takes over from a policy: whatever fails, warm, and with nobody left asleep."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controllers.fixed import Fixed
from controllers.policy.controller import Policy
from controllers.policy.manifest import Approval, RoleSpec, outward
from tests.controllers.policy.bundles import PLANT
from tests.controllers.policy.courses import (
    TURNS_A_DECISION,
    blind,
    course,
    with_value,
)
from tests.twin.analyze.in_step import nominal
from twin.config import untuned
from twin.cycle import Action, Mode, Situation


class Broken:
    """A network that answers with something else."""

    def __init__(self, answer: float) -> None:
        self._answer = answer

    def act(self, rows: Any) -> Any:
        return np.full((1, 13), self._answer)


class Saying:
    """A network that always says the same."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def act(self, rows: Any) -> Any:
        return self._answer[None, :].astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize("base", [None, "fixed"])
def test_an_answer_beyond_its_role_hands_over_and_one_at_its_very_edge_does_not(
    base: str | None, side: float, policy: Callable[..., Policy]
) -> None:
    """Whatever the graph can say: how far it may go was approved with the manifest."""
    for share, status in ((1.0, "ok"), (1.01, "fallback: ok")):
        made = policy(base=base)
        centre, reach = outward(made._loaded.bundle.manifest)
        answer = centre + side * reach
        answer[3] = centre[3] + side * share * reach[3]
        made._loaded = replace(made._loaded, network=Saying(answer))  # type: ignore[arg-type]
        seen, _ = course(made, 2 * TURNS_A_DECISION)
        assert {a.status for a in seen.said[TURNS_A_DECISION:]} == {status}
    name = made._fields[3].name
    said = f"its answer for {name}, {answer[3]:.6g}, is beyond what its role allows; tuned"
    assert said in seen.said[-1].reason


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


def test_what_is_added_to_a_base_that_is_silent_is_added_once(
    policy: Callable[..., Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in force has it in it already."""
    monkeypatch.setattr("controllers.policy.controller.find_controller", lambda _: Silent)
    made = policy(base="silent")
    _, reach = outward(made._loaded.bundle.manifest)
    made._loaded = replace(made._loaded, network=Saying(reach))  # type: ignore[arg-type]
    seen, _ = course(made, 4 * TURNS_A_DECISION)
    begin, end = seen.seen[0].active, seen.seen[-1].active
    assert {a.status for a in seen.said} == {"ok"}
    moved = 0
    for field, more in zip(made._fields, reach, strict=True):
        asked = seen.said[-1].setpoints[field.name]
        if field.name != "line.takt_s":  # of which Silent speaks
            assert asked == pytest.approx(min(begin[field.name] + more, field.hi), rel=1e-6)
            moved += end[field.name] > begin[field.name]
    assert moved


class Raising:
    """A network that the runtime cannot run."""

    def act(self, rows: Any) -> Any:
        raise RuntimeError("the runtime says no\nwith a trace")


def test_whatever_fails_the_fallback_decides(
    policy: Callable[..., Policy], caplog: pytest.LogCaptureFixture
) -> None:
    made = policy()
    made._loaded = replace(made._loaded, network=Raising())  # type: ignore[arg-type]
    seen, cycles = course(made, 2 * TURNS_A_DECISION)
    assert [a.status for a in seen.said[TURNS_A_DECISION:]] == ["fallback: ok"] * TURNS_A_DECISION
    assert "it has failed: the runtime says no; tuned constant" in seen.said[-1].reason
    assert cycles[-1].decision.mode is Mode.CLOSED
    assert "the policy has failed" in caplog.text
    blind = policy()

    def broken(_: Any) -> None:
        raise KeyError("a signal that was there")

    blind._observing.listen = broken  # type: ignore[method-assign]
    for situation in seen.seen[:2]:
        assert blind.decide(situation).status == "fallback: ok"


class Counting:
    """A companion with a memory: it asks for more each time that it is asked."""

    def __init__(self, line: Any, tuned: Any) -> None:
        self.turns, self.fails_at = 0, -1

    def decide(self, situation: Situation) -> Action:
        self.turns += 1
        if self.turns == self.fails_at:
            raise ZeroDivisionError("no plan")
        return Action({"line.takt_s": 80.0 + 0.25 * self.turns}, f"turn {self.turns}")


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    find = "controllers.policy.controller.find_controller"
    monkeypatch.setattr(find, lambda name: Fixed if name == "fixed" else Counting)


@pytest.mark.usefixtures("counting")
def test_base_and_fallback_follow_the_line_whoever_is_heard(policy: Callable[..., Policy]) -> None:
    turns = 2 * TURNS_A_DECISION
    for state in (Approval.CLOSED, Approval.SHADOW):
        for made in (
            policy(state, base="counting"),
            policy(state, base="counting", fallback="other"),
            policy(state, fallback="counting"),
        ):
            seen, _ = course(made, turns)
            companions = {made._base, made._fallback} - {None}
            assert {one.turns for one in companions} == {turns}, (state, made._role)  # type: ignore[union-attr]
    blinded = policy(fallback="counting")
    seen, _ = course(blinded, turns, blind(TURNS_A_DECISION, turns))
    assert f"turn {TURNS_A_DECISION + 1}" in seen.said[TURNS_A_DECISION].reason  # not turn 1


def test_who_takes_over_from_a_residual_is_its_base() -> None:
    for base, fallback, stand_in in (
        (None, None, "fixed"),
        ("mpc", None, "mpc"),
        ("mpc", "rules", "rules"),
    ):
        role = RoleSpec(decision_period_s=60.0, base=base, fallback=fallback)
        assert role.stand_in == stand_in


@pytest.mark.usefixtures("counting")
def test_a_base_that_fails_hands_over_and_a_fallback_only_where_it_is_needed(
    policy: Callable[..., Policy],
) -> None:
    made = policy(base="counting", fallback="fixed")
    made._base.fails_at = 3  # type: ignore[union-attr]
    seen, cycles = course(made, 4)
    assert [a.status for a in seen.said] == ["ok", "ok", "fallback: ok", "fallback: ok"]
    assert "counting, its base, has failed: no plan" in seen.said[2].reason
    assert cycles[-1].decision.mode is Mode.CLOSED
    made = policy(fallback="counting")
    made._fallback.fails_at = 3  # type: ignore[attr-defined]
    seen, _ = course(made, 4)
    assert [a.status for a in seen.said] == ["ok"] * 4


def test_the_shadow_of_a_residual_says_what_it_would_have_asked(
    policy: Callable[..., Policy],
) -> None:
    """Setpoints, as a loud one asks for them: not what it adds to its base."""
    turns = TURNS_A_DECISION + 1
    seen, _ = course(policy(Approval.SHADOW, base="fixed"), turns)
    loud = policy(base="fixed")
    said = [loud.decide(situation) for situation in seen.seen]
    would = said[-1].setpoints["line.takt_s"]
    assert would > 1.0
    assert f"line.takt_s {would:.6g}" in seen.said[-1].reason
