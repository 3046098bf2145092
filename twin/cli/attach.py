"""``twin attach``: follow a line that runs, steer nothing, and say what the next hour will bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli import options
from twin.cli.linked import certificate_doubts
from twin.cli.locked import locked_text
from twin.cli.problems import REFUSED, Problem
from twin.cli.shift import TWIN_SEED, Shift
from twin.cli.trust import Trust, client_security

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.analyze.outlook import Outlook
    from twin.equipment.binding import Binding
    from twin.equipment.opcua import OpcUaEquipment
    from twin.equipment.opcua_security import ClientSecurity
    from twin.line.model import Line

PATIENCE_S = 20.0
"""Of the user's own time: so long a line may be out of sight before that is told."""
FIGURES = {"good_parts": ("good parts", ""), "energy_kwh": ("energy", " kWh")}
NAME = "attach"
NEEDS_ARGUMENTS = True
EXAMPLES = """\b
Examples:
  twin attach machining_line --endpoint opc.tcp://127.0.0.1:4840
  twin attach demo --endpoint opc.tcp://127.0.0.1:4840 --listen 5m --looks 12 --every 10m --ahead 30m"""


def command(
    plant: options.Plant = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            parser=options.endpoint, metavar="URL", show_default=False,
            help="The line: opc.tcp://HOST:PORT",
        ),
    ] = None,
    listen: Annotated[
        float,
        typer.Option(
            parser=options.hours, metavar="DURATION", show_default="15m",
            help="Plant time to learn the line's own powers and times before the first outlook.",
        ),
    ] = 0.25,
    ahead: Annotated[
        float,
        typer.Option(
            parser=options.hours, metavar="DURATION", show_default="1h", help="How far to look."
        ),
    ] = 1.0,
    looks: Annotated[
        int, typer.Option(min=1, help="Outlooks; with more than one, stay until the last has come.")
    ] = 1,
    every: Annotated[
        float,
        typer.Option(
            parser=options.hours, metavar="DURATION", show_default="10m",
            help="Plant time from one outlook to the next.",
        ),
    ] = 1.0 / 6.0,
    worlds: Annotated[
        int, typer.Option(min=20, max=10_000, help="Courses of an outlook, each of its own luck.")
    ] = 500,
    variant: options.Variant = "nominal",
    mapping: options.Mapping = None,
    pki: options.Pki = None,
    server_certificate: options.ServerCertificate = None,
    insecure: options.Insecure = False,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Put a twin in step with a running line, in the middle of whatever it does, and look ahead.

    Nothing is written to the line. Each outlook says how much will be made and taken, with the interval
    that holds nine of ten likely courses; when its time has come, how it fared.
    """
    import asyncio

    from twin.cli.interrupt import Interrupts
    from twin.cli.session import foreign_line
    from twin.store.run_folder import stable_json

    if endpoint is None:
        hint = "serve one to try: twin emulate machining_line --speed 60"
        raise Problem("usage", "which line? --endpoint is missing", hint)
    shift = Shift(options.chosen_plant(plant), variant=variant)
    shift.check()
    security = client_security(Trust(pki, server_certificate, insecure))
    binding = None if mapping is None else foreign_line(shift, mapping)
    watch = _Watch(
        shift, (listen * 3600.0, every * 3600.0, ahead * 3600.0), looks, worlds, as_json=as_json
    )

    async def watched() -> int:
        interrupts = Interrupts("leaving")
        with interrupts.watched():
            try:
                await watch.run(endpoint, security, binding)
            except asyncio.CancelledError:
                if not interrupts.number:
                    raise
        if as_json:
            typer.echo(stable_json(watch.record()), nl=False)
        return interrupts.exit_code if interrupts.number else 0

    code = asyncio.run(watched())
    if code:
        raise typer.Exit(code)


class Blind:
    """Says once of each time that the line cannot be seen for long, and why."""

    def __init__(self, now_us: int) -> None:
        self._since_us = now_us
        self._is_told = False

    def news(self, unread: tuple[str, ...], now_us: int, *, is_seen: bool) -> str:
        """What there is to say after a reading, at a time of the user's own clock; mostly nothing."""
        if is_seen:
            self._since_us, self._is_told = now_us, False
        elif now_us - self._since_us > PATIENCE_S * 1e6 and not self._is_told:
            self._is_told = True
            shown = ", ".join(unread[:5]) + (f" and {len(unread) - 5} more" * (len(unread) > 5))
            why = f"cannot read {shown}" if unread else "its time stands still"
            return f"note: the line is not seen for {PATIENCE_S:g} s: {why}; Ctrl-C ends"
        return ""


