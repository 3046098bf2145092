from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from controllers.training import cloning
from controllers.training.checkpoint import weights_sha256
from controllers.training.cloning import LESSONS, Heard, fitted, kept, kept_clear, taught
from controllers.training.learning import Stopped
from controllers.training.lines import engineering
from controllers.training.settings import CloningSpec
from controllers.training.task import Task
from twin.config import load_plant
from twin.cycle import Action, Situation


class Teacher:
    """Says something else at every turn, and whatever it says is inside the limits."""

    def __init__(self, *_: Any) -> None:
        self.turns = 0

    def decide(self, situation: Situation) -> Action:
        self.turns += 1
        takt_s = 70.0 + 5.0 * (self.turns % 4)
        return Action({"line.takt_s": takt_s, "wash.standby": 1.0}, "as taught")


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> list[Teacher]:
    teachers: list[Teacher] = []

    def engage(*_: Any) -> Teacher:
        teachers.append(Teacher())
        return teachers[-1]

    monkeypatch.setattr(cloning, "Mpc", engage)
    return teachers


def test_a_lesson_holds_what_was_shown_and_the_first_answer_to_it(
    make_task: Callable[..., Task],
) -> None:
    from controllers.env.single import LineEnv

    task = make_task("t", method="bc")
    env = LineEnv(task.plant)
    teacher = Teacher()
    lesson = taught(env, teacher, 7, None)
    assert lesson.shown.shape == (29, 79)
    assert lesson.said.shape == (29, 12)
    assert teacher.turns == 58  # two turns a decision
    names = [field.name for field in env.schema.action]
    takt = 50.0 + 0.5 * (lesson.said[:, 0] + 1.0) * 190.0
    assert takt == pytest.approx([75.0, 85.0] * 14 + [75.0], abs=1e-4)
    assert np.all(lesson.said[:, names.index("wash.standby")] == 1.0)
    # What was asked for before is shown as it would be at run time.
    shown = engineering(env.schema, lesson.shown)
    previous = [field.name for field in env.schema.observation].index("previous.line.takt_s")
    assert shown[1:, previous] == pytest.approx(takt[:-1], abs=1e-3)
    # The training range is made of what was not stopped at declared limits: waiting lines go beyond some.
    assert np.array_equal(np.clip(lesson.beyond, -1.0, 1.0), lesson.shown)
    assert np.abs(lesson.beyond).max() > 1.0
    env.close()


def test_a_teacher_keeps_clear_of_the_edges_of_each_quality_and_of_nothing_else() -> None:
    plant = load_plant("paint_cure_line")
    careful = kept_clear(plant, 0.1)
    found = 0
    for before, after in zip(plant.stations, careful.stations, strict=True):
        for name, sensor in before.sensors.items():
            if sensor.band is None:
                assert after.sensors[name] == sensor
                continue
            lo, hi = sensor.band
            assert after.sensors[name].band == pytest.approx(
                (lo + 0.1 * (hi - lo), hi - 0.1 * (hi - lo))
            )
            found += 1
        assert after.model_copy(update={"sensors": before.sensors}) == before
    assert found >= 3
    assert careful.model_copy(update={"stations": plant.stations}) == plant
    assert kept_clear(plant, 0.0) == plant
    with pytest.raises(ValidationError):
        CloningSpec(clear=0.5)


def test_a_stopped_school_goes_on_to_the_same_clone(
    make_task: Callable[..., Task], school: list[Teacher], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two lessons of half an hour say too little for a bundle.
    monkeypatch.setattr(cloning, "exported", lambda _task, actor, *_: actor)
    whole = cloning.train(make_task("whole", method="bc"))
    task = make_task("halved", method="bc")
    keep = cloning.keep

    def kept_and_stopped(path: Path, lessons: list[Heard], facts: dict[str, Any]) -> None:
        keep(path, lessons, facts)
        task.stop.ask()

    with monkeypatch.context() as patched:
        patched.setattr(cloning, "keep", kept_and_stopped)
        with pytest.raises(Stopped):
            cloning.train(task)
    task.stop_file.unlink()
    assert len(kept(task.folder / LESSONS, task.facts)) == 1
    resumed = cloning.train(task)
    assert weights_sha256(resumed.network) == weights_sha256(whole.network)
    assert resumed.observations.tobytes() == whole.observations.tobytes()
    # The clone drove the second lesson: takts of the teacher would show in what was asked for last.
    second = kept(task.folder / LESSONS, task.facts)[1]
    assert not np.allclose(second.shown[1:, -12], second.said[:-1, 0], atol=1e-3)


def test_a_full_disk_leaves_the_lessons_that_were_there(
    tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    path = tmp_path / LESSONS
    rows = np.zeros((100, 20), np.float32)
    lesson = Heard(rows, rows, rows, 1.0)
    cloning.keep(path, [], {"seed": 1})
    before = path.read_bytes()
    with full_disk(), pytest.raises(OSError, match="File too large"):
        cloning.keep(path, [lesson], {"seed": 1})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_clone_learns_what_it_is_told() -> None:
    luck = np.random.default_rng(3)
    shown = luck.uniform(-1, 1, (2000, 5)).astype(np.float32)
    said = np.stack([np.tanh(shown[:, 0] - shown[:, 1]), -0.5 * shown[:, 2]], axis=1)
    clone = fitted(CloningSpec(epochs=60, network=(32,)), [Heard(shown, shown, said, 0.0)], seed=1)
    fresh = luck.uniform(-1, 1, (500, 5)).astype(np.float32)
    wanted = np.stack([np.tanh(fresh[:, 0] - fresh[:, 1]), -0.5 * fresh[:, 2]], axis=1)
    assert np.abs(cloning.answered(clone, fresh) - wanted).mean() < 0.05
