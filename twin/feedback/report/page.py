"""The page: pictures and tables put into one HTML file that asks for nothing from outside."""

from __future__ import annotations

from twin.feedback.iso22400 import STATION_KPIS
from twin.feedback.report import figures, tables
from twin.feedback.report.canvas import drawing
from twin.feedback.report.data import ReportData
from twin.feedback.report.labels import clock, number
from twin.feedback.report.templates import template
from twin.line import schema as s


def render(run: ReportData) -> str:
    """The report of a run as HTML; the same data give the same bytes."""
    from markupsafe import Markup

    from_s, until_s = figures.window(run)
    starts_at_h = run.plant.energy.starts_at_h
    compared = tables.comparisons(run)
    with drawing():
        pictures = {
            "states": figures.state_chart(run),
            "energy": figures.energy_chart(run),
            "buffers": figures.buffer_chart(run),
            "setpoints": figures.setpoint_chart(run),
            "switches": figures.switch_chart(run),
            "quality": figures.quality_chart(run),
            "outside": figures.outside_chart(run),
        }
    shifts = run.kpis[run.controller]
    return template("page.html").render(
        run=run,
        span=f"{clock(from_s, starts_at_h)} to {clock(until_s, starts_at_h)}",
        hours=number((until_s - from_s) / 3600.0),
        shifts=len(shifts),
        headlines=tables.headlines(run, compared),
        groups=tables.kpi_groups(run, compared),
        undefined=sorted({pair for kpis in shifts for pair in kpis.undefined.items()}),
        doubts=list(dict.fromkeys(doubt for kpis in shifts for doubt in kpis.doubts)),
        pictures={name: Markup(text) for name, text in pictures.items() if text},  # noqa: S704
        station_heads=[
            name.replace("_", " ").replace("oee", "OEE") for name in (*STATION_KPIS, *s.STATES)
        ],
        station_rows=tables.station_rows(run),
        stock_heads=tables.stock_heads(),
        stock_rows=tables.stock_rows(run),
        constant_rows=tables.constant_rows(run),
        clip_rows=tables.clip_rows(run),
        mode_rows=tables.mode_rows(run, until_s),
    )
