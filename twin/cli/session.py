"""A run from its folder to its report: each controller in turn on a line of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from twin.analyze.seen import unseen
from twin.cli.drive import NO_UPKEEP, Driven, Job, Upkeep, Window, drive
from twin.cli.emulator_child import emulator
from twin.cli.handover import Handover, handover
from twin.cli.interrupt import Interrupts
from twin.cli.lease import Lease
from twin.cli.linked import certificate_doubts
from twin.cli.policy_files import for_run, keep, kept_in, refusals_noted
from twin.cli.problems import REFUSED, Problem
from twin.cli.results import kpi_file, orders_note, show_kpis, timing_file, versions
from twin.cli.screen import screen_for
from twin.cli.shift import Shift
from twin.cli.trust import OPEN, Trust, client_security, introduced
from twin.cli.tuned import baseline
from twin.config import find_plant
from twin.plugins import ControllerFactory, find_controller
from twin.runtime import EquipmentClock
from twin.store.run_folder import RunFolder, create, stable_json

if TYPE_CHECKING:
    from twin.equipment.foreign.line import ForeignLine
    from twin.equipment.opcua import OpcUaEquipment
    from twin.protocols import Clock, Equipment

SHORT_S = 0.5
"""Wall time in which a solver and a write over the network may not be through."""
POLICY_SHARE = 0.5
"""Of the time for a decision: a policy that takes longer leaves the rest to its fallback."""
FOREVER_US = 2**62
"""Until when a run on real equipment goes that nobody limited."""


class Session:
    """One command's run. ``kind`` is emulate, in-process or endpoint."""

    def __init__(
        self,
        shift: Shift,
        names: Sequence[str],
        kind: str,
        *,
        endpoint: str,
        hours: float | None,
        is_lockstep: bool,
        is_closed: bool,
        speed: float,
        out: Path,
        trust: Trust,
        as_json: bool,
        mapping: Path | None = None,
        policy: Path | None = None,
        require_signed: bool = False,
        upkeep: Upkeep = NO_UPKEEP,
    ) -> None:
        if kind != "endpoint" and hours is None:
            hours = shift.plant.shift_h
        self._hours = hours
        self._shift = replace(shift, hours=hours or shift.plant.shift_h)
        self._names, self._kind, self._endpoint = tuple(names), kind, endpoint
        self._is_lockstep, self._speed, self._out = is_lockstep, speed, out
        # Nobody is asked in lockstep: without a decision no time passes there.
        self._is_closed = kind != "endpoint" and (is_closed or is_lockstep)
        self._trust, self._as_json = trust, as_json
        self._keys = Path()
        self._mapping, self._upkeep = mapping, upkeep
        self._binding = None if mapping is None else foreign_line(self._shift, mapping)
        self._factories = {name: _factory(name) for name in names}
        self._plant_file = find_plant(shift.place)
        found = baseline(shift.place, self._shift.plant, self._shift.demanded, shift.variant, names)
        takers = [n for n, make in self._factories.items() if getattr(make, "needs_bundle", False)]
        if policy is not None and not takers:
            msg = f"--policy is for a controller that runs a policy, and {names[0]!r} does not"
            raise Problem("usage", msg, "add --controller rl")
        patience_s = 0.0 if self._is_in_step else POLICY_SHARE * self._patience_s
        point = for_run(
            found.point,
            self._plant_file,
            takers,
            given=policy,
            drives=self._is_closed,
            must_be_signed=require_signed,
            patience_s=patience_s,
        )
        self._tuned = replace(found, point=point)

    async def run(self) -> int:
        """Run every controller and write the results; the exit code."""
        if self._tuned.doubt:
            typer.echo(f"note: {self._tuned.doubt}", err=True)
        if untold := unseen(self._shift.nominal_line):
            msg = f"readings do not tell what is due at {', '.join(untold)}: the loop's twin is not in step there"
            typer.echo(f"note: {msg}, and what it forecasts is not to be relied on", err=True)
        if self._warning:
            typer.echo(f"warning: {self._warning}", err=True)
        interrupts = Interrupts()
        driven: list[Driven] = []
        try:
            with interrupts.watched(), ExitStack() as stack:
                if self._kind == "emulate":
                    self._keys, self._trust = stack.enter_context(introduced())
                for name in self._names:
                    driven.append(await self._drive(name, interrupts))
                    if interrupts.number:
                        break
        except asyncio.CancelledError:
            if not interrupts.number:
                raise
        if not interrupts.number:
            self._write(driven)
            return 0
        if driven and self._kind == "endpoint":
            self._write(driven)
        elif driven:
            typer.echo("stopped before the end: no kpi.json, but what there is", err=True)
            self._report()
        return interrupts.exit_code

    async def _drive(self, name: str, interrupts: Interrupts) -> Driven:
        """One controller on a line of its own."""
        with self._controller(name) as factory:
            # Made before there is a line: it takes seconds, in which a connection would fall silent.
            with refusals_noted(self._plant_file, f"run of {name}"):
                loop = self._shift.loop(factory, self._tuned.point)
            before = self._before()  # a look at each run that there was
            async with self._line(name) as (equipment, clock, window):
                return await drive(
                    self._job(name, before),
                    loop,
                    (equipment, clock),
                    window,
                    (self._stores(name), self._folder.folder),
                    screen_for(is_paced=window.is_paced, warning=self._warning),
                    interrupts,
                )

    @contextmanager
    def _controller(self, name: str) -> Iterator[ControllerFactory]:
        """The controller, where time does not wait for it in a process that can be ended."""
        if self._is_in_step:
            yield self._factories[name]
            return
        from twin.cli.controller_child import ControllerChild

        point = self._tuned.point
        if point.policies:
            # A child that starts anew finds the policy that the run began with, whatever is in force by then.
            point = kept_in(point, self._folder.folder)
        child = ControllerChild(self._shift, name, point, self._patience_s)
        with ExitStack() as stack:
            with refusals_noted(self._plant_file, f"run of {name}"):
                stack.enter_context(child)
            yield lambda _line, _tuned: child

    @property
    def _warning(self) -> str:
        """What stands on the screen as long as the run goes on; empty if all is well."""
        return f"LINK: {OPEN}" if self._trust.insecure else ""

    @property
    def _is_in_step(self) -> bool:
        """Whether time waits for the controller."""
        return self._is_lockstep or self._kind == "in-process"

    @property
    def _patience_s(self) -> float:
        """Wall time for one decision."""
        return self._shift.plant.control.deadline_s / self._speed

    def _before(self) -> Handover:
        """What operators took from the loop that ran here before; in lockstep there are none."""
        if self._kind != "endpoint" or self._is_lockstep:
            return Handover()
        return handover(self._out, self._shift.plant.name, self._endpoint)

    def _job(self, name: str, before: Handover) -> Job:
        own = self._kind != "endpoint"
        facts = {"run": self._folder.run_id, "endpoint": self._endpoint or self._kind}
        if self._kind != "in-process":
            facts["link"] = OPEN if self._trust.insecure else "encrypted, both sides known"
        return Job(
            name,
            "the emulator is this command's own" if self._is_closed else "",
            {**self._facts(), **facts},
            None if own else Lease(self._endpoint),
            self._upkeep,
            before,
        )

    # --- the line ------------------------------------------------------------------------------

    @asynccontextmanager
    async def _line(self, name: str) -> AsyncIterator[tuple[Equipment, Clock, Window]]:
        """The line for one controller: each gets the same one, at plant time 0."""
        until_us = FOREVER_US if self._hours is None else round(self._hours * 3.6e9)
        if self._kind == "in-process":
            from twin.equipment.simulated import SimulatedEquipment

            line = SimulatedEquipment(self._shift.plc())
            yield line, EquipmentClock(line), Window(0, until_us, is_paced=False)
        elif self._kind == "emulate":
            arguments = [*self._shift.arguments(), "--speed", repr(self._speed)]
            arguments += ["--lockstep"] if self._is_lockstep else []
            folder = self._stores(name).folder
            arguments += ["--write-log", str(folder / "received.jsonl")]
            arguments += ["--pki", str(self._keys), "--audit", str(folder / "access.sqlite")]
            log = folder / "emulator.log"
            async with emulator(arguments, log) as endpoint, self._reached(endpoint) as found:
                from_us = 0 if self._is_lockstep else found.clock().now_us()
                window = Window(
                    from_us, until_us, is_paced=not self._is_lockstep, speed=found.speed
                )
                yield found, self._clock(found), window
        else:
            async with self._reached(self._endpoint) as found:
                now_us = found.clock().now_us()
                window = Window(
                    now_us, now_us + until_us, is_paced=not found.lockstep, speed=found.speed
                )
                yield found, self._clock(found), window

    @asynccontextmanager
    async def _reached(self, endpoint: str) -> AsyncIterator[OpcUaEquipment]:
        from twin.equipment.opcua import OpcUaEquipment
        from twin.line.tags import line_signals

        plant = self._shift.plant
        signals = line_signals(self._shift.nominal_line)
        async with OpcUaEquipment.connect(
            endpoint,
            signals,
            plant_hash=plant.config_hash,
            security=client_security(self._trust),
            binding=self._binding,
        ) as found:
            if found.lockstep and not self._is_lockstep:
                msg = f"the line at {endpoint} stands still between steps"
                raise Problem("refused", msg, "add --lockstep to move it", code=REFUSED)
            if self._is_lockstep and not found.lockstep:
                msg = f"the line at {endpoint} goes by its own clock"
                raise Problem("refused", msg, "leave out --lockstep", code=REFUSED)
            deadline_s = plant.control.deadline_s / found.speed
            if not found.lockstep and deadline_s < SHORT_S:
                msg = f"note: at speed {found.speed:g} a decision has {deadline_s:.2g} s until its "
                msg += "deadline; one that comes later is not written"
                typer.echo(msg, err=True)
            if found.missing:
                names = ", ".join(found.missing)
                if self._mapping is not None:
                    names = f"{len(found.missing)} signals; {self._mapping} says which and why"
                typer.echo(f"note: the line does not show {names}", err=True)
            for doubt in certificate_doubts(found).values():
                typer.echo(f"warning: {doubt}", err=True)
            for name, why in found.refused.items():
                typer.echo(f"note: the server refuses to report {name}: {why}", err=True)
            yield found

    def _clock(self, found: OpcUaEquipment) -> Clock:
        if found.lockstep:
            return EquipmentClock(found, found.clock().now_us())
        return found.clock()

    def _facts(self) -> dict[str, object]:
        """What is known of the shift: the luck of a line that was there before us is not ours."""
        facts = self._shift.facts()
        return facts | {"seed": None, "scenario": None} if self._kind == "endpoint" else facts

    # --- the folder ----------------------------------------------------------------------------

    @cached_property
    def _folder(self) -> RunFolder:
        """The folder of the run, made when it is first needed."""
        shift, plant = self._shift, self._shift.plant
        arguments = {
            **self._facts(),
            "controllers": list(self._names),
            "equipment": self._endpoint or self._kind,
            "lockstep": self._is_lockstep,
            "speed": None if self._is_lockstep else self._speed,
            "hours": self._hours,
            "tuned": self._tuned.record(),
            "doubt": self._tuned.doubt,
        }
        folder = create(
            self._out,
            plant.name,
            plant_hash=plant.config_hash,
            seed=shift.seed,
            command=["twin", "run"],
            versions=versions(),
            arguments=arguments,
        )
        folder.write_text("plant.yaml", self._plant_file.read_text("utf-8"))
        if self._mapping is not None:
            folder.write_text("mapping.yaml", self._mapping.read_text("utf-8"))
        keep(self._tuned.point, folder.folder)
        typer.echo(f"run {folder.folder}", err=True)
        if self._kind == "endpoint":
            typer.echo(
                "the loop is ADVISORY and writes nothing; to close it: "
                f"twin loop close --reason … --run {folder.run_id}",
                err=True,
            )
        return folder

    def _stores(self, name: str) -> RunFolder:
        """The subfolder of one controller."""
        folder = self._folder.place(name)
        folder.mkdir(exist_ok=True)
        return RunFolder(folder)

    def _write(self, driven: Sequence[Driven]) -> None:
        """Results, timings beside them, the report; then say where they are."""
        kpis = {one.name: one.kpis for one in driven}
        window = driven[0].kpis.values
        hours = (window[0].until_us - window[0].from_us) / 3.6e9 if window else 0.0
        record = kpi_file(self._facts(), hours, kpis)
        folder = self._folder
        folder.write_json("kpi.json", record)
        folder.write_json("timings.json", timing_file({d.name: d.timings for d in driven}))
        if self._as_json:
            typer.echo(stable_json(record), nl=False)
        else:
            is_ours = self._kind != "endpoint"  # the orders of other lines are not the plant file's
            show_kpis(kpis, orders_note(self._shift.plant, hours) if is_ours else "")
        self._report(is_told=True)

    def _report(self, *, is_told: bool = False) -> None:
        """Write the page, and say what speaks against its figures if nobody did."""
        from twin.cli.record import LIMITATIONS, recorded_controllers, report_data, run_of
        from twin.feedback.report import render

        found = run_of(str(self._folder.folder), self._out)
        data = report_data(found, recorded_controllers(found))
        for doubt in () if is_told else data.limitations:
            if doubt not in (*LIMITATIONS, self._tuned.doubt):
                typer.echo(f"note: {doubt}", err=True)
        page = self._folder.write_text("report.html", render(data))
        typer.echo(f"report: {page}", err=True)


