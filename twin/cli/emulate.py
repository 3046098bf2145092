"""``twin emulate``: the line behind an OPC UA server, in this process until it is told to stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli import options
from twin.cli.problems import CONFLICT, REFUSED, Problem
from twin.cli.shift import Shift

if TYPE_CHECKING:
    import asyncio

    from twin.equipment.opcua_security import ServerSecurity
    from twin.equipment.plc import Plc
    from twin.store.historian import Historian

NAME = "emulate"
MOST_FILES = 65_536
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin emulate machining_line
  twin emulate demo --port 4841 --speed 60
  twin emulate demo --pki line1 --host 0.0.0.0   (its users: twin user add … --pki line1)
  twin emulate demo --nodeset demo.NodeSet2.xml"""


def command(
    plant: options.Plant = None,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 4840,
    speed: options.Speed = 1.0,
    lockstep: Annotated[
        bool, typer.Option("--lockstep", help="Plant time moves by the client's Advance only.")
    ] = False,
    seed: options.Seed = 1,
    hours: Annotated[
        float,
        typer.Option(
            parser=options.hours,
            metavar="DURATION",
            show_default="168h",
            help="How far ahead disturbances are laid out.",
        ),
    ] = 168.0,
    scenario: options.Scenario = "nominal",
    utilisation: options.Utilisation = None,
    variant: options.Variant = "nominal",
    disturbances: options.Disturbances = None,
    engine: options.Engine = "simpy",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="No encryption and no users: this machine only.")
    ] = False,
    pki: options.Pki = None,
    users: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Users; else those of --pki."),
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Who was let in or refused; else in --pki."
        ),
    ] = None,
    write_log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="All that the PLC receives."),
    ] = None,
    shown_log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="All that the PLC shows happening."),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Faults to show on purpose; looked at again whenever it changes.",
        ),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Record readings there, and serve HistoryRead."
        ),
    ] = None,
    nodeset: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Write the address space as NodeSet2 XML instead of serving it.",
        ),
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="Stop when standard input ends.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Serve a plant over OPC UA as its PLC would."""
    import asyncio

    if nodeset is not None:
        _write_nodeset(Shift(options.chosen_plant(plant), variant=variant), nodeset)
        return
    if insecure and any(given is not None for given in (pki, users, audit)):
        msg = "--insecure means no encryption and no users; --pki, --users and --audit ask for both"
        raise Problem("usage", msg, "leave out --insecure, or the others")
    place = options.chosen_plant(plant)
    recorded = tuple(disturbances or ())
    shift = Shift(place, seed, hours, scenario, variant, utilisation, recorded, engine)
    shift.check()
    plc = shift.plc()
    server = _Server(host, port, speed, lockstep, (write_log, shown_log, faults))
    secured = nullcontext() if insecure else _secured(pki, users, audit)
    with _recorded(plc, history) as past, secured as security:
        serving = server.serve(plc, security, past, with_parent=with_parent, as_json=as_json)
        asyncio.run(serving)


@contextmanager
def _secured(pki: Path | None, users: Path | None, audit: Path | None) -> Iterator[ServerSecurity]:
    """Keys, users, and the record of who was let in or refused, open as long as the server is."""
    from twin.cli.trust import pki_of
    from twin.clock import utc_now
    from twin.equipment.opcua_security import ServerSecurity, introduce
    from twin.equipment.pki import now
    from twin.equipment.users import read_users
    from twin.store.audit import Audit

    server = pki_of("server", pki)
    file = server.users if users is None else users
    if pki is None and users is None and introduce(server, pki_of("client")):
        msg = f"made keys in {server.folder.parent}: the loops of this account are let in"
        typer.echo(msg, err=True)
    if not read_users(file):
        hint = f"twin user add NAME --pki {server.folder}, or --insecure for this machine alone"
        raise Problem("refused", f"there is no user in {file}", hint, code=REFUSED)
    if doubt := server.own().doubt(now()):
        typer.echo(f"warning: {server.certificate} is {doubt}: twin cert new", err=True)
    with Audit(server.audit if audit is None else audit) as record:

        def witness(what: str, who: str, why: str) -> None:
            record.command(what, who, why, utc_now())

        yield ServerSecurity(server, file, witness)


