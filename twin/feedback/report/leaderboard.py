"""The leaderboard as Markdown: all that it says comes from the lines of the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twin.feedback.evaluation import FIXED, HEADLINE
from twin.feedback.leaderboard.board import MPC
from twin.feedback.report.labels import number
from twin.feedback.report.margins import HELD, HELD_BY_THE_TRUTH, STANDS_IN

HEADER = (
    "row",
    "controller",
    "policy",
    "score, IQM",
    "kWh a good part against fixed",
    "against mpc",
    "good parts an hour",
    "scrap %",
    "violations in 100 h",
    "interventions %",
    "stood in %",
    "controller ms: p50 / p99 / longest",
    "turn ms",
    "late",
    "training CPU h",
    "training seeds × shifts",
    "verdict",
    "instead of mpc",
)
DEEPER = (
    "row",
    "controller",
    "optimality gap",
    "worst tenth of shifts",
    "profile: share of shifts at",
)
AGAINST = ("row", "controller", "figure", "difference", "bootstrap", "Holm", "p", "verdict")  # fmt: skip
Row = Mapping[str, Any]

NOTES = (
    """Score: the share of the ceiling that was reached by the objective, 0 as tuned `fixed`, 1 as the oracle,
over all shifts of a cell; the interquartile mean (IQM) over training seeds and cells, with the 95 % interval of
10,000 draws of training seeds and shifts. Optimality gap: how far scores stay below 1 on average. Worst tenth:
the mean score of the tenth of all shifts with the lowest (CVaR-10 %). Profile: the share of shifts that score at
least so much.""",
    f"""Differences are paired, shift by shift, all cells weigh the same; per cent of the rival's mean with
Student's 95 % interval over training seeds and shifts, beside it the BCa bootstrap's. A figure is *better* only
if the interval of Holm's correction over the figures of this table excludes zero, and of those of which less is
better only if these are shown to be no worse than by their margins, itself and what is added up in it aside, and in no cell
to be worse: {HELD}, and {HELD_BY_THE_TRUTH} where the truth is known; *equal* is within 1 %. The verdict of a row is that on electricity per good part
against `fixed`. Instead of `mpc`: *non-inferior* if these are shown to be no worse than by their margins: {STANDS_IN};
*inferior* if one is shown to be worse than that, in all or in one cell.""",
    """Violations: how often a measured quantity left its band. Interventions: the share of decisions that the
