"""What the true line's own probabilities let expect of a shift, whatever luck it had.

Two controllers under the same luck still differ by a part or two scrapped on one side or the other, and on a
machining line one part in three hundred is more than they may differ by. Each cycle has a probability to spoil
its part; added up over the cycles that began with sound parts, these are the spoilt parts to be expected
(the compensator of their count: the difference of both has mean zero, whatever was decided on the way).
Spoilt is scrapped where every spoilt part is found, no sound one is taken for spoilt, none is mended and none is
built into another: only for such lines is there an expected scrap.
"""

from __future__ import annotations

from twin.config import Plant
from twin.line import schema as s
from twin.line.model import Line
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
