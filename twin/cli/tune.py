"""``twin tune``: the best constant setpoints of a plant, searched and put beside its file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli import options
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from twin.config import Tuned, TunedPoint

NAME = "tune"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin tune machining_line
  twin tune demo --utilisation 0.8 --evaluations 100"""
SEARCH = "controllers.tuning"
"""By name, as controllers are: the twin does not import them."""
RANDOM_SHARE = 0.2
"""Share of the evaluations that looks anywhere before the search goes step by step."""


def command(
    plant: options.Plant = None,
    utilisation: options.Utilisation = None,
    variant: options.Variant = "nominal",
    evaluations: Annotated[
        int, typer.Option(min=1, max=100_000, help="Points looked at for each utilisation.")
    ] = 600,
    shifts: Annotated[
        int | None,
        typer.Option(min=1, max=1000, show_default=False, help="Tuning shifts a point; else all."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 2,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Else NAME.fixed.json beside it."),
    ] = None,
) -> None:
    """Search the setpoints of the controller `fixed` on the true plant; takes some minutes."""
    from twin.cli.tuned import tuned_path
    from twin.config import find_plant

    shift = Shift(options.chosen_plant(plant), variant=variant, utilisation=utilisation)
    shift.check()
    shift.has_truth()
    path = to or tuned_path(find_plant(shift.place))
    levels = shift.plant.demand.utilisations.values() if utilisation is None else [utilisation]
    tuned = _begun(path, shift, shifts)
    for level in sorted(levels):
        found = _searched(shift, level, evaluations, shifts, workers)
        tuned = tuned.model_copy(update={"points": {**tuned.points, repr(level): found}})
        _write(path, tuned)
    typer.echo(f"tuned: {path}", err=True)


def _searched(
    shift: Shift, level: float, evaluations: int, shifts: int | None, workers: int
) -> TunedPoint:
    """The search at one utilisation, with its log."""
    from twin.config import TunedPoint, TunedTrial

    tuning = importlib.import_module(SEARCH)
    best, log = tuning.tune(
        shift.place,
        level,
        shift.variant,
        random_points=round(RANDOM_SHARE * evaluations),
        evaluations=evaluations,
        seeds=tuning.TUNING_SEEDS[:shifts],
        workers=workers,
        progress=lambda n, least: _progress(level, n, least),
    )
    return TunedPoint(
        setpoints=dict(best.setpoints),
        eur_per_part=best.eur_per_part,
        tools_eur_per_part=best.tools_eur_per_part,
        log=tuple(
            TunedTrial(setpoints=dict(trial.setpoints), eur_per_part=trial.eur_per_part)
            for trial in log
        ),
    )


def _progress(level: float, count: int, least: float) -> None:
    import sys

    if sys.stderr.isatty():
        text = f"\rutilisation {level:g}: {count} points, best {least:.4f} EUR a part "
        typer.echo(text, err=True, nl=False)
    elif count % 50 == 0:
        typer.echo(f"utilisation {level:g}: {count} points, best {least:.4f} EUR", err=True)


def _begun(path: Path, shift: Shift, shifts: int | None) -> Tuned:
    """What the file holds for this very plant, variant and search; anything else is replaced."""
    from twin.cli.results import versions
    from twin.config import Tuned

    tuning = importlib.import_module(SEARCH)
    empty = Tuned(
        plant=shift.plant.name,
        plant_hash=shift.plant.config_hash,
        variant=shift.variant,
        seeds=tuple(tuning.TUNING_SEEDS[:shifts]),
        selection_seeds=tuple(tuning.SELECTION_SEEDS),
        versions=versions(),
        points={},
    )
    if not path.is_file():
        return empty
    try:
        held = Tuned.model_validate_json(path.read_text("utf-8"))
    except ValueError:
        held = empty
    if held.points and held.model_copy(update={"points": {}}) == empty:
        return held
    typer.echo(f"{path} is begun anew", err=True)
    return empty


def _write(path: Path, tuned: Tuned) -> None:
    """Replace the file as a whole."""
    import os

    from twin.store.run_folder import stable_json

    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(stable_json(tuned.model_dump(mode="json"), path.name), encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
