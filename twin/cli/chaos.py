"""``twin chaos``: break a running loop on purpose, and judge what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli import options
from twin.cli.problems import NEGATIVE, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twin.chaos.campaign import Result, Score
    from twin.chaos.case import Case

EXAMPLES = """\b
Examples:
  twin chaos run --list
  twin chaos run 3 12
  twin chaos run --all --out chaos
  twin chaos kill --loop 20 --controller 10"""

Evidence = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", file_okay=False, show_default=False, help="Keep all evidence there."
    ),
]

verbs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=EXAMPLES,
    help="Break a running loop on purpose, on an emulated line, and judge what comes of it.",
)


@verbs.command(epilog="\b\nExamples:\n  twin chaos run 3 12\n  twin chaos run --all --json")
def run(
    cases: Annotated[
        list[int] | None, typer.Argument(metavar="[CASE…]", help="Numbers of cases.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    is_list: Annotated[bool, typer.Option("--list", help="Say which there are.")] = False,
    seed: options.Seed = 1,
    soak: Annotated[
        float,
        typer.Option(
            parser=options.hours,
            metavar="DURATION",
            show_default="3m",
            help="How long case 33 goes on, wall time.",
        ),
    ] = 0.05,
    out: Evidence = None,
    as_json: options.Json = False,
) -> None:
    """Play cases of the fault table against real processes; code 1 if one of them fails."""
    from twin.chaos.cases import TABLE, with_soak

    table = with_soak(TABLE, 3600.0 * soak)
    if is_list:
        _list(table, as_json=as_json)
        return
    chosen = _chosen(table, cases or (), every=every)
    results = _played(chosen, seed, out)
    from twin.chaos.campaign import Score

    score = Score.of(results)
    _show(results, score, as_json=as_json)
    if score.survived < score.played:
        raise typer.Exit(NEGATIVE)


@verbs.command(epilog="\b\nExample:\n  twin chaos kill --loop 200 --controller 100 --workers 2")
def kill(
    loop: Annotated[int, typer.Option(min=0, help="How often the loop's process is killed.")] = 20,
    controller: Annotated[
        int, typer.Option(min=0, help="How often its controller's process is killed.")
    ] = 10,
    workers: Annotated[int, typer.Option(min=1, help="So many lines side by side.")] = 1,
    seed: options.Seed = 1,
    out: Evidence = None,
    as_json: options.Json = False,
) -> None:
    """Kill a loop, or its controller, at random moments, again and again; code 1 if one kill shows."""
    from twin.chaos.campaign import Score
    from twin.chaos.kills import shares

    cases = shares(loop, controller, workers)
    if not cases:
        raise Problem("usage", "nothing is to be killed", "--loop N, --controller N")
    results = _played(cases, seed, out, side_by_side=True)
    score = Score.of(results)
    _show(results, score, as_json=as_json)
    if score.survived < score.played:
        raise typer.Exit(NEGATIVE)


def _chosen(table: Sequence[Case], numbers: Iterable[int], *, every: bool) -> list[Case]:
    known = {case.number: case for case in table}
    wanted = list(known) if every else list(dict.fromkeys(numbers))
    if not wanted:
        raise Problem("usage", "say which cases", "numbers, or --all; --list shows them")
    if unknown := [number for number in wanted if number not in known]:
        msg = f"there is no case {unknown[0]}"
        raise Problem("usage", msg, "twin chaos run --list shows them")
    return [known[number] for number in wanted]


def _played(
    cases: Sequence[Case], seed: int, out: Path | None, *, side_by_side: bool = False
) -> list[Result]:
    """One case after another, or all at once; each with its seed, and told when it is over."""
    import asyncio
    import tempfile

    from twin.chaos.campaign import play
    from twin.cli.local_socket import ask
    from twin.cli.simulate import progress

    if out is not None:
        options.refuse_unwritable(out, is_folder=True)
        out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="twin-chaos-") as spare, progress() as bar:
        root = Path(spare) if out is None else out
        bar.begin("cases", len(cases))

        async def one(place: int) -> Result:
            case = cases[place]
            name = f"kills-{place + 1}" if side_by_side else f"case-{case.number:02}"
            luck = seed + place if side_by_side else seed
            found = await play(case, _fresh(root, name), ask, luck)
            bar.done()
            why = f"  {found.in_words}" if found.in_words else ""
            typer.echo(f"{case.number:>3} {found.verdict}{why}", err=True)
            return found

        async def every() -> list[Result]:
            if side_by_side:
                return list(await asyncio.gather(*map(one, range(len(cases)))))
            return [await one(place) for place in range(len(cases))]

        return asyncio.run(every())


def _fresh(root: Path, name: str) -> Path:
    """A folder that is not there yet: evidence of another time is never mixed in."""
    count = 1
    while (folder := root / (name if count == 1 else f"{name}-{count}")).exists():
        count += 1
    folder.mkdir()
    return folder


def _list(table: Sequence[Case], *, as_json: bool) -> None:
    import json

    if as_json:
        rows = [{"case": c.number, "group": c.group, "title": c.title} for c in table]
        typer.echo(json.dumps(rows, indent=2))
        return
    for case in table:
        typer.echo(f"{case.number:>3} {case.group:<9} {case.title}: {case.injected}")


def _show(results: Sequence[Result], score: Score, *, as_json: bool) -> None:
    import json

    if as_json:
        found = {"score": score.record(), "cases": [one.record() for one in results]}
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
        return
    from rich.table import Table

    shown = Table("case", "group", "fault", "verdict", "to shed", "to recover", "why", box=None)
    for one in results:
        times = (one.counts.shed_s, one.counts.recover_s)
        shed, back = (f"{sum(s) / len(s):.1f} s" if s else "" for s in times)
        case = one.case
        shown.add_row(
            str(case.number), case.group, case.title, one.verdict, shed, back, one.in_words
        )
    options.console().print(shown)
    typer.echo(score.line)
