"""Who stands where: a row for each controller by rank, then one for each training seed, none picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from twin.feedback.evaluation import (
    BOUND,
    FIXED,
    HEADLINE,
    OBJECTIVE,
    Cell,
    deadlines_missed,
    family,
    times_ms,
)
from twin.feedback.leaderboard.paired import improvement, versus
from twin.feedback.leaderboard.played import Episode, Played
from twin.feedback.leaderboard.score import score_of, scored_cells, scores_of
from twin.feedback.study.holm import CLAIMS

MPC = "mpc"
LEAST_TRAININGS = 5
"""Training seeds below which a row is not to be read without a word; assumption."""
SHOWN = ("energy_settled_kwh_per_good_part", "throughput_parts_per_h", "scrap_share")
"""Figures that stand in a row as they are."""


def standings(episodes: Sequence[Episode]) -> dict[str, Any]:
    """The board of an evaluation's lines as plain data.

    Rows are ordered by score, where there is none by the cost of a shift. What ``timing`` of a row holds
    depends on the machine, nothing else does. Raises ``ValueError`` where contenders have not met the same
    shifts.
    """
    shifts: dict[str, dict[tuple[Cell, int], Episode]] = {}
    for one in episodes:
        cell = (one["scenario"], one["utilisation"], one["variant"])
        shifts.setdefault(one["controller"], {})[cell, one["seed"]] = one
    played = Played(shifts)
    whole = len(played.cells) * len(played.seeds)
    short = [name for name, of in shifts.items() if len(of) != whole]
    if short:
        msg = f"{', '.join(short)} did not drive all shifts: the others drove {whole}"
        raise ValueError(msg)
    for name in shifts.keys() - {BOUND}:
        if np.isnan(played.values([name], OBJECTIVE)).any():
            raise ValueError(f"{name} has shifts of which the cost is not known")
    controllers = played.controllers
    rows = sorted((_row(played, name, of) for name, of in controllers.items()), key=_rank)
    rows += [
        _row(played, name, (name,))
        for of in controllers.values()
        for name in of
        if name not in controllers
    ]
    return {
        "cells": [
            {"scenario": scenario, "utilisation": utilisation, "variant": variant}
            for scenario, utilisation, variant in played.cells
        ],
        "contenders": list(shifts),
        "cells_scored": len(scored_cells(played)),
        "seeds": list(played.seeds),
        "claims": list(CLAIMS),
        "doubts": [doubt for row in rows if (doubt := _few_trainings(row))],
        "rows": [{"row": n, **row} for n, row in enumerate(rows, 1)],
    }


def _rank(row: Mapping[str, Any]) -> tuple[bool, float, str]:
    score = row["score"]
    by = row["objective_eur"] if score is None else -score["iqm"]["value"]
    return score is None, by, row["controller"]


def _few_trainings(row: Mapping[str, Any]) -> str:
    """Why the row of a trained controller says less of the method than its intervals seem to; empty where it does not."""
    name, trainings = row["controller"], len(row["policies"])
    if name != family(name) or not 0 < trainings < LEAST_TRAININGS:
        return ""
    if trainings == 1:
        return (
            f"{name} has one training seed: its row is of this policy, not of the method, for its intervals are of "
            "the shifts alone"
        )
    return (
        f"{name} has {trainings} training seeds: so few say little of how much trainings differ, and its intervals "
        f"rest on that; {LEAST_TRAININGS} at least"
    )


def _row(played: Played, name: str, names: tuple[str, ...]) -> dict[str, Any]:
    """One controller, or one training seed of it, against all others but its own family."""
    own = family(name)
    rivals = {other: of for other, of in played.controllers.items() if other != own}
    held = played.episodes(names)
    made = sum(one["decisions"]["made"] for one in held)
    clipped = sum(one["decisions"]["clipped"] for one in held)
    found = {other: versus(played, (name, other), names, of) for other, of in rivals.items()}
    against = {other: figures for other, (figures, _) in found.items()}
    return {
        "controller": name,
        "contenders": list(names),
        "policies": _policies(played, names),
        "shifts": len(held),
        "score": score_of(played, names),
        "objective_eur": _mean(played, names, OBJECTIVE),
        "means": {figure: _mean(played, names, figure) for figure in SHOWN},
        "versus": against,
        "improvement": {other: improvement(played, names, of) for other, of in rivals.items()},
        "violations_per_100_h": _violations(held),
        "interventions_share": clipped / made if made else None,
        "stood_in_share": _stood_in_share(held),
        "verdict": against.get(FIXED, {}).get(HEADLINE, {}).get("verdict"),
        "non_inferior_to_mpc": asdict(found[MPC][1]) if MPC in found else None,
        "timing": {
            "decision_ms": times_ms("decision", held),
            "controller_ms": times_ms("controller", held),
            "deadlines_missed": deadlines_missed(held),
        },
    }


def _policies(played: Played, names: Sequence[str]) -> list[dict[str, Any]]:
    """The policy of each training seed with its score; empty for who was not trained."""
    scores: Sequence[float | None] = scores_of(played, names) or [None] * len(names)
    told = [next(iter(played.shifts[name].values())).get("policy") for name in names]
    return [
        {"contender": name, **policy, "score": score}
        for name, policy, score in zip(names, told, scores, strict=True)
        if policy is not None
    ]


def _mean(played: Played, names: Sequence[str], figure: str) -> float | None:
    values = played.values(names, figure)
    return None if np.isnan(values).any() else float(values.mean())


def _stood_in_share(held: Sequence[Episode]) -> float | None:
    """Of the decisions that a policy was to make, those that it left to its fallback.

    None for who was not trained, and where a line does not say.
    """
    made = sum(one["decisions"]["made"] for one in held)
    if not made or any(one.get("stood_in") is None for one in held):
        return None
    return float(sum(one["stood_in"] for one in held) / made)


def _violations(held: Sequence[Episode]) -> dict[str, float] | None:
    """How often and how long quantities left their bands in 100 hours; None where a line does not say."""
    told = [one.get("violations") for one in held]
    if None in told:
        return None
    hours = sum(one["shift_h"] for one in held) / 100.0
    return {
        "times": sum(one["times"] for one in told if one) / hours,
        "seconds": sum(one["seconds"] for one in told if one) / hours,
    }
