"""The report of an evaluation: the same tables as text and as a page, with the intervals drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twin.feedback.compare import COST, ENERGY_COST, GAS
from twin.feedback.compared import COST_OF_ALL, SCRAP, TOOLS
from twin.feedback.evaluation import HEADLINE
from twin.feedback.report.canvas import INK, OWN, QUIET, drawing, figure, svg
from twin.feedback.report.labels import number
from twin.feedback.report.margins import HELD, HELD_BY_THE_TRUTH
from twin.feedback.report.tables import Cell
from twin.feedback.report.templates import template

BASELINES = ("fixed", "always_on", "full_pace")
"""Those against which everybody is shown, as far as they drove."""
GAS_COLUMNS = ("kWh gas a good part", "gas against fixed", "EUR of energy against fixed")
ALL = "EUR of energy, scrap and tools against fixed"
IN_SHORT = (
    *("controller", "kWh a good part", "against fixed", *GAS_COLUMNS, ALL, "good parts", "scrap"),
    *("EUR a good part", "of the ceiling", "against always_on"),
)
"""Columns for which a screen has room, in the order in which they matter there; the reports have all."""
Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], str]]


def columns_of(report: Mapping[str, Any], *, in_short: bool = False) -> Columns:
    """What each column shows of a row, by its title; those of gas only where any was burnt."""
    is_known = any(COST_OF_ALL in row["kpi"] for row in report["rows"])
    burnt = any(row["kpi"].get(GAS, {}).get("mean", 0.0) > 0.0 for row in report["rows"])
    gas: Columns = {
        GAS_COLUMNS[0]: partial(_mean, name=GAS),
        GAS_COLUMNS[1]: partial(_other, of=GAS),
        GAS_COLUMNS[2]: partial(_other, of=ENERGY_COST),
    }
    expected: Columns = {
        title: partial(_mean, name=name)
        for title, name in (("expected scrap", SCRAP), ("expected EUR of tools", TOOLS))
        if any(row["kpi"].get(name, {}).get("mean") for row in report["rows"])
    }
    columns: Columns = {
        "controller": lambda row: str(row["controller"]),
        "kWh a good part": partial(_mean, name=HEADLINE),
        "against fixed": partial(_against, rival="fixed"),
        "against always_on": partial(_against, rival="always_on"),
        **(gas if burnt else {}),
        **({ALL: partial(_other, of=COST_OF_ALL)} if is_known else {}),
        "good parts": partial(_mean, name="good_parts"),
        "scrap": partial(_mean, name="scrap_share"),
        **expected,
        "idle": partial(_mean, name="idle_energy_share"),
        "standby": partial(_mean, name="standby_energy_share"),
        "EUR a good part": partial(_mean, name=COST),
        "EUR against fixed": partial(_other, of=COST),
        "EUR a shift": partial(_mean, name="objective_eur"),
        "peak kW": partial(_mean, name="peak_kw"),
        "of the ceiling": _ceiling,
        "clipped": partial(_count, name="decisions_clipped"),
        "fell back": partial(_count, name="fallbacks"),
        "not closed": partial(_count, name="not_closed"),
        "controller ms: p50 / p99 / longest": partial(_times, name="controller_ms"),
        "turn ms": partial(_times, name="decision_ms"),
        "late": partial(_count, name="deadlines_missed"),
    }
    return {
        title: columns[title] for title in (IN_SHORT if in_short else columns) if title in columns
    }


def table_rows(
    report: Mapping[str, Any], *, in_short: bool = False
) -> list[tuple[str, list[list[str]]]]:
    """A table for each cell: its title, and a row of texts, one a column, for each controller."""
    tables, columns = [], columns_of(report, in_short=in_short)
    for cell, rows in _cells(report["rows"]).items():
        scenario, utilisation, variant = cell
        title = f"{scenario}, utilisation {utilisation:g}, variant {variant}: {rows[0]['shifts']} shifts"
        tables.append((title, [[of(row) for of in columns.values()] for row in rows]))
    return tables


def _cells(rows: Sequence[Row]) -> dict[tuple[str, float, str], list[Row]]:
    found: dict[tuple[str, float, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["scenario"], row["utilisation"], row["variant"]), []).append(row)
    return found


def _ceiling(row: Row) -> str:
    share = row["ceiling_share"]
    return "–" if share is None else f"{number(100.0 * share)} %"


def _times(row: Row, name: str) -> str:
    ms = row.get(name)  # a report of before has no times of the controller alone
    if ms is None or ms["median"] is None:
        return "–"
    return " / ".join(number(ms[name]) for name in ("median", "p99", "longest"))


def _count(row: Row, name: str) -> str:
    return "–" if row[name] is None else str(row[name])


def _mean(row: Row, name: str) -> str:
    found = row["kpi"].get(name)
    if found is None:
        return "–"
    half = found["half_width"]
    return number(found["mean"]) + ("" if half is None else f" ± {number(half)}")


def _against(row: Row, rival: str) -> str:
    """A difference in electricity with its interval and verdict: what contains zero is never shown as a saving."""
    return _difference(row["versus"].get(rival))


def _other(row: Row, of: str) -> str:
    return _difference(row["versus"].get("fixed", {}).get("figures", {}).get(of))


def _difference(found: Mapping[str, Any] | None) -> str:
    if not found or found.get("lo_pct") is None:
        return "–"
    lo, hi = (number(found[end], sign=True) for end in ("lo_pct", "hi_pct"))
    return f"{number(found['diff_pct'], sign=True)} % [{lo}, {hi}] {found['verdict']}"


def render_markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [f"# Evaluation of {report['plant']}", ""]
    lines += [f"{name}: {text}  " for name, text in facts_of(report)]
    header = tuple(columns_of(report))
    for title, rows in table_rows(report):
        lines += ["", f"## {title}", "", f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *NOTES, ""]
    lines += [f"- {doubt}" for doubt in report["doubts"]]
    return "\n".join(lines) + "\n"


NOTES = (
    f"""Means over paired shifts with Student's 95 % interval. Differences are in electricity (or gas) per good part, with what
