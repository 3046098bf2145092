"""``twin whatif``: what would come of a change, from a saved or simulated state on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.locked import refuse_deadlock
from twin.cli.problems import CONFLICT, DAMAGED, Problem
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from twin.analyze.alternatives import Alternatives, Change
    from twin.line.model import Line
    from twin.state import LineState

NAME = "whatif"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin whatif machining_line --at 2h --set line.takt_s=60
  twin whatif machining_line --at 2h --fail milling@30m:20m --order 20@1h --hours 2
  twin whatif demo --from state.json --set turning.feed_mm=0.28 --plot whatif.svg
  twin whatif --live --set line.takt_s=90"""
PICTURES = (".svg", ".png", ".pdf")
POINTS = 60
"""How often the parts are counted for a picture."""
_FAILURE = re.compile(r"([a-z][a-z0-9_]*)@([^:]+):(.+)")
_ORDER = re.compile(r"(\d+)@(.+)")


def command(
    plant: options.Plant = None,
    at: Annotated[
        float | None,
        typer.Option(
            parser=options.bare_hours, metavar="HOURS", show_default=False,
            help="Begin where a shift of the nominal line stands after so long.",
        ),
    ] = None,
    saved: Annotated[
        Path | None,
        options.existing_file(
            "--from",
            help="Begin with a snapshot, of `--save` or `twin loop snapshot`."
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Begin where the running loop stands, with its plant.")
    ] = False,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", show_default=False, help="Which, if several run."),
    ] = None,
    out: options.Out = Path("runs"),
    hours: Annotated[
        float,
        typer.Option(
            parser=options.bare_hours, metavar="HOURS", show_default="1", help="How far to look."
        ),
    ] = 1.0,
    setpoints: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setpoint from now on; repeatable."),
    ] = None,
    fail: Annotated[
        list[str] | None,
        typer.Option(metavar="STATION@IN:FOR", help="A station goes down, in 30m for 20m say."),
    ] = None,
    order: Annotated[
        list[str] | None,
        typer.Option(metavar="PARTS@IN", help="A rush order, 20@1h say; repeatable."),
    ] = None,
    worlds: Annotated[
        int, typer.Option(min=2, max=10_000, help="Replications, each with its own luck.")
    ] = 200,
    seed: options.Seed = 1,
    variant: options.Variant = "nominal",
    utilisation: options.Utilisation = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Draw the parts over time: svg, png."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Write the state begun with."),
    ] = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Compare the line's course with the one that a change brings, luck for luck."""
    if (at is not None) + (saved is not None) + live != 1:
        hint = "give --at HOURS, --from FILE or --live, one of them"
        raise Problem("usage", "where to begin?", hint)
    if plot is not None and plot.suffix not in PICTURES:
        hint = f"end it in {', '.join(PICTURES)}"
        raise Problem("usage", f"no picture can be drawn as {plot.name!r}", hint)
    for path in (plot, save):
        options.refuse_unwritable(path)
    if not (setpoints or fail or order or save):
        raise Problem("usage", "nothing changes", "give --set, --fail or --order")
    if at is None and utilisation is not None:
        hint = "leave --utilisation out, or begin --at HOURS"
        raise Problem("usage", "a state brings its orders along", hint)
    if live:
        line, state = _running(run, out)
        _refuse_other(plant, line)
    else:
        shift = Shift(
            options.chosen_plant(plant), seed, (at or 0.0) + hours, "nominal", variant, utilisation
        )
        shift.check()
        line = shift.nominal_line
        state = _read(line, saved) if saved is not None else _simulated(shift, at or 0.0)
    refuse_deadlock(line, state)
    if save is not None:
        _write(line, state, save)
    found = _compared(line, state, _change(state, setpoints, fail, order), hours, worlds)
    figures = differences(found)
    if plot is not None:
        from twin.feedback.report.alternatives import draw_alternatives

        draw_alternatives(found.times_s, found.base_parts, found.changed_parts, plot)
    if as_json:
        import json

        facts = {"plant": line.plant.name, "from_s": state.now_s, "hours": hours, "worlds": worlds}
        typer.echo(json.dumps({**facts, "figures": figures}, sort_keys=True))
    else:
        _show(figures, worlds)


def _simulated(shift: Shift, at_h: float) -> LineState:
    """The nominal line in the middle of a shift, as its twin has it."""
    from twin.kernels.draws import TWIN
    from twin.line.engine import engine
    from twin.line.initial import initial_state
    from twin.line.scenario import build_table

    line = shift.nominal_line
    table = build_table(shift.plant, shift.seed, TWIN, shift.hours, utilisation=shift.utilisation)
    simulator, state = engine(line, table), initial_state(line, shift.seed, TWIN)
    simulator.prime(state)
    simulator.advance(state, {}, at_h * 3600.0)
    return state


