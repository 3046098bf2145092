"""The page of a study: one HTML file that asks for nothing from outside."""

from __future__ import annotations

from collections.abc import Mapping

from twin.feedback.report import figures, study_figures
from twin.feedback.report.canvas import drawing
from twin.feedback.report.data import ReportData
from twin.feedback.report.labels import number, unit_text
from twin.feedback.report.sentences import bottleneck_text, precision_text, warm_up_text
from twin.feedback.report.tables import Cell
from twin.feedback.report.templates import template
from twin.feedback.study import Course, Interval, Study
from twin.line.journal import Transitions

SHOWN_H = 24.0
"""Longer courses are cut in the pictures: nobody could read them."""


def render_study(
    study: Study,
    facts: Mapping[str, str],
    versions: Mapping[str, str],
    hashes: Mapping[str, str],
) -> str:
    """The study as HTML; the same data give the same bytes.

    Raises ``ValueError`` for a study without a shift.
    """
    from markupsafe import Markup

    if study.shown is None:
        raise ValueError("a study without a shift has nothing to show")
    until_s = float(study.shown.times_s[-1])
    shown = _pictured(study, study.shown)
    with drawing():
        pictures = {
            "bottlenecks": study_figures.bottleneck_chart(study),
            "states": figures.state_chart(shown),
            "buffers": figures.buffer_chart(shown),
            "convergence": study_figures.convergence_chart(study),
            "warm_up": study_figures.warm_up_chart(study),
        }
    is_cut = until_s - study.from_s > SHOWN_H * 3600.0
    return template("study.html").render(
        plant=study.plant,
        shifts=study.shifts,
        facts=facts,
        versions=versions,
        hashes=hashes,
        cut=f" Its first {SHOWN_H:g} hours." if is_cut else "",
        ovens=[station.name for station in study.plant.stations if station.step_s is not None],
        bottleneck_text=bottleneck_text(study),
        precision_text=precision_text(study),
        warm_up_text=warm_up_text(study),
        pictures={name: Markup(text) for name, text in pictures.items() if text},  # noqa: S704
        station_rows=[_station_row(name, of) for name, of in study.activity().items()],
        buffer_rows=_buffer_rows(study),
        figure_rows=_figure_rows(study),
    )


def _pictured(study: Study, course: Course) -> ReportData:
    """The counted part of a course as the pictures of a run take it."""
    until_s = min(float(course.times_s[-1]), study.from_s + SHOWN_H * 3600.0)
    inside = (course.times_s >= study.from_s) & (course.times_s <= until_s)
    names = [f"{buffer.name}.level" for buffer in study.plant.buffers]
    rows = [row for row in course.rows if row[0] <= until_s]
    return ReportData(
        plant=study.plant,
        signals=course.signals,
        controller="simulation",
        kpis={"simulation": study.kpis},
        series={name: (course.times_s[inside], course.series(name)[inside]) for name in names},
        events=Transitions(course.line, rows),
    )


def _station_row(name: str, of: Mapping[str, Interval]) -> list[Cell]:
    bottleneck, period = of["bottleneck_share"], of.get("mean_active_s")
    return [
        Cell(name.replace("_", " "), name),
        _cell(of["active_share"].mean, 100.0),
        _cell(bottleneck.mean, 100.0),
        _cell(bottleneck.half_width, 100.0),
        _cell(of["sole_share"].mean, 100.0),
        _cell(period.mean if period else None, 1.0 / 60.0),
        _cell(period.half_width if period else None, 1.0 / 60.0),
    ]


def _buffer_rows(study: Study) -> list[list[Cell]]:
    room = {buffer.name: float(buffer.capacity) for buffer in study.plant.buffers}
    return [
        [
            Cell(name.replace("_", " "), name),
            _cell(room[name]),
            _cell(of["mean_parts"].mean),
            _cell(of["mean_parts"].half_width),
            _cell(of["full_share"].mean, 100.0),
            _cell(of["empty_share"].mean, 100.0),
        ]
        for name, of in study.stocks().items()
    ]


def _figure_rows(study: Study) -> list[list[Cell]]:
    units = study.units
    return [
        [
            Cell(name.replace("_", " "), name),
            Cell(unit_text(units[name])),
            _cell(found.mean),
            _cell(found.half_width),
            _cell(found.share, 100.0),
            Cell(
                str(found.shifts),
                float(found.shifts),
                "warning" if found.shifts < study.shifts else "",
            ),
        ]
        for name, found in study.figures().items()
    ]


def _cell(value: float | None, factor: float = 1.0) -> Cell:
    shown = None if value is None else factor * value
    return Cell(number(shown), shown if shown is not None else "")
