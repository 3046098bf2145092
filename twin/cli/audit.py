"""``twin audit``: who did what when and why, and whether the record of it was tampered with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from twin.cli import options
from twin.cli.problems import DAMAGED, NEGATIVE, Problem
from twin.printable import printable

if TYPE_CHECKING:
    from twin.store.audit import Audit
    from twin.store.audit_rows import Row

T = TypeVar("T")
FILES = ("audit.sqlite", "access.sqlite")
"""What a loop keeps in the folder of its controller, and what the run's own emulator keeps beside it."""
WITHOUT_CHAIN = "written before there was a chain of hashes: only its content can be checked"
Where = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN|FILE]",
        show_default=False,
        help="Folder of a run, its name, or an audit's file; else the newest run.",
    ),
]
EXAMPLES = """\b
Examples:
  twin audit show --who anna
  twin audit verify --json
  twin audit verify ~/.config/takttwin/server/audit.sqlite"""

verbs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=EXAMPLES,
    help="The record of commands, writes and refusals: show, verify.",
)


@verbs.command(epilog="\b\nExample:\n  twin audit show --kind command --last 20")
def show(
    where: Where = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", show_default=False, help="command, note, intent or outcome."),
    ] = None,
    who: Annotated[
        str | None, typer.Option(metavar="TEXT", show_default=False, help="In the name of who did.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="UTC", show_default=False, help="2026-03-01T06:00, or less."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="UTC", show_default=False, help="Up to and including this."),
    ] = None,
    last: Annotated[int, typer.Option(min=0, help="Only so many, the newest; 0: all.")] = 0,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Show what is on record: when, who, what and why. A loop may be running meanwhile."""
    if kind is not None and kind not in ("command", "note", "intent", "outcome"):
        hint = "there are: command, note, intent, outcome"
        raise Problem("usage", f"there is no kind {kind!r} of row", hint)

    def wanted(row: Row) -> bool:
        return (
            (kind is None or row.name.startswith(kind))
            and (who is None or who.lower() in row.who.lower())
            and (since is None or row.utc >= since)
            and (until is None or row.utc <= until or row.utc.startswith(until))
        )

    found = list(_audits(where, out, lambda audit: [row for row in audit.rows() if wanted(row)]))
    if as_json:
        told = [{"audit": str(path), "rows": _records(rows[-last:])} for path, rows in found]
        typer.echo(json.dumps(told))
        return
    for path, rows in found:
        if len(found) > 1:
            typer.echo(f"{path}")
        for row in rows[-last:]:
            why = f"  ({row.why})" if row.why else ""
            typer.echo(printable(f"{row.utc}  {row.name:<12} {row.who}: {row.what}{why}"))


@verbs.command(epilog="\b\nExample:\n  twin audit verify --expect 2901:5b1f…")
def verify(
    where: Where = None,
    expect: Annotated[
        str,
        typer.Option(metavar="NUMBER:HASH", help="A head that was noted: it must still be there."),
    ] = "",
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Check that no row was changed, taken out or put in, and that no write lacks its intent.

    Prints the head of the chain: noted elsewhere, it is what `--expect` compares with. Where no head is known the
    end of the record is not proven, and the exit code is 1.
    """

    def checked(audit: Audit) -> dict[str, Any]:
        chain = audit.chain()
        findings = [{"where": one.where, "text": one.text} for one in audit.verify(expect)]
        doubt = "" if expect else audit.doubt
        return {"head": chain.head, "loose": chain.loose, "findings": findings, "doubt": doubt}

    found = [{"audit": str(path), **told} for path, told in _audits(where, out, checked)]
    if expect and len(found) != 1:
        raise Problem("usage", "--expect is the head of one audit", "name its file")
    if as_json:
        typer.echo(json.dumps(found))
    for one in found if not as_json else ():
        _say(one)
    if any(one["findings"] for one in found):
        raise typer.Exit(DAMAGED)
    if any(one["doubt"] for one in found):
        raise typer.Exit(NEGATIVE)


def _say(one: dict[str, Any]) -> None:
    head, loose, findings = one["head"], one["loose"], one["findings"]
    whole = "not proven" if one["doubt"] else "nothing wrong"
    state = f"{len(findings)} wrong" if findings else whole
    typer.echo(f"{one['audit']}: {state}, head {head or 'none'}")
    if one["doubt"]:
        typer.echo(f"note: {one['doubt']}", err=True)
    if not head:
        typer.echo(f"note: {WITHOUT_CHAIN}", err=True)
    elif loose:
        typer.echo(f"note: {loose} rows were {WITHOUT_CHAIN}", err=True)
    for finding in findings:
        typer.echo(f"  {finding['where']}: {finding['text']}")


def _records(rows: list[Row]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(row) for row in rows]


def _audits(where: str | None, out: Path, look: Callable[[Audit], T]) -> Iterator[tuple[Path, T]]:
    from twin.store.audit import Audit

    for path in _files(where, out):
        with Audit(path, read_only=True) as audit:
            yield path, look(audit)


def _files(where: str | None, out: Path) -> list[Path]:
    """The audits that are meant. ``Problem`` if there are none."""
    if where is not None and Path(where).is_file():
        return [Path(where)]
    from twin.cli.record import folder_of

    folder = folder_of(where, out)
    found = [path for name in FILES for path in sorted(folder.glob(f"*/{name}"))]
    if not found:
        msg = f"{folder} holds no audit"
        raise Problem("usage", msg, "give the folder of a run, or an audit's file")
    return found
