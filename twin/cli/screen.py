"""What is on the screen while a run goes on: a bar in lockstep, the line itself when paced."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from twin.cli.options import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from twin.cli.alarms import Alarms
    from twin.cycle import Cycle
    from twin.loop import ControlLoop


class Screen(Protocol):
    """Shows how a run goes."""

    def begin(
        self, name: str, loop: ControlLoop, alarms: Alarms, from_us: int, until_us: int
    ) -> None:
        """A controller takes over."""
        ...

    def turned(self, cycle: Cycle) -> None:
        """One turn is over."""
        ...

    def end(self) -> None:
        """The controller is through."""
        ...


def screen_for(*, is_paced: bool, warning: str = "") -> Screen:
    """The screen that fits: nothing moves where nobody looks. ``warning`` stays on it."""
    if not sys.stderr.isatty():
        return Blank()
    return LineView(warning) if is_paced else Bar(warning)


class Blank:
    """Shows nothing."""

    def begin(
        self, name: str, loop: ControlLoop, alarms: Alarms, from_us: int, until_us: int
    ) -> None:
        """Nothing."""

    def turned(self, cycle: Cycle) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Bar:
    """A bar of plant time for each controller, with its mode."""

    def __init__(self, warning: str = "") -> None:
        self._warning = warning
        self._progress: Any = None
        self._task: Any = None

    def begin(
        self, name: str, loop: ControlLoop, alarms: Alarms, from_us: int, until_us: int
    ) -> None:
        """A new bar."""
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._from_us = from_us
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[mode]}"),
            TextColumn(self._warning, style="bold red"),
            console=console(stderr=True),
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(name, total=until_us - from_us, mode="")

    def turned(self, cycle: Cycle) -> None:
        """Move it on."""
        decision = cycle.decision
        done_us = decision.time_us - self._from_us
        self._progress.update(self._task, completed=done_us, mode=str(decision.mode))

    def end(self) -> None:
        """Take it away."""
        self._progress.stop()


class LineView:
    """Stations, buffers, setpoints with their limits, quality with its bands, mode and reasons."""

    def __init__(self, warning: str = "") -> None:
        self._live: Any = None
        self._loop: ControlLoop
        self._warning = warning

    def begin(
        self, name: str, loop: ControlLoop, alarms: Alarms, from_us: int, until_us: int
    ) -> None:
        """An empty table until the first turn."""
        from rich.live import Live

        self._loop, self._name, self._alarms = loop, name, alarms
        self._live = Live(console=console(stderr=True), auto_refresh=False)
        self._live.start()

    def turned(self, cycle: Cycle) -> None:
        """The line as it stands."""
        warned = [self._warning] if self._warning else []
        warned += [f"▲ {one.name}: {one.why}" for one in self._alarms.standing]
        self._live.update(line_view(self._name, self._loop, cycle, warned), refresh=True)

    def end(self) -> None:
        """Leave the last view standing."""
        self._live.stop()


def line_view(
    name: str, loop: ControlLoop, cycle: Cycle, warnings: Sequence[str] = ()
) -> RenderableType:
    """One turn as tables, below what people have to be warned of."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    from twin.cycle import Mode
    from twin.feedback.report.labels import clock

    decision = cycle.decision
    time = clock(decision.time_us / 1e6, loop.line.plant.energy.starts_at_h)
    alarm = decision.mode in (Mode.HOLD, Mode.SHED)
    head = Text(f"{name}  {time}  ")
    head.append(str(decision.mode), style="bold red" if alarm else "bold")
    head.append(f"  {'; '.join(decision.reasons)}")
    # In ADVISORY this is what the loop is for: what it would do, and why.
    said = Text(f"{decision.asked.in_words}\n({decision.asked.status})", style="dim")
    signals = _signals(loop, cycle)
    warned = [Text(one, style="bold white on red") for one in warnings]
    return Group(
        *warned, head, said, Columns([_stations(loop, cycle), _buffers(loop, cycle), *signals])
    )


def _value(loop: ControlLoop, cycle: Cycle, name: str) -> float:
    return float(cycle.reading.values[loop.tags.index[name]])


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for n, column in enumerate(columns):
        table.add_column(column, justify="left" if n == 0 else "right")
    return table


def _stations(loop: ControlLoop, cycle: Cycle) -> Table:
    from twin.feedback.report.labels import number
    from twin.line import schema

    table = _table("stations", "name", "state", "kW")
    for station in loop.line.plant.stations:
        code = _value(loop, cycle, f"{station.name}.state")
        known = code in range(schema.N_STATES)
        state = schema.STATES[int(code)].replace("_", " ") if known else "unknown"
        style = "red" if state in ("down", "unknown") else None
        power = number(_value(loop, cycle, f"{station.name}.power_kw"))
        table.add_row(station.name, state, power, style=style)
    return table


def _buffers(loop: ControlLoop, cycle: Cycle) -> Table:
    from twin.feedback.report.labels import number

    table = _table("buffers", "name", "parts", "room")
    for buffer in loop.line.plant.buffers:
        level = number(_value(loop, cycle, f"{buffer.name}.level"))
        table.add_row(buffer.name, level, number(float(buffer.capacity)))
    return table


def _signals(loop: ControlLoop, cycle: Cycle) -> list[Table]:
    from twin.feedback.report.labels import number
    from twin.signals import Role

    setpoints = _table("setpoints", "name", "active", "from", "to")
    quality = _table("quality", "name", "value", "from", "to")
    for signal in loop.limited:
        if signal.role not in (Role.MV, Role.CV) or signal.discrete:
            continue
        value, limits = _value(loop, cycle, signal.name), signal.operator
        ends = (number(limits.lo), number(limits.hi)) if limits is not None else ("", "")
        outside = limits is not None and not limits.holds(value)
        table = setpoints if signal.role is Role.MV else quality
        table.add_row(signal.name, number(value), *ends, style="red" if outside else None)
    return [setpoints, quality]
