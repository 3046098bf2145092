"""``twin limits``: between which values a running loop may set its manipulated variables today."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from twin.cli import options
from twin.cli.loop import Reason, Run, asked

EXAMPLES = """\b
Examples:
  twin limits get
  twin limits set turning.feed_mm 0.15 0.25 --version 1 --reason "new inserts on trial\""""

verbs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=EXAMPLES,
    help="The operator's limits of a running loop: get, set.",
)


@verbs.command(epilog="\b\nExample:\n  twin limits get --json")
def get(run: Run = None, out: options.Out = Path("runs"), as_json: options.Json = False) -> None:
    """Show the limits of all manipulated variables, and their version."""
    _say(asked("limits?", "", run, out), as_json=as_json)


# A limit may be negative, and is no option then.
@verbs.command(
    name="set",
    context_settings={"ignore_unknown_options": True},
    epilog='\b\nExample:\n  twin limits set turning.feed_mm 0.15 0.25 --version 1 --reason "trial"',
)
def change(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A manipulated variable.")],
    lo: Annotated[float, typer.Argument(metavar="LO", help="The lowest value that is allowed.")],
    hi: Annotated[float, typer.Argument(metavar="HI", help="The highest.")],
    version: Annotated[
        int, typer.Option(min=1, help="The version that you have looked at: limits get says it.")
    ],
    reason: Reason,
    run: Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Change the limits of one, inside its engineering limits; refused if somebody was quicker."""
    answer = asked("limits", reason, run, out, name, lo=lo, hi=hi, version=version)
    _say(answer, as_json=as_json)


def _say(answer: dict[str, Any], *, as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(answer, sort_keys=True))
        return
    typer.echo(f"version {answer['version']}")
    for name, one in answer["limits"].items():
        own, widest = (_interval(one[key]) for key in ("operator", "engineering"))
        mark = "  changed" if one["is_changed"] else ""
        typer.echo(f"{name:<36} {own:>18}  of {widest:<18} {one['unit']}{mark}")


def _interval(ends: list[float] | None) -> str:
    return "–" if ends is None else f"[{ends[0]:g}, {ends[1]:g}]"
