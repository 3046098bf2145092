"""``twin evaluate``: controllers against each other, over many paired shifts of the true line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import CONFLICT, DAMAGED, UNREACHABLE, Problem, pick
from twin.cli.shift import Shift

if TYPE_CHECKING:
    from io import TextIOWrapper

    from twin.cli.episode import Episode

NAME = "evaluate"
NEEDS_ARGUMENTS = True
EXAMPLES = """\b
Examples:
  twin evaluate machining_line --controllers fixed,full_pace,mpc --shifts 30
  twin evaluate demo --controllers fixed,mpc,oracle --utilisation .9,.7 --scenario nominal,mismatch
  twin evaluate demo --shifts 30 --out trials   (again: goes on where it was stopped)"""
LEAST_SHIFTS = 2
QUARTER_H = 0.25
ORACLE = "oracle"
EPISODES = "episodes.jsonl"


def command(
    plant: options.Plant = None,
    controllers: Annotated[
        str, typer.Option(metavar="A,B,C", help="Who drives; oracle: the best of all, luck known, and a bound.")
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
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Let controllers drive the same shifts of the true line, and say which differences are no luck.

    Every shift is kept as it ends: stopped and called again, it goes on. Seeds from 1000 on are those of
    tuning and are refused.
    """
    from twin.cli.episode import episodes
    from twin.feedback.evaluation import rows_of

    shift = Shift(options.chosen_plant(plant), seed, 0.0, variant=variant, engine="auto")
    shift = Shift(shift.place, seed, hours or shift.plant.shift_h, variant=variant, engine="auto")
    shift.check()
    shift.has_truth()
    if shift.hours < QUARTER_H:
        raise Problem("usage", "a shift shorter than a quarter of an hour has no peak", "--hours 1")
    if seed + shifts > 1000:
        raise Problem("usage", "seeds from 1000 on were tuned on", "begin with a smaller --seed")
    names = _controllers(controllers)
    scenarios = tuple(pick(name, shift.plant.scenarios, "scenario") for name in _split(scenario))
    levels = _levels(utilisation) if utilisation is not None else (shift.demanded,)
    asked = episodes(shift, names, scenarios, levels, shifts)
    found = _played(asked, out, workers, ray)
    report = {
        "plant": shift.plant.name,
        "plant_hash": shift.plant.config_hash,
        "seeds": [seed, seed + shifts - 1],
        "shift_h": shift.hours,
        "doubts": sorted({one["doubt"] for one in found if one["doubt"]}),
        "rows": rows_of(found),
    }
    _write(report, out)
    if as_json:
        typer.echo(json.dumps(report, sort_keys=True))
    else:
        _show(report, out)


def _split(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) != len(names):
        raise Problem(
            "usage", f"{text!r} names nothing, or something twice", "a comma between names"
        )
    return names


def _controllers(text: str) -> tuple[str, ...]:
    """The names to run; who asks for the oracle gets all that makes it, and the bound beside it."""
    from twin.cli.ceiling import ALL
    from twin.plugins import controller_names

    found: list[str] = []
    for name in _split(text):
        if name == ORACLE:
            found += ALL
        else:
            found.append(pick(name, controller_names(), "controller"))
    return tuple(found)


def _levels(text: str) -> tuple[float, ...]:
    return tuple(options.utilisation(part) for part in _split(text))


def _played(
    asked: Sequence[Episode], out: Path, workers: int | None, ray: str | None
) -> list[dict[str, Any]]:
    """All episodes: those that the folder holds, and the others now."""
    from twin.cli.episode import play
    from twin.cli.simulate import progress
    from twin.spread import SpreadError, spread

    out.mkdir(parents=True, exist_ok=True)
    path = out / EPISODES
    held = _held(path, asked[0].shift)
    missing = [one for one in asked if one.key not in held]
    if len(missing) < len(asked):
        typer.echo(f"{len(asked) - len(missing)} of {len(asked)} shifts are there", err=True)
    with path.open("a", encoding="utf-8") as file, progress() as bar:
        bar.begin("shifts", len(missing))
        try:
            played = spread(
                play, missing, workers=workers, ray=ray,
                done=lambda _n, _of: bar.done(), taken=_keeper(file),
            )  # fmt: skip
        except SpreadError as error:
            hint = "call it again: it goes on; of --ray tells docs/how-to/many-shifts.md"
            raise Problem("unreachable", str(error), hint, code=UNREACHABLE) from error
    held |= {_key(one): one for one in played}
    return [held[one.key] for one in asked]


def _keeper(file: TextIOWrapper) -> Callable[[dict[str, Any]], None]:
    """Writes each record as a line that is on disk before the next one."""

    def keep(record: dict[str, Any]) -> None:
        file.write(json.dumps(record, sort_keys=True) + "\n")
        file.flush()

    return keep


def _held(path: Path, shift: Shift) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The episodes that a folder holds. A last line that was cut off is played again."""
    if not path.is_file():
        return {}
    lines = path.read_text("utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines[:-1]), "utf-8")
        lines = lines[:-1]
    found = {}
    for n, line in enumerate(lines, 1):
        try:
            one = json.loads(line)
            found[_key(one)] = one
        except (ValueError, KeyError, TypeError) as error:
            hint = "remove that line, or name another --out"
            msg = f"{path}:{n} is no shift of an evaluation"
            raise Problem("damaged", msg, hint, code=DAMAGED) from error
        if one["plant_hash"] != shift.plant.config_hash or one["shift_h"] != shift.hours:
            msg = f"{path}:{n} was played with another plant file, or another length of shift"
            raise Problem("conflict", msg, "name another --out", code=CONFLICT)
    return found


def _key(one: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(one[key] for key in ("controller", "scenario", "utilisation", "variant", "seed"))


def _write(report: dict[str, Any], out: Path) -> None:
    """The figures, and the two reports, beside the shifts."""
    from twin.feedback.report.evaluation import render_markdown, render_page
    from twin.store.run_folder import RunFolder, stable_json

    folder = RunFolder(out)
    folder.write_text("evaluation.json", stable_json(report))
    folder.write_text("report.md", render_markdown(report))
    folder.write_text("report.html", render_page(report))


def _show(report: dict[str, Any], out: Path) -> None:
    from rich import box
    from rich.table import Table

    from twin.feedback.report.evaluation import HEADER, table_rows

    screen = options.console()
    for title, rows in table_rows(report):
        table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
        for n, name in enumerate(HEADER):
            table.add_column(name, justify="right" if n else "left")
        for row in rows:
            table.add_row(*row)
        screen.print(table)
    for doubt in report["doubts"]:
        screen.print(f"note: {doubt}", markup=False)
    typer.echo(f"report: {out / 'report.html'}", err=True)
