"""``twin tune``: the best constant setpoints of a plant, or thresholds of its rules, put beside its file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli import options
from twin.cli.problems import Problem
from twin.cli.searches import begun, refuse_other_log, tell, write, write_log
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from twin.config import TunedPoint

NAME = "tune"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin tune machining_line
  twin tune demo --utilisation 0.8 --evaluations 100
  twin tune machining_line --rules"""
SEARCH = "controllers.tuning"
"""By name, as controllers are: the twin does not import them."""
FIGURES = ("eur_per_part", "energy_eur_per_part", "tools_eur_per_part", "scrap_share")
"""What the log of a search says of each point: means over the tuning shifts."""
RANDOM_SHARE = 0.2
"""Share of the evaluations that looks anywhere before the search goes step by step."""


def command(
    plant: options.Plant = None,
    utilisation: options.Utilisation = None,
    variant: options.Variant = "nominal",
    evaluations: Annotated[
        int,
        typer.Option(
            min=1,
            max=100_000,
            help="Points searched for each utilisation; found, proposed and judged ones come on top.",
        ),
    ] = 600,
    shifts: Annotated[
        int | None,
        typer.Option(min=1, max=1000, show_default=False, help="Tuning shifts a point; else all."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 2,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Else NAME.fixed.json or .rules.json beside it.",
        ),
    ] = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="Search the thresholds of the rules instead.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Replace what a search has left in the file.")
    ] = False,
) -> None:
    """Search the setpoints of the controller `fixed` on the true plant; takes some minutes.

    With --rules, the thresholds of each rule, under the same limits; the rules hold the setpoints that
    were tuned before. Stopped and called again, it goes on with what is missing.
    """
    from twin.cli.tune_rules import search_rules
    from twin.cli.tuned import rules_path, tuned_path
    from twin.config import find_plant

    shift = Shift(options.chosen_plant(plant), variant=variant, utilisation=utilisation)
    shift.check()
    shift.has_truth()
    path = to or (rules_path if rules else tuned_path)(find_plant(shift.place))
    if path.suffix == ".csv":
        raise Problem("usage", f"--to {path} is where the log would go", "name it NAME.json")
    options.refuse_unwritable(path)
    levels = shift.plant.demand.utilisations.values() if utilisation is None else [utilisation]
    search = search_rules if rules else _search_setpoints
    if search(path, shift, sorted(levels), evaluations, shifts, workers, anew):
        typer.echo(f"tuned: {path}", err=True)
    else:
        typer.echo(f"{path} holds all of this search; --anew begins it again", err=True)


def _search_setpoints(
    path: Path,
    shift: Shift,
    levels: Sequence[float],
    evaluations: int,
    shifts: int | None,
    workers: int,
    anew: bool,
) -> bool:
    """Search every utilisation that the file lacks; whether there was any.

    Each search looks at all that the file holds by then, the lowest utilisation first: so one that was stopped finds
    what it would have found.
    """
    from twin.config import Tuned

    log = path.with_suffix(".csv")
    refuse_other_log(log)
    tuned = begun(path, shift, levels, shifts, evaluations, Tuned, anew=anew)
    missing = [level for level in levels if repr(level) not in tuned.points]
    for level in missing:
        there = [tuned.points[name].setpoints for name in sorted(tuned.points, key=float)]
        begins = (*tuned.begins, *there)
        point, tried = _searched(shift, level, evaluations, shifts, workers, begins)
        tuned = tuned.model_copy(update={"points": {**tuned.points, repr(level): point}})
        write(path, tuned)  # before the log: a full disk must not cost the point
        write_log(log, tried, tuned.points)
    return bool(missing)


def _searched(
    shift: Shift,
    level: float,
    evaluations: int,
    shifts: int | None,
    workers: int,
    begins: Sequence[Mapping[str, float]],
) -> tuple[TunedPoint, list[dict[str, float]]]:
    """The search at one utilisation, and a row for each point it tried, those that it ``begins`` with among them."""
    from twin.config import TunedPoint

    tuning = importlib.import_module(SEARCH)
    best, log = tuning.tune(
        shift.place,
        level,
        shift.variant,
        random_points=round(RANDOM_SHARE * evaluations),
        evaluations=evaluations,
        seeds=tuning.TUNING_SEEDS[:shifts],
        begins=begins,
        workers=workers,
        progress=lambda n, least: tell(f"utilisation {level:g}", n, least),
    )
    point = TunedPoint(
        setpoints=dict(best.setpoints),
        eur_per_part=best.eur_per_part,
        tools_eur_per_part=best.tools_eur_per_part,
    )
    rows = []
    for trial in log:
        told = {name: getattr(trial, name) for name in FIGURES}
        rows.append({"utilisation": level, **told, **trial.setpoints})
    return point, rows
