"""How far a plan brings the orders, and what a part more is worth.

    reach = min over stages of  past + (left - way) / cycle      parts by the end of the shift
    missed = E (ordered - reach - noise)+ = s phi(d / s) - d Phi(-d / s),    d = reach - ordered

A stage is all stations that take from one buffer; ``past`` are the parts that are through it, good or still
in the line, ``way`` is what a part takes from there to the end, ``cycle`` the stage's own fastest pace with
the failures that are usual. Only the stage that is furthest behind counts: what others make meanwhile brings
no order nearer, so they may sleep through its repair. What the rest of the shift brings varies with the failures
to come: their number is Poisson and a repair is taken as exponential (assumption), so that the noise has

    s^2 = left * sum over failures of  2 repair^2 / between   in seconds, by the slowest stage's cycle in parts

and time in hand is worth what it saves of orders missed, long before it is used up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from controllers.mpc.stations import Cell
from twin.config import Plant
from twin.cycle import Observation

_UNIT = NormalDist()
LEAST_PARTS = 0.5
"""A count of parts is never surer than this; assumption."""
IN_DANGER = 0.1
"""Chance that the next order is missed from which on a line counts as late; assumption."""
SLOWEST = 1.5
"""No stage is slowed down more than so many times; assumption."""
Meters = Mapping[str, float] | Observation
"""What is read of a line, or of a fork of its twin, by signal name."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Stations that take from one buffer: places in the line's row of stations, and how fast they are.

    ``waiting`` and ``working`` are the buffers and stations with parts that are not yet through.
    """

    cells: tuple[int, ...]
    cycle_s: float
    way_s: float
    waiting: tuple[str, ...]
    working: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is left of the shift, and what counts in it."""

    stages: tuple[Stage, ...]
    past: tuple[float, ...]
    """Parts that are through each stage when the plan begins."""
    left_s: float
    ordered: float
    """Good parts asked for by now, all together."""
    backlog_eur: float
    noise_parts: float
    """Standard deviation of what the rest of the shift brings."""
    reach: float
    """Good parts at the end of the shift, as the line stands when the plan begins."""
    behind: tuple[int, ...] = ()
    """The stations of the stage that is furthest behind."""

    def missed_eur(self, meters: Meters, left_s: float) -> float:
        """What the orders cost that a line in this state is expected to miss."""
        if not self.stages:
            return 0.0
        d = min(past(st, meters) + to_come(st, left_s) for st in self.stages) - self.ordered
        s = self.noise_parts
        return self.backlog_eur * (s * _UNIT.pdf(d / s) - d * _UNIT.cdf(-d / s))

    @property
    def eur_per_part(self) -> float:
        """What it is worth to bring one part more to its end: its order would be missed with this chance."""
        return self.backlog_eur * self.danger

    @property
    def danger(self) -> float:
        """The chance that the order of one part more would be missed."""
        if not self.stages:
            return 0.0
        return _UNIT.cdf((self.ordered - self.reach) / self.noise_parts)


def leads(progress: Progress, tuned: Sequence[float], calm: Sequence[float]) -> tuple[float, ...]:
    """How many times the pace each station may take: ``calm`` while no order is in danger.

    On a line that may be late it is as the tuned constants have it (``tuned``): they were found on the line itself,
    where stations of one and the same pace starve and block each other, and none of them can catch up. The slowest is
    a little slower for it, so a line that was once late is held for late a little longer. Plans take no account of it:
    those that did gained three parts in six late shifts (tuning seeds) and took 2 % more electricity.
    """
    return tuple(tuned if progress.danger > IN_DANGER else calm)


def winding_down(
    progress: Progress, cells: Sequence[Cell], pace_s: float, lasts_s: float
) -> tuple[float, ...]:
    """How many times the pace each station may take towards the end of the work: 1, but where a rest spoils parts.

    A stage that fills the buffers behind it until its last part rests while they empty; then one of so many parts is
    scrapped, and made again after that rest. So once the end is less than ``lasts_s`` away it slows down, to be done with its
    last part when the slowest stage behind it is ready for that.
    """
    found = [1.0] * len(cells)
    for n, stage in enumerate(progress.stages[:-1]):
        to_make = progress.ordered - progress.past[n]
        behind_s = max(
            later.cycle_s * (progress.ordered - through)
            for later, through in zip(progress.stages[n + 1 :], progress.past[n + 1 :], strict=True)
        )
        if to_make < 1.0 or behind_s > lasts_s:
            continue
        if any(cells[m].spoils_after_rest for m in stage.cells):
            lead = min(max(behind_s / (to_make * pace_s), 1.0), SLOWEST)
            found = [lead if m in stage.cells else own for m, own in enumerate(found)]
    return tuple(found)


