"""``twin train``: policies learned on randomised lines of a plant, one for each seed, each as a bundle."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import CONFLICT, OF_DISKS, STOPPED, UNREACHABLE, Problem, pick

if TYPE_CHECKING:
    from twin.cli.shift import Shift

NAME = "train"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin train --plant demo --steps 2000000 --seeds 3
  twin train --plant demo --controller residual --algo sac
  twin train --plant demo --resume           (goes on where it was stopped)
  twin train --plant demo --controller bc    (learns from the MPC)
  twin train --plant demo --smoke"""
TRAINING = "controllers.training"
"""By name, as controllers are: the twin does not import them."""
EXTRA = {"torch": "torch", "stable_baselines3": "stable-baselines3", "gymnasium": "gymnasium", "onnx": "onnx", "onnxruntime": "onnxruntime", "tensorboard": "tensorboard", "optuna": "optuna"}  # fmt: skip
CONTROLLERS, ALGORITHMS, BASES = ("rl", "residual", "bc"), ("ppo", "sac"), ("fixed", "mpc")
RESULTS = "training.json"
STEPS = 2_000_000
KEPT_EVERY_S = 1.0
"""How often the bars move, seconds."""


def command(
    plant: options.PlantOption = None,
    controller: Annotated[
        str, typer.Option(metavar="NAME", help="What is made: rl, residual (on top of fixed), bc (from the MPC).")
    ] = "rl",
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default="fixed", help="What a residual adds to: fixed or mpc."
        ),
    ] = None,
    algo: Annotated[str, typer.Option(metavar="NAME", help="ppo or sac.")] = "ppo",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, max=10**9, show_default=f"{STEPS}",
            help="Decisions to learn from, each seed; not for bc, whose settings say how many lessons.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Policies, from seeds 1 on.")] = 1,
    utilisation: options.Utilisation = None,
    workers: options.Workers = None,
    ray: options.Ray = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", file_okay=False, show_default="training/PLANT-CONTROLLER-ALGO",
            help="Where all of it is kept.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in the folder.")] = False,
    keep_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Decisions between two checkpoints.")
    ] = 500_000,
    tune: Annotated[
        int, typer.Option(min=0, max=10_000, metavar="N", help="Search settings in so many trials instead.")
    ] = 0,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="See in seconds whether training works here, and stop there.")
    ] = False,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Train policies on randomised lines of a plant; every seed ends in a bundle, none is picked.

    Stopped by SIGTERM or Ctrl-C it keeps its checkpoints; with --resume it goes on to the same weights as if
    it had not been stopped. Settings beside the plant file, NAME.training.json, replace the defaults.
    """
    from twin.cli.shift import Shift
    from twin.cli.tuned import baseline

    _need_extra(*(name for name in EXTRA if name != "optuna" or tune))
    pick(controller, CONTROLLERS, "controller to train")
    pick(algo, ALGORITHMS, "algorithm")
    if controller == "bc" and steps is not None:
        msg = "bc learns from lessons of the MPC, not from so many --steps"
        raise Problem("usage", msg, 'NAME.training.json says how many: {"cloning": {"shifts": 4}}')
    shift = Shift(options.chosen_plant(plant), utilisation=utilisation)
    shift.check()
    if not tune:
        _need_sound_truth(shift)
    found = baseline(shift.place, shift.plant, shift.demanded, shift.variant)
    fixed = found.point.model_copy(update={"thresholds": {}, "policies": {}})
    if smoke:
        done = importlib.import_module(f"{TRAINING}.smoke").smoke(shift.place, fixed)
        _tell(
            done, "training works here: stopped and gone on, it comes to the same weights", as_json
        )
        return
    if found.doubt:
        typer.echo(f"note: {found.doubt}", err=True)
    folder = out or Path("training") / f"{shift.plant.name}-{controller}-{algo}"
    settings = importlib.import_module(f"{TRAINING}.settings").settings_of(shift.place)
    if utilisation is not None:
        settings = settings.changed({"worlds": {"utilisation": [utilisation, utilisation]}})
    if base is not None:
        settings = settings.changed({"residual": {"base": pick(base, BASES, "base")}})
    _refuse_impossible(controller, algo, settings, tune=tune > 0)
    run = _Run(shift, folder.resolve(), resume=resume)
    common = {"plant": shift.place, "method": controller, "algorithm": algo, "settings": settings}
    common["fixed"] = fixed
    common["exam"] = importlib.import_module(f"{TRAINING}.task").Exam(utilisation=shift.demanded)
    tasks = run.tasks(common, range(1, seeds + 1), steps or STEPS, keep_every)
    if tune:
        with _going_on_later():
            done = importlib.import_module(f"{TRAINING}.search").search(tasks[0], tune, run.folder)
        _leave_if_stopped(done["stopped"], folder)
        _tell(done, f"settings: {done['path']}", as_json)
        return
    with _going_on_later():
        records = run.trained(tasks, workers, ray)
    _leave_if_stopped(max(record["stopped"] for record in records), folder)
    report = {**shift.facts(), "controller": controller, "algorithm": algo, "runs": records}
    run.write(report)
    if as_json:
        typer.echo(json.dumps(report, sort_keys=True))
    else:
        _show(records)


def _refuse_impossible(controller: str, algo: str, settings: Any, *, tune: bool) -> None:
    """A ``Problem`` for what cannot be done with the MPC as teacher or base."""
    begins_as_clone = (controller, settings.rl.begin) == ("rl", "mpc")
    on_mpc = controller == "bc" or (controller, settings.residual.base) == ("residual", "mpc")
    if tune and (on_mpc or begins_as_clone):
        msg = "what learns from the MPC, or on top of it, has no settings that can be searched"
        raise Problem("usage", msg, "--tune with rl that begins as fixed, or residual on fixed")
    if begins_as_clone and algo != "ppo":
        hint = "leave --algo out, or begin as fixed: NAME.training.json says which"
        raise Problem("usage", "a clone of the MPC learns on by ppo alone", hint)


class _Run:
    """The folder of one command, and what goes on in it."""

    def __init__(self, shift: Shift, folder: Path, *, resume: bool) -> None:
        self.folder, self._shift = folder, shift
        if folder.is_dir() and any(folder.iterdir()) and not resume:
            msg = f"{folder} holds a training run already"
            raise Problem(
                "conflict", msg, "--resume goes on with it; or another --out", code=CONFLICT
            )
        if resume and not folder.is_dir():
            raise Problem("usage", f"there is no {folder} to go on with", "leave out --resume")
        folder.mkdir(parents=True, exist_ok=True)
        self._sign = folder / "stop"
        self._sign.unlink(missing_ok=True)

    def tasks(
        self, common: dict[str, Any], seeds: Sequence[int], steps: int, keep_every: int
    ) -> list[Any]:
        """One for each seed, in a folder of its own."""
        made, found = importlib.import_module(f"{TRAINING}.task"), []
        for seed in seeds:
            folder = self.folder / f"seed-{seed:03d}"
            folder.mkdir(exist_ok=True)
            task = made.Task(
                **common, seed=seed, steps=steps, keep_every=keep_every, folder=folder,
                stop_file=self._sign,
            )  # fmt: skip
            found.append(task)
        return found

    def trained(
        self, tasks: list[Any], workers: int | None, ray: str | None
    ) -> list[dict[str, Any]]:
        """All tasks, one trainer a core; signals reach those in other processes by a file."""
        from contextlib import nullcontext

        from twin.spread import SpreadError, spread

        train = importlib.import_module(f"{TRAINING}.train").train
        stop = importlib.import_module(f"{TRAINING}.stop").Stop(self._sign)
        is_here = ray is None and (workers == 1 or len(tasks) == 1)
        with nullcontext() if is_here else stop.watched(), _bars(tasks):
            try:
                return spread(train, tasks, workers=workers, ray=ray)
            except SpreadError as error:
                hint = "call it again with --resume; of --ray tells docs/how-to/many-shifts.md"
                raise Problem("unreachable", str(error), hint, code=UNREACHABLE) from error

    def write(self, report: dict[str, Any]) -> None:
        """Leave what came of it; the file appears whole or not at all."""
        from twin.store.run_folder import RunFolder

        RunFolder(self.folder).write_json(RESULTS, report)


def _tell(record: dict[str, Any], said: str, as_json: bool) -> None:
    typer.echo(json.dumps(record, sort_keys=True) if as_json else said)


@contextmanager
def _going_on_later() -> Iterator[None]:
    """A ``Problem`` for a disk that takes no more: it stops a training, and ends none."""
    try:
        yield
    except OSError as error:
        if error.errno not in OF_DISKS:
            raise
        msg = f"cannot write what is to be kept of the training: {error.strerror}"
        hint = "check the disk; the same command with --resume goes on from what was kept last"
        raise Problem("file", msg, hint) from error


def _leave_if_stopped(number: int, folder: Path) -> None:
    """Leave as who was stopped by a signal does; 0 is none."""
    if number:
        typer.echo(f"stopped; checkpoints are in {folder}; go on with --resume", err=True)
        raise typer.Exit(STOPPED + number)


def _need_sound_truth(shift: Shift) -> None:
    """What is trained is judged on the true line: that it can be has to be known before hours of training."""
    from twin.config import find_plant, load_truth
    from twin.line.model import build_line

    path = find_plant(shift.place)
    if path.with_name(f"{path.stem}.truth.yaml").is_file():
        build_line(shift.plant, load_truth(shift.place, shift.plant), shift.variant)


def _need_extra(*names: str) -> None:
    """A ``Problem`` that names what is missing, before anything heavy is imported."""
    from importlib.util import find_spec

    missing = [EXTRA[name] for name in names if find_spec(name) is None]
    if missing:
        msg = f"training needs packages that are not installed: {', '.join(missing)}"
        raise Problem("usage", msg, "pip install 'takttwin[rl]'")


@contextmanager
def _bars(tasks: list[Any]) -> Iterator[None]:
    """A bar for each seed where somebody looks; they read the diaries, wherever those are written."""
    import sys
    from threading import Event, Thread

    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    is_over = Event()
    with Progress(*columns, console=options.console(stderr=True), transient=True) as bars:
        shown = {bars.add_task(f"seed {task.seed}", total=None): task for task in tasks}

        def watch() -> None:
            while not is_over.wait(KEPT_EVERY_S):
                for bar, task in shown.items():
                    now = task.under_way
                    bars.update(bar, total=now.rounds, completed=now.done)

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()


def _show(records: Sequence[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    from twin.feedback.report.labels import number

    first = records[0]["evaluation"]
    table = Table(box=box.SIMPLE_HEAD, caption_justify="left")
    table.caption = (
        "not judged yet: twin evaluate"
        if "shifts" not in first
        else (
            f"saved against {first['against']}, EUR a shift with 95 % interval, by the objective, on {first['shifts']} "
            f"shifts of tuning ({first['world']} line, {first['scenario']} at {first['utilisation']:g}); what holds is "
            "for twin evaluate to say"
        )
    )
    for name in ("seed", "steps", "saved", "weights", "bundle"):
        table.add_column(name)
    for one in records:
        judged = one["evaluation"]
        saved = "–"
        if "shifts" in judged:
            half = number(judged["saved_eur_half_width"])
            saved = f"{number(judged['saved_eur_per_shift'], sign=True)} ± {half}"
        table.add_row(
            str(one["seed"]), str(one["steps"]), saved, one["weights_sha256"][:12], one["bundle"]
        )
    options.console().print(table)
