"""``twin train --tune``: settings of an algorithm, searched by Optuna; what does badly is given up early.

A trial is a choice of settings, trained with three seeds. After each quarter of the steps all three are
judged on lines that are held out (the truth is not opened), and their *median* is what counts: one lucky seed
recommends nothing. A trial whose median lies below the median of the trials before it at that point is given up
(Golovin et al., Google Vizier, KDD 2017). Resuming is exact, so judging in between changes nothing. Neither the
seeds nor the shifts are those that trainings report. Trials are kept in a journal, those of other facts apart:
the search goes on where it was stopped, in the middle of a trial too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from controllers.training import plain, residual
from controllers.training.learning import Stopped
from controllers.training.result import Trained
from controllers.training.task import Task
from twin.plugins import RefusedError
from twin.store.run_folder import RunFolder

SEEDS = (1001, 1002, 1003)
"""Those of trainings are 1 to 100."""
JUDGED_FROM = 3001
"""The first shift that trials are judged on; all lie beyond those of trainings, of tuning and of tests."""
PARTS = 4
JOURNAL, FOUND = "trials.journal", "found.training.json"
WAYS: dict[str, dict[str, tuple[float, float, bool]]] = {
    "ppo": {
        "learning_rate": (5e-5, 2e-3, True),
        "gae_lambda": (0.9, 1.0, False),
        "clip": (0.1, 0.3, False),
        "spread": (0.05, 0.5, True),
        "entropy": (0.0, 1e-2, False),
    },
    "sac": {
        "learning_rate": (5e-5, 2e-3, True),
        "tau": (0.001, 0.05, True),
    },
}
"""Between what each setting is searched, and whether on a logarithmic scale."""


def search(task: Task, trials: int, folder: Path) -> dict[str, Any]:
    """Search so many trials (counting those before a stop); the best settings, as a file for beside the plant.

    ``task`` is one of a run: its seed, folder and exam do not matter. Says in ``stopped`` the signal for which it
    has to go on later, else 0. Raises ``RefusedError`` for what has no settings to search here.
    """
    if task.method == "bc":
        raise RefusedError("cloning has nothing to tune here", "--controller rl or residual")
    if task.method == "residual" and task.settings.residual.base != "fixed":
        msg = "over the MPC nothing is judged while it trains, and no settings can be searched"
        raise RefusedError(msg, "--base fixed")
    task = replace(task, exam=replace(task.exam, first_seed=JUDGED_FROM, is_held_out=True))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = _digest({**_facts(task), "steps": task.steps, "seeds": SEEDS, "parts": PARTS})
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
        study_name=f"{task.method}-{task.algorithm}-{name}",
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    _take_up(study, task)
    try:
        with task.stop.watched():
            while (done := _over(study)) < trials:
                if task.stop.number:
                    raise Stopped  # noqa: TRY301 - between two trials as in one
                # A search that was stopped draws as one that was not.
                study.sampler = optuna.samplers.TPESampler(seed=done)
                study.optimize(lambda trial: _tried(trial, task, folder / study.study_name), 1)
    except Stopped:
        return {"stopped": task.stop.number}
    chosen = {str(task.algorithm): study.best_params}
    note = f"searched in {trials} trials of {task.steps} decisions with seeds {SEEDS}"
    settings = task.settings.changed(chosen).model_copy(update={"note": note})
    RunFolder(folder).write_json(FOUND, settings.model_dump(mode="json"))
    return {
        "path": str(folder / FOUND),
        "saved_eur_per_shift": study.best_value,
        "settings": study.best_params,
        "stopped": 0,
    }


def _take_up(study: optuna.Study, task: Task) -> None:
    """What there is already is the first to be beaten; a trial that was stopped, or killed, is the next."""
    if not study.trials:
        study.enqueue_trial({name: getattr(task.chosen, name) for name in WAYS[task.algorithm]})
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    there = study.get_trials(deepcopy=False)
    for trial in there:
        is_done_later = any(
            other.number > trial.number
            and (other.system_attrs.get("fixed_params") or other.params) == trial.params
            for other in there
        )
        if trial.state is TrialState.FAIL and trial.params and not is_done_later:
            study.enqueue_trial(trial.params)


def _over(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _facts(task: Task) -> dict[str, Any]:
    """All that decides what trials come to, but for their seeds."""
    settings = task.settings.model_dump(mode="json", exclude={"note"})
    return {**task.facts, "seed": 0, "settings": settings, "exam": asdict(task.exam)}


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _saved(task: Task, train: Callable[[Task], Trained], name: str) -> float:
    """What a shift saves after a part of the steps; kept, since a run that has gone on cannot be asked again."""
    kept = RunFolder(task.folder)
    if not kept.place(name).is_file():
        told = {"saved_eur_per_shift": train(task).evaluation["saved_eur_per_shift"]}
        kept.write_json(name, told)
    return float(json.loads(kept.place(name).read_text("utf-8"))["saved_eur_per_shift"])


def _tried(trial: optuna.Trial, task: Task, folder: Path) -> float:
    """The median over the seeds of what is saved, by one choice of settings."""
    ways = WAYS[task.algorithm].items()
    values = {name: trial.suggest_float(name, lo, hi, log=log) for name, (lo, hi, log) in ways}
    task = replace(task, settings=task.settings.changed({task.algorithm: values}))
    place = folder / f"trial-{_digest(_facts(task))}"  # the same where it is taken up again
    train = residual.train if task.method == "residual" else plain.train
    reached = 0.0
    for part in range(1, PARTS + 1):
        saved = []
        for seed in SEEDS:
            own = place / f"seed-{seed}"
            own.mkdir(parents=True, exist_ok=True)
            one = replace(task, seed=seed, folder=own, steps=task.steps * part // PARTS)
            saved.append(_saved(one, train, f"part-{part}.json"))
        reached = median(saved)
        trial.report(reached, part)
        if part < PARTS and trial.should_prune():
            raise optuna.TrialPruned
    return reached