def to_come(stage: Stage, left_s: float) -> float:
    """Parts that can still pass a stage and reach the end in a time."""
    return max(left_s - stage.way_s, 0.0) / stage.cycle_s


def past(stage: Stage, meters: Meters) -> float:
    """Parts that are through a stage and have not been lost."""
    before = sum(meters[f"{name}.level"] for name in stage.waiting)
    before += sum(meters[f"{name}.part_id"] > 0.0 for name in stage.working)
    return float(meters["line.good_count"] + meters["line.wip"] - before)


def carried_by(plant: Plant) -> Stage | None:
    """The conveyors of a line as one last stage, at the pace of the line's capacity; None without any."""
    conveyors = [station for station in plant.stations if station.step_s is not None]
    if not conveyors:
        return None
    cycle_s = 3600.0 / float(plant.demand.capacity_good_parts_per_h)
    way_s = cycle_s * sum(station.places for station in conveyors)
    return Stage((), cycle_s, way_s, tuple(station.takes_from for station in conveyors), ())


def stages_of(
    cells: Sequence[Cell], cycles_s: Sequence[float], carried: Stage | None = None
) -> tuple[Stage, ...]:
    """The stages of a line whose stations stand in their order in the plant file, ``carried`` the last.

    ``cycles_s``: of each station at its fastest, its usual failures included.
    """
    sources = list(dict.fromkeys(cell.takes_from for cell in cells))
    members = [
        tuple(m for m, cell in enumerate(cells) if cell.takes_from == source) for source in sources
    ]
    stage_s = [1.0 / sum(1.0 / cycles_s[m] for m in stage) for stage in members]
    found, working = [], []
    for n, stage in enumerate(members):
        working += [cells[m].name for m in stage]
        way_s = sum(stage_s[n + 1 :]) + (carried.way_s if carried else 0.0)
        found.append(Stage(stage, stage_s[n], way_s, tuple(sources[: n + 1]), tuple(working)))
    if carried is not None:
        waiting = tuple(dict.fromkeys((*sources, *carried.waiting)))
        found.append(replace(carried, waiting=waiting, working=tuple(working)))
    return tuple(found)


def progress_of(
    cells: Sequence[Cell],
    cycles_s: Sequence[float],
    meters: Meters,
    left_s: float,
    down_s: Sequence[float],
    backlog_eur: float,
    carried: Stage | None = None,
) -> Progress:
    """What counts at the start of a plan; ``down_s`` is how long each station is still expected down."""
    stages = stages_of(cells, cycles_s, carried)
    if not cells:
        return Progress((), (), left_s, 0.0, 0.0, 1.0, 0.0)
    through = tuple(past(stage, meters) for stage in stages)
    reach = min(
        parts + to_come(stage, left_s - min((down_s[m] for m in stage.cells), default=0.0))
        for stage, parts in zip(stages, through, strict=True)
    )
    # Once what is down is mended: who is down needs not be kept awake.
    _, n = min(
        (p + to_come(st, left_s), n) for n, (st, p) in enumerate(zip(stages, through, strict=True))
    )
    variance_s2 = left_s * sum(
        2.0 * float(failure.mean_repair_s) ** 2 / float(failure.mean_between_s) * cell.share
        for cell in cells
        for failure in cell.spec.failures.values()
    )
    noise_parts = math.sqrt(variance_s2) / max(stage.cycle_s for stage in stages)
    ordered = meters["line.ordered_count"]
    return Progress(
        stages,
        through,
        left_s,
        ordered,
        backlog_eur,
        max(noise_parts, LEAST_PARTS),
        reach,
        stages[n].cells,
    )
