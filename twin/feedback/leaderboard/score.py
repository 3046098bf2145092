"""The score: 0 as tuned ``fixed``, 1 as the oracle. What is typical of it, and what its bad shifts are like.

The score of a training seed in a cell is the share of the ceiling that it reached there, over all shifts; that of
one shift is what it saved in it, as a share of what the oracle saves in a shift of that cell on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from twin.feedback.leaderboard.played import Played
from twin.feedback.study.resampling import (
    OURS,
    SHIFTS,
    Floats,
    drawn,
    interquartile_mean,
    optimality_gap,
    percentiles,
    profile,
    shares,
    tail_mean,
)

LEVELS = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0)
"""Scores at which the performance profile is given."""
AT_ONCE = 200
"""Replicates that are held in memory together."""


def scored_cells(played: Played) -> list[int]:
    """The cells in which there was anything to save."""
    if played.ceiling is None:
        return []
    found: list[int] = np.flatnonzero(played.ceiling.mean(axis=1) > 0.0).tolist()
    return found


def scores_of(played: Played, names: Sequence[str]) -> list[float] | None:
    """The mean score of each training seed over the cells; None where there is no ceiling."""
    cells = scored_cells(played)
    if played.ceiling is None or not cells:
        return None
    scores = played.saved(names)[:, cells].mean(axis=2) / played.ceiling[cells].mean(axis=1)
    found: list[float] = scores.mean(axis=1).tolist()
    return found


def score_of(played: Played, names: Sequence[str]) -> dict[str, Any] | None:
    """Interquartile mean and optimality gap over training seeds and cells, tail and profile over shifts.

    None where there is no ceiling.
    """
    cells = scored_cells(played)
    if played.ceiling is None or not cells:
        return None
    saved, ceiling = played.saved(names)[:, cells], played.ceiling[cells]
    scores = (saved.mean(axis=2) / ceiling.mean(axis=1)).ravel()
    by_shift = (saved / ceiling.mean(axis=1)[:, None]).ravel()
    iqm, gap, tail = _replicates(saved, ceiling)
    return {
        "iqm": percentiles(float(interquartile_mean(scores)), iqm).record(),
        "optimality_gap": percentiles(float(optimality_gap(scores)), gap).record(),
        "tail": percentiles(float(tail_mean(by_shift)), tail).record(),
        "profile": dict(zip(map(str, LEVELS), profile(by_shift, LEVELS), strict=True)),
    }


def _replicates(saved: Floats, ceiling: Floats) -> tuple[Floats, Floats, Floats]:
    """The three measures, each time that training seeds and shifts are drawn again.

    The ceiling is drawn with its shifts. Where all that were drawn had none, that of all shifts stands.
    """
    policies, shifts = drawn(saved.shape[0], OURS), drawn(saved.shape[2], SHIFTS)
    counted = shares(saved.shape[2], SHIFTS)
    found = []
    for first in range(0, len(shifts), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        share, policy, shift = counted[rows], policies[rows, :, None], shifts[rows, None, :]
        of = np.einsum("cs,bs->bc", ceiling, share)
        of = np.where(of > 0.0, of, ceiling.mean(axis=1))
        means = np.einsum("kcs,bs->bkc", saved, share) / of[:, None]
        scores = np.take_along_axis(means, policy, axis=1).reshape(len(share), -1)
        by_shift = (saved[policy, :, shift] / of[:, None, None]).reshape(len(share), -1)
        found.append((interquartile_mean(scores), optimality_gap(scores), tail_mean(by_shift)))
    iqm, gap, tail = (np.concatenate(measure) for measure in zip(*found, strict=True))
    return iqm, gap, tail
