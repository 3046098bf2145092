"""The search of settings, over trainings that only say what they came to."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from controllers.training import residual
from controllers.training.learning import Stopped
from controllers.training.result import Trained
from controllers.training.search import FOUND, JUDGED_FROM, PARTS, SEEDS, search
from controllers.training.settings import Settings
from controllers.training.task import Exam, Task
from twin.plugins import RefusedError

pytest.importorskip("optuna", reason="pip install 'takttwin[rl]'")
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Each training saves the more, the nearer its learning rate is to 1e-3, but for one lucky seed."""
    asked: list[Task] = []

    def train(task: Task) -> Trained:
        asked.append(task)
        saved = -abs(math.log10(task.settings.ppo.learning_rate / 1e-3))
        lucky = 1e6 * task.settings.ppo.learning_rate if task.seed == 2 else 0.0
        return Trained(task.seed, task.steps, "", "", {"saved_eur_per_shift": saved + lucky})

    monkeypatch.setattr(residual, "train", train)
    return asked


def _tried(asked: list[Task]) -> list[tuple[float, int, int]]:
    return [(one.settings.ppo.learning_rate, one.seed, one.steps) for one in asked]


def test_the_median_of_the_seeds_decides_and_a_search_goes_on(
    make_task: Callable[..., Task], trained: list[Task], tmp_path: Path
) -> None:
    task = make_task("run", steps=4000)
    first = search(task, 6, tmp_path)
    begun = len(trained)
    again = search(task, 6, tmp_path)  # all of them are there
    assert (len(trained), again) == (begun, first)
    more = search(task, 20, tmp_path)
    assert len(trained) > begun
    assert more["saved_eur_per_shift"] >= first["saved_eur_per_shift"]
    assert more["saved_eur_per_shift"] <= 0.0  # the lucky seed is not what counts
    found = Settings.model_validate_json((tmp_path / FOUND).read_text(), strict=True)
    assert found.ppo.learning_rate == more["settings"]["learning_rate"]
    assert abs(math.log10(found.ppo.learning_rate / 1e-3)) < 0.3
    assert found.sac == task.settings.sac
    assert json.loads((tmp_path / FOUND).read_text())["note"].startswith("searched in 20 trials")


def test_what_there_was_is_tried_first_and_what_falls_behind_is_given_up(
    make_task: Callable[..., Task], trained: list[Task], tmp_path: Path
) -> None:
    task = make_task("run", steps=4000)
    search(task, 16, tmp_path)
    assert {one.exam for one in trained} == {Exam(JUDGED_FROM, is_held_out=True)}
    assert trained[0].settings.ppo.learning_rate == task.settings.ppo.learning_rate
    assert [one.seed for one in trained[:3]] == list(SEEDS)
    assert [one.steps for one in trained[: 3 * PARTS : 3]] == [1000, 2000, 3000, 4000]
    assert len(trained) < 16 * len(SEEDS) * PARTS


def test_a_clone_has_nothing_to_search(make_task: Callable[..., Task], tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="nothing to tune"):
        search(make_task("run", method="bc"), 2, tmp_path)


def test_over_the_mpc_there_is_nothing_to_search(
    make_task: Callable[..., Task], tmp_path: Path
) -> None:
    task = make_task("run")
    task = make_task("run", settings=task.settings.changed({"residual": {"base": "mpc"}}))
    with pytest.raises(RefusedError, match="no settings can be searched"):
        search(task, 2, tmp_path)


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
def test_a_search_that_was_stopped_in_a_trial_goes_on_as_if_it_was_not(
    make_task: Callable[..., Task],
    trained: list[Task],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_killed: bool,
) -> None:
    task = make_task("run", steps=4000)
    (tmp_path / "whole").mkdir()
    whole = search(task, 7, tmp_path / "whole")
    all_of_it = _tried(trained)
    trained.clear()
    train = residual.train

    class Killed(BaseException):
        """The process ends here; nobody tidies up."""

    def stops(one: Task) -> Trained:
        if len(trained) == 53:
            if is_killed:
                raise Killed
            one.stop.ask()
            raise Stopped
        return train(one)

    with monkeypatch.context() as patched:
        patched.setattr(residual, "train", stops)
        if is_killed:
            with pytest.raises(Killed):
                search(task, 7, tmp_path)
        else:
            assert search(task, 7, tmp_path) == {"stopped": signal.SIGTERM}
            task.stop_file.unlink()
    assert search(task, 7, tmp_path) == {**whole, "path": str(tmp_path / FOUND)}
    assert _tried(trained) == all_of_it  # nothing twice, and nothing else


def test_a_search_with_other_facts_is_another(
    make_task: Callable[..., Task], trained: list[Task], tmp_path: Path
) -> None:
    task = make_task("run", steps=4000)
    search(task, 2, tmp_path)
    count = len(trained)
    search(make_task("run", steps=8000), 2, tmp_path)
    assert {one.steps for one in trained[count:]} == {2000, 4000, 6000, 8000}
    count = len(trained)
    other = task.settings.changed({"worlds": {"utilisation": [0.7, 0.7]}})
    search(make_task("run", steps=4000, settings=other), 2, tmp_path)
    assert len(trained) > count
