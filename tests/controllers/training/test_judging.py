"""On which shifts a trained policy is judged, and what of the truth is opened for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controllers.env.schema import DECISION_S
from controllers.env.worlds import Worlds
from controllers.policy.bundle import Bundle, read_bundle
from controllers.policy.manifest import RoleSpec
from controllers.training import judging
from controllers.training.judging import judged
from controllers.training.learning import SHIFTS, new_model
from controllers.training.lines import training_lines
from controllers.training.result import Actor, exported
from controllers.training.search import JUDGED_FROM, SEEDS
from controllers.training.task import Exam, Task
from controllers.tuning import SELECTION_SEEDS, TUNING_SEEDS
from twin.config import load_plant
from twin.config.errors import PlantError
from twin.line.scenario import shift_orders

HELD_OUT = Exam(JUDGED_FROM, is_held_out=True)


@pytest.fixture
def bundle(make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A policy that has learned nothing, on top of `fixed`."""
    monkeypatch.setattr("controllers.training.result.judged", lambda *_: {})
    task = make_task("bundle")
    lines = training_lines(task.plant, 8, task.settings, task.fixed, authority=0.15)
    model = new_model(task.chosen, lines, 1, np.full(12, 0.3, np.float32))
    width = len(lines.schema.observation)
    seen = np.random.default_rng(0).uniform(0.0, 1.0, (20 * width, width))
    actor = Actor(model.policy, "tanh", "clip", seen, 1)
    role = RoleSpec(decision_period_s=DECISION_S, base="fixed", authority=0.3)
    return read_bundle(Path(exported(task, actor, lines.schema, role).bundle))


def _ordered(task: Task, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> set[float]:
    """How many parts were ordered in the shifts on which a bundle was judged."""
    made, found = judging._lines, set[float]()

    def watched(of: Task) -> object:
        lines, facts = made(of)
        step = lines.step

        def stepped(actions: object) -> object:
            answer = step(actions)
            found.update(answer[4]["kpi"]["ordered_parts"].tolist())
            return answer

        lines.step = stepped
        return lines, facts

    monkeypatch.setattr(judging, "_lines", watched)
    judged(bundle, task)
    return found


def test_a_policy_is_judged_at_the_utilisation_that_it_was_trained_for(
    make_task: Callable[..., Task], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task("t", exam=Exam(utilisation=0.55))
    told = judged(bundle, task)
    assert (told["scenario"], told["utilisation"]) == ("nominal", 0.55)
    plant = load_plant(task.plant)
    assert _ordered(task, bundle, monkeypatch) == {shift_orders(plant, 0.55)}
    usual = judged(bundle, make_task("t"))
    assert usual["utilisation"] == plant.demand.utilisation
    assert usual["saved_eur_per_shift"] != told["saved_eur_per_shift"]


def test_who_searches_settings_does_not_open_the_truth(
    make_task: Callable[..., Task], bundle: Bundle
) -> None:
    task = make_task("t", exam=HELD_OUT)
    path = Path(task.plant)
    path.with_name(f"{path.stem}.truth.yaml").write_text("no: truth")
    told = judged(bundle, task)
    assert told["world"] == "held_out"
    assert told["first_seed"] == JUDGED_FROM
    with pytest.raises(PlantError, match="truth"):
        judged(bundle, replace(task, exam=Exam()))


def test_held_out_lines_are_none_of_those_that_are_trained_on(
    make_task: Callable[..., Task],
) -> None:
    task = make_task("t", exam=HELD_OUT)
    lines, _ = judging._lines(task)
    trained = training_lines(task.plant, 8, task.settings, task.fixed).lines
    held, inner = Worlds(lines.setting), Worlds(trained.setting)
    count = task.settings.judged_shifts
    tables = {held.world(n).table.tobytes() for n in range(count)}
    assert len(tables) == count
    assert not tables & {inner.world(n).table.tobytes() for n in range(32)}
    assert {held.world(n).line.c for n in range(count)}.isdisjoint(
        inner.world(n).line.c for n in range(32)
    )


def test_seeds_and_shifts_of_a_search_are_those_of_nobody_else(
    make_task: Callable[..., Task],
) -> None:
    count = type(make_task("t").settings)().judged_shifts
    final = {SELECTION_SEEDS[0] + n for n in range(count)}
    searched = {JUDGED_FROM + n for n in range(count)}
    assert not searched & {*range(1, 1000), *TUNING_SEEDS, *SELECTION_SEEDS, *final}
    assert not set(SEEDS) & set(range(1, 101))  # the most that `twin train --seeds` allows
    assert min(SEEDS) * SHIFTS > max(final | searched)


def test_a_bundle_says_on_what_it_was_judged(bundle: Bundle) -> None:
    assert json.loads(bundle.manifest.text())["evaluation"].keys() == {"training_cpu_h"}
