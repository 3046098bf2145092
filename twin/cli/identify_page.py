"""What ``twin identify --page`` shows, gathered from the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cli.results import versions
from twin.feedback.report.identify_page import (
    BeforeAfter,
    IdentifyData,
    LearnedRow,
    Residuals,
    render_identification,
)
from twin.feedback.report.labels import number, unit_text
from twin.line.tags import line_signals

if TYPE_CHECKING:
    from twin.analyze.identification import Identification
    from twin.analyze.identification.course import Checked
    from twin.line.model import Line


def written_page(
    line: Line, found: Identification, checked: tuple[Checked, ...], source: str
) -> str:
    """The page as HTML."""
    rows = [
        LearnedRow(
            one.name, one.unit, one.nominal, one.found.estimate, one.found.lo, one.found.hi,
            one.known, one.found.observations, str(one.verdict), one.note,
        )
        for one in found.findings
    ]  # fmt: skip
    tests = [
        (
            one.parameter,
            one.setpoint,
            f"{number(one.start)} {unit_text(one.unit)}",
            "–" if one.to is None else f"{number(one.to)} {unit_text(one.unit)}",
            number(one.hold_s / 60.0),
            one.why,
        )
        for one in found.step_tests
    ]
    facts = {"plant": line.plant.name, "from": source, "hours": number(found.hours)}
    data = IdentifyData(
        line.plant.title,
        facts,
        rows,
        _residuals(line, found),
        [BeforeAfter(c.name, c.unit, c.recorded, c.before, c.after) for c in checked],
        tests,
        found.notes,
        versions(),
    )
    return render_identification(data)


def _residuals(line: Line, found: Identification) -> list[Residuals]:
    residuals = []
    signals = {signal.name: signal for signal in line_signals(line)}
    for fit in found.stations:
        process = line.elements[line.element(fit.name)].process
        units = {q.name: q.unit for q in process.outputs}
        units |= {
            key.partition(".")[2]: q.unit
            for key, q in signals.items()
            if key.startswith(f"{fit.name}.")
        }
        powers = fit.powers
        if powers.residual_kw.size:
            hours = powers.residual_time_s / 3600.0
            name = f"{fit.name}: power at rest"
            residuals.append(Residuals(name, "kW", hours, powers.residual_kw))
        if fit.process is None:
            continue
        for name, values in fit.process.residuals.items():
            hours = fit.process.shown_hours[name]
            residuals.append(Residuals(f"{fit.name}: {name}", units[name], hours, values))
    return residuals
