"""``twin user``: who may do what at the emulators of this account."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli import options
from twin.cli.problems import CONFLICT, Problem, nearest, pick

if TYPE_CHECKING:
    from twin.equipment.users import Account

EXAMPLES = """\b
Examples:
  twin user add anna --role operator
  twin user list
  twin user remove anna"""

verbs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=EXAMPLES,
    help="Users of a served line, with their roles: add, list, remove.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user.")]
Users = Annotated[
    Path | None,
    typer.Option(metavar="FILE", show_default=False, help="File of users; else that of --pki."),
]


@verbs.command(epilog="\b\nExample:\n  twin user add anna --role operator")
def add(
    name: Name,
    role: Annotated[str, typer.Option(metavar="ROLE", help="viewer, operator or engineer.")] = (
        "viewer"
    ),
    pki: options.Pki = None,
    users: Users = None,
) -> None:
    """Add a user, or give one a new password and role. The password is asked for, twice.

    Without a terminal it is the first line of standard input.
    """
    from twin.equipment.users import Role, account, write_users

    pick(role, Role.__members__, "role")
    file, known = _known(pki, users)
    made = account(name, role, _password(name))
    write_users(file, known | {name: made})
    typer.echo(f"{name} is {'changed' if name in known else 'added'}: {role}")


@verbs.command(name="list", epilog="\b\nExample:\n  twin user list --json")
def show(pki: options.Pki = None, users: Users = None, as_json: options.Json = False) -> None:
    """Show all users with their roles."""
    import json

    _, known = _known(pki, users)
    if as_json:
        typer.echo(json.dumps({one.name: one.role.name for one in known.values()}))
    for one in known.values() if not as_json else ():
        typer.echo(f"{one.name:<16} {one.role.name}")


@verbs.command(epilog="\b\nExample:\n  twin user remove anna")
def remove(name: Name, pki: options.Pki = None, users: Users = None) -> None:
    """Remove a user, who is not let in again; a link that stands is not cut."""
    from twin.equipment.users import write_users

    file, known = _known(pki, users)
    if name not in known:
        raise Problem("conflict", f"there is no user {name!r}", nearest(name, known), code=CONFLICT)
    write_users(file, {one: found for one, found in known.items() if one != name})
    typer.echo(f"{name} is removed")


def _known(pki: Path | None, users: Path | None) -> tuple[Path, dict[str, Account]]:
    from twin.cli.trust import pki_of
    from twin.equipment.users import read_users

    file = pki_of("server", pki).users if users is None else users
    return file, read_users(file)


def _password(name: str) -> str:
    """Never an option: those stand in the list of processes and in the shell's history."""
    if sys.stdin.isatty():
        from getpass import getpass

        password = getpass(f"password of {name}: ")
        if getpass("again: ") != password:
            raise Problem("usage", "the two passwords differ", "nothing was changed")
        return password
    return sys.stdin.readline().rstrip(os.linesep)
