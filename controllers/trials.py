"""Points that a search has tried, on the same luck for all, by several processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from controllers.shift_cost import Outcome, Shift


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluated point: its setpoints, and what came of each shift."""

    setpoints: Mapping[str, float]
    outcomes: tuple[Outcome, ...]

    @property
    def eur_per_part(self) -> float:
        """Mean cost."""
        return float(np.mean([outcome.eur_per_part for outcome in self.outcomes]))

    @property
    def tools_eur_per_part(self) -> float:
        """Mean cost of edges."""
        return float(np.mean([outcome.tools_eur_per_part for outcome in self.outcomes]))

    @property
    def energy_eur_per_part(self) -> float:
        """Mean cost of electricity and gas."""
        return float(np.mean([outcome.energy_eur_per_part for outcome in self.outcomes]))

    @property
    def scrap_share(self) -> float:
        """Mean share of the parts that were scrapped."""
        return float(np.mean([outcome.scrap_share for outcome in self.outcomes]))

    def calm_energy_eur_per_part(self, base: Trial) -> float:
        """Mean cost of energy over the shifts in which ``base`` met all orders; over all if there are none."""
        pairs = zip(self.outcomes, base.outcomes, strict=True)
        calm = [own.energy_eur_per_part for own, of_base in pairs if of_base.is_calm]
        return float(np.mean(calm)) if calm else self.energy_eur_per_part


_shift: Shift | None = None


def prepare(plant_name: str, utilisation: float, variant: str) -> None:
    """Make the shift of a worker process."""
    global _shift  # noqa: PLW0603 - one shift a worker process, made once
    _shift = Shift(plant_name, utilisation, variant)


def _one(task: tuple[int, dict[str, float]]) -> Outcome:
    assert _shift is not None
    return _shift.outcome(*task)


@dataclass(slots=True)
class Search:
    """The points tried so far, by the processes of a pool that was begun with ``prepare``."""

    pool: ProcessPoolExecutor
    seeds: Sequence[int]
    evaluations: int
    progress: Callable[[int, float], None]
    log: list[Trial] = field(default_factory=list)
    looked_at: int = 0

    def at(self, setpoints: Mapping[str, float]) -> Trial:
        """Try a point on the tuning seeds."""
        self.log.append(self.on(self.seeds, setpoints))
        return self.log[-1]

    def on(self, seeds: Sequence[int], setpoints: Mapping[str, float]) -> Trial:
        """Try a point on any seeds; that is not in the log. Told are points looked at so far, and the least cost in the log."""
        tasks = [(seed, dict(setpoints)) for seed in seeds]
        trial = Trial(setpoints, tuple(self.pool.map(_one, tasks, chunksize=5)))
        self.looked_at += 1
        least = min((one.eur_per_part for one in self.log), default=trial.eur_per_part)
        self.progress(self.looked_at, least)
        return trial
