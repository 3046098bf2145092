"""In the loop a policy does what it would do in training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from controllers.fixed import Fixed
from controllers.policy.controller import Policy
from tests.controllers.policy.bundles import PLANT
from tests.controllers.policy.courses import (
    DECISIONS,
    TURNS_A_DECISION,
    Keeping,
)
from tests.twin.analyze.in_step import drive, loop_of, nominal, plc_of, true
from twin.config import untuned
from twin.cycle import Mode
from twin.equipment.plc import Plc
from twin.line.scenario import scenario_of


def test_a_loop_that_is_still_beginning_at_the_first_decision_writes_the_policys_setpoints(
    policy: Callable[..., Policy],
) -> None:
    made, first = policy(), TURNS_A_DECISION
    keeping = Keeping(made, lambda _, situation: situation)
    plc, loop = plc_of(true(PLANT), hours=4.0), loop_of(keeping, line=nominal(PLANT))
    cycles = drive(plc, loop, first + 4, {first: "close"})
    decided = cycles[first].decision
    assert decided.mode is Mode.INIT
    assert not decided.batch.setpoints  # type: ignore[union-attr]
    assert {a.status for a in keeping.said} == {"ok"}
    asked = {f.name: keeping.said[first].setpoints[f.name] for f in made._fields}
    assert asked != {name: keeping.seen[first].active[name] for name in asked}
    assert made.memory.asked == asked
    written = next(c.decision for c in cycles if c.decision.batch and c.decision.batch.setpoints)
    assert written.mode is Mode.CLOSED
    assert {name: written.asked.setpoints[name] for name in asked} == asked


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


@pytest.mark.slow
def test_a_residual_does_in_the_loop_what_it_would_do_in_training(
    policy: Callable[..., Policy],
) -> None:
    """Decision for decision, against the very lines that a residual is trained on."""
    pytest.importorskip("stable_baselines3")
    from controllers.env.single import LineEnv
    from controllers.training.lines import engineering, scaled
    from controllers.training.loop_lines import LoopLines

    made, tuned = policy(use="trial", base="fixed"), untuned(nominal(PLANT).plant)
    role, fields = made._role, made._fields
    half = np.array([0.5 * (f.hi - f.lo) for f in fields])
    env = LineEnv(PLANT, world="nominal", correction_eur=0.0)
    lines = LoopLines(env, lambda line: Fixed(line, tuned), role.authority)
    lines.seed(5)
    seen, trained = lines.reset(), []
    for _ in range(DECISIONS):
        offsets = made._loaded.network.act(engineering(lines.schema, seen))
        lines.step_async((offsets / (role.authority * half)).astype(np.float32))
        seen, *_ = lines.step_wait()
        trained.append(lines._on_top.asked())
    world = env._books.lay_in(0, 5)
    plc = Plc(world.line, world.rows, 5, scenario_of(nominal(PLANT).plant, world.scenario))
    lines.close()
    keeping = Keeping(made, lambda _, situation: situation)
    drive(plc, loop_of(keeping, line=nominal(PLANT)), DECISIONS * TURNS_A_DECISION + 1)
    moved = scaled(lines.schema, tuned.setpoints)
    for n, answer in enumerate(trained):
        ours = scaled(lines.schema, keeping.said[(n + 1) * TURNS_A_DECISION].setpoints)
        assert answer is not None
        assert np.max(np.abs(ours - answer)) < 2e-6, n
        assert np.max(np.abs(answer - moved)) > 0.0