def foreign_line(shift: Shift, path: Path) -> ForeignLine:
    """The line by a mapping file. ``Problem`` for one that nobody has gone through to the end."""
    from twin.config import load_mapping
    from twin.equipment.foreign.line import ForeignLine
    from twin.line.tags import line_signals

    signals = line_signals(shift.nominal_line)
    mapping = load_mapping(path, shift.plant, signals)
    check = f"twin check {shift.place} --against URL --mapping {path} shows what to do"
    if guesses := mapping.guesses():
        msg = f"{len(guesses)} entries of {path} are guesses, {next(iter(guesses))} first"
        hint = f"look at each and delete its guess; {check}"
        raise Problem("refused", msg, hint, code=REFUSED)
    if needed := mapping.needed(signals):
        msg = f"{path} does not say where {', '.join(needed[:5])} are"
        msg += f" and {len(needed) - 5} more" if len(needed) > 5 else ""
        hint = f"bind them, or call them absent and say why; {check}"
        raise Problem("refused", msg, hint, code=REFUSED)
    if critical := [s.name for s in signals if s.critical and mapping.why_absent(s.name)]:
        msg = f"{path} calls {', '.join(critical)} absent, without which no loop can see the line"
        raise Problem("refused", msg, "bind it", code=REFUSED)
    return ForeignLine(mapping, shift.plant, signals)


def _factory(name: str) -> ControllerFactory:
    try:
        return find_controller(name)
    except ModuleNotFoundError as error:
        msg = f"the controller {name!r} needs the package {error.name}, which is not installed"
        raise Problem("usage", msg, "pip install 'takttwin[rl]', or choose another") from error
