"""``twin tune``: the best constant setpoints of a plant, or thresholds of its rules, put beside its file."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli import options
from twin.cli.problems import Problem
from twin.cli.searches import begun, found_before, refuse_other_log, tell, write, write_log
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
        bool, typer.Option("--anew", help="Replace what another search has left in the file.")
    ] = False,
) -> None:
    """Search the setpoints of the controller `fixed` on the true plant; takes some minutes.

    With --rules, the thresholds of each rule, under the same limits; the rules hold the setpoints that
    were tuned before.
    """
    from twin.cli.tune_rules import search_rules
    from twin.cli.tuned import rules_path, tuned_path
    from twin.config import Tuned, find_plant

    shift = Shift(options.chosen_plant(plant), variant=variant, utilisation=utilisation)
    shift.check()
    shift.has_truth()
    path = to or (rules_path if rules else tuned_path)(find_plant(shift.place))
    if path.suffix == ".csv":
        raise Problem("usage", f"--to {path} is where the log would go", "name it NAME.json")
    options.refuse_unwritable(path)
    levels = shift.plant.demand.utilisations.values() if utilisation is None else [utilisation]
    if rules:
        search_rules(path, shift, sorted(levels), evaluations, shifts, workers, anew)
    else:
        refuse_other_log(path.with_suffix(".csv"))
        found = found_before(path, shift)
        tuned = begun(path, shift, shifts, evaluations, Tuned, may_replace=anew)
        for level in sorted(levels):
            point, tried = _searched(shift, level, evaluations, shifts, workers, found)
            found.append(point)
            tuned = tuned.model_copy(update={"points": {**tuned.points, repr(level): point}})
            write_log(path.with_suffix(".csv"), tried, tuned.points)
            write(path, tuned)
    typer.echo(f"tuned: {path}", err=True)


def _searched(
    shift: Shift,
    level: float,
    evaluations: int,
    shifts: int | None,
    workers: int,
    before: Sequence[TunedPoint],
) -> tuple[TunedPoint, list[dict[str, float]]]:
    """The search at one utilisation, and a row for each point it tried; it looks at those found ``before`` too."""
    from twin.config import TunedPoint

    tuning = importlib.import_module(SEARCH)
    best, log = tuning.tune(
        shift.place,
        level,
        shift.variant,
        random_points=round(RANDOM_SHARE * evaluations),
        evaluations=evaluations,
        seeds=tuning.TUNING_SEEDS[:shifts],
        begins=[point.setpoints for point in before],
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
