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
    ROUNDING,
    Comparison,
    NonInferiority,
    guarded,
    judged,
    non_inferiority,
    student_t,
)
from twin.feedback.definitions import COMPARED
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
    [HEADLINE, *CLAIMS, *(n for margin in MARGINS for n in (margin.name, margin.without_luck))]
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
    """
    found: dict[str, Comparison] = {}
    freedoms: dict[str, int] = {}
    drawn_again: dict[str, Estimate] = {}
    for definition in COMPARED:
        name = definition.name
        if name not in JUDGED:
            continue
        ours, theirs = played.values(names, name), played.values(rivals, name)
        known = np.isfinite(ours).all(axis=(0, 1)) & np.isfinite(theirs).all(axis=(0, 1))
        if known.sum() < 2:
            continue
        ours, theirs = ours[..., known], theirs[..., known]
        apart = _apart(ours, theirs).mean(axis=2)
        mean = crossed(apart)
        found[name] = judged(
            pair,
            definition,
            (int(known.sum()), known.size),
            (float(ours.mean()), float(theirs.mean())),
            mean.mean,
            mean.error * student_t(mean.freedom),
        )
        freedoms[name], drawn_again[name] = mean.freedom, mean_of(apart, AXES)
    no_worse = non_inferiority(found)
    found = {name: guarded(one, found) for name, one in found.items()}
    surer = corrected(found, freedoms)
    told = {name: _told(one, surer.get(name), drawn_again[name]) for name, one in found.items()}
    return told, no_worse


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
