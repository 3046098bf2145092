"""``twin train --tune``: settings of an algorithm, searched by Optuna; what does badly is given up early.

A trial is a choice of settings, trained with three seeds. After each quarter of the steps all three are
judged, on the line and the shifts on which the constants of `fixed` were chosen, and their *median* is what
counts: one lucky seed recommends nothing. A trial whose median lies below the median of the trials before it
at that point is given up (Golovin et al., Google Vizier, KDD 2017). Resuming is exact, so judging in between
changes nothing. Trials are kept in a journal: the search goes on where it was stopped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from controllers.training import plain, residual
from controllers.training.settings import Settings
from controllers.training.task import Task
from twin.plugins import RefusedError
from twin.store.run_folder import RunFolder

SEEDS = (1, 2, 3)
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

    ``task`` is one of a run: its seed and folder do not matter. Raises ``RefusedError`` for what has no
    settings to search here.
    """
    if task.method == "bc":
        raise RefusedError("cloning has nothing to tune here", "--controller rl or residual")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
        study_name=f"{task.facts['plant_hash']}-{task.method}-{task.algorithm}",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=task.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    if not study.trials:
        study.enqueue_trial(
            {name: getattr(task.chosen, name) for name in WAYS[task.algorithm]},
            skip_if_exists=True,
        )  # what is there already is the first to be beaten
    over = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    left = trials - len(study.get_trials(deepcopy=False, states=over))
    if left > 0:
        study.optimize(lambda trial: _tried(trial, task, folder), n_trials=left)
    chosen = {str(task.algorithm): study.best_params}
    note = f"searched in {trials} trials of {task.steps} decisions with seeds {SEEDS}"
    settings = task.settings.changed(chosen).model_copy(update={"note": note})
    RunFolder(folder).write_json(FOUND, settings.model_dump(mode="json"))
    path = str(folder / FOUND)
    return {"path": path, "saved_eur_per_shift": study.best_value, "settings": study.best_params}


def _tried(trial: optuna.Trial, task: Task, folder: Path) -> float:
    """The median over the seeds of what is saved, by one choice of settings."""
    ways = WAYS[task.algorithm].items()
    values = {name: trial.suggest_float(name, lo, hi, log=log) for name, (lo, hi, log) in ways}
    settings: Settings = task.settings.changed({task.algorithm: values})
    train = residual.train if task.method == "residual" else plain.train
    reached = 0.0
    for part in range(1, PARTS + 1):
        saved = []
        for seed in SEEDS:
            own = folder / f"trial-{trial.number:04d}" / f"seed-{seed:03d}"
            own.mkdir(parents=True, exist_ok=True)
            one = replace(
                task, settings=settings, seed=seed, folder=own, steps=task.steps * part // PARTS
            )
            saved.append(float(train(one).evaluation["saved_eur_per_shift"]))
        reached = median(saved)
        trial.report(reached, part)
        if part < PARTS and trial.should_prune():
            raise optuna.TrialPruned
    return reached
