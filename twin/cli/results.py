"""The results of a run: ``kpi.json`` with nothing in it but results, and the table on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from twin.cli.options import console
from twin.feedback import Kpis, compare, kpi_record
from twin.feedback.compare import Comparison, pair_up
from twin.feedback.report.labels import number, unit_text
from twin.store.run_folder import package_versions

if TYPE_CHECKING:
    from rich.table import Table

    from twin.config import Plant
    from twin.timings import DecisionTimes, Timings

SCHEMA = 1
PACKAGES = ("takttwin", "casadi", "highspy", "numba", "numpy", "simpy")
"""Those whose version may move a figure."""
NEARLY = 0.01
"""Of a shift: a paced run begins and ends some seconds beside it."""
SHOWN = (
    "good_parts",
    "scrap_share",
    "throughput_parts_per_h",
    "energy_kwh",
    "energy_kwh_per_good_part",
    "energy_settled_kwh_per_good_part",
    "gas_kwh_per_good_part",
    "gas_settled_kwh_per_good_part",
    "peak_kw",
    "idle_energy_share",
    "standby_energy_share",
    "tool_cost_eur_per_good_part",
    "material_kg_per_good_part",
    "energy_cost_eur_per_good_part",
    "energy_cost_settled_eur_per_good_part",
    "cost_eur_per_good_part",
    "backlog_end",
    "wip_end",
)


def shown(names: Iterable[str]) -> list[str]:
    """What a table shows of these figures, in order: the usual ones, and all of utilities."""
    held = list(names)
    return [*SHOWN, *(name for name in held if name.startswith("utility."))]


def versions() -> dict[str, str]:
    """Installed versions of what computes."""
    return package_versions(PACKAGES)


def kpi_file(
    facts: Mapping[str, object], shift_h: float, kpis: Mapping[str, Kpis]
) -> dict[str, Any]:
    """The contents of ``kpi.json``: the same inputs give the same bytes, so no time and no place.

    The first controller is compared with each other one that ran over the same plant time.
    """
    first, *_ = kpis
    compared = [asdict(row) for row in compared_rows(kpis)]
    return {
        "schema": SCHEMA,
        **facts,
        "shift_h": shift_h,
        "versions": versions(),
        "controller": first,
        "controllers": {name: kpi_record(found) for name, found in kpis.items()},
        "comparisons": compared,
    }


def compared_rows(kpis: Mapping[str, Kpis]) -> list[Comparison]:
    """Every figure of the first controller against each other one that can be compared with it."""
    first, *others = kpis
    return [
        row
        for other in others
        if pair_up([kpis[first]], [kpis[other]])
        for row in compare({first: kpis[first], other: kpis[other]}, other)
    ]


def uncompared(kpis: Mapping[str, Kpis]) -> list[str]:
    """In sentences: with whom the first controller cannot be compared."""
    first, *others = kpis
    return [
        f"{first} and {other} did not run over the same plant time: they are not compared."
        for other in others
        if not pair_up([kpis[first]], [kpis[other]])
    ]


def timing_file(timings: Mapping[str, Timings]) -> dict[str, Any]:
    """How long it took, apart from the results. Seconds."""
    return {
        name: {
            "cpu_s": taken.cpu_s,
            "wall_s": taken.wall_s,
            "decisions": taken.decisions.count,
            **spread_of("decision", taken.decisions),
        }
        for name, taken in timings.items()
    }


def spread_of(what: str, taken: DecisionTimes) -> dict[str, float | None]:
    """Median, 99 % point and longest of some times, None of none; seconds."""
    return {
        f"{what}_median_s": taken.within(0.5),
        f"{what}_p99_s": taken.within(0.99),
        f"{what}_longest_s": taken.longest_s,
    }


def orders_note(plant: Plant, hours: float) -> str:
    """What a part of a shift is measured against, in a sentence; empty for whole shifts.

    Orders that come evenly are those of the time that has passed.
    """
    shifts = hours / plant.shift_h
    is_whole = round(shifts) > 0 and abs(shifts - round(shifts)) < NEARLY
    if plant.demand.arrive == "evenly" or is_whole:
        return ""
    return (
        f"Backlog and cost per part count all orders of each {plant.shift_h:g} h shift from its "
        f"start, and this ended after {hours:.3g} h."
    )


def show_kpis(kpis: Mapping[str, Kpis], note: str) -> None:
    """The table: the first controller's figures, and its difference from each other one."""
    screen = console()
    screen.print(kpi_table(kpis))
    if note:
        screen.print(f"note: {note}", markup=False)
    doubts = [f"{name}: {doubt}" for name, found in kpis.items() for doubt in found.in_short]
    for doubt in (*uncompared(kpis), *doubts):
        screen.print(f"note: {doubt}", markup=False)


def kpi_table(kpis: Mapping[str, Kpis]) -> Table:
    """One row a figure; differences are of one shift and no proof of anything."""
    from rich import box
    from rich.table import Table

    first, *others = kpis
    differences = {(row.baseline, row.name): row for row in compared_rows(kpis)}
    caption = "one shift, same luck: differences without an interval" if differences else None
    table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    table.add_column("figure")
    table.add_column("unit")
    table.add_column(first, justify="right", style="bold")
    for other in others:
        table.add_column(other, justify="right")
        table.add_column("difference", justify="right")
    units = {kpi.name: kpi.unit for found in kpis.values() for kpi in found.values}
    for name in shown(units):
        if name.startswith("gas_") and not any(f[name] for f in kpis.values() if name in f):
            continue
        row = [name.replace("_", " "), unit_text(units.get(name, "")), _cell(kpis[first], name)]
        for other in others:
            found = differences.get((other, name))
            percent = None if found is None else found.percent
            row.append(_cell(kpis[other], name))
            row.append("–" if percent is None else f"{number(percent, sign=True)} %")
        table.add_row(*row)
    return table


def _cell(kpis: Kpis, name: str) -> str:
    return number(kpis[name]) if name in kpis else "–"
