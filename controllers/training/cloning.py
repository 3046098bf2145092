"""Behaviour cloning with DAgger: a network that asks for what the MPC would ask for, in a hundredth of the time.

A lesson is a shift on a randomised line in which the MPC decides at every turn of the loop. In the first
round it is obeyed. In later rounds the clone drives and the MPC is only heard, so that the clone hears what
to do where its own mistakes lead (Ross, Gordon and Bagnell, A reduction of imitation learning and structured
prediction to no-regret online learning, AISTATS 2011). After each round a new network learns all that was
said so far: it follows from the lessons and the seed, so the lessons are all that a stopped run has to keep.

The teacher may keep clear of the edges of quality bands, see `CloningSpec`. The MPC may change its mind at every
turn, and moves time-outs too; the clone decides once a decision period, and its time-outs stay those of `fixed`.
So much of the MPC it cannot copy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from controllers.env.schema import Schema
from controllers.env.single import LineEnv
from controllers.mpc import Mpc
from controllers.policy.manifest import RoleSpec
from controllers.training.checkpoint import ANEW, refuse_other, replaced
from controllers.training.diary import diary
from controllers.training.learning import SHIFTS, Stopped
from controllers.training.lines import drawn_in, engineering, scaled, time_outs_s
from controllers.training.result import Actor, Trained, exported, held
from controllers.training.settings import CloningSpec
from controllers.training.spent import counted
from controllers.training.task import THREADS, Task
from twin.config import Plant, load_plant
from twin.cycle import Action, Situation
from twin.line.engine import EngineChoice
from twin.line.model import build_line
from twin.protocols import Controller
from twin.store.quarantine import StoreError

Rows: TypeAlias = NDArray[np.float32]
LESSONS = "lessons.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """One lesson: what was shown at each decision, and what the MPC said to it, scaled; what the shift cost.

    ``beyond`` is what was shown without a stop at the declared limits: the training range is made of it.
    """

    shown: Rows
    beyond: Rows
    said: Rows
    objective_eur: float


def train(task: Task) -> Trained:
    """The clone of one seed, in a bundle in the task's folder. Raises ``Stopped`` between two lessons."""
    clone, seen, schema = clone_of(task)
    return exported(
        task,
        Actor(clone, "tanh", "clip", engineering(schema, seen), len(seen)),
        schema,
        RoleSpec(decision_period_s=task.decision_s, held=held(task.fixed)),
    )


def clone_of(task: Task) -> tuple[torch.nn.Sequential, Rows, Schema]:
    """The network, what it was shown, and what its numbers mean. Raises ``Stopped`` between two lessons."""
    torch.set_num_threads(THREADS)
    chosen = task.settings.cloning
    env = LineEnv(
        task.plant,
        randomisation=drawn_in(task.settings),
        time_outs_s=time_outs_s(task.fixed),
        engine=EngineChoice.AUTO,
    )
    lessons = kept(task.folder / LESSONS, task.facts)
    if len(lessons) < task.rounds:
        with counted(task.folder):
            _go_through(task, env, lessons)
            clone = fitted(chosen, lessons, task.seed)
    else:
        clone = fitted(chosen, lessons, task.seed)
    return clone, np.concatenate([lesson.beyond for lesson in lessons]), env.schema


def _go_through(task: Task, env: LineEnv, lessons: list[Heard]) -> None:
    """The lessons that are missing yet, each kept as it ends."""
    chosen, clone = task.settings.cloning, None
    line = build_line(kept_clear(load_plant(task.plant), chosen.clear))
    with diary(task.folder, len(lessons)) as log:
        for number in range(len(lessons), task.rounds):
            if task.stop.number:
                raise Stopped
            if number >= chosen.shifts and (clone is None or number % chosen.shifts == 0):
                clone = fitted(chosen, lessons[: number - number % chosen.shifts], task.seed)
            teacher = Mpc(line, task.fixed)
            lessons.append(taught(env, teacher, task.seed * SHIFTS + number, clone))
            keep(task.folder / LESSONS, lessons, task.facts)
            log.record("shift/objective_eur", lessons[-1].objective_eur)
            log.dump(len(lessons))


class Lesson:
    """The loop's controller in a lesson: the teacher decides at each turn, and is obeyed or only heard."""

    def __init__(
        self, teacher: Controller, pupil: Controller, schema: Schema, *, is_obeyed: bool
    ) -> None:
        self._teacher, self._pupil, self._schema = teacher, pupil, schema
        self._is_obeyed = is_obeyed
        self._said: Rows | None = None

    def decide(self, situation: Situation) -> Action:
        """What goes to the guard; the pupil watches every turn."""
        own = self._pupil.decide(situation)
        answer = self._teacher.decide(situation)
        if self._said is None:
            self._said = scaled(self._schema, {**situation.active, **answer.setpoints})
        return answer if self._is_obeyed else own

    def heard(self) -> Rows | None:
        """The teacher's first answer since it was last asked for, scaled; None if it was shown nothing."""
        said, self._said = self._said, None
        return said


