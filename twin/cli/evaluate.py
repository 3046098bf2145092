"""``twin evaluate``: controllers against each other, over many paired shifts of the true line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import NEGATIVE, UNREACHABLE, Problem, pick
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from twin.cli.episode import Episode

NAME = "evaluate"
NEEDS_ARGUMENTS = True
EXAMPLES = """\b
Examples:
  twin evaluate machining_line --controllers fixed,full_pace,mpc --shifts 30
  twin evaluate demo --controllers fixed,mpc,oracle --utilisation .9,.7 --scenario nominal,mismatch
  twin evaluate demo --controllers fixed,mpc,rl@policies,oracle --shifts 30
  twin evaluate demo --shifts 30 --out trials   (again: goes on where it was stopped)
  twin evaluate --replay trials --row 1"""
LEAST_SHIFTS = 2
FEW = 10
"""Shifts below which the bootstrap's intervals are too narrow to be read without a word; assumption."""


def command(
    plant: options.Plant = None,
    controllers: Annotated[
        str,
        typer.Option(
            metavar="A,B,C",
            help="Who drives; oracle: the best of all, luck known, and a bound; rl@FOLDER: a policy for each bundle in it.",
        ),
    ] = "mpc,fixed,full_pace,always_on",
    scenario: Annotated[
        str, typer.Option(metavar="A,B", help="Scenarios of the plant file.")
    ] = "nominal",
    utilisation: Annotated[
        str | None,
        typer.Option(
            metavar="U,V", show_default="the plant's", help="Demand as a share of the capacity."
        ),
    ] = None,
    variant: options.Variant = "nominal",
    shifts: Annotated[
        int, typer.Option(min=LEAST_SHIFTS, max=900, help="Paired shifts, seeds from --seed on.")
    ] = 30,
    hours: Annotated[
        float | None,
        typer.Option(
            parser=options.bare_hours, metavar="HOURS", show_default="the plant's shift",
            help="Plant time a shift.",
        ),
    ] = None,
    seed: options.Seed = 1,
    workers: options.Workers = None,
    ray: options.Ray = None,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", file_okay=False, help="Where all of it is kept.")
    ] = Path("evaluation"),
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", file_okay=False, exists=True, show_default=False,
            help="Play shifts of an evaluation again and compare, bit for bit; exit code 1 if they differ.",
        ),
    ] = None,
    row: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default=False, help="Those of a row of its LEADERBOARD.md."),
    ] = None,
    episode: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default=False, help="That of a line of its episodes.jsonl."),
    ] = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Let controllers drive the same shifts of the true line, and say which differences are no luck.

    Every shift is kept as it ends: stopped and called again, it goes on. Seeds from 1000 on are those of
    tuning and are refused.
    """
    from twin.cli.contenders import contenders
    from twin.cli.episode import episodes
    from twin.cli.episodes_file import alone_in, refuse_foreign
    from twin.config import find_plant

    if replay is not None:
        _again(replay, row, episode, plant, workers, ray, as_json=as_json)
        return
    if row is not None or episode is not None:
        raise Problem("usage", "--row and --episode belong to --replay", "name the folder with it")
    shift = Shift(options.chosen_plant(plant), seed, 0.0, variant=variant, engine="auto")
    shift = Shift(shift.place, seed, hours or shift.plant.shift_h, variant=variant, engine="auto")
    shift.check()
    shift.has_truth()
    _refuse_no_peak(shift)
    if seed + shifts > 1000:
        hint = f"--seed {1000 - shifts} at most, for {shifts} shifts"
        raise Problem("usage", "seeds from 1000 on were tuned on", hint)
    named = contenders(_split("--controllers", controllers), find_plant(shift.place))
    scenarios = tuple(
        pick(name, shift.plant.scenarios, "scenario") for name in _split("--scenario", scenario)
    )
    levels = _levels(utilisation) if utilisation is not None else (shift.demanded,)
    asked = episodes(shift, named, scenarios, levels, shifts)
    refuse_foreign(out)
    with alone_in(out):
        found = _played(asked, out, workers, ray)
        report = _report(shift, found, shifts)
        _write(report, out)
    if as_json:
        typer.echo(json.dumps(report, sort_keys=True))
    else:
        _show(report, out)


def _refuse_no_peak(shift: Shift) -> None:
    """``Problem`` for a shift with no whole quarter of the clock: what its peak costs would be unknown."""
    from twin.feedback.quarters import QuarterMeter

    meter = QuarterMeter(shift.plant.energy.starts_at_h)
    meter.begin(0, 0.0)
    meter.book(round(shift.hours * 3.6e9), 0.0, is_complete=True)
    if not meter.quarters:
        begins = f"a shift of {shift.hours:g} h that begins at {shift.plant.energy.starts_at_h:g} h"
        msg = f"{begins} has no whole quarter of an hour of the clock, and so no peak"
        raise Problem("usage", msg, "--hours 0.5 at least holds one")


def _report(shift: Shift, found: Sequence[dict[str, Any]], shifts: int) -> dict[str, Any]:
    """Figures of all rows, what they are of, and what is in doubt."""
    from twin.cli.episodes_file import versions_doubt
    from twin.cli.results import orders_note
    from twin.feedback.evaluation import rows_of
    from twin.feedback.leaderboard import standings

    board = standings(found)
    return {
        "plant": shift.plant.name,
        "plant_hash": shift.plant.config_hash,
        "seeds": [shift.seed, shift.seed + shifts - 1],
        "shift_h": shift.hours,
        "doubts": sorted(
            {
                *(one["doubt"] for one in found),
                versions_doubt(found),
                orders_note(shift.plant, shift.hours),
                _few(shifts),
                *board["doubts"],
            }
            - {""}
        ),
        "rows": rows_of(found),
        "leaderboard": board,
    }


def _few(shifts: int) -> str:
    if shifts >= FEW:
        return ""
    return f"What is drawn again (leaderboard: P(cheaper), bootstrap) is too sure of itself with {shifts} shifts a cell."


def _split(option: str, text: str) -> list[str]:
    """The names in an option's value; a ``Problem`` for an empty one, and for one that is there twice."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        msg = f"{option} {text!r} names nothing in one of its places"
        raise Problem("usage", msg, "names, a comma between them")
    _refuse_twice(option, names)
    return names


