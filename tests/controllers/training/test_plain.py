"""What plain reinforcement learning begins as."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from controllers.training import plain
from controllers.training.checkpoint import weights_sha256
from controllers.training.cloning import LESSONS, answered, fitted
from controllers.training.learning import Stopped, new_model
from controllers.training.lines import training_lines
from controllers.training.settings import CloningSpec, PlainSpec, Settings
from controllers.training.task import Task
from tests.controllers.training.test_cloning import Teacher, school

__all__ = ["school"]


def begins_as_the_mpc(task: Task) -> Settings:
    like_ppo = CloningSpec(rounds=2, shifts=1, epochs=5, network=(16, 16))
    return task.settings.model_copy(update={"rl": PlainSpec(begin="mpc"), "cloning": like_ppo})


@pytest.mark.parametrize("hold", [None, 5])
def test_what_begins_as_a_clone_asks_for_what_the_clone_asks_for(
    make_task: Callable[..., Task], hold: int | None
) -> None:
    task = make_task("t", method="rl")
    chosen = task.settings.ppo.model_copy(update={"hold": hold})
    lines = training_lines(task.plant, chosen.lines, task.settings, task.fixed)
    clone = fitted(CloningSpec(network=(16, 16), epochs=1), [_lesson()], seed=5)
    model = new_model(chosen, lines, 1, clone)
    shown = np.random.default_rng(1).uniform(-1.0, 1.0, (50, 79)).astype(np.float32)
    asked, _ = model.predict(shown, deterministic=True)
    assert np.abs(asked - answered(clone, shown)).max() < 1e-6
    assert np.ptp(asked) > 0.1


def _lesson() -> Any:
    from controllers.training.cloning import Heard

    shown = np.zeros((2, 79), np.float32)
    return Heard(shown, shown, np.zeros((2, 12), np.float32), 0.0)


def test_the_lessons_come_first_and_a_stopped_run_goes_on_to_the_same_weights(
    make_task: Callable[..., Task], school: list[Teacher], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    def kept(task: Task, actor: Any, *_: Any) -> None:
        found.append(weights_sha256(actor.network))

    monkeypatch.setattr(plain, "exported", kept)
    settings = begins_as_the_mpc(make_task("any"))
    whole = make_task("whole", method="rl", settings=settings)
    plain.train(whole)
    assert len(school) == 2
    assert whole.under_way == whole
    assert (whole.folder / "clone" / LESSONS).is_file()
    halved = make_task("halved", method="rl", settings=settings)
    plain.train(halved.until(256))
    (halved.folder / "clone" / LESSONS).unlink()  # a checkpoint needs no lessons any more
    plain.train(halved)
    assert len(school) == 4
    assert found[2] == found[0] != found[1]


def test_a_run_stopped_in_its_lessons_has_learned_nothing_yet(
    make_task: Callable[..., Task], school: list[Teacher]
) -> None:
    task = make_task("t", method="rl", settings=begins_as_the_mpc(make_task("any")))
    task.stop.ask()
    with pytest.raises(Stopped):
        plain.train(task)
    assert not school
    assert task.done == 0
    assert (task.under_way, task.under_way.rounds) == (task.lessons, 2)


def test_another_clone_is_another_run(make_task: Callable[..., Task]) -> None:
    plainly = make_task("t", method="rl")
    cloned = make_task("t", method="rl", settings=begins_as_the_mpc(plainly))
    assert "cloning" not in plainly.facts["settings"]
    assert cloned.facts["settings"]["cloning"]["rounds"] == 2
