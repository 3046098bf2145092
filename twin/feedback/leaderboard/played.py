"""The shifts of an evaluation as tables: by training seed, cell and the plant's seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from twin.feedback.evaluation import (
    BOUND,
    COSTS,
    FIXED,
    HINDSIGHT,
    KNOWING,
    OBJECTIVE,
    Cell,
    family,
)
from twin.feedback.study.resampling import Floats

Episode = Mapping[str, Any]
"""A line of the evaluation's file."""


@dataclass(frozen=True)
class Played:
    """All shifts by contender, then by cell and seed; all contenders have met the same."""

    shifts: Mapping[str, Mapping[tuple[Cell, int], Episode]]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Scenario, utilisation, variant, in order."""
        return tuple(sorted({cell for of in self.shifts.values() for cell, _ in of}))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Those of the plant, in order."""
        return tuple(sorted({seed for of in self.shifts.values() for _, seed in of}))

    @cached_property
    def controllers(self) -> Mapping[str, tuple[str, ...]]:
        """The training seeds of each controller; one that was not trained stands for itself."""
        found: dict[str, list[str]] = {}
        for name in self.shifts:
            if name not in (*KNOWING, BOUND):
                found.setdefault(family(name), []).append(name)
        return {name: tuple(of) for name, of in found.items()}

    def episodes(self, names: Sequence[str]) -> list[Episode]:
        """All shifts of some contenders."""
        return [one for name in names for one in self.shifts[name].values()]

    def values(self, names: Sequence[str], figure: str) -> Floats:
        """A figure by training seed, cell and shift; NaN where it is undefined."""
        return np.array(
            [
                [
                    [_figure(self.shifts[name][cell, seed], figure) for seed in self.seeds]
                    for cell in self.cells
                ]
                for name in names
            ]
        )

    @cached_property
    def ceiling(self) -> Floats | None:
        """What the oracle saved against ``fixed``, by cell and shift; None without either."""
        if not {FIXED, HINDSIGHT} <= self.shifts.keys():
            return None
        names = [name for name in self.shifts if name != BOUND]
        fixed: Floats = self.values([FIXED], OBJECTIVE)[0]
        saved: Floats = fixed - self.values(names, OBJECTIVE).min(axis=0)
        return saved

    def saved(self, names: Sequence[str]) -> Floats:
        """What contenders saved against ``fixed``, by training seed, cell and shift."""
        return self.values([FIXED], OBJECTIVE) - self.values(names, OBJECTIVE)


def _figure(one: Episode, name: str) -> float:
    if name == OBJECTIVE:
        return math.fsum(_figure(one, cost) for cost in COSTS)
    kpis, truth = one["kpi"]["kpis"], one.get("truth", {})
    return float(kpis[name]["value"] if name in kpis else truth.get(name, math.nan))
