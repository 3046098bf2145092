"""One line with its loop, on top of a controller of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controllers.env.single import LineEnv
from controllers.fixed import Fixed
from controllers.training import checkpoint, residual
from controllers.training.checkpoint import weights_sha256
from controllers.training.learning import SHIFTS, Keeper
from controllers.training.lines import engineering
from controllers.training.loop_lines import LoopLines
from controllers.training.result import Trained
from controllers.training.task import Task
from controllers.training.train import train
from twin.cycle import Action, Situation


@pytest.fixture
def lines(make_task: Callable[..., Task]) -> Iterator[LoopLines]:
    task = make_task("t")
    env = LineEnv(task.plant, correction_eur=0.0)
    found = LoopLines(env, lambda line: Fixed(line, task.fixed), 0.3)
    found.seed(11)
    yield found
    found.close()


def _value(lines: LoopLines, seen: Any, name: str) -> float:
    names = [field.name for field in lines.schema.observation]
    return float(engineering(lines.schema, seen)[0, names.index(name)])


def test_nothing_added_leaves_the_base_alone(
    lines: LoopLines, make_task: Callable[..., Task]
) -> None:
    lines.reset()
    task = make_task("t")
    alone = LineEnv(task.plant, correction_eur=0.0)
    alone.reset(seed=11)
    alone.loop.controller = Fixed(alone.loop.line, task.fixed)
    unheard = np.ones(12)
    for _ in range(lines.decisions):
        infos = lines.step(np.zeros((1, 12), np.float32))[3]
        told = alone.step(unheard)[4]
    alone.close()
    assert infos[0]["kpi"] == told["kpi"]
    assert told["kpi"]["good_parts"] > 0


def test_what_is_added_is_bounded_and_shown_as_asked_for(lines: LoopLines) -> None:
    lines.reset()
    for _ in range(10):
        seen, *_ = lines.step(np.full((1, 12), 1.0, np.float32))
    feed = 0.3 + 0.15 * (0.36 - 0.18)
    assert _value(lines, seen, "turning.feed_mm") == pytest.approx(feed, abs=1e-6)
    assert _value(lines, seen, "previous.turning.feed_mm") == pytest.approx(feed, abs=1e-6)
    assert _value(lines, seen, "turning.standby") == 0.0


class Silent:
    """Says nothing of the process, after a first word about one feed."""

    def __init__(self, feed_mm: float | None) -> None:
        self._asked = {} if feed_mm is None else {"turning.feed_mm": feed_mm}

    def decide(self, situation: Situation) -> Action:
        asked, self._asked = self._asked, {}
        return Action(asked)


@pytest.mark.parametrize("feed_mm", [None, 0.25])
def test_what_is_added_to_a_base_that_is_silent_is_added_once(
    make_task: Callable[..., Task], feed_mm: float | None
) -> None:
    """To what it asked for last, or to what was in force before anything was added."""
    lines = LoopLines(
        LineEnv(make_task("t").plant, correction_eur=0.0), lambda _: Silent(feed_mm), 0.3
    )
    lines.seed(11)
    in_force_mm = _value(lines, lines.reset(), "turning.feed_mm")
    begin_mm = in_force_mm if feed_mm is None else feed_mm
    for _ in range(10):
        seen, *_ = lines.step(np.full((1, 12), 0.5, np.float32))
    expected_mm = begin_mm + 0.5 * 0.15 * (0.36 - 0.18)
    assert _value(lines, seen, "turning.feed_mm") == pytest.approx(expected_mm, abs=1e-6)
    assert _value(lines, seen, "previous.turning.feed_mm") == pytest.approx(expected_mm, abs=1e-6)
    lines.close()


def test_what_the_guard_corrects_of_both_together_has_its_price(
    make_task: Callable[..., Task],
) -> None:
    task = make_task("t")
    earned: dict[float, list[float]] = {}
    for price_eur in (0.0, 10.0):
        env = LineEnv(task.plant, correction_eur=price_eur)
        lines = LoopLines(env, lambda line: Fixed(line, task.fixed), 2.0)
        lines.seed(11)
        lines.reset()
        added = [np.full((1, 12), share, np.float32) for share in (0.0, 0.0, 1.0, -1.0, -1.0)]
        earned[price_eur] = [float(lines.step(one)[1][0]) for one in added]
        lines.close()
    paid = np.array(earned[0.0]) - np.array(earned[10.0])
    assert (paid[:2] == 0.0).all()  # the constants are in force, and nothing was added
    assert (
        paid[3] > 0.1
    )  # cutting speeds have rates: from one end to the other takes them two minutes
    assert paid[4] == 0.0


def test_a_shift_follows_from_its_seed_and_what_was_added_in_it(lines: LoopLines) -> None:
    lines.reset()
    asked = np.random.default_rng(4).uniform(-1, 1, (lines.decisions, 1, 12)).astype(np.float32)
    for n in range(lines.decisions):
        _, _, over, infos = lines.step(asked[n])
    assert over[0]
    assert infos[0]["TimeLimit.truncated"] is False
    for n in range(7):  # into the next one
        lines.step(asked[n])
    held = lines.snapshot()
    assert held["added"].shape == (7, 12)
    first = [lines.step(asked[n])[0] for n in range(7, 12)]
    lines.restore(held)
    again = [lines.step(asked[n])[0] for n in range(7, 12)]
    assert np.array(first).tobytes() == np.array(again).tobytes()


class GivesUp(Fixed):
    """Fails for good after some turns of its shift, so that the loop gives the line up."""

    def decide(self, situation: Situation) -> Action:
        if situation.observation.time_us > 600_000_000:
            raise RuntimeError("it has had enough")
        return super().decide(situation)


def _on_the_mpc(make_task: Callable[..., Task], name: str, steps: int, **given: Any) -> Task:
    """A residual over the MPC for a round of eight decisions, which is no part of a shift's 29."""
    task = make_task(name, steps=steps, **given)
    changes = {"ppo": {"lines": 64, "batches": 16, "rollout": 8}, "residual": {"base": "mpc"}}
    return replace(task, settings=task.settings.changed(changes))