@contextmanager
def _recorded(plc: Plc, path: Path | None) -> Iterator[Historian | None]:
    """A record of the line's readings in a new file, if one is named."""
    if path is None:
        yield None
        return
    from twin.store.historian import Historian

    options.refuse_unwritable(path)
    if path.exists():
        msg = f"{path} exists already, and plant time begins anew"
        raise Problem("conflict", msg, "name a new file, or remove that one", code=CONFLICT)
    with Historian(path, plc.signals, line_path="/".join(plc.line.plant.path)) as past:
        yield past


def _write_nodeset(shift: Shift, path: Path) -> None:
    import asyncio

    from twin.equipment.nodeset import write_nodeset
    from twin.line.tags import line_signals

    options.refuse_unwritable(path)
    line = shift.nominal_line
    count = asyncio.run(write_nodeset(line, line_signals(line), path))
    typer.echo(f"{count} nodes in {path}", err=True)


class _Server:
    """What the options say about the server, and its life."""

    def __init__(
        self,
        host: str,
        port: int,
        speed: float,
        lockstep: bool,
        files: tuple[Path | None, Path | None, Path | None],
    ) -> None:
        self._host, self._port, self._speed, self._lockstep = host, port, speed, lockstep
        self._write_log, self._shown_log, self._faults = files

    async def serve(
        self,
        plc: Plc,
        security: ServerSecurity | None,
        past: Historian | None,
        *,
        with_parent: bool,
        as_json: bool,
    ) -> None:
        """Serve until a signal, or the end of standard input if it belongs to a parent."""
        import asyncio
        import contextlib
        import gc
        import resource
        import signal
        import threading

        from twin.equipment.emulator import serve

        # The standard address space is a hundred thousand objects that stay: not worth searching.
        gc.disable()
        # Each connection is a file: those who only hold the door open must not keep others out.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if with_parent:
            threading.Thread(target=_await_end_of_input, args=(loop, stop), daemon=True).start()
        serving = asyncio.create_task(
            serve(
                plc,
                self._host,
                self._port,
                lockstep=self._lockstep,
                speed=self._speed,
                insecure=security is None,
                security=security,
                write_log=self._write_log,
                shown_log=self._shown_log,
                faults=self._faults,
                past=past,
                ready=lambda endpoint: self._announce(
                    endpoint, plc, is_open=security is None, as_json=as_json
                ),
            )
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not serving.done():
            serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._answered(serving)

    async def _answered(self, serving: asyncio.Task[None]) -> None:
        from twin.equipment.opcua_link import reason_of

        try:
            await serving
        except ValueError as error:
            hint = str(getattr(error, "hint", ""))
            raise Problem("refused", str(error), hint, code=REFUSED) from error
        except OSError as error:
            if error.filename is not None:
                raise  # a file, and no address
            msg = f"cannot serve on {self._host}:{self._port}: {reason_of(error)}"
            raise Problem("usage", msg, "choose another --port; 0 takes a free one") from error

    def _announce(self, endpoint: str, plc: Plc, *, is_open: bool, as_json: bool) -> None:
        import gc
        import json
        import os

        gc.freeze()
        gc.enable()
        plant = plc.line.plant
        if is_open:
            typer.echo("no encryption and no users: for tests on this machine only", err=True)
        if as_json:
            typer.echo(json.dumps({"endpoint": endpoint, "pid": os.getpid(), "plant": plant.name}))
        else:
            pace = "in lockstep" if self._lockstep else f"{self._speed:g} times real time"
            typer.echo(f"{plant.title} ({pace})", err=True)
            typer.echo(endpoint)
            flag = " --insecure" if is_open else ""
            typer.echo(f"next: twin run --plant … --endpoint {endpoint}{flag}", err=True)


def _await_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    import contextlib
    import os

    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop has ended before us
        loop.call_soon_threadsafe(stop.set)