def kept_clear(plant: Plant, share: float) -> Plant:
    """The plant with the band of each quality narrower at either edge by this share of it."""
    stations = tuple(
        station.model_copy(
            update={
                "sensors": {
                    name: sensor.model_copy(update={"band": _narrower(sensor.band, share)})
                    for name, sensor in station.sensors.items()
                }
            }
        )
        for station in plant.stations
    )
    return plant.model_copy(update={"stations": stations})


def _narrower(band: tuple[float, float] | None, share: float) -> tuple[float, float] | None:
    if band is None:
        return None
    off = share * (band[1] - band[0])
    return band[0] + off, band[1] - off


def taught(env: LineEnv, teacher: Controller, luck: int, clone: torch.nn.Module | None) -> Heard:
    """One lesson, driven by the clone or, without one, by the teacher."""
    observation, told = env.reset(seed=luck)
    lesson = Lesson(teacher, env.loop.controller, env.schema, is_obeyed=clone is None)
    env.loop.controller = lesson
    shown, beyond, said, is_over = list[Rows](), list[Rows](), list[Rows](), False
    unstopped = env.shown()
    asked = np.zeros(len(env.schema.action), dtype=np.float32)
    while not is_over:
        if clone is not None:
            asked = answered(clone, observation)
        after, _, tripped, ended, told = env.step(asked)
        heard, is_over = lesson.heard(), tripped or ended
        if heard is not None:
            shown.append(observation)
            beyond.append(unstopped)
            said.append(heard)
        observation, unstopped = after, env.shown()
        if heard is not None and clone is None:
            for row in (observation, unstopped):
                row[-asked.size :] = heard  # the schema's last fields: what was asked for last
    return Heard(np.array(shown), np.array(beyond), np.array(said), told["kpi"]["objective_eur"])


def answered(clone: torch.nn.Module, observation: Rows) -> Rows:
    """What the clone asks for, scaled."""
    with torch.no_grad():
        found: Rows = clone(torch.from_numpy(observation)).clamp(-1.0, 1.0).numpy()
    return found


def fitted(chosen: CloningSpec, lessons: Sequence[Heard], seed: int) -> torch.nn.Sequential:
    """A new network that has learned these lessons by least squares; the same for the same seed."""
    torch.manual_seed(seed)
    shown = torch.from_numpy(np.concatenate([lesson.shown for lesson in lessons]))
    said = torch.from_numpy(np.concatenate([lesson.said for lesson in lessons]))
    widths = [shown.shape[1], *chosen.network]
    layers: list[torch.nn.Module] = []
    for ins, outs in pairwise(widths):
        layers += [torch.nn.Linear(ins, outs), torch.nn.Tanh()]
    clone = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], said.shape[1]))
    optimiser = torch.optim.Adam(clone.parameters(), lr=chosen.learning_rate)
    for _ in range(chosen.epochs):
        for rows in torch.randperm(len(shown)).split(chosen.batch):
            loss = torch.nn.functional.mse_loss(clone(shown[rows]), said[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return clone


def keep(path: Path, lessons: Sequence[Heard], facts: Mapping[str, Any]) -> None:
    """Write all lessons, as `replaced` does."""
    costs = np.array([lesson.objective_eur for lesson in lessons])
    arrays: dict[str, Any] = {"costs": costs, "facts": np.array(json.dumps(facts, sort_keys=True))}
    for n, lesson in enumerate(lessons):
        arrays |= {f"{name}_{n}": getattr(lesson, name) for name in ("shown", "beyond", "said")}
    with replaced(path) as file:
        np.savez(file, **arrays)


def kept(path: Path, facts: Mapping[str, Any]) -> list[Heard]:
    """The lessons in a file, none where there is no file. Raises ``StoreError`` for those of another run."""
    if not path.is_file():
        return []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            refuse_other(path, json.loads(str(arrays["facts"])), facts)
            return [
                Heard(arrays[f"shown_{n}"], arrays[f"beyond_{n}"], arrays[f"said_{n}"], float(cost))
                for n, cost in enumerate(arrays["costs"])
            ]
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise StoreError(f"{path}: truncated or damaged: {error}", ANEW) from error
