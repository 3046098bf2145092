"""``twin report``: the report of a run once more, from what its stores hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.cli import options

NAME = "report"
NEEDS_ARGUMENTS = False
EXAMPLES = """\b
Examples:
  twin report
  twin report runs/machining_line-1a2b3c4d-001
  twin report machining_line-1a2b3c4d-001 --csv > kpis.csv"""


def command(
    run: options.Run = None,
    out: options.Out = Path("runs"),
    csv: Annotated[
        bool, typer.Option("--csv", help="All figures as CSV on standard output.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Write the page there."),
    ] = None,
) -> None:
    """Render report.html from the historian and the audit of a run."""
    from twin.cli.record import LIMITATIONS, recorded_controllers, report_data, run_of
    from twin.feedback.report import render, report_csv

    record = run_of(run, out)
    data = report_data(record, recorded_controllers(record))
    for doubt in data.limitations:
        if doubt not in LIMITATIONS:
            typer.echo(f"note: {doubt}", err=True)
    if csv:
        typer.echo(report_csv(data.kpis), nl=False)
        return
    page = render(data)
    if to is None:
        path = record.folder.write_text("report.html", page)
    else:
        path = to
        path.write_text(page, encoding="utf-8")
    typer.echo(f"report: {path}", err=True)