the end owes more than the start, warm-ups of sleeping stations and heat of ovens; in per cent of the rival's mean, with
the verdict: *better* or *worse* where the whole interval lies on one side of zero; *equal*; *inconclusive*. *Better* is
also only where the wider interval that Holm's correction over the claims of all cells leaves lies there too, and where
nothing else has paid for it: these are shown to be no worse than by their margins, the figure itself and what is
added up in it aside: {HELD}, and {HELD_BY_THE_TRUTH} where the truth is known: the settled cost of energy, the material of
expected scrap and expected tools.""",
    """Expected scrap is what the true line's own probabilities add up to, and expected tool cost that of edges which all wear
as the mean of them does, not what luck made of either; by them the margins for scrap and tools are held. Cost has no margin of its own: it is shown with its verdict, since an order missed costs more than
the electricity of a hundred parts.""",
    """The oracle is, shift by shift, the cheapest by the objective of all controllers, of a search over
constant plans with the luck of the shift known, and of the MPC with the true plant and its luck known. *Of the
ceiling* is the share of what the oracle saves against `fixed` by the objective.""",
    """The bound is nobody's shift: a linear relaxation of the true line with all luck known. No course of the
line can cost less a shift, and none need come near it; what else such a course would show is not known. Its share
of the ceiling says how much more than the oracle there might be to save.""",
    """Idle and standby are shares of the electricity. Clipped are decisions that the guard changed, fell back those that
came from a fallback, be it a solver's or the one to which a policy left them (the leaderboard tells the latter apart), not closed those that were not followed, all shifts together.""",
    """Times are the median over shifts of their medians, the highest of their 99 % points, and the longest of
all: of the controller alone, and of the whole turn of the loop, twin and guard included; late are turns longer than
the plant's deadline. They depend on the machine.""",
)


def facts_of(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was evaluated."""
    first, last = report["seeds"]
    return [
        ("plant file", report["plant_hash"]),
        ("seeds", f"{first} to {last}"),
        ("shift", f"{report['shift_h']:g} h"),
    ]


def render_page(report: Mapping[str, Any]) -> str:
    """The report as one HTML page that asks for nothing from outside."""
    from markupsafe import Markup

    cells = []
    for n, ((title, rows), own) in enumerate(
        zip(table_rows(report), _cells(report["rows"]).values(), strict=True)
    ):
        with drawing():
            picture = Markup(_intervals(own, f"evaluation-{n}", title))  # noqa: S704
        cells.append((title, picture, [[Cell(text) for text in row] for row in rows]))
    return template("evaluation.html").render(
        title=f"Evaluation of {report['plant']}",
        facts=facts_of(report),
        header=tuple(columns_of(report)),
        tables=cells,
        notes=NOTES,
        doubts=report["doubts"],
    )


def _intervals(rows: Sequence[Row], name: str, title: str) -> str:
    """Differences in electricity per good part against the first baseline that drove, with intervals."""
    against = next((b for b in BASELINES if any(row["controller"] == b for row in rows)), "")
    shown = [row for row in rows if row["versus"].get(against, {}).get("lo_pct") is not None]
    if not shown:
        return ""
    drawn = figure(0.6 + 0.28 * len(shown))
    axes = drawn.subplots()
    for n, row in enumerate(shown):
        found = row["versus"][against]
        colour = OWN if found["verdict"] in ("better", "worse") else QUIET
        below, above = (abs(found[end] - found["diff_pct"]) for end in ("lo_pct", "hi_pct"))
        axes.errorbar(
            [found["diff_pct"]], [n], xerr=[[below], [above]], color=colour, marker="o", capsize=3.0
        )
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [row["controller"] for row in shown])
    axes.invert_yaxis()
    axes.set_xlabel(
        f"electricity per good part, warm-ups owed included, against {against}, %", color=INK
    )
    return svg(drawn, name, title)