class _Watch:
    """One command's stay at a line."""

    def __init__(
        self,
        shift: Shift,
        times_s: tuple[float, float, float],
        looks: int,
        worlds: int,
        *,
        as_json: bool,
    ) -> None:
        from twin.analyze.seen import UnseenError
        from twin.attachment import Attachment

        self._plant, self._looks, self._worlds, self._as_json = shift.plant, looks, worlds, as_json
        self._listen_s, self._every_s, self._ahead_s = times_s
        try:
            self._attachment = Attachment.to(shift.nominal_line, TWIN_SEED)
        except UnseenError as error:
            hint = "simulate, sweep and whatif take such lines"
            raise Problem("plant", str(error), hint) from error
        _compile(shift.nominal_line)  # before there is a connection that would fall silent
        self._made: list[tuple[Outlook, Mapping[str, tuple[float, float]]]] = []
        self._shown = 0
        self._is_lost = False

    async def run(
        self, endpoint: str, security: ClientSecurity | None, binding: Binding | None = None
    ) -> None:
        """Listen, look ahead, and wait for what comes of it."""
        from twin.equipment.opcua import OpcUaEquipment

        signals, plant_hash = self._attachment.loop.signals, self._plant.config_hash
        async with OpcUaEquipment.connect(
            endpoint, signals, plant_hash=plant_hash, security=security, binding=binding
        ) as line:
            for doubt in certificate_doubts(line).values():
                typer.echo(f"warning: {doubt}", err=True)
            if line.lockstep:
                msg = f"the line at {endpoint} stands still between the steps of whoever moves it"
                hint = "attach to a line that goes by its own clock: twin emulate … --speed 60"
                raise Problem("refused", msg, hint, code=REFUSED)
            if line.missing:
                typer.echo(f"note: the line does not show {', '.join(line.missing)}", err=True)
            await self._follow(line)

    async def _follow(self, line: OpcUaEquipment) -> None:
        import asyncio
        import functools

        from twin.clock import monotonic_us

        clock, attachment = line.clock(), self._attachment
        blind = Blind(monotonic_us())
        period_us = round(self._plant.control.period_s * 1e6)
        next_us = clock.now_us()
        look_us = next_us + round(self._listen_s * 1e6)
        typer.echo(f"listening for {self._listen_s / 60.0:g} min of plant time", err=True)
        while True:
            try:
                is_seen = attachment.follow(await line.read())
                self._is_lost = False
            except ConnectionError as error:
                if not self._is_lost:
                    typer.echo(f"note: {error}; waiting for it, Ctrl-C ends", err=True)
                self._is_lost, is_seen = True, False
            why = blind.news(attachment.unread, monotonic_us(), is_seen=is_seen or self._is_lost)
            if why:
                typer.echo(why, err=True)
            self._show_fared()
            if is_seen and len(self._made) < self._looks and clock.now_us() >= look_us:
                look_us = max(look_us + round(self._every_s * 1e6), clock.now_us())
                # Beside the connection, which must not fall silent.
                look = functools.partial(attachment.look_ahead, self._ahead_s, self._worlds)
                outlook = await asyncio.to_thread(look)
                self._made.append((outlook, attachment.out_of_step()))
                self._show(outlook)
            if len(self._made) == self._looks and (self._looks == 1 or not attachment.waits):
                return
            # A reading that took longer than a period is no reason to read twice.
            next_us = max(next_us + period_us, clock.now_us())
            await clock.sleep_until(next_us)

    def _show(self, outlook: Outlook) -> None:
        differ = self._made[-1][1]
        said = [f"{clock_text(outlook.from_s)}  until {clock_text(outlook.until_s)}:"]
        for name, (word, unit) in FIGURES.items():
            lower, upper = outlook.interval(name)
            mean = float(outlook.courses[name].mean())
            said.append(f"{word} {mean:.1f} [{lower:.1f}, {upper:.1f}]{unit};")
        total = len(self._attachment.loop.signals)
        said.append(f"{len(differ)} of {total} signals out of step")
        loop = self._attachment.loop
        if locked := locked_text(loop.line, loop.memory.twin):
            typer.echo(f"note: {locked}", err=True)
        if not self._as_json:
            typer.echo(" ".join(said))

    def _show_fared(self) -> None:
        from twin.feedback.drift import drift_score

        fared = self._attachment.fared
        for n in range(self._shown, len(fared)):
            one = fared[n]
            said = [f"{clock_text(one.from_s)}  came:"]
            for name, (word, unit) in FIGURES.items():
                score = drift_score(fared[: n + 1], name)
                came = f"{word} {one.actual[name]:.1f}{unit}"
                said.append(f"{came}, {one.off_by(name):+.1f} sd, drift score {score:.1f};")
            if not self._as_json:
                typer.echo(" ".join(said).rstrip(";"))
        self._shown = len(fared)

    def record(self) -> dict[str, Any]:
        """All outlooks, how they fared, and what sampling missed."""
        from twin.feedback.drift import drift_score

        fared = {one.from_s: one for one in self._attachment.fared}
        looks = []
        for outlook, differ in self._made:
            came = fared.get(outlook.from_s)
            figures = {}
            for name in FIGURES:
                lower, upper = outlook.interval(name)
                mean = float(outlook.courses[name].mean())
                figures[name] = {"mean": mean, "lower": lower, "upper": upper}
                if came is not None:
                    figures[name] |= {"came": came.actual[name], "off_by_sd": came.off_by(name)}
            looks.append(
                {
                    "from_s": outlook.from_s,
                    "until_s": outlook.until_s,
                    "figures": figures,
                    "out_of_step": {name: list(pair) for name, pair in differ.items()},
                }
            )
        scores = {name: drift_score(self._attachment.fared, name) for name in FIGURES}
        return {
            "plant": self._plant.name,
            "worlds": self._worlds,
            "looks": looks,
            "drift_score": scores if self._attachment.fared else {},
            "missed_transitions": self._attachment.missed,
        }


def clock_text(time_s: float) -> str:
    """Plant time as hours, minutes and seconds."""
    whole = round(time_s)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _compile(line: Line) -> None:
    from twin.analyze.outlook import look_ahead
    from twin.analyze.whatif import present
    from twin.kernels.draws import TWIN
    from twin.line.engine import says_when_it_compiles
    from twin.line.initial import initial_state

    state = initial_state(line, TWIN_SEED, TWIN)
    with says_when_it_compiles():
        look_ahead([line], present(line, state), [state], {}, 1.0)
