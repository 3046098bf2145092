from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from controllers.env.single import LineEnv
from controllers.env.vector import WORLDS
from controllers.env.worlds import Worlds
from controllers.training.learning import SHIFTS
from controllers.training.lines import TrainingLines, engineering, scaled, training_lines
from controllers.training.task import Task
from twin.config import load_plant
from twin.kernels import draws
from twin.line.scenario import build_table

N = 6


def _lines(task: Task, authority: float | None = 0.15) -> TrainingLines:
    lines = training_lines(task.plant, N, task.settings, task.fixed, authority=authority)
    lines.seed(5_000_000)
    return lines


def _shift(lines: TrainingLines, asked: Callable[[int], Any]) -> tuple[list[Any], list[Any]]:
    """Rewards of a whole shift, and what it told in the end."""
    rewards = []
    for n in range(lines.decisions):
        _, reward, over, infos = lines.step(asked(n))
        rewards.append(reward)
        assert over.all() == (n + 1 == lines.decisions)
    return rewards, infos


@pytest.mark.parametrize("authority", [0.15, None], ids=["residual", "plain"])
def test_who_asks_for_what_the_constants_are_saves_exactly_nothing(
    make_task: Callable[..., Task], authority: float | None
) -> None:
    task = make_task("t")
    lines = _lines(task, authority)
    lines.reset()
    asked = np.zeros((N, len(lines.schema.action)), np.float32)
    if authority is None:
        asked += scaled(lines.schema, task.fixed.setpoints)
    rewards, infos = _shift(lines, lambda _: asked)
    assert np.all(np.array(rewards) == 0.0)
    assert [info["saved_eur"] for info in infos] == [0.0] * N


def test_what_is_saved_is_the_sum_of_the_rewards_and_the_difference_to_the_constants(
    make_task: Callable[..., Task],
) -> None:
    task = make_task("t")
    lines = _lines(task)
    lines.reset()
    rewards, infos = _shift(lines, lambda _: np.full((N, 12), 1.0, np.float32))
    alone = _lines(task)
    alone.reset()
    _, held = _shift(alone, lambda _: np.zeros((N, 12), np.float32))
    for n, (info, other) in enumerate(zip(infos, held, strict=True)):
        saved = other["kpi"]["objective_eur"] - info["kpi"]["objective_eur"]
        assert info["saved_eur"] == pytest.approx(saved, abs=1e-9)
        earned = lines.lines.eur_per_reward * sum(reward[n] for reward in rewards)
        assert earned == pytest.approx(saved, abs=0.05 * lines.lines.eur_per_reward)
    assert any(info["saved_eur"] != 0.0 for info in infos)


def test_to_be_away_from_the_constants_has_its_price(make_task: Callable[..., Task]) -> None:
    free = make_task("t")
    dear = make_task("t", settings=free.settings.model_copy(update={"effort": 0.5}))
    asked = np.random.default_rng(2).uniform(-1, 1, (N, 12)).astype(np.float32)
    asked[:, 0] = np.abs(asked[:, 0])  # the takt's low end is nearer than that
    rewards = []
    for task in (free, dear):
        lines = _lines(task)
        lines.reset()
        rewards.append(lines.step(asked)[1])
    is_standby = [field.name.endswith(".standby") for field in lines.schema.action]
    within = np.where(is_standby, np.maximum(asked, 0.0), asked)  # awake is the low end
    assert rewards[0] - rewards[1] == pytest.approx(0.5 * (within**2).sum(axis=1), abs=1e-4)


def test_a_residual_reaches_as_far_as_its_authority(make_task: Callable[..., Task]) -> None:
    task = make_task("t")
    lines = _lines(task)
    seen = lines.reset()
    for _ in range(12):  # cutting speeds have rates
        seen, *_ = lines.step(np.full((N, 12), 1.0, np.float32))
    names = [field.name for field in lines.schema.observation]
    shown = engineering(lines.schema, seen)
    feed = shown[:, names.index("turning.feed_mm")]
    assert feed == pytest.approx(0.3 + 0.15 * (0.36 - 0.18), abs=1e-6)
    assert np.all(shown[:, names.index("turning.standby")] == 0.0)


def test_nothing_is_hoped_for_beyond_the_end_of_a_shift(make_task: Callable[..., Task]) -> None:
    lines = _lines(make_task("t"))
    lines.reset()
    _, infos = _shift(lines, lambda _: np.zeros((N, 12), np.float32))
    assert [info["TimeLimit.truncated"] for info in infos] == [False] * N


def test_kept_lines_go_on_as_if_nothing_had_been(make_task: Callable[..., Task]) -> None:
    task = make_task("t")
    asked = np.random.default_rng(1).uniform(-1, 1, (40, N, 12)).astype(np.float32)
    lines = _lines(task)
    lines.reset()
    for n in range(17):
        lines.step(asked[n])
    held = {name: value.copy() for name, value in lines.snapshot().items()}
    whole = [lines.step(asked[n]) for n in range(17, 40)]  # over the end of a shift
    other = _lines(task)
    other.reset()
    other.restore(held)
    for n, (seen, reward, over, infos) in enumerate(whole, 17):
        again = other.step(asked[n])
        assert seen.tobytes() == again[0].tobytes()
        assert reward.tobytes() == again[1].tobytes()
        assert (over == again[2]).all()
        assert str(infos) == str(again[3])
    assert lines.seen.sample().tobytes() == other.seen.sample().tobytes()


def test_a_snapshot_of_other_lines_is_refused(make_task: Callable[..., Task]) -> None:
    task = make_task("t")
    lines = _lines(task)
    lines.reset()
    held = lines.snapshot()
    more = training_lines(task.plant, N + 1, task.settings, task.fixed, authority=0.15)
    more.reset()
    with pytest.raises(ValueError, match="other lines"):
        more.restore(held)


@pytest.mark.parametrize("kind", ["many", "one"])
def test_training_meets_no_shift_that_anybody_is_judged_on(
    make_task: Callable[..., Task], kind: str
) -> None:
    """Neither what comes from outside nor the failures of a seed that tests, tuning or judging use."""
    task = make_task("t")
    plant = load_plant(task.plant)
    published = range(5000)
    judged = {
        np.array(build_table(plant, seed, draws.PLANT, plant.shift_h)).tobytes()
        for seed in published
    }
    assert len(judged) > 0.9 * len(published)
    if kind == "many":
        setting = training_lines(task.plant, N, task.settings, task.fixed).lines.setting
        episodes = [SHIFTS + n for n in range(WORLDS)]
    else:  # one after another, for a clone or over the MPC
        setting = LineEnv(task.plant).setting
        episodes = [SHIFTS + n for n in range(20)]
    made = Worlds(setting)
    met = {made.world(made.number(episode)).table.tobytes() for episode in episodes}
    assert len(met) == len(episodes)
    assert not met & judged
    assert not set(episodes) & set(published)


def test_what_is_noted_of_the_lines_is_not_stopped_at_the_limits(
    make_task: Callable[..., Task],
) -> None:
    """It becomes the training range, which looks at what is shown."""
    lines = _lines(make_task("t"))
    lines.reset()
    for _ in range(40):
        seen, *_ = lines.step(np.zeros((N, len(lines.schema.action)), np.float32))
    sample = lines.seen.sample()
    assert np.abs(seen).max() <= 1.0 < np.abs(sample).max()
    assert np.isfinite(sample).all()
    assert np.abs(sample).max() < 1e3  # what never was is as long ago as its limit