def _refuse_twice(option: str, values: Sequence[object]) -> None:
    for n, value in enumerate(values):
        if value in values[:n]:
            raise Problem("usage", f"{option} has {value} twice", "leave one of them out")


def _levels(text: str) -> tuple[float, ...]:
    option = "--utilisation"
    try:
        found = tuple(options.utilisation(part) for part in _split(option, text))
    except typer.BadParameter as error:
        raise typer.BadParameter(error.message, param_hint=option) from error
    _refuse_twice(option, found)  # .8 and 0.80 are one
    return found


def _played(
    asked: Sequence[Episode], out: Path, workers: int | None, ray: str | None
) -> list[dict[str, Any]]:
    """All episodes: those that the folder holds, and the others now."""
    from twin.cli.episodes_file import EPISODES, held, keeper, key_of, refuse_others

    path = out / EPISODES
    there = held(path, asked[0].shift)
    refuse_others(there, asked)
    missing = [one for one in asked if one.key not in there]
    _tell_of(there, asked, len(missing), out)
    keep, kept = keeper(path), len(asked) - len(missing)

    def taken(one: dict[str, Any]) -> None:
        nonlocal kept
        keep(one)
        kept += 1

    try:
        played = _spread(missing, workers, ray, taken)
    except KeyboardInterrupt:
        msg = f"stopped: {kept} of {len(asked)} shifts are in {out}; called again, it goes on"
        typer.echo(msg, err=True)
        raise
    there |= {key_of(one): one for one in played}
    return [there[one.key] for one in asked]


def _tell_of(
    there: Mapping[tuple[Any, ...], object], asked: Sequence[Episode], missing: int, out: Path
) -> None:
    """What the folder holds of these shifts, and beside them."""
    if missing < len(asked):
        typer.echo(f"{len(asked) - missing} of {len(asked)} shifts are there", err=True)
    if more := len(there.keys() - {one.key for one in asked}):
        msg = f"note: {out} holds {more} more, not asked for; the report is of these {len(asked)}"
        typer.echo(msg, err=True)


def _spread(
    asked: Sequence[Episode],
    workers: int | None,
    ray: str | None,
    taken: Callable[[dict[str, Any]], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Episodes over all cores or machines, with a bar; each record is ``taken`` as it comes."""
    from twin.cli.episode import play
    from twin.cli.simulate import progress
    from twin.spread import SpreadError, spread

    with progress() as bar:
        bar.begin("shifts", len(asked))
        try:
            return spread(
                play, asked, workers=workers, ray=ray, done=lambda _n, _of: bar.done(), taken=taken
            )
        except SpreadError as error:
            hint = "call it again: it goes on; of --ray tells docs/how-to/many-shifts.md"
            raise Problem("unreachable", str(error), hint, code=UNREACHABLE) from error


def _again(
    folder: Path,
    row: int | None,
    episode: int | None,
    place: str | None,
    workers: int | None,
    ray: str | None,
    *,
    as_json: bool,
) -> None:
    """Play the shifts of a row, or of a line, once more, and say whether anything is different."""
    from twin.cli.again import chosen_lines, episode_of, sentences, told

    if (row is None) == (episode is None):
        raise Problem("usage", "--replay needs --row N or --episode N", "one of the two")
    what, lines = chosen_lines(folder, row, episode)
    asked = [episode_of(one, place) for one in lines.values()]
    found = told(what, lines, _spread(asked, workers, ray))
    if as_json:
        typer.echo(json.dumps(found, sort_keys=True))
    for sentence in sentences(found):
        typer.echo(sentence, err=as_json)
    if found["different"]:
        raise typer.Exit(NEGATIVE)


def _write(report: dict[str, Any], out: Path) -> None:
    """The figures, the two reports and the leaderboard, beside the shifts."""
    from twin.cli.episodes_file import BOARD, FIGURES, PAGE, TABLES
    from twin.feedback.report.evaluation import render_markdown, render_page
    from twin.feedback.report.leaderboard import render_leaderboard
    from twin.store.run_folder import RunFolder, stable_json

    folder = RunFolder(out)
    folder.write_text(FIGURES, stable_json(report))
    folder.write_text(TABLES, render_markdown(report))
    folder.write_text(PAGE, render_page(report))
    board = render_leaderboard(report["leaderboard"], report["plant"], report["plant_hash"])
    folder.write_text(BOARD, board)


def _show(report: dict[str, Any], out: Path) -> None:
    from twin.cli.episodes_file import BOARD, PAGE
    from twin.cli.fit import fitting
    from twin.feedback.report.evaluation import columns_of, table_rows

    screen = options.console()
    names = columns_of(report, in_short=True)
    for title, rows in table_rows(report, in_short=True):
        for table in fitting(screen, title, dict(zip(names, zip(*rows, strict=True), strict=True))):
            screen.print(table)
    for doubt in report["doubts"]:
        screen.print(f"note: {doubt}", markup=False)
    typer.echo(f"report, with all columns: {out / PAGE}; leaderboard: {out / BOARD}", err=True)
