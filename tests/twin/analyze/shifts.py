"""A shift of a plant that no twin has touched."""

from __future__ import annotations

from tests.twin.line.small_lines import Run
from twin.kernels.draws import PLANT
from twin.line.model import Line
from twin.line.scenario import build_table


def shift(line: Line, until_s: float, seed: int = 5) -> Run:
    """A line on its own for a while, at the takt that its orders need."""
    table = build_table(line.plant, seed, PLANT, until_s / 3600.0, utilisation=0.9)
    run = Run(line, table, seed)
    run.simulator.prime(run.state)
    return run.to(until_s)
