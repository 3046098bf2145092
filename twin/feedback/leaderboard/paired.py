"""One controller against another over all cells: paired differences, judged together.

Every cell weighs the same. A difference has two intervals: Student's over the crossed seeds, by which the
verdicts are made, and the BCa bootstrap beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from twin.feedback.compare import (
    MARGINS,
    NO_WORSE,
    ROUNDING,
    Comparison,
    NonInferiority,
    guarded,
    judged,
    non_inferiority,
    student_t,
)
from twin.feedback.compared import COMPARED
from twin.feedback.definitions import Definition
from twin.feedback.evaluation import HEADLINE, OBJECTIVE
from twin.feedback.leaderboard.played import Played
from twin.feedback.study.holm import CLAIMS, Corrected, corrected
from twin.feedback.study.resampling import (
    OURS,
    SHIFTS,
    THEIRS,
    Estimate,
    Floats,
    crossed,
    mean_of,
)

JUDGED = frozenset(
    [
        *(HEADLINE, *CLAIMS),
        *(name for margin in (*MARGINS, *NO_WORSE) for name in (margin.name, margin.without_luck)),
    ]
)
AXES = (OURS, THEIRS, SHIFTS)


def improvement(played: Played, names: Sequence[str], rivals: Sequence[str]) -> dict[str, float]:
    """How probable it is that a shift costs less than under the rival; the same cost counts half."""
    apart = _apart(played.values(names, OBJECTIVE), played.values(rivals, OBJECTIVE))
    won = (apart < 0.0) + 0.5 * (apart == 0.0)
    return mean_of(won.mean(axis=2), AXES).record()


def versus(
    played: Played, pair: tuple[str, str], names: Sequence[str], rivals: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], NonInferiority]:
    """The figures that are judged, of the first of a pair against the second, by their training seeds.

    In per cent of the rival's mean, as in the rows of an evaluation. And whether it is no worse than the rival.
    A mean over cells could hide what was paid in one of them: each cell is asked for itself too.
    """
    found: dict[str, Comparison] = {}
    freedoms: dict[str, int] = {}
    drawn_again: dict[str, Estimate] = {}
    in_cells: list[dict[str, Comparison]] = [{} for _ in played.cells]
    for definition in COMPARED:
        name = definition.name
        if name not in JUDGED:
            continue
        ours, theirs = played.values(names, name), played.values(rivals, name)
        whole = _difference(pair, definition, ours, theirs)
        if whole is None:
            continue
        found[name], freedoms[name], apart = whole
        drawn_again[name] = mean_of(apart, AXES)
        for n, cell in enumerate(in_cells):
            alone = _difference(pair, definition, ours[:, n : n + 1], theirs[:, n : n + 1])
            if alone is not None:
                cell[name] = alone[0]
    no_worse = non_inferiority(found, in_cells)
    found = {name: guarded(one, found, in_cells) for name, one in found.items()}
    surer = corrected(found, freedoms)
    told = {name: _told(one, surer.get(name), drawn_again[name]) for name, one in found.items()}
    return told, no_worse


def _difference(
    pair: tuple[str, str], definition: Definition, ours: Floats, theirs: Floats
) -> tuple[Comparison, int, Floats] | None:
    """One figure's comparison, its degrees of freedom and the differences, of values by training seed, cell and shift.

    None where it is known of fewer than two shifts.
    """
    known = np.isfinite(ours).all(axis=(0, 1)) & np.isfinite(theirs).all(axis=(0, 1))
    if known.sum() < 2:
        return None
    ours, theirs = ours[..., known], theirs[..., known]
    apart = _apart(ours, theirs).mean(axis=2)
    mean = crossed(apart)
    compared = judged(
        pair,
        definition,
        (int(known.sum()), known.size),
        (float(ours.mean()), float(theirs.mean())),
        mean.mean,
        mean.error * student_t(mean.freedom),
    )
    return compared, mean.freedom, apart


def _apart(ours: Floats, theirs: Floats) -> Floats:
    """Differences by training seed, the rival's training seed, cell and shift.

    What differs in its last digits only is the same, as ``twin.feedback.compare.difference_of`` has it.
    """
    mine, other = ours[:, None], theirs[None]
    apart = mine - other
    same = np.abs(apart) <= ROUNDING * np.maximum(np.abs(mine), np.abs(other))
    found: Floats = np.where(same, 0.0, apart)
    return found


def _told(one: Comparison, surer: Corrected | None, again: Estimate) -> dict[str, Any]:
    verdict = one if surer is None else surer.compared
    whole = 100.0 / one.baseline_value if one.baseline_value > 0.0 else None

    def percent(value: float | None) -> float | None:
        return None if whole is None or value is None else value * whole

    return {
        "diff_pct": one.percent,
        "lo_pct": percent(one.low),
        "hi_pct": percent(one.high),
        "bca_lo_pct": percent(again.low),
        "bca_hi_pct": percent(again.high),
        "holm_lo_pct": percent(None if surer is None else surer.low),
        "holm_hi_pct": percent(None if surer is None else surer.high),
        "p": None if surer is None else surer.p,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
    }
