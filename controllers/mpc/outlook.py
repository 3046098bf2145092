"""Where a plan of the line layer starts from: who can work, what lies in the buffers, what is ordered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controllers.mpc.holds import Holds
from controllers.mpc.stations import Cell
from twin.cycle import Observation
from twin.line import schema as s


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """The line at the start of a plan: who can work from which block on, buffers, open orders."""

    awake: NDArray[np.bool_]
    blocked_blocks: NDArray[np.float64]
    """Blocks (with fractions) for which a station is expected to stay down, or to warm up."""
    levels: Mapping[str, float]
    open_orders: float
    holds: Holds = field(default_factory=dict)
    """Who has to stay awake, or asleep, for a while."""


def outlook_of(
    cells: tuple[Cell, ...],
    buffers: tuple[str, ...],
    observation: Observation,
    time_s: float,
    block_s: float,
    holds: Holds,
) -> Outlook:
    """Where the plan starts from."""
    states = [int(observation[f"{cell.name}.state"]) for cell in cells]
    awake = np.array([state not in (s.STANDBY, s.OFF) for state in states])
    down_blocks = np.zeros(len(cells))
    for m, (cell, state) in enumerate(zip(cells, states, strict=True)):
        since_s = time_s - observation[f"{cell.name}.state_since_s"]
        if state == s.DOWN:
            down_blocks[m] = repair_left_s(cell, since_s) / block_s
        elif state == s.WARM_UP:
            down_blocks[m] = max(cell.warm_up_s - since_s, 0.0) / block_s
    levels = {name: observation[f"{name}.level"] for name in buffers}
    released = observation["line.released_count"] - observation["line.scrap_count"]
    open_orders = observation["line.ordered_count"] - released
    return Outlook(awake, down_blocks, levels, max(open_orders, 0.0), holds)


def repair_left_s(cell: Cell, elapsed_s: float) -> float:
    """Mean time still to go: a mixture of the station's repairs, weighted by what has passed.

    A repair of one kind outlives ``elapsed_s`` about as exp(-elapsed / mean) (assumption: the
    lognormal's tail is replaced by an exponential one).
    """
    total = weights = 0.0
    for failure in cell.spec.failures.values():
        mean = float(failure.mean_repair_s)
        weight = np.exp(-elapsed_s / mean) / float(failure.mean_between_s)
        total += weight * mean
        weights += weight
    return float(total / weights) if weights > 0.0 else 0.0
