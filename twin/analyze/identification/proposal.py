"""The plant file that the findings speak for: which number goes where, and within which range."""

from __future__ import annotations

from collections.abc import Sequence

from twin.analyze.identification.finding import Finding, Verdict
from twin.config import Plant, Value
from twin.config.errors import KeyPath
from twin.config.revise import Change
from twin.line.model import Line

BARE = ("repair_cv", "cv", "noise_sd", "dropout")
"""Keys that hold a number without a pedigree."""
LEAST_S = 1.0
"""Stops shorter than this belong to the cycle time."""
DIGITS = 6


def proposal(line: Line, findings: Sequence[Finding], source: str) -> dict[KeyPath, Change]:
    """What was learned as changes of the plant, by their paths in ``plant.stations``.

    An effect that the plant file does not name stays out unless it differs from nothing. Machines
    that share one entry of the file are left as they are: see ``shared``.
    """
    plant, changes = line.plant, dict[KeyPath, Change]()
    names = [station.name for station in plant.stations]
    for one in findings:
        if one.verdict is not Verdict.LEARNED:
            continue
        n = names.index(one.path[0])
        station = plant.stations[n]
        if one.path[1] == "cycle_scatter" and station.cycle_scatter is None:
            continue
        is_new = one.path[1] == "parameters" and one.path[2] not in station.parameters
        if is_new and one.found.lo <= one.nominal <= one.found.hi:
            continue
        lo, hi = _limits(line, n, one)
        ends = [_rounded(min(max(end, lo), hi)) for end in (one.found.lo, one.found.hi)]
        value = min(max(_rounded(one.found.estimate), ends[0]), ends[1])
        if one.path[-1] in BARE:
            changes["stations", n, *one.path[1:]] = value
            continue
        changes["stations", n, *one.path[1:]] = Value.model_validate(
            {"value": value, "range": (ends[0], ends[1]), "class": "D", "source": source}
        )
    return changes


def in_file(
    plant: Plant, changes: dict[KeyPath, Change]
) -> tuple[dict[KeyPath, Change], tuple[str, ...]]:
    """The same by their paths in the file; and the stations that cannot be told apart there."""
    rows = [plant.row(n) for n in range(len(plant.stations))]
    shared = {n for n, row in enumerate(rows) if rows.count(row) > 1}
    found: dict[KeyPath, Change] = {}
    for path, change in changes.items():
        n = int(path[1])
        if n not in shared:
            found["stations", rows[n], *path[2:]] = change
    return found, tuple(plant.stations[n].name for n in sorted(shared))


def _limits(line: Line, n: int, one: Finding) -> tuple[float, float]:
    """Within what a plant file takes this number."""
    if one.path[1] == "parameters":
        model = line.stations[n].process
        q = next(q for q in model.parameters if q.name == one.path[2])
        return q.lo, q.hi
    if one.path[1] == "failures" and one.path[-1].endswith("_s"):
        return LEAST_S, float("inf")
    return 0.0, float("inf")


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
