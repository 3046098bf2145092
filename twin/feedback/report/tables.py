"""The tables of a report, as rows of text; and all figures as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise

from twin.feedback.compare import Comparison, compare, pair_up
from twin.feedback.definitions import LINE_KPIS, Definition
from twin.feedback.iso22400 import STATION_KPIS
from twin.feedback.kpi import Kpis
from twin.feedback.report.data import ReportData
from twin.feedback.report.figures import moved
from twin.feedback.report.labels import caption, clock, number, unit_text
from twin.line import schema as s
from twin.signals import Role

GROUPS = (
    ("Output", ("good_parts", "scrap_parts", "ordered_parts", "throughput_parts_per_h")),
    (
        "Energy",
        (
            "energy_kwh",
            "energy_kwh_per_good_part",
            "gas_kwh",
            "energy_settled_kwh_per_good_part",
            "gas_kwh_per_good_part",
            "gas_settled_kwh_per_good_part",
            "co2_kg_per_good_part",
            "peak_kw",
            "idle_energy_share",
            "standby_energy_share",
            "warm_up_energy_share",
        ),
    ),
    (
        "Material, tools and quality",
        (
            "material_kg_per_good_part",
            "scrap_share",
            "tool_changes",
            "tool_cost_eur",
            "tool_cost_eur_per_good_part",
        ),
    ),
    (
        "Cost",
        (
            "cost_eur_per_good_part",
            "running_cost_eur",
            "stock_change_eur",
            "energy_cost_eur_per_good_part",
            "energy_cost_settled_eur_per_good_part",
            "demand_charge_eur",
        ),
    ),
    ("Twin", ("twin_error_parts", "twin_error_kwh")),
    (
        "Line by ISO 22400-2",
        (*(f"line.{name}" for name in STATION_KPIS), "line.bottleneck_position"),
    ),
)
STOCKS = (
    "wip_end",
    "backlog_end",
    "tool_life_used_end",
    "heat_owed_kwh_end",
    "gas_owed_kwh_end",
    "stock_change_eur",
)
HEADLINES = (
    ("energy_settled_kwh_per_good_part", "electricity per good part, warm-ups owed included"),
    ("cost_eur_per_good_part", "cost per good part"),
    ("throughput_parts_per_h", "good parts"),
    ("scrap_share", "scrap share"),
    ("peak_kw", "peak power"),
)
_BY_NAME = {definition.name: definition for definition in LINE_KPIS}


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry: what is shown, what it is sorted by, and how it is to be seen."""

    text: str
    sort: float | str = ""
    style: str = ""
    note: str = ""
    """A second line, smaller."""


def mean(shifts: Sequence[Kpis], name: str) -> float | None:
    """The mean of a figure over the shifts in which it is defined; None if it is in none."""
    values = [kpis[name] for kpis in shifts if name in kpis]
    return math.fsum(values) / len(values) if values else None


def comparisons(run: ReportData) -> dict[tuple[str, str], Comparison]:
    """The run against each baseline over the same plant time: by baseline and figure."""
    found = {}
    for baseline in run.baselines:
        pair = {run.controller: run.kpis[run.controller], baseline: run.kpis[baseline]}
        if pair_up(*pair.values()):
            for compared in compare(pair, baseline):
                found[baseline, compared.name] = compared
    return found


def kpi_groups(
    run: ReportData, compared: Mapping[tuple[str, str], Comparison]
) -> list[tuple[str, list[list[Cell]]]]:
    """The figures of the line: meaning, unit, the run, and for each baseline value and difference."""
    groups = []
    for title, names in GROUPS:
        rows = [
            _kpi_row(run, _BY_NAME[name], compared) for name in names if not _is_empty(run, name)
        ]
        groups.append((title, rows))
    return [(title, rows) for title, rows in groups if rows]


def _is_empty(run: ReportData, name: str) -> bool:
    """Whether a figure says nothing on this line: undefined, or no gas anywhere."""
    if mean(run.kpis[run.controller], name) is None:
        return True
    return name.startswith("gas_") and not any(mean(run.kpis[of], name) for of in run.kpis)


def _kpi_row(
    run: ReportData, definition: Definition, compared: Mapping[tuple[str, str], Comparison]
) -> list[Cell]:
    own = mean(run.kpis[run.controller], definition.name)
    row = [
        Cell(definition.meaning, definition.name),
        Cell(unit_text(definition.unit)),
        Cell(number(own), own if own is not None else "", "own"),
    ]
    for baseline in run.baselines:
        found = compared.get((baseline, definition.name))
        if found is None:
            row += [Cell(number(mean(run.kpis[baseline], definition.name))), Cell("–")]
        else:
            row += [Cell(number(found.baseline_value), found.baseline_value), difference(found)]
    return row


def difference(found: Comparison) -> Cell:
    """A paired difference with its share, its interval and verdict where there are any."""
    text = number(found.difference, sign=True)
    if found.percent is not None and found.difference:
        text += f" ({number(round(found.percent, 2), sign=True)} %)"
    note = ""
    if found.low is not None:
        text += f" {found.verdict}"
        note = f"{number(found.low, sign=True)} … {number(found.high, sign=True)}"
        if found.reason:
            note += f"; {found.reason}"
    style = found.verdict if found.verdict in ("worse", "better") else ""
    sort = found.percent if found.percent is not None else found.difference
    return Cell(text, sort, style, note)


