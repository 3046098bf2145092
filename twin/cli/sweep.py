"""``twin sweep``: shifts at every point of a grid of setpoints, spread over cores or machines."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli import options
from twin.cli.problems import UNREACHABLE, Problem, nearest
from twin.cli.shift import Shift
from twin.cli.whatif import PICTURES

if TYPE_CHECKING:
    from twin.feedback.study import Interval

NAME = "sweep"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin sweep machining_line --set line.takt_s=60:100:5
  twin sweep machining_line --set turning.feed_mm=0.2:0.3:5 --set line.takt_s=70,80 --plot map.png
  twin sweep demo --set turning.standby_after_s=60,300 --reps 50 --ray 10.0.0.5:6379"""
SHOWN = ("good_parts", "energy_kwh_per_good_part", "cost_eur_per_good_part")
RAY_HINT = "docs/how-to/many-shifts.md tells how to start a cluster"
MOST_SHIFTS = 100_000
_RANGE = re.compile(r"([^:]+):([^:]+):(\d+)")


@dataclass(frozen=True, slots=True)
class Point:
    """What came of a point of the grid: its figures, and how far each is from the recipe's.

    The differences are paired: shift by shift with the same luck.
    """

    setpoints: Mapping[str, float]
    figures: Mapping[str, Interval]
    differences: Mapping[str, Interval]


def command(
    plant: options.Plant = None,
    setpoints: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=LO:HI:N",
            help="N values of a setpoint from LO to HI, or NAME=A,B,C; repeatable: every pair.",
        ),
    ] = None,
    hours: Annotated[
        float,
        typer.Option(
            parser=options.bare_hours, metavar="HOURS", show_default="8", help="Plant time a shift."
        ),
    ] = 8.0,
    reps: Annotated[int, typer.Option(min=1, max=10_000, help="Shifts a point.")] = 10,
    of: Annotated[
        str, typer.Option(metavar="FIGURE", help="The figure that is compared and drawn.")
    ] = "energy_kwh_per_good_part",
    seed: options.Seed = 1,
    scenario: options.Scenario = "nominal",
    utilisation: options.Utilisation = None,
    variant: options.Variant = "nominal",
    saturated: options.Saturated = False,
    workers: options.Workers = None,
    ray: options.Ray = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Draw the figure: svg, png, pdf."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Try every point of a grid of setpoints on the same luck, and compare it with the recipe."""
    shift = Shift(options.chosen_plant(plant), seed, hours, scenario, variant, utilisation)
    shift.check()
    grid = _grid(setpoints or [])
    if plot is not None and (plot.suffix not in PICTURES or len(grid) > 2):
        hint = f"one or two setpoints can be drawn, in a file that ends in {', '.join(PICTURES)}"
        raise Problem("usage", f"no picture can be drawn as {plot.name!r}", hint)
    options.refuse_unwritable(plot)
    swept = _swept(shift, grid, reps, workers, ray, saturated=saturated)
    if of not in swept[0].figures:
        raise Problem("usage", f"there is no figure {of!r}", nearest(of, swept[0].figures))
    if plot is not None:
        _draw(swept, grid, of, plot)
    if as_json:
        import json

        facts = {**shift.facts(), "hours": hours, "reps": reps, "saturated": saturated}
        told = [_record(point) for point in swept]
        typer.echo(json.dumps({**facts, "recipe": told[0], "points": told[1:]}, sort_keys=True))
    else:
        _show(swept, list(grid), of, reps)


