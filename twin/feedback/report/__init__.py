"""The report of a run, or of a study: one HTML file that needs nothing else, and a table for spreadsheets.

matplotlib and jinja2 are imported when something is rendered, not before.
"""

from twin.feedback.report.data import ClipAt, ModeSince, ReportData, Series, wanted_signals
from twin.feedback.report.page import render
from twin.feedback.report.study_page import render_study
from twin.feedback.report.tables import report_csv

__all__ = [
    "ClipAt",
    "ModeSince",
    "ReportData",
    "Series",
    "render",
    "render_study",
    "report_csv",
    "wanted_signals",
]
