"""What the true line's own probabilities let expect of a shift, whatever luck it had: its scrap and its edges.

Two controllers under the same luck still differ by a part or two scrapped on one side or the other, and on a
machining line one part in three hundred is more than they may differ by. Each cycle has a probability to spoil
its part; added up over the cycles that began with sound parts, these are the spoilt parts to be expected
(the compensator of their count: the difference of both has mean zero, whatever was decided on the way).
Spoilt is scrapped where every spoilt part is found, no sound one is taken for spoilt, none is mended and none is
built into another: only for such lines is there an expected scrap.

An edge's luck is how fast it wears against the mean edge, F with mean one, lognormal. What the mean edge would have
worn, over what an edge stands for in the mean of all, life * E(1 / F) = life * (1 + cv^2), are the edges to be expected
(the elementary renewal theorem: exact over many edges, for whoever does not act by what an edge has shown of its F).
"""

from __future__ import annotations

import math

from twin.config import Plant
from twin.line import schema as s
from twin.line.model import Line
from twin.objective import Objective
from twin.state import LineState


def spoilt_is_scrapped(plant: Plant) -> bool:
    """Whether the parts that are spoilt are those that are scrapped."""
    if plant.supplies:
        return False
    return not any(
        station.inspection.finds < 1.0
        or station.inspection.false_alarms > 0.0
        or station.inspection.rework_to is not None
        for station in plant.stations
    )


def expected_defects(line: Line, state: LineState) -> float:
    """Parts that were to be expected spoilt since the shift began."""
    return float(state.floats[line.k[s.K_LINE_F] + s.EXPECTED_DEFECTS])


def expected_scrap_share(line: Line, state: LineState) -> float:
    """The same, of all parts that left; 0 before the first one did. Parts still inside count against who has them."""
    at = line.k[s.K_LINE_I]
    left = state.ints[at + s.GOOD] + state.ints[at + s.LINE_SCRAPPED]
    return expected_defects(line, state) / max(left, 1)


def expected_scrap_eur_per_good_part(line: Line, state: LineState) -> float:
    """What the material of those parts costs, less what scrap of its mass brings back; infinite before a good part left.

    A part's mass is that of all material, blanks and what stations add, for each part that was released.
    """
    share, source = expected_scrap_share(line, state), line.plant.source
    lost_eur_per_kg = float(source.blank_eur_per_kg) - float(source.scrap_return_eur_per_kg)
    material_kg = float(state.floats[line.k[s.K_LINE_F] + s.LINE_MATERIAL_KG])
    part_kg = material_kg / max(int(state.ints[line.k[s.K_LINE_I] + s.RELEASED]), 1)
    return part_kg * lost_eur_per_kg * share / (1.0 - share) if share < 1.0 else math.inf


def expected_edges(line: Line, state: LineState) -> dict[str, float]:
    """Edges that were to be expected used since the line was made, by station with a tool."""
    found = {}
    for n, station in enumerate(line.plant.stations, 1):
        if station.tool is not None:
            life_mm, cv = (
                line.c[n * s.EC + column] for column in (s.C_TOOL_LIFE_MM, s.C_TOOL_LIFE_CV)
            )
            worn_mm = state.floats[n * s.E_FLOATS + s.MEAN_WEAR_MM]
            found[station.name] = float(worn_mm / (life_mm * (1.0 + cv * cv)))
    return found


def expected_tool_cost_eur_per_good_part(line: Line, state: LineState) -> float:
    """What those edges cost, a good part; infinite before the first one."""
    prices, good = Objective.of(line.plant).edge_cost_eur, state.ints[line.k[s.K_LINE_I] + s.GOOD]
    cost_eur = sum(prices[name] * edges for name, edges in expected_edges(line, state).items())
    return cost_eur / good if good else math.inf
