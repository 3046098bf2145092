"""The page of an identification: what was learned, what is left over, what it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.feedback.report.canvas import BAND, INK, OWN, QUIET, WARNING, drawing, figure, svg
from twin.feedback.report.labels import number, unit_text
from twin.feedback.report.tables import Cell
from twin.feedback.report.templates import template

Course = NDArray[np.float64]
MOST_POINTS = 1500
MOST_ROWS = 60


@dataclass(frozen=True, slots=True)
class LearnedRow:
    """One number of the plant file. NaN and infinities say what is not known."""

    name: str
    unit: str
    nominal: float
    estimate: float
    lo: float
    hi: float
    known: tuple[float, float] | None
    observations: int
    verdict: str
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """What was measured less what the fit says, over the hours of the record."""

    name: str
    unit: str
    hours: Course
    values: Course


@dataclass(frozen=True, slots=True, eq=False)
class BeforeAfter:
    """One figure as recorded, and in each simulated world before and after the fit."""

    name: str
    unit: str
    recorded: float
    before: Course
    after: Course


@dataclass(frozen=True, slots=True, eq=False)
class IdentifyData:
    """All that the page shows."""

    title: str
    facts: Mapping[str, str]
    learned: Sequence[LearnedRow]
    residuals: Sequence[Residuals] = ()
    checked: Sequence[BeforeAfter] = ()
    tests: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def render_identification(data: IdentifyData) -> str:
    """The identification as one HTML file; the same data give the same bytes."""
    from markupsafe import Markup

    with drawing():
        pictures = {
            "intervals": interval_chart(data.learned),
            "residuals": residual_chart(data.residuals),
            "checked": checked_chart(data.checked),
        }
    return template("identify.html").render(
        data=data,
        counts={word: sum(row.verdict == word for row in data.learned) for word in _words(data)},
        pictures={name: Markup(text) for name, text in pictures.items() if text},  # noqa: S704
        learned_rows=[_row(row) for row in data.learned],
        checked_rows=[_checked_row(row) for row in data.checked],
        test_rows=[[Cell(text) for text in row] for row in data.tests],
    )


def _words(data: IdentifyData) -> list[str]:
    return sorted({row.verdict for row in data.learned})


def interval_chart(rows: Sequence[LearnedRow]) -> str:
    """Intervals relative to the nominal value, where that says something."""
    shown = [
        row
        for row in rows
        if row.verdict != "not informative" and row.nominal and np.isfinite(row.estimate)
    ][:MOST_ROWS]
    if not shown:
        return ""
    drawn = figure(0.8 + 0.19 * len(shown))
    axes = drawn.subplots()
    for n, row in enumerate(shown):
        if row.known is not None:
            ends = sorted(end / row.nominal for end in row.known)
            axes.barh(n, ends[1] - ends[0], left=ends[0], height=0.7, color=BAND)
        lo, mid, hi = (end / row.nominal for end in (row.lo, row.estimate, row.hi))
        lo, hi = min(lo, hi), max(lo, hi)
        colour = OWN if row.verdict == "learned" else WARNING
        axes.errorbar(
            mid, n, xerr=[[mid - lo], [hi - mid]], fmt="o", markersize=3, color=colour, capsize=2
        )
    axes.axvline(1.0, color=QUIET, linewidth=0.8)
    axes.set_xlim(0.0, 2.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_yticks(range(len(shown)), [row.name for row in shown], fontsize=7)
    axes.set_xlabel("estimate over nominal value")
    return svg(drawn, "intervals", "Estimates with their intervals, over the nominal values")


def residual_chart(residuals: Sequence[Residuals]) -> str:
    """What the fit leaves, output by output, over time."""
    shown = [one for one in residuals if one.values.size]
    if not shown:
        return ""
    rows = -(-len(shown) // 3)
    drawn = figure(0.4 + 1.5 * rows)
    grid = drawn.subplots(rows, 3, squeeze=False).ravel()
    for axes, one in zip(grid, shown, strict=False):
        step = max(1, one.values.size // MOST_POINTS)
        axes.plot(one.hours[::step], one.values[::step], ".", markersize=2, color=INK)
        axes.axhline(0.0, color=OWN, linewidth=0.8)
        axes.set_title(f"{one.name} ({unit_text(one.unit) or '1'})", fontsize=7)
        axes.tick_params(labelsize=7)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    return svg(drawn, "residuals", "Measured less fitted, over the hours of the record")


def checked_chart(checked: Sequence[BeforeAfter]) -> str:
    """Each figure's worlds before and after, against what was recorded."""
    if not checked:
        return ""
    drawn = figure(2.4)
    grid = drawn.subplots(1, len(checked), squeeze=False)[0]
    for axes, one in zip(grid, checked, strict=True):
        for n, (worlds, colour) in enumerate(((one.before, QUIET), (one.after, OWN))):
            axes.plot(np.full(worlds.size, float(n)), worlds, ".", color=colour, alpha=0.5)
            axes.plot([n - 0.2, n + 0.2], [worlds.mean()] * 2, color=colour, linewidth=2)
        axes.axhline(one.recorded, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.set_xticks([0, 1], ["before", "after"])
        axes.set_xlim(-0.6, 1.6)
        axes.set_title(f"{one.name.replace('_', ' ')} ({unit_text(one.unit) or '1'})", fontsize=7.5)
    return svg(drawn, "checked", "The shift simulated before and after the fit, and as recorded")


def _row(row: LearnedRow) -> list[Cell]:
    known = "–" if row.known is None else f"{number(row.known[0])} … {number(row.known[1])}"
    style = {"disagrees with range": "warning", "learned": "own"}.get(row.verdict, "")
    return [
        Cell(row.name, row.name, note=row.note),
        Cell(unit_text(row.unit)),
        _cell(row.nominal),
        Cell(known),
        _cell(row.estimate),
        _cell(row.lo),
        _cell(row.hi),
        Cell(str(row.observations), float(row.observations)),
        Cell(row.verdict, row.verdict, style),
    ]


def _checked_row(row: BeforeAfter) -> list[Cell]:
    def off(course: Course) -> Cell:
        share = 100.0 * (float(course.mean()) / row.recorded - 1.0) if row.recorded else np.nan
        return Cell("–") if np.isnan(share) else Cell(number(share, sign=True), share)

    return [
        Cell(row.name.replace("_", " "), row.name),
        Cell(unit_text(row.unit)),
        _cell(row.recorded),
        _cell(float(row.before.mean())),
        off(row.before),
        _cell(float(row.after.mean())),
        off(row.after),
    ]


def _cell(value: float) -> Cell:
    return Cell(number(value), value) if np.isfinite(value) else Cell("–")