guard clipped. Stood in: the share of decisions that a policy left to its fallback, which then made them: a policy
over the MPC that leaves most of them is the MPC, and its row says little of what it has learned. Times are of the controller alone, and of the whole turn of the loop around it; late are turns longer
than the plant's deadline. They depend on the machine, and they alone are not compared in a replay. Training CPU
hours are in the bundles.""",
)


def render_leaderboard(board: Mapping[str, Any], plant: str, plant_hash: str) -> str:
    """The board as one page of Markdown."""
    rows: Sequence[Row] = board["rows"]
    ranked = [row for row in rows if ":" not in row["controller"]]
    seeds = [row for row in rows if ":" in row["controller"]]
    first, *_, last = board["seeds"]
    cells = [
        f"{cell['scenario']} at {cell['utilisation']:g} ({cell['variant']})"
        for cell in board["cells"]
    ]
    scored = f"{board['cells_scored']} of {len(cells)} cells have a ceiling, and a score"
    lines = [
        f"# Leaderboard of {plant}",
        "",
        f"plant file: {plant_hash}  ",
        f"cells: {', '.join(cells)}  ",
    ]
    lines += [f"shifts a cell: seeds {first} to {last}  ", f"{scored}  ", ""]
    lines += _table(HEADER, [_texts(row) for row in ranked])
    lines += ["", *(f"- {doubt}" for doubt in board["doubts"])] if board["doubts"] else []
    if seeds:
        lines += ["", "## Every training seed", ""]
        lines += ["Each of these rows is of one policy, not of the method.", ""]
        lines += _table(HEADER, [_texts(row) for row in seeds])
    lines += ["", "## Beyond the middle", ""]
    rivals = [row["controller"] for row in ranked]
    improved = [f"P(cheaper than {rival})" for rival in rivals]
    lines += _table((*DEEPER, *improved), [_deeper(row, rivals) for row in rows])
    lines += ["", f"## Against {FIXED}, figure by figure", ""]
    lines += _table(AGAINST, [cells for row in rows for cells in _figures(row)])
    lines += ["", *NOTES, ""]
    return "\n".join(lines)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        "|" + "---|" * len(header),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _texts(row: Row) -> list[str]:
    policies, contenders = row["policies"], row["contenders"]
    shifts = row["shifts"] // len(contenders)
    hours = [policy.get("training_cpu_h") for policy in policies]
    scrap, clipped = row["means"]["scrap_share"], row["interventions_share"]
    stood_in = row["stood_in_share"]
    violations, timing = row["violations_per_100_h"], row["timing"]
    return [
        str(row["row"]),
        row["controller"],
        ", ".join(policy["sha256"][:12] for policy in policies) or "–",
        "–" if row["score"] is None else _interval(row["score"]["iqm"]),
        _difference(row, FIXED),
        _difference(row, MPC),
        number(row["means"]["throughput_parts_per_h"]),
        "–" if scrap is None else number(100.0 * scrap),
        "–" if violations is None else number(violations["times"]),
        "–" if clipped is None else number(100.0 * clipped),
        "–" if stood_in is None else number(100.0 * stood_in),
        _times(timing["controller_ms"]),
        _times(timing["decision_ms"]),
        "–" if timing["deadlines_missed"] is None else str(timing["deadlines_missed"]),
        "–" if not hours or None in hours else number(sum(hours)),
        f"{len(policies) or '–'} × {shifts}" + ("" if len(policies) != 1 else ", this policy"),
        row["verdict"] or "–",
        _instead(row["non_inferior_to_mpc"]),
    ]


def _times(ms: Mapping[str, float | None]) -> str:
    return " / ".join(number(ms[name]) for name in ("median", "p99", "longest"))


def _instead(found: Mapping[str, str] | None) -> str:
    if found is None:
        return "–"
    return found["verdict"] + (f": {found['reason']}" if found["reason"] else "")


def _interval(found: Mapping[str, float], scale: float = 1.0) -> str:
    value, low, high = (number(scale * found[name]) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _difference(row: Row, rival: str) -> str:
    found = row["versus"].get(rival, {}).get(HEADLINE)
    return "–" if found is None else _percent(found, "")


def _percent(found: Mapping[str, Any], which: str) -> str:
    low, high = found[f"{which}lo_pct"], found[f"{which}hi_pct"]
    if low is None or high is None:
        return "–"
    ends = f"[{number(low, sign=True)}, {number(high, sign=True)}]"
    return ends if which else f"{number(found['diff_pct'], sign=True)} % {ends}"


def _deeper(row: Row, rivals: Sequence[str]) -> list[str]:
    score, won = row["score"], row["improvement"]
    told = ["–"] * 3
    if score is not None:
        steps = "; ".join(
            f"{number(float(level))}: {number(share)}" for level, share in score["profile"].items()
        )
        told = [_interval(score["optimality_gap"]), _interval(score["tail"]), steps]
    probable = [_interval(won[rival]) if rival in won else "–" for rival in rivals]
    return [str(row["row"]), row["controller"], *told, *probable]


def _figures(row: Row) -> list[list[str]]:
    return [
        [
            str(row["row"]),
            row["controller"],
            name.replace("_", " "),
            _percent(found, ""),
            _percent(found, "bca_"),
            _percent(found, "holm_"),
            number(found["p"]),
            found["verdict"] + (f": {found['reason']}" if found["reason"] else ""),
        ]
        for name, found in row["versus"].get(FIXED, {}).items()
        if found["lo_pct"] is not None
    ]