def _stops(task: Task, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Keeper._on_rollout_start

    def asked(keeper: Keeper) -> None:
        if keeper.model.num_timesteps >= after:
            task.stop.ask()
        begin(keeper)

    with monkeypatch.context() as patched:
        patched.setattr(Keeper, "_on_rollout_start", asked)
        told = train(task)
    assert told == {"seed": task.seed, "stopped": signal.SIGTERM}
    task.stop_file.unlink()


def test_a_residual_over_the_mpc_trains_is_stopped_in_a_shift_and_ends_as_if_it_was_not(
    make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So few decisions say too little for a bundle.
    monkeypatch.setattr(
        residual,
        "exported",
        lambda task, actor, *_: Trained(
            task.seed, actor.steps, weights_sha256(actor.network), "", {}
        ),
    )
    task = _on_the_mpc(make_task, "halved", 40)
    _stops(task, 16, monkeypatch)
    resumed = train(task)
    whole = train(_on_the_mpc(make_task, "whole", 40))
    assert resumed == whole
    assert whole["steps"] == 40


def test_shifts_that_were_given_up_keep_nobody_from_checkpoints_and_a_stop(
    make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residual, "Mpc", GivesUp)
    task = _on_the_mpc(make_task, "t", 64, keep_every=16)
    path = task.folder / checkpoint.NAME
    _stops(task, 32, monkeypatch)
    held = checkpoint.read(path, task.facts)
    assert held.steps == 32
    arrays = held.record["arrays"]
    assert int(arrays["env.luck"]) - task.seed * SHIFTS >= 2  # whole shifts would be 29 decisions
    assert len(arrays["env.added"]) > 0
