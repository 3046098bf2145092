"""``twin run``: one or several controllers at a line, emulated, in process or real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli import options
from twin.cli.logbook import LogFormat
from twin.cli.problems import REFUSED, Problem, pick
from twin.cli.shift import Shift
from twin.cli.trust import Trust

if TYPE_CHECKING:
    from twin.cli.drive import Upkeep

NAME = "run"
NEEDS_ARGUMENTS = True
DECIDES = "mpc"
"""The controller where none is named."""
EXAMPLES = """\b
Examples:
  twin run --plant demo --emulate --lockstep --shift 8h --seed 1 --compare mpc,fixed,always_on
  twin run --plant demo --in-process --controller rules --json
  twin run --plant demo --endpoint opc.tcp://127.0.0.1:4840   (then: twin loop close --reason …)"""


def command(
    plant: options.PlantOption = None,
    emulate: Annotated[
        bool, typer.Option("--emulate", help="Start the emulator too, and close the loop on it.")
    ] = False,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="The same line without a network, in lockstep.")
    ] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(
            parser=options.endpoint,
            metavar="URL",
            show_default=False,
            help="A line that is there: opc.tcp://HOST:PORT",
        ),
    ] = None,
    lockstep: Annotated[
        bool, typer.Option("--lockstep", help="As fast as it goes: the loop moves plant time.")
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(
            parser=options.speed,
            metavar="N",
            show_default=False,
            help="Plant seconds in a wall second, with --emulate; else 1.",
        ),
    ] = None,
    shift: Annotated[
        float | None,
        typer.Option(
            parser=options.hours,
            metavar="DURATION",
            show_default=False,
            help="Plant time to run: 8h, 30m; else one shift, and with --endpoint until stopped.",
        ),
    ] = None,
    seed: options.Seed = 1,
    controller: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=DECIDES, help="Who decides.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            show_default=False,
            help="These controllers on the same shift; the first against each other one.",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        options.existing_file(
            help="Policy bundle of the controller; else the one beside the plant file."
        ),
    ] = None,
    require_signed: Annotated[
        bool,
        typer.Option("--require-signed", help="Refuse a policy that nobody trusted has signed."),
    ] = False,
    scenario: options.Scenario = "nominal",
    utilisation: options.Utilisation = None,
    variant: options.Variant = "nominal",
    disturbances: options.Disturbances = None,
    engine: options.Engine = "simpy",
    out: options.Out = Path("runs"),
    close: Annotated[
        bool,
        typer.Option("--close", help="Close the loop on an own paced emulator at the start."),
    ] = False,
    mapping: options.Mapping = None,
    pki: options.Pki = None,
    server_certificate: options.ServerCertificate = None,
    insecure: options.Insecure = False,
    monitor: Annotated[
        int | None,
        typer.Option(
            "--monitor",
            metavar="PORT",
            min=0,
            max=65535,
            show_default=False,
            help="Serve metrics and health at this port of this machine; 0: a free one.",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="How log lines look on standard error.")
    ] = LogFormat.text,
    keep: Annotated[
        float | None,
        typer.Option(
            parser=options.hours,
            metavar="DURATION",
            show_default="for ever",
            help="How long samples are kept, plant time: 30d.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Run the loop on a line, and say what came of it."""
    import asyncio

    from twin.cli.session import Session

    kind = _kind(emulate=emulate, in_process=in_process, endpoint=endpoint)
    trust = Trust(pki, server_certificate, insecure)
    if kind == "endpoint":
        _refuse_own(is_closed=close, has_course=bool(disturbances) or scenario != "nominal")
    else:
        _refuse_foreign(trust)
    if close and (in_process or lockstep):
        msg = "--close is for an own paced emulator; in lockstep the loop is closed from the start"
        raise Problem("usage", msg, "leave it out")
    if speed is not None and (kind != "emulate" or lockstep):
        msg = "--speed is the pace of this command's own emulator, and not in lockstep"
        raise Problem("usage", msg, "leave it out, or add --emulate and leave out --lockstep")
    if mapping is not None and (kind != "endpoint" or lockstep):
        msg = "--mapping is for a line behind a foreign server, which goes by its own clock"
        raise Problem("usage", msg, "give --endpoint, and leave out --lockstep")
    names = _named(controller, compare)
    if len(names) > 1 and kind == "endpoint":
        msg = "--compare needs a line for each controller, and this one is there already"
        raise Problem("usage", msg, "add --emulate or --in-process instead of --endpoint")
    place = options.chosen_plant(plant)
    recorded = tuple(disturbances or ())
    course = Shift(place, seed, 0.0, scenario, variant, utilisation, recorded, engine)
    course.check()
    if kind != "endpoint":
        course.has_truth()
    session = Session(
        course,
        names,
        kind,
        endpoint=endpoint or "",
        hours=shift,
        is_lockstep=lockstep or kind == "in-process",
        is_closed=close,
        speed=speed or 1.0,
        out=out,
        trust=trust,
        mapping=mapping,
        upkeep=_upkeep(log_format, monitor, keep, is_paced=kind != "in-process" and not lockstep),
        as_json=as_json,
        policy=policy,
        require_signed=require_signed,
    )
    code = asyncio.run(session.run())
    if code:
        raise typer.Exit(code)


def _refuse_own(*, is_closed: bool, has_course: bool) -> None:
    """Refuse what is for a line that this command makes itself, at one that is there already."""
    if is_closed:
        hint = "start without --close, look, then: twin loop close --reason …"
        msg = "a flag closes the loop on an emulator of the same command only"
        raise Problem("refused", msg, hint, code=REFUSED)
    if has_course:
        msg = "--scenario and --disturbances belong to the line, and this one is there already"
        raise Problem("usage", msg, "give them to twin emulate")


def _refuse_foreign(trust: Trust) -> None:
    """Refuse what is for a line that is there already, at one of this command's own."""
    if trust != Trust():
        msg = "--pki, --server-certificate and --insecure are for a line that is there already"
        raise Problem("usage", msg, "leave them out: a run's own emulator is trusted by itself")


def _upkeep(shown: LogFormat, port: int | None, keep_h: float | None, *, is_paced: bool) -> Upkeep:
    from twin.cli.drive import NO_UPKEEP, Upkeep

    upkeep = Upkeep(shown, port, keep_h)
    if upkeep != NO_UPKEEP and not is_paced:
        msg = "--monitor, --log-format and --keep are for a run that goes on by the clock"
        raise Problem("usage", msg, "leave them out: a run in lockstep is over soon")
    if keep_h is not None and keep_h < 1.0:
        msg = "--keep is at least 1h: samples leave in segments of a quarter of an hour"
        raise Problem("usage", msg, "give a longer time")
    return upkeep


def _named(controller: str | None, compare: str | None) -> list[str]:
    """The controllers that run, in order, each once."""
    from twin.cli.contenders import refuse_second_names
    from twin.plugins import controller_names

    if controller is not None and compare is not None:
        msg = "--controller names one that decides, and --compare all that do"
        raise Problem("usage", msg, f"leave it out: --compare {controller},…")
    names = [name.strip() for name in (compare or controller or DECIDES).split(",")]
    for name in names:
        pick(name, controller_names(), "controller")
    if len(set(names)) != len(names):
        raise Problem("usage", "a controller is named twice", "each runs once")
    refuse_second_names(names)
    return names


def _kind(*, emulate: bool, in_process: bool, endpoint: str | None) -> str:
    chosen = [
        kind
        for kind, is_it in (
            ("emulate", emulate),
            ("in-process", in_process),
            ("endpoint", endpoint is not None),
        )
        if is_it
    ]
    if len(chosen) != 1:
        msg = "say which line: exactly one of --emulate, --in-process and --endpoint"
        raise Problem("usage", msg, "to begin with: --emulate --lockstep")
    return chosen[0]
