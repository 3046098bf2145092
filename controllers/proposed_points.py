"""Constant setpoints that the nominal model proposes: its best steady courses, as points to begin a search at."""

from __future__ import annotations

from collections.abc import Iterator

from controllers.mpc.operating_point import OperatingPoint
from controllers.mpc.stations import Prices, cells_of, per_part_at
from twin.config import Plant, untuned
from twin.line.model import build_line
from twin.objective import Objective

PACES = (1.1, 1.2, 1.35, 1.5, 2.0, 200.0)
"""Times the fastest takt that a part may take: from hurried to all the time there is."""


def proposals(plant: Plant, edges_eur: float | None = None) -> Iterator[dict[str, float]]:
    """The model's course for each pace, the slowest first, at no more edges and defects a part than the recipe's.

    ``edges_eur`` is another limit for the edges, EUR a part. None for plants whose stations are not per-part.
    """
    line = build_line(plant)
    cells = cells_of(line)
    if not any(cell.mvs for cell in cells):
        return
    objective = Objective.of(plant)
    part = per_part_at(cells, untuned(plant).setpoints)
    prices = Prices(
        objective.usual_eur_per_mwh * 1e-3,
        objective.wip_eur_per_part,
        objective.backlog_eur_per_part,
    )
    takt_lo_s = plant.source.takt_s.operator[0]
    course = OperatingPoint(cells, takt_lo_s)
    for pace in reversed(PACES):
        point = course.solve(
            cells,
            [(1.0, 1.0)] * len(cells),
            [cell.d for cell in cells],
            prices,
            pace * takt_lo_s,
            edges_eur or part.edges_eur or 1e3,
            part.defects,
        )
        proposed = {"line.takt_s": takt_lo_s}
        for cell, z in zip(cells, point.z, strict=True):
            proposed |= cell.unscaled(z)
            proposed[f"{cell.name}.standby_after_s"] = 2.0 * cell.warm_up_s
        yield proposed
