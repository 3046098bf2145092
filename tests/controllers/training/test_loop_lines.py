"""One line with its loop, on top of a controller of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from controllers.env.single import LineEnv
from controllers.fixed import Fixed
from controllers.training.lines import engineering
from controllers.training.loop_lines import LoopLines
from controllers.training.task import Task


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


def test_a_shift_follows_from_its_seed_and_a_loop_is_kept_between_shifts_only(
    lines: LoopLines,
) -> None:
    lines.reset()
    asked = np.random.default_rng(4).uniform(-1, 1, (lines.decisions, 1, 12)).astype(np.float32)
    for n in range(lines.decisions):
        assert lines.is_between_shifts == (n == 0)
        _, _, over, infos = lines.step(asked[n])
    assert over[0]
    assert lines.is_between_shifts
    assert infos[0]["TimeLimit.truncated"] is False
    held = lines.snapshot()
    first = [lines.step(asked[n])[0] for n in range(5)]
    with pytest.raises(ValueError, match="middle of a shift"):
        lines.snapshot()
    lines.restore(held)
    again = [lines.step(asked[n])[0] for n in range(5)]
    assert np.array(first).tobytes() == np.array(again).tobytes()