def _grid(given: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The values of each setpoint, or a ``Problem`` that says how they are written."""
    if not given:
        raise Problem("usage", "nothing to sweep", "--set line.takt_s=60:100:5")
    grid = {}
    for text in given:
        name, _, values = text.partition("=")
        if name in grid:
            raise Problem("usage", f"{name} is given twice", "one --set a setpoint")
        try:
            spaced = _RANGE.fullmatch(values)
            if spaced is None:
                grid[name] = tuple(float(value) for value in values.split(","))
            else:
                lo, hi, n = float(spaced[1]), float(spaced[2]), int(spaced[3])
                grid[name] = tuple(lo + (hi - lo) * m / max(n - 1, 1) for m in range(n))
        except ValueError:
            grid[name] = ()
        if not grid[name]:
            hint = "--set line.takt_s=60:100:5, or --set line.takt_s=60,80"
            raise Problem("usage", f"{text!r} is no setpoint with values", hint)
    return grid


def _swept(
    shift: Shift,
    grid: Mapping[str, Sequence[float]],
    reps: int,
    workers: int | None,
    ray: str | None,
    *,
    saturated: bool,
) -> list[Point]:
    """The recipe, then every point of the grid, in so many shifts each."""
    from twin.cli.simulate import progress
    from twin.cli.trial import Trial, figures_of
    from twin.feedback.study.study import OF_ORDERS
    from twin.spread import SpreadError, spread

    tried = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if (len(tried) + 1) * reps > MOST_SHIFTS:
        msg = f"{len(tried)} points of {reps} shifts are more than {MOST_SHIFTS} shifts"
        raise Problem("usage", msg, "fewer values, or fewer --reps")
    engine = _checked(shift, tried)
    trials = [
        Trial(shift, shift.seed + n, point, saturated, engine)
        for point in ({}, *tried)
        for n in range(reps)
    ]
    with progress() as bar:
        bar.begin("shifts", len(trials))
        try:
            found = spread(
                figures_of, trials, workers=workers, ray=ray, done=lambda _n, _of: bar.done()
            )
        except SpreadError as error:
            hint = "fewer --workers take less memory" if ray is None else RAY_HINT
            raise Problem("unreachable", str(error), hint, code=UNREACHABLE) from error
    hidden = OF_ORDERS if saturated else ()
    shown = [{n: v for n, v in figures.items() if n not in hidden} for figures in found]
    runs = [shown[at : at + reps] for at in range(0, len(shown), reps)]
    return [_point(point, run, runs[0]) for point, run in zip(({}, *tried), runs, strict=True)]


def _checked(shift: Shift, points: Sequence[Mapping[str, float]]) -> str:
    """Refuse what the line cannot take; compile here, once, what all workers then find compiled."""
    from twin.analyze.alternatives import ChangeError, refuse_setpoints
    from twin.line.engine import engine
    from twin.line.model import build_line
    from twin.line.simulator import Simulator

    line = build_line(shift.plant, variant=shift.variant)
    try:
        for point in points:
            refuse_setpoints(line, point)
    except ChangeError as error:
        raise Problem("usage", str(error), "see `twin sweep --help`") from error
    return "simpy" if isinstance(engine(line, ()), Simulator) else "compiled"


def _point(
    setpoints: Mapping[str, float],
    run: Sequence[Mapping[str, float]],
    recipe: Sequence[Mapping[str, float]],
) -> Point:
    from twin.feedback.study.intervals import intervals

    pairs = zip(run, recipe, strict=True)
    apart = [{n: v - base[n] for n, v in ours.items() if n in base} for ours, base in pairs]
    return Point(setpoints, intervals(run), intervals(apart))


def _record(point: Point) -> dict[str, object]:
    told = {"figures": point.figures, "differences": point.differences}
    records = {key: {n: i.record() for n, i in found.items()} for key, found in told.items()}
    return {"setpoints": dict(point.setpoints), **records}


def _draw(swept: Sequence[Point], grid: Mapping[str, Sequence[float]], of: str, path: Path) -> None:
    from twin.feedback.report.sweep import draw_sweep

    found = [point.figures.get(of) for point in swept[1:]]
    means = [None if one is None else one.mean for one in found]
    halves = [None if one is None else one.half_width for one in found]
    draw_sweep(grid, of.replace("_", " "), means, halves, path)


def _show(swept: Sequence[Point], names: Sequence[str], of: str, reps: int) -> None:
    from rich import box
    from rich.table import Table

    from twin.feedback.report.labels import number

    caption = f"{reps} shifts a point, the same luck at each; means with 95 % intervals;"
    table = Table(box=box.SIMPLE_HEAD, caption_justify="left")
    table.caption = f"{caption} the last column: {of.replace('_', ' ')} against the recipe"
    figures = list(dict.fromkeys((of, *SHOWN)))
    for name in (*names, *(figure.replace("_", " ") for figure in figures), "difference"):
        table.add_column(name, justify="right")
    for n, point in enumerate(swept):
        own = [number(point.setpoints[name]) if n else "recipe" for name in names]
        cells = [_text(point.figures.get(figure)) for figure in figures]
        table.add_row(*own, *cells, _text(point.differences.get(of), sign=True) if n else "")
    options.console().print(table)


def _text(found: Interval | None, *, sign: bool = False) -> str:
    from twin.feedback.report.labels import number

    if found is None:
        return "–"
    half = "" if found.half_width is None else f" ± {number(found.half_width)}"
    return f"{number(found.mean, sign=sign)}{half}"