def headlines(
    run: ReportData, compared: Mapping[tuple[str, str], Comparison]
) -> list[tuple[str, str, str, list[str]]]:
    """The few figures at the top: caption, value, unit, differences."""
    found = []
    for name, title in HEADLINES:
        value = mean(run.kpis[run.controller], name)
        notes = []
        for baseline in run.baselines[:3]:
            pair = compared.get((baseline, name))
            if pair is not None and pair.percent is not None:
                verdict = f", {pair.verdict}" if pair.low is not None else ""
                notes.append(
                    f"{number(round(pair.percent, 2), sign=True)} % vs {baseline}{verdict}"
                )
        share = name.endswith("_share")
        shown = value * 100.0 if share and value is not None else value
        unit = "%" if share else unit_text(_BY_NAME[name].unit)
        found.append((title, number(shown), unit, notes))
    return found


def station_rows(run: ReportData) -> list[list[Cell]]:
    """Each station: efficiencies by ISO 22400-2 and shares of its states, percent."""
    shifts = run.kpis[run.controller]
    rows = []
    for station in run.plant.stations:
        row = [Cell(station.name.replace("_", " "), station.name)]
        for name in (*STATION_KPIS, *(f"{state}_share" for state in s.STATES)):
            value = mean(shifts, f"{station.name}.{name}")
            shown = None if value is None else 100.0 * value
            style = "alarm" if name == "down_share" and shown and shown >= 5.0 else ""
            text = "–" if shown is None else f"{shown:.1f}"
            row.append(Cell(text, shown if shown is not None else "", style))
        rows.append(row)
    return rows


def stock_rows(run: ReportData) -> list[list[Cell]]:
    """What each controller left standing at the end of the shift."""
    rows = []
    for name, shifts in run.kpis.items():
        values = [mean(shifts, kpi) for kpi in STOCKS]
        cells = [Cell(number(value), value if value is not None else "") for value in values]
        rows.append([Cell(name, name), *cells])
    return rows


def stock_heads() -> list[str]:
    """The columns of the stock table."""
    named = [(_BY_NAME[name].meaning, unit_text(_BY_NAME[name].unit)) for name in STOCKS]
    return [f"{meaning} ({unit})" if unit else meaning for meaning, unit in named]


def constant_rows(run: ReportData) -> list[list[Cell]]:
    """Setpoints that stayed where they were."""
    drawn = {signal.name for signal in moved(run, Role.MV)}
    rows = []
    for signal in run.signals:
        series = run.series.get(signal.name)
        if signal.role is not Role.MV or signal.name in drawn or series is None:
            continue
        known = [value for value in series[1].tolist() if not math.isnan(value)]
        limits = signal.operator
        span = f"{number(limits.lo)} … {number(limits.hi)}" if limits is not None else "–"
        value = known[0] if known else None
        rows.append([Cell(caption(signal.name, signal.unit)), Cell(number(value)), Cell(span)])
    return rows


def clip_rows(run: ReportData) -> list[list[Cell]]:
    """What the guard changed, by signal and reason."""
    groups: dict[tuple[str, str], list[int]] = {}
    for n, entry in enumerate(run.clips):
        groups.setdefault((entry.clip.signal, entry.clip.reason), []).append(n)
    starts_at_h = run.plant.energy.starts_at_h
    rows = []
    for (signal, reason), found in sorted(groups.items()):
        first, last = run.clips[found[0]], run.clips[found[-1]]
        granted = last.clip.granted
        rows.append(
            [
                Cell(signal, signal),
                Cell(reason, reason),
                Cell(str(len(found)), float(len(found))),
                Cell(clock(first.time_s, starts_at_h), first.time_s),
                Cell(clock(last.time_s, starts_at_h), last.time_s),
                Cell(number(last.clip.asked), last.clip.asked),
                Cell("nothing" if granted is None else number(granted)),
            ]
        )
    return rows


def mode_rows(run: ReportData, until_s: float) -> list[list[Cell]]:
    """The modes in their order, how long each lasted, and why."""
    starts_at_h = run.plant.energy.starts_at_h
    ends = [after.time_s for _, after in pairwise(run.modes)]
    rows = []
    for entry, end_s in zip(run.modes, [*ends, until_s], strict=False):
        style = "alarm" if entry.mode == "SHED" else "warning" if entry.mode == "HOLD" else ""
        lasted = max(end_s - entry.time_s, 0.0)
        rows.append(
            [
                Cell(clock(entry.time_s, starts_at_h), entry.time_s),
                Cell(entry.mode, entry.mode, style),
                Cell(f"{number(lasted / 60.0)} min", lasted),
                Cell("; ".join(entry.reasons)),
            ]
        )
    return rows


def report_csv(kpis_by_controller: Mapping[str, Sequence[Kpis]]) -> str:
    """All figures of all controllers and shifts, floats with all their digits.

    A figure that is not defined has an empty value and its reason in the last column.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("controller", "shift", "name", "value", "unit", "from_s", "until_s", "undefined")
    )
    for controller, shifts in kpis_by_controller.items():
        for n, kpis in enumerate(shifts, start=1):
            for kpi in sorted(kpis.values, key=lambda kpi: kpi.name):
                span = (kpi.from_us / 1e6, kpi.until_us / 1e6)
                writer.writerow((controller, n, kpi.name, repr(kpi.value), kpi.unit, *span, ""))
            for name, reason in sorted(kpis.undefined.items()):
                writer.writerow((controller, n, name, "", "", "", "", reason))
    return text.getvalue()
