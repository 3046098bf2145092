"""``twin cert``: this account's keys, and whose certificates it trusts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import Problem, nearest

if TYPE_CHECKING:
    from twin.equipment.pki import Known, Pki


class Side(StrEnum):
    """Which end of a link: a loop is a client, an emulator a server."""

    client = "client"
    server = "server"


SideOption = Annotated[Side | None, typer.Option(show_default=False, help="Which end of a link.")]
Which = Annotated[
    str,
    typer.Argument(metavar="WHICH", help="A certificate's file, or the start of its thumbprint."),
]
LEAST_DIGITS = 8
"""Digits of a thumbprint that may stand for it."""
EXAMPLES = """\b
Examples:
  twin cert list
  twin cert trust 1a2b3c4d5e6f7081
  twin cert new --side server"""

verbs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=EXAMPLES,
    help="Keys and certificates: new, trust, list, remove.",
)


@verbs.command(epilog="\b\nExample:\n  twin cert new --side client")
def new(
    side: SideOption = None,
    pki: options.Pki = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is valid.")] = 1095,
    host: Annotated[str, typer.Option(help="Another name by which it is called.")] = "",
    as_json: options.Json = False,
) -> None:
    """Make a new key and certificate in the place of the old; the other side must trust it anew."""
    made = [(one, one.renew(days, host)) for one in _sides(side, pki)]
    _say([_described(one, "own", known) for one, known in made], as_json=as_json)
    if not as_json:
        typer.echo("next: have the other side trust it: twin cert trust FILE", err=True)


@verbs.command(name="list", epilog="\b\nExample:\n  twin cert list --json")
def show(side: SideOption = None, pki: options.Pki = None, as_json: options.Json = False) -> None:
    """Show our own certificates, those that are trusted, and those that came and were not."""
    _say([_described(*entry) for entry in _all(_sides(side, pki))], as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin cert trust 1a2b3c4d5e6f7081 --side server")
def trust(
    which: Which,
    side: SideOption = None,
    pki: options.Pki = None,
    as_json: options.Json = False,
) -> None:
    """Trust a certificate: one that came and was not trusted, or one in a file. It counts at once."""
    from twin.equipment.pki import now, read_certificate

    sides = _sides(side, pki)
    if Path(which).is_file():
        if len(sides) != 1:
            msg = "whose trust? a server trusts loops, a client trusts lines"
            raise Problem("usage", msg, "add --side server, or --side client")
        (one,), known = sides, read_certificate(Path(which))
    else:
        one, _, known = _found(which, [e for e in _all(sides) if e[1] == "rejected"])
    if refused := known.refused(now()):
        raise Problem("certificate", f"{known.subject} is {refused}", "its owner makes a new one")
    one.trust(known)
    _say([_described(one, "trusted", known)], as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin cert remove 1a2b3c4d5e6f7081")
def remove(
    which: Which,
    side: SideOption = None,
    pki: options.Pki = None,
    as_json: options.Json = False,
) -> None:
    """Trust a certificate no longer, or forget one that was not. A link that stands is not cut."""
    held = [entry for entry in _all(_sides(side, pki)) if entry[1] != "own"]
    if Path(which).is_file():
        from twin.equipment.pki import read_certificate

        which = read_certificate(Path(which)).thumbprint
    one, place, known = _found(which, held)
    known.path.unlink()
    _say([_described(one, f"no longer {place}", known)], as_json=as_json)


Entry = tuple["Pki", str, "Known"]


def _sides(side: Side | None, given: Path | None) -> list[Pki]:
    from twin.cli.trust import pki_of

    if given is not None and side is None:
        return [pki_of(_side_of(given), given)]
    return [pki_of(one, given) for one in Side if side in (None, one)]


def _side_of(folder: Path) -> str:
    """Which side a folder belongs to, by what its certificate says of itself."""
    from twin.equipment.pki import Pki, read_certificate

    own = Pki(folder, Side.client).certificate
    if not own.is_file():
        msg = f"{folder} holds no certificate yet"
        raise Problem("usage", msg, "say what it is for: --side server, or --side client")
    is_server = read_certificate(own).uri.endswith(":server")
    return Side.server if is_server else Side.client


def _all(sides: list[Pki]) -> list[Entry]:
    from twin.equipment.pki import read_certificate

    found: list[Entry] = []
    for one in sides:
        if one.certificate.is_file():
            found.append((one, "own", read_certificate(one.certificate)))
        found += [(one, "trusted", known) for known in one.trusted()]
        found += [(one, "rejected", known) for known in one.rejected()]
    return found


def _found(which: str, held: list[Entry]) -> Entry:
    """The one certificate that is meant."""
    digits = which.lower().replace(":", "")
    meant = [e for e in held if len(digits) >= LEAST_DIGITS and e[2].thumbprint.startswith(digits)]
    if not meant:
        known = [e[2].thumbprint[:16] for e in held]
        raise Problem("usage", f"there is no such certificate: {which}", nearest(which, known))
    if len(meant) > 1:
        raise Problem("usage", f"{which} is there more than once", "add --side, or more digits")
    return meant[0]


def _described(pki: Pki, place: str, known: Known) -> dict[str, Any]:
    from twin.equipment.pki import now

    return {
        "side": str(pki.side),
        "place": place,
        "thumbprint": known.thumbprint,
        "subject": known.subject,
        "uri": known.uri,
        "valid_from": known.begins.isoformat(),
        "valid_until": known.ends.isoformat(),
        "doubt": known.doubt(now()),
        "file": str(known.path),
    }


def _say(found: list[dict[str, Any]], *, as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in found:
        until, doubt = one["valid_until"][:10], one["doubt"] and f"  {one['doubt']}"
        head = f"{one['side']:<7} {one['place']:<9} {one['thumbprint'][:16]}"
        typer.echo(f"{head}  until {until}  {one['subject']}{doubt}")
    if not found:
        typer.echo("no certificates yet: the first twin emulate or twin run makes them", err=True)
