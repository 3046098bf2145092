"""``twin identify``: what a line's own record says of the numbers in its plant file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import Problem

if TYPE_CHECKING:
    from twin.analyze.identification import Identification, Record
    from twin.analyze.identification.course import Checked
    from twin.cli.record import RunRecord
    from twin.line.model import Line

NAME = "identify"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin identify
  twin identify --run machining_line-1a2b3c4d-001 --page identified.html
  twin identify demo --csv shift.csv --write demo/fitted.yaml"""
SEED = 0
"""Keys the luck of the simulated worlds: that of no recorded line."""


def command(
    plant: options.Plant = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", show_default=False, help="Folder of a run, or its name; else the newest."),
    ] = None,
    csv: Annotated[
        Path | None,
        options.existing_file(
            "--csv",
            help="A log of signals instead: CSV or Parquet, with a column time_s."
        ),
    ] = None,
    controller: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default="the first", help="Whose shift of a run."),
    ] = None,
    out: options.Out = Path("runs"),
    worlds: Annotated[
        int,
        typer.Option(min=0, max=1000, help="Simulated before and after the fit; 0: no check."),
    ] = 10,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Write a page with residuals: html."),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Write the plant file with what was learned."),
    ] = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Fit the numbers of a plant file to a record of the line, each with its 95 % interval."""
    if run is not None and csv is not None:
        raise Problem("usage", "learn from which?", "give --run RUN or --csv FILE, one of them")
    _refuse_bad_targets(page, write)
    if csv is not None:
        place = options.chosen_plant(plant)
        line = _line(place)
        record, source = _logged(line, csv)
    else:
        of = _run_of(run, out)
        own = str(of.folder.place("plant.yaml"))
        place = own if plant is None else options.chosen_plant(plant)
        line = _line(place)
        record, source = _recorded(line, of, controller)
    found = _identified(line, record)
    changes, checked = _checked(line, record, found, source, worlds)
    shown = ""
    if page is not None:
        from twin.cli.identify_page import written_page

        shown = written_page(line, found, checked, source)
    if write is not None:
        _write(line, place, changes, write)
    if page is not None:
        page.write_text(shown, encoding="utf-8")
        typer.echo(f"page: {page}", err=True)
    if as_json:
        typer.echo(_json(line, found, checked, source))
    else:
        _show(found, checked)


def _refuse_bad_targets(page: Path | None, write: Path | None) -> None:
    for path in (page, write):
        options.refuse_unwritable(path)
    if page is not None and page.suffix != ".html":
        raise Problem("usage", f"a page is an .html file, not {page.name!r}", "end it in .html")
    if write is not None and write.suffix != ".yaml":
        raise Problem(
            "usage", f"a plant file is a .yaml file, not {write.name!r}", "end it in .yaml"
        )
    if write is not None and write.exists():
        hint = "name another file, compare the two, then replace the old one yourself"
        raise Problem("usage", f"{write} is there already", hint)


def _line(place: str) -> Line:
    from twin.config import load_plant
    from twin.line.model import build_line

    return build_line(load_plant(place))


def _run_of(run: str | None, out: Path) -> RunRecord:
    """A run whose powers are those of its plant file; the newest if none is named."""
    from twin.cli.record import run_of

    of = run_of(run, out)
    variant = of.arguments["variant"]
    if variant != "nominal":
        msg = f"the run is one of the variant {variant!r}, whose powers are not the plant file's"
        raise Problem("usage", msg, "identify from a run of the nominal variant")
    return of


def _recorded(line: Line, of: RunRecord, controller: str | None) -> tuple[Record, str]:
    """The samples of a finished run of this plant, and what to call it."""
    from twin.analyze.identification import Record, RecordError
    from twin.analyze.identification.record import wanted
    from twin.cli.problems import pick
    from twin.store.closed import ClosedHistorian

    if of.plant.name != line.plant.name:
        msg = f"the run is one of {of.plant.name!r}, not of {line.plant.name!r}"
        raise Problem("usage", msg, f"name the plant {of.plant.name}")
    whose = pick(controller or of.controllers[0], of.controllers, "controller of this run")
    names = wanted(line)
    with ClosedHistorian(of.of(whose).historian) as historian:
        traces = historian.series(names, 0, (historian.newest_us or 0) + 1)
    time_s = traces[names[0]].time_us / 1e6
    try:
        record = Record(time_s, {name: traces[name].value for name in names})
    except RecordError as error:
        raise Problem("usage", f"{of.folder.run_id}: {error}", error.hint) from error
    return record, f"run {of.folder.run_id}/{whose}"


def _logged(line: Line, csv: Path | None) -> tuple[Record, str]:
    """A log that somebody else kept, and what to call it."""
    import hashlib

    from twin.analyze.identification import Record, RecordError
    from twin.analyze.identification.record import wanted
    from twin.store.logged import TIME, read_logged

    assert csv is not None
    columns = read_logged(csv, wanted(line))
    time_s = columns.pop(TIME)
    try:
        record = Record(time_s, columns)
    except RecordError as error:
        at = f":{error.row + 1}" if error.row and csv.suffix.lower() == ".csv" else ""
        raise Problem("file", str(error), error.hint, place=f"{csv}{at}") from error
    digest = hashlib.sha256(csv.read_bytes()).hexdigest()[:8]
    return record, f"log {csv.name} {digest}"


def _identified(line: Line, record: Record) -> Identification:
    from twin.analyze.identification import RecordError, identify

    try:
        return identify(line, record)
    except RecordError as error:
        raise Problem("usage", str(error), error.hint or "see docs/how-to/identify.md") from error


def _checked(
    line: Line, record: Record, found: Identification, source: str, worlds: int
) -> tuple[Any, tuple[Checked, ...]]:
    """What was learned as changes of the plant, and the shift simulated with and without them."""
    from twin.analyze.identification.course import before_and_after
    from twin.analyze.identification.proposal import proposal
    from twin.config.revise import revised_plant
    from twin.line.model import build_line

    changes = proposal(line, found.findings, f"identified from {source}")
    fitted = build_line(revised_plant(line.plant, changes))
    if not worlds:
        return changes, ()
    return changes, before_and_after(line, fitted, record, worlds, SEED)


def _write(line: Line, place: str, changes: Any, to: Path) -> None:
    """The plant file with what was learned, beside a word about what could not be put into it."""
    from twin.analyze.identification.proposal import in_file
    from twin.config import find_plant
    from twin.config.revise import write_revised

    kept, shared = in_file(line.plant, changes)
    write_revised(find_plant(place), to, kept)
    for name in shared:
        typer.echo(f"note: {name} shares its entry with others: left as it is", err=True)
    typer.echo(f"plant: {to}: {len(kept)} numbers changed", err=True)


def finite(value: float) -> float | None:
    """None for what is not known, as JSON has no other word for it."""
    return value if math.isfinite(value) else None


def _json(line: Line, found: Identification, checked: tuple[Checked, ...], source: str) -> str:
    import json

    numbers = {
        one.name: {
            "unit": one.unit,
            "nominal": one.nominal,
            "range": one.known,
            "estimate": finite(one.found.estimate),
            "lo": finite(one.found.lo),
            "hi": finite(one.found.hi),
            "observations": one.found.observations,
            "verdict": str(one.verdict),
            "note": one.note,
        }
        for one in found.findings
    }
    tests = [{name: getattr(one, name) for name in one.__slots__} for one in found.step_tests]
    check = {
        one.name: {
            "unit": one.unit,
            "recorded": one.recorded,
            "before": float(one.before.mean()),
            "after": float(one.after.mean()),
        }
        for one in checked
    }
    said = {
        "plant": line.plant.name,
        "source": source,
        "hours": found.hours,
        "numbers": numbers,
        "step_tests": tests,
        "before_and_after": check,
        "notes": found.notes,
    }
    return json.dumps(said, sort_keys=True, allow_nan=False)


def _show(found: Identification, checked: tuple[Checked, ...]) -> None:
    from rich import box
    from rich.table import Table

    from twin.analyze.identification import Verdict
    from twin.feedback.report.labels import number, unit_text

    screen = options.console()
    table = Table(box=box.SIMPLE_HEAD, caption="95 % intervals", caption_justify="left")
    for name in ("number", "unit", "nominal", "estimate", "from", "to", "seen", "verdict"):
        side: Any = "left" if name in ("number", "unit", "verdict") else "right"
        table.add_column(name, justify=side, overflow="fold")
    mute = 0
    for one in found.findings:
        if one.verdict is Verdict.NOT_INFORMATIVE:
            mute += 1
            continue
        values = (one.nominal, one.found.estimate, one.found.lo, one.found.hi)
        shown = (number(value) for value in values)
        seen = str(one.found.observations)
        table.add_row(one.name, unit_text(one.unit), *shown, seen, str(one.verdict))
    screen.print(table)
    said = f"{mute} more numbers stay as they are: the record is not informative about them"
    screen.print(f"{said} (--json names them)", markup=False)
    for test in found.step_tests:
        screen.print(f"test: {told_test(test)}", markup=False)
    for note in found.notes:
        screen.print(f"note: {note}", markup=False)
    for row in checked:
        screen.print(
            f"check: {row.name.replace('_', ' ')}: recorded {number(row.recorded)}, "
            f"before {number(float(row.before.mean()))}, after {number(float(row.after.mean()))}",
            markup=False,
        )


def told_test(test: Any) -> str:
    """A test in a sentence."""
    from twin.feedback.report.labels import number, unit_text

    if test.to is None:
        return f"{test.parameter}: none inside the limits: {test.why}"
    unit = unit_text(test.unit)
    return (
        f"{test.parameter}: {test.setpoint} from {number(test.start)} to {number(test.to)} {unit} "
        f"for {number(test.hold_s / 60.0)} min: {test.why}"
    )
