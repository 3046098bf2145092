"""``twin store``: what a run has kept, as one file to take away, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import UNREACHABLE, Problem

if TYPE_CHECKING:
    from twin.store.archive import Backup

EXAMPLES = """\b
Examples:
  twin store status
  twin store backup --to line1.tar.gz
  twin store restore line1.tar.gz --out restored"""
File = Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")]

verbs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=EXAMPLES,
    help="What a run has kept: status, backup, verify, restore.",
)


@verbs.command(epilog="\b\nExample:\n  twin store status --json")
def status(
    run: options.Run = None, out: options.Out = Path("runs"), as_json: options.Json = False
) -> None:
    """Say how much there is, from when to when, and what is missing between. The run may go on."""
    from twin.cli.record import recorded_controllers, run_of
    from twin.store.run_folder import stable_json

    record = run_of(run, out)
    stores = {
        name: _kept(record.of(name).segments, record.of(name).folder)
        for name in recorded_controllers(record)
    }
    if as_json:
        typer.echo(stable_json({"run": record.folder.run_id, "stores": stores}), nl=False)
        return
    typer.echo(str(record.folder.folder))
    for name, kept in stores.items():
        until = kept["until_s"]
        reach = "no closed segment yet" if until is None else f"up to {until / 3600.0:.3f} h"
        size = sum(kept["megabytes"].values())
        typer.echo(f"  {name}: {size:.1f} MB; {kept['segments']} segments, {reach}")
        for part, megabytes in kept["megabytes"].items():
            typer.echo(f"    {part}: {megabytes:.1f} MB")
        for from_s, until_s, reason in kept["gaps"]:
            typer.echo(
                f"    nothing from {from_s / 3600.0:.3f} h to {until_s / 3600.0:.3f} h: {reason}"
            )


@verbs.command(epilog="\b\nExample:\n  twin store backup --to line1.tar.gz")
def backup(
    to: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it: NAME.tar.gz")],
    run: options.Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Write a run into one file, every byte read back and compared. The run may go on."""
    from twin.cli.record import folder_of
    from twin.store.archive import pack

    options.refuse_unwritable(to)
    folder = folder_of(run, out)
    until_s = _segment(folder)
    made = pack(folder, to)
    _say(made, to, as_json=as_json)
    if made.missing:
        hours = f"{(until_s or 0.0) / 3600.0:.3f} h"
        what = f"the run goes on: its samples up to {hours} are in, from closed segments"
        typer.echo(f"note: {what}", err=True)


@verbs.command(epilog="\b\nExample:\n  twin store verify line1.tar.gz")
def verify(file: File, as_json: options.Json = False) -> None:
    """Compare every byte of a backup with its digest; write nothing."""
    from twin.store import archive

    _say(archive.verify(file), file, as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin store restore line1.tar.gz --out restored")
def restore(file: File, out: options.Out = Path("runs"), as_json: options.Json = False) -> None:
    """Bring a run back from a backup: compared, its stores opened, and there as a whole or not at all."""
    import json

    from twin.store.archive import unpack

    folder = unpack(file, out)
    typer.echo(json.dumps({"run": folder.name, "folder": str(folder)}) if as_json else str(folder))


def _segment(folder: Path) -> float | None:
    """Let a loop that runs here close its segment: up to when samples now are; None if none runs."""
    from twin.cli.local_socket import ask, is_served

    if not is_served(folder):
        return None
    try:
        answer = ask(folder, {"verb": "segment"})
    except (OSError, ValueError) as error:
        msg = f"the loop in {folder} does not answer: {error}"
        raise Problem("unreachable", msg, "try again", code=UNREACHABLE) from error
    if "error" in answer:
        raise Problem("store", str(answer["error"]), str(answer.get("hint", "")))
    return float(answer["segments_until_s"])


def _say(found: Backup, path: Path, *, as_json: bool) -> None:
    import json

    size = sum(size for size, _ in found.files.values())
    if as_json:
        told: dict[str, Any] = {"run": found.run, "file": str(path), "files": len(found.files)}
        typer.echo(json.dumps({**told, "bytes": size, "missing": list(found.missing)}))
        return
    typer.echo(f"{path}: {found.run}, {len(found.files)} files, {size / 1e6:.1f} MB, all compared")


def _kept(segments: Path, folder: Path) -> dict[str, Any]:
    """One controller's stores: what can be told without asking the loop that may own them."""
    from twin.store.segments import Segments

    sizes = {
        "historian": folder.glob("historian.duckdb*"),
        "segments": segments.glob("*.parquet"),
        "audit": folder.glob("audit.sqlite*"),
        "log": folder.glob("log.jsonl*"),
    }
    found: dict[str, Any] = {
        "megabytes": {
            name: round(sum(path.stat().st_size for path in paths) / 1e6, 3)
            for name, paths in sizes.items()
        },
        "segments": sum(1 for _ in segments.glob("samples-*.parquet")),
        "until_s": None,
        "gaps": [],
    }
    if found["segments"]:
        with Segments(segments) as closed:
            until_us = closed.newest_us
            found["until_s"] = None if until_us is None else until_us / 1e6
            found["gaps"] = [[a / 1e6, b / 1e6, why] for a, b, why in closed.gaps()]
    return found
