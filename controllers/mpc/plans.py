"""Plans of the line layer, and those that every new one has to be compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.stations import Cell


@dataclass(frozen=True, slots=True, eq=False)
class LinePlan:
    """Block by block: which stations are ready, how many parts each makes; and the release takt.

    A station that is not ready sleeps whatever comes. In a plan that ``dozes`` it sleeps as soon as
    it has nothing to do and wakes by itself when it has; those that are ready doze off after their
    break-even time, and those that it ``keeps`` awake not at all: who is furthest behind, or warms up slowly,
    would be missed when a repair ends early.
    """

    ready: NDArray[np.bool_]
    parts: NDArray[np.float64]
    takt_s: float
    status: str
    dozes: bool = False
    keeps: frozenset[int] = frozenset()

    def shifted(self, blocks: int) -> LinePlan:
        """What is left of the plan so many blocks later; the last block is repeated."""
        last = len(self.ready) - 1
        then = np.minimum(np.arange(last + 1) + blocks, last)
        return replace(self, ready=self.ready[then], parts=self.parts[then], status="shifted")

    @property
    def key(self) -> bytes:
        """Equal for plans that ask for the same."""
        how = bytes([self.dozes, *sorted(self.keeps)])
        return self.ready.tobytes() + np.float64(self.takt_s).tobytes() + how


def all_ready(blocks: int, stations: int, takt_s: float, status: str) -> LinePlan:
    """Nobody sleeps, and parts are released at one takt."""
    shape = (blocks, stations)
    return LinePlan(np.ones(shape, dtype=bool), np.full(shape, np.nan), takt_s, status)


def staggered(plan: LinePlan, awake: NDArray[np.bool_], at_once: int = 1) -> LinePlan:
    """The plan with no more than so many stations that wake in one block; the others wait their turn.

    Those that stand further down the line wait, since their parts come later anyway. ``awake`` are
    the stations that are awake before the plan begins.
    """
    ready = plan.ready.copy()
    for k in range(len(ready)):
        before = ready[k - 1] if k else awake
        waking = np.flatnonzero(ready[k] & ~before)
        ready[k, waking[at_once:]] = False
    status = f"{plan.status}, staggered"
    return replace(plan, ready=ready, status=status)


def candidates(
    fresh: LinePlan,
    left: LinePlan | None,
    pace_s: float,
    least_takt_s: float,
    needed: frozenset[int],
    awake: NDArray[np.bool_] | None,
) -> tuple[list[LinePlan], list[LinePlan]]:
    """All plans to be tried, and those of them that the kept one may not cost more than.

    ``left`` is what is left of the plan before, if there is any; ``pace_s`` the steady pace; ``needed`` are the
    stations that would be missed asleep. ``awake`` is who is awake now where peaks are charged: then plans that
    spread the load are tried as well.
    """
    blocks, stations = fresh.ready.shape
    always_on = all_ready(blocks, stations, least_takt_s, "always on")
    plans = [
        fresh,
        replace(fresh, dozes=True, status="dozing"),
        replace(fresh, dozes=True, keeps=needed, status="dozing but for the needed"),
        all_ready(blocks, stations, pace_s, "steady pace"),
        always_on,
    ]
    if awake is not None:
        even = replace(fresh, dozes=True, takt_s=pace_s, status="dozing at the steady pace")
        plans += [staggered(fresh, awake), even]
    if left is None:
        return plans, [always_on]
    return [*plans, left], [always_on, left]


def distinct(plans: Iterable[LinePlan]) -> list[LinePlan]:
    """Those that ask for something else than all before them."""
    different: dict[bytes, LinePlan] = {}
    for plan in plans:
        different.setdefault(plan.key, plan)
    return list(different.values())


def standby_setpoints(cells: tuple[Cell, ...], plan: LinePlan, k: int) -> dict[str, float]:
    """Who sleeps in one block of a plan, and who may doze off."""
    asked: dict[str, float] = {}
    for m, cell in enumerate(cells):
        if not cell.spec.standby:
            continue
        dozes = plan.dozes and not cell.is_held  # a station's own time-out knows no minimum
        ready, (soonest_s, never_s) = plan.ready[k, m], cell.spec.standby_after_s.operator
        after_s = cell.break_even_s if ready else soonest_s
        after_s = never_s if m in plan.keeps else after_s
        after_s = min(max(after_s, soonest_s), never_s) if dozes else never_s
        asked[f"{cell.name}.standby_after_s"] = after_s
        asked[f"{cell.name}.standby"] = 0.0 if ready or dozes else 1.0
    return asked