def _running(run: str | None, out: Path) -> tuple[Line, LineState]:
    """The line of the loop that runs, as its own record has it, and its twin at this moment."""
    from twin.cli.loop import live_snapshot
    from twin.cli.record import run_of
    from twin.line.snapshot import from_json

    folder, text = live_snapshot(run, out)
    line = run_of(str(folder), out).line
    return line, from_json(line, text)


def _refuse_other(plant: str | None, line: Line) -> None:
    """A loop brings its own plant along; who names another means another loop."""
    from twin.config import load_plant

    if plant is not None and load_plant(plant).config_hash != line.plant.config_hash:
        msg = f"the loop does not run {plant}, or not as its file is now, but {line.plant.name}"
        raise Problem("conflict", msg, "name no plant, or another --run", code=CONFLICT)


def _read(line: Line, path: Path) -> LineState:
    from twin.line.snapshot import SnapshotError, from_json

    try:
        return from_json(line, path.read_text("utf-8"))
    except (SnapshotError, UnicodeDecodeError) as error:
        hint = "write one by --save, or by `twin loop snapshot`"
        raise Problem("damaged", f"{path}: {error}", hint, code=DAMAGED) from error


def _write(line: Line, state: LineState, path: Path) -> None:
    from twin.line.snapshot import to_json

    path.write_text(to_json(line, state) + "\n", "utf-8")


def _change(
    state: LineState, setpoints: list[str] | None, fail: list[str] | None, order: list[str] | None
) -> Change:
    """What was asked for, or a ``Problem`` that says how it is written."""
    from twin.analyze.alternatives import Change, Failure, Order

    values: dict[str, float] = {}
    for text in setpoints or ():
        name, _, value = text.partition("=")
        if name in values:
            raise Problem("usage", f"{name} is given twice", "one --set a setpoint")
        try:
            values[name] = float(value)
        except ValueError:
            hint = "--set turning.feed_mm=0.28"
            raise Problem("usage", f"{text!r} is no setpoint with a number", hint) from None
    failures, orders = [], []
    for text in fail or ():
        found = _FAILURE.fullmatch(text)
        if found is None:
            raise Problem("usage", f"{text!r} is no failure", "--fail milling@30m:20m")
        in_s, lasts_s = (_seconds("--fail", part) for part in found.groups()[1:])
        failures.append(Failure(found[1], state.now_s + in_s, lasts_s))
    for text in order or ():
        found = _ORDER.fullmatch(text)
        if found is None:
            raise Problem("usage", f"{text!r} is no rush order", "--order 20@1h")
        orders.append(Order(int(found[1]), state.now_s + _seconds("--order", found[2])))
    return Change(values, tuple(failures), tuple(orders))


def _seconds(option: str, text: str) -> float:
    """A duration inside an option's value."""
    try:
        return 3600.0 * options.hours(text)
    except typer.BadParameter as error:
        raise typer.BadParameter(error.message, param_hint=option) from error


def _compared(
    line: Line, state: LineState, change: Change, hours: float, worlds: int
) -> Alternatives:
    from twin.analyze.alternatives import ChangeError, compare_alternatives
    from twin.analyze.whatif import ahead
    from twin.line.engine import says_when_it_compiles

    table = ahead(line, state, hours * 3600.0)
    try:
        with says_when_it_compiles():
            return compare_alternatives(line, table, state, change, hours * 3600.0, worlds, POINTS)
    except ChangeError as error:
        raise Problem("usage", str(error), "see `twin whatif --help`") from error


def differences(found: Alternatives) -> dict[str, dict[str, Any]]:
    """Means of both courses and their paired difference, with Student's 95 % interval."""
    import numpy as np

    from twin.analyze.alternatives import FIGURES
    from twin.feedback.compare import student_t

    figures: dict[str, dict[str, Any]] = {}
    for name, unit in FIGURES.items():
        base, changed = found.base[name], found.changed[name]
        known = np.isfinite(base) & np.isfinite(changed)
        n = int(known.sum())
        if n < 2:
            continue
        apart = changed[known] - base[known]
        half = student_t(n - 1) * float(apart.std(ddof=1)) / n**0.5
        mean = float(apart.mean())
        figures[name] = {
            "unit": unit,
            "base": float(base[known].mean()),
            "changed": float(changed[known].mean()),
            "difference": mean,
            "half_width": half,
            "worlds": n,
        }
    return figures


def _show(figures: dict[str, dict[str, Any]], worlds: int) -> None:
    from rich import box
    from rich.table import Table

    from twin.feedback.report.labels import number, unit_text

    caption = f"{worlds} worlds, same luck for both courses; 95 % interval of the mean difference"
    table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    for name in ("figure", "unit", "as it is", "changed", "difference", "±"):
        table.add_column(name, justify="left" if name in ("figure", "unit") else "right")
    for name, row in figures.items():
        if name.startswith("gas_") and not (row["base"] or row["changed"]):
            continue
        values = (number(row[key]) for key in ("base", "changed", "difference", "half_width"))
        table.add_row(name.replace("_", " "), unit_text(row["unit"]), *values)
    options.console().print(table)
