"""``twin loop``: the operator's commands to a loop that runs on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from twin.cli import options
from twin.cli.problems import CONFLICT, UNREACHABLE, USAGE, Problem, nearest
from twin.solves import read_solve

WITHOUT_CHANNEL = "a run in lockstep has no command channel: Ctrl-C in its terminal ends it"

Run = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", show_default=False, help="Which, if several run."),
]
Reason = Annotated[str, typer.Option(help="Why; it goes on record.")]
NoReason = Annotated[str, typer.Option(show_default=False, help="Why; it goes on record.")]


class Switch(StrEnum):
    """On or off."""

    on = "on"
    off = "off"


EXAMPLES = """\b
Examples:
  twin loop status
  twin loop close --reason "trial with the day shift"
  twin loop open"""

verbs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=EXAMPLES,
    help="See and command the loop that runs: status, close, open, off, freeze, start, ack, mv.",
)


@verbs.command(epilog="\b\nExample:\n  twin loop status --json")
def status(run: Run = None, out: options.Out = Path("runs"), as_json: options.Json = False) -> None:
    """Say where the loop stands."""
    _say(asked("status", "", run, out), as_json=as_json)


@verbs.command(epilog='\b\nExample:\n  twin loop close --reason "trial with the day shift"')
def close(
    reason: Reason,
    run: Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Let the loop write setpoints. It begins with a handshake with the PLC."""
    _say(asked("close", reason, run, out), as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin loop open")
def open(  # noqa: A001  (the operator's word)
    reason: NoReason = "",
    run: Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Take the setpoints back: the loop goes on to advise and writes nothing."""
    _say(asked("open", reason, run, out), as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin loop off")
def off(
    reason: NoReason = "",
    run: Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Stop deciding at all; readings are still recorded."""
    _say(asked("off", reason, run, out), as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin loop freeze")
def freeze(
    reason: NoReason = "",
    run: Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Hold all setpoints where they are, until somebody says open or off."""
    _say(asked("freeze", reason, run, out), as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin loop start")
def start(
    reason: NoReason = "",
    run: Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """After off: advise again."""
    _say(asked("start", reason, run, out), as_json=as_json)


@verbs.command(epilog='\b\nExample:\n  twin loop ack --reason "sensor replaced"')
def ack(
    reason: Reason,
    run: Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Acknowledge that the loop has shed; it then advises. In ADVISORY: close in spite of a doubt."""
    _say(asked("ack", reason, run, out), as_json=as_json)


@verbs.command(epilog="\b\nExample:\n  twin loop snapshot --to state.json")
def snapshot(
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Where to write it; else shown."),
    ] = None,
    run: Run = None,
    out: options.Out = Path("runs"),
) -> None:
    """Save the twin of the running loop, as `twin whatif --from` reads it."""
    _, text = live_snapshot(run, out)
    if to is None:
        typer.echo(text)
    else:
        to.write_text(text + "\n", "utf-8")


@verbs.command(epilog="\b\nExample:\n  twin loop mv turning.feed_mm off")
def mv(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A manipulated variable.")],
    switch: Annotated[Switch, typer.Argument(help="Whether the loop may write it.")],
    reason: NoReason = "",
    run: Run = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Take one manipulated variable from the loop, or give it back."""
    _say(asked(f"mv_{switch}", reason, run, out, name), as_json=as_json)


def live_snapshot(run: str | None, out: Path) -> tuple[Path, str]:
    """The folder of the loop that runs, and its twin as a snapshot. Looking is no command."""
    folder = _running(run, out)
    return folder, str(asked("snapshot", "", str(folder), out)["snapshot"])


def asked(
    verb: str, reason: str, run: str | None, out: Path, mv: str = "", **more: object
) -> dict[str, Any]:
    """The answer of the loop; ``Problem`` with its exit code where it refuses."""
    from twin.cli.local_socket import ask

    if verb in ("close", "ack") and not reason.strip():
        raise Problem("usage", f"{verb} needs a reason", "--reason TEXT")
    folder = _running(run, out)
    try:
        answer = ask(folder, {"verb": verb, "reason": reason, "mv": mv, **more})
    except (OSError, ValueError) as error:
        msg = f"the loop in {folder} does not answer: {error}"
        hint = "it may have ended just now, or its process is stopped: look at it with ps"
        raise Problem("unreachable", msg, hint, code=UNREACHABLE) from error
    if "error" in answer:
        code = int(answer.get("exit_code", USAGE))
        kind = {4: "refused", 5: "conflict"}.get(code, "usage")
        raise Problem(kind, str(answer["error"]), str(answer.get("hint", "")), code=code)
    return answer


def _running(run: str | None, out: Path) -> Path:
    """The folder of the one loop that runs."""
    from twin.cli.local_socket import SOCKET, is_served
    from twin.store.run_folder import MANIFEST

    if run is not None:
        folder = Path(run) if (Path(run) / MANIFEST).is_file() else out / run
        if not is_served(folder):
            known = [path.parent.name for path in out.glob(f"*/{SOCKET}") if is_served(path.parent)]
            hint = f"{nearest(folder.name, known)}; {WITHOUT_CHANNEL}"
            msg = f"no loop that takes commands runs in {folder}"
            raise Problem("unreachable", msg, hint, code=UNREACHABLE)
        return folder
    found = sorted(path.parent for path in out.glob(f"*/{SOCKET}") if is_served(path.parent))
    if not found:
        hint = f"start one: twin run --plant … --endpoint opc.tcp://…; {WITHOUT_CHANNEL}"
        msg = f"no loop that takes commands runs under {out}"
        raise Problem("unreachable", msg, hint, code=UNREACHABLE)
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise Problem("conflict", f"several loops run: {names}", "name one: --run", code=CONFLICT)
    return found[0]


def _say(answer: dict[str, Any], *, as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(answer, sort_keys=True))
        return
    reasons = "; ".join(answer.get("reasons", ()))
    typer.echo(f"{answer['mode']}  {reasons}")
    for one in answer.get("alarms", ()):
        typer.echo(f"  ALARM {one['alarm']}: {one['why']}")
        typer.echo(f"    since {one['since_s'] / 3600.0:.3f} h; {one['response']}")
    for name in (
        "requested",
        "trouble",
        "run",
        "plant",
        "controller",
        "endpoint",
        "link",
        "monitor",
        "turns",
        "asked",
        "solver",
        "switched_off",
        "limits_changed",
    ):
        if name in answer:
            typer.echo(f"  {name}: {answer[name]}")
    for name, one in answer.get("solves", {}).items():
        typer.echo(f"    {name}: {read_solve(one)}")
    if trust := answer.get("model_trust"):
        least = min(trust, key=trust.__getitem__)
        typer.echo(f"  model: {least} is the least believed, {100.0 * trust[least]:.0f} %")
    for name, why in answer.get("in_doubt", {}).items():
        is_accepted = name in answer.get("doubt_accepted", ())
        typer.echo(f"  in doubt{', accepted' if is_accepted else ''}: {why}")
    for name, why in answer.get("as_before", {}).items():
        typer.echo(f"  as in the run before: {name}: {why}")
    for name, why in answer.get("why", {}).items():
        typer.echo(f"    {name}: {why}")
    for doubt in answer.get("certificates", ()):
        typer.echo(f"  warning: {doubt}")
    if "plant_time_s" in answer:
        typer.echo(f"  plant time: {answer['plant_time_s'] / 3600.0:.3f} h")
