"""``twin simulate``: shifts of a line without any loop, and their figures with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from twin.cli import options
from twin.cli.problems import NEGATIVE, Problem, nearest
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from twin.cli.offline import Offline
    from twin.feedback.study import Course, Precision, Study

NAME = "simulate"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin simulate machining_line --reps 10
  twin simulate machining_line --until-half-width 1% --report study.html
  twin simulate machining_line --saturated --warm-up auto --hours 8 --reps 20
  twin simulate demo --until-half-width 2% --of scrap_share --reps 500
  twin simulate demo --true --engine simpy --json"""
MOST_SHIFTS = 1000
"""Where a precision is asked for and no number of shifts."""
FEWEST = 50
"""Shifts that are told in tenths; of fewer a log tells every fifth."""


def command(
    plant: options.Plant = None,
    hours: Annotated[
        float,
        typer.Option(
            parser=options.bare_hours,
            metavar="HOURS",
            show_default="8",
            help="Plant time a shift, without its warm-up.",
        ),
    ] = 8.0,
    reps: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            show_default=f"1; with --until-half-width at most {MOST_SHIFTS}",
            help="Shifts, each of its own luck.",
        ),
    ] = None,
    until_half_width: Annotated[
        float | None,
        typer.Option(
            parser=options.percent,
            metavar="PERCENT",
            show_default=False,
            help="Go on until the 95 % intervals are this narrow, as a share of the mean: 1%.",
        ),
    ] = None,
    of: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE",
            show_default="throughput and electricity per good part",
            help="A figure whose interval has to be that narrow; repeatable.",
        ),
    ] = None,
    warm_up: Annotated[
        str,
        typer.Option(
            metavar="auto|HOURS",
            show_default="none",
            help="Leave out so much from the empty line on; auto asks a pilot (MSER-5).",
        ),
    ] = "0",
    seed: options.Seed = 1,
    scenario: options.Scenario = "nominal",
    utilisation: options.Utilisation = None,
    variant: options.Variant = "nominal",
    saturated: options.Saturated = False,
    truth: Annotated[
        bool, typer.Option("--true", help="The line as it really is, by its truth file.")
    ] = False,
    engine: options.Engine = "auto",
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, show_default=False, help="Write a page with pictures."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Simulate a line at its recipe, offline; 95 % intervals over the shifts.

    With --until-half-width the exit code is 1 if the intervals are still wider after all shifts.
    """
    import json

    from twin.cli.offline import Offline
    from twin.feedback.study import Study, WarmUp

    shift = Shift(
        options.chosen_plant(plant), seed, hours, scenario, variant, utilisation, engine=engine
    )
    shift.check()
    given_h = _warm_up_hours(warm_up, shift, saturated=saturated)
    if truth:
        shift.has_truth()
    options.refuse_unwritable(report)
    precision = _precision(until_half_width, of or [], saturated=saturated)
    most = reps or (1 if precision is None else MOST_SHIFTS)
    line = Offline(shift, saturated=saturated, truth=truth, choice=engine)
    with progress() as bar:
        if given_h is None:
            bar.begin("pilot", None)
            left_out = line.settled(seed, hours, bar.done)
        else:
            left_out = WarmUp(given_h, "given" if given_h else "none")
        study = Study(shift.plant, left_out, precision, endless=saturated)
        bar.begin("shifts", most)
        for course in courses(line, study, seed, hours, most):
            _take_in(study, course)
            bar.done(study.expected())
    facts = {**shift.facts(), "hours": hours, "most_shifts": most, "saturated": saturated}
    facts["truth"] = truth
    if report is not None:
        _write(report, study, facts)
    if as_json:
        typer.echo(json.dumps({**facts, **study.record()}, sort_keys=True))
    else:
        from twin.cli.results import orders_note
        from twin.cli.study_tables import show

        show(study)
        note = "" if saturated else orders_note(shift.plant, hours)
        if note:
            options.console().print(f"note: {note}", markup=False)
    if precision is not None and not study.is_precise:
        raise typer.Exit(NEGATIVE)


def courses(line: Offline, study: Study, seed: int, hours: float, most: int) -> Iterator[Course]:
    """Shift after shift, each of its own luck, until the study needs no more or has had ``most``."""
    for n in range(most):
        yield line.course(seed + n, study.warm_up.hours + hours, study.from_s)
        if study.is_precise:
            return


def _take_in(study: Study, course: Course) -> None:
    try:
        study.book(course)
    except KeyError as error:
        reason = str(error.args[0])
        name = reason.partition(":")[0]
        if "no such figure" in reason:
            hint = nearest(name, study.units)
            raise Problem("usage", f"there is no figure {name!r}", hint) from error
        hint = "its interval needs it in every shift: choose another with --of, or longer shifts"
        raise Problem("simulate", f"in shift {study.shifts}: {reason}", hint) from error


def _precision(share: float | None, of: list[str], *, saturated: bool) -> Precision | None:
    """What was asked for of the intervals; None if nothing."""
    from twin.feedback.study import Precision
    from twin.feedback.study.study import OF_ORDERS, SHOWN_OF

    if share is None:
        if of:
            raise Problem("usage", "--of says nothing without --until-half-width", "give both")
        return None
    if saturated and set(of) & set(OF_ORDERS):
        raise Problem("usage", f"{', '.join(OF_ORDERS)} mean nothing with --saturated")
    return Precision(share, tuple(of) or SHOWN_OF)


def _warm_up_hours(given: str, shift: Shift, *, saturated: bool) -> float | None:
    """What was given, in hours; None for ``auto``."""
    if given == "0":
        return 0.0
    if given != "auto":
        return options.bare_hours(given)
    if not saturated and shift.plant.demand.arrive != "evenly":
        msg = "shifts that work off their orders begin and end empty: there is nothing to settle"
        raise Problem("usage", msg, "add --saturated, or give --warm-up HOURS yourself")
    return None


def _write(path: Path, study: Study, facts: dict[str, object]) -> None:
    from twin.cli.results import versions
    from twin.feedback.report import render_study

    shown = {"scenario", "variant", "utilisation", "seed", "saturated", "truth"}
    page = render_study(
        study,
        facts={name: str(value) for name, value in facts.items() if name in shown},
        versions=versions(),
        hashes={"plant": study.plant.config_hash},
    )
    path.write_text(page, encoding="utf-8")
    typer.echo(f"report: {path}", err=True)


class Progress(Protocol):
    """Shows how far a study is."""

    def begin(self, name: str, most: int | None) -> None:
        """A new stretch of shifts; None: nobody knows how many."""
        ...

    def done(self, expected: int | None = None) -> None:
        """One shift is over, and about so many it will be."""
        ...


class Lines:
    """A line at each tenth of the way, for logs: whoever waits an hour wants to know that it goes on."""

    def begin(self, name: str, most: int | None) -> None:
        """A stretch of its own; where nobody knows its end, fifty shifts make a line."""
        self._name, self._most, self._count = name, most, 0

    def done(self, expected: int | None = None) -> None:
        """One more."""
        self._count += 1
        most = self._most if expected is None else min(expected, self._most or expected)
        tenth = 50 if most is None else max(most, FEWEST) // 10
        if self._count % tenth == 0:
            of = "" if most is None else f" of {most}"
            typer.echo(f"{self._name}: {self._count}{of}", err=True)


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar where somebody looks, now and then a line where nobody does."""
    import sys

    if not sys.stderr.isatty():
        yield Lines()
        return
    from twin.cli.study_tables import Bar

    with Bar() as bar:
        yield bar
