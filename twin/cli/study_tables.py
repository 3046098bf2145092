"""A study on the screen: a bar while it goes on, then figures, bottlenecks and buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from twin.cli.options import console
from twin.cli.results import shown
from twin.feedback.report.labels import number, unit_text
from twin.feedback.report.sentences import bottleneck_text, precision_text, warm_up_text

if TYPE_CHECKING:
    from twin.feedback.study import Interval, Study


class Bar:
    """A bar of shifts; where shifts go on until they are enough, its end is an estimate."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<7}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console(stderr=True),
            transient=True,
        )
        self._most: int | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, name: str, most: int | None) -> None:
        """A new bar below the one before."""
        self._most = most
        self._task = self._progress.add_task(name, total=most)

    def done(self, expected: int | None = None) -> None:
        """Move it on."""
        self._progress.advance(self._task)
        if expected is not None and self._most is not None:
            self._progress.update(self._task, total=min(expected, self._most))


def show(study: Study) -> None:
    """The tables, and in sentences what to make of them."""
    screen = console()
    screen.print(_figures(study))
    screen.print(_stations(study))
    screen.print(_buffers(study))
    for sentence in (warm_up_text(study), precision_text(study), bottleneck_text(study)):
        if sentence:
            screen.print(sentence, markup=False)


def _figures(study: Study) -> Table:
    n = study.shifts
    caption = f"{n} shifts, 95 % interval of the mean" if n > 1 else "one shift: no interval"
    table = _table("figure", "unit", "mean", "±", caption=caption)
    units = study.units
    figures = study.figures()
    for name, found in figures.items():
        if name not in shown(figures) or (name.startswith("gas_") and not found.mean):
            continue
        title = name.replace("_", " ")
        if found.shifts < n:
            title += f" (defined in {found.shifts} shifts)"
        table.add_row(title, unit_text(units[name]), number(found.mean), number(found.half_width))
    return table


def _stations(study: Study) -> Table:
    caption = "shares of time, %; a station is active unless it waits for parts or room, or sleeps"
    table = _table("station", "active", "bottleneck", "± ", "alone", caption=caption)
    for name, found in study.activity().items():
        bottleneck = found["bottleneck_share"]
        cells = (_percent(found["active_share"]), _percent(bottleneck), _half(bottleneck))
        table.add_row(name.replace("_", " "), *cells, _percent(found["sole_share"]))
    return table


def _buffers(study: Study) -> Table:
    caption = "at the readings, one a minute; full and empty are shares of them, %"
    table = _table("buffer", "room", "mean", "± ", "full", "empty", caption=caption)
    room = {buffer.name: number(float(buffer.capacity)) for buffer in study.plant.buffers}
    for name, found in study.stocks().items():
        parts = found["mean_parts"]
        shares = (_percent(found["full_share"]), _percent(found["empty_share"]))
        cells = (number(parts.mean), number(parts.half_width), *shares)
        table.add_row(name.replace("_", " "), room[name], *cells)
    return table


def _table(first: str, *others: str, caption: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    table.add_column(first)
    for name in others:
        table.add_column(name.strip(), justify="left" if name == "unit" else "right")
    return table


def _percent(found: Interval) -> str:
    return f"{100.0 * found.mean:.1f}"


def _half(found: Interval) -> str:
    return "–" if found.half_width is None else f"{100.0 * found.half_width:.1f}"
