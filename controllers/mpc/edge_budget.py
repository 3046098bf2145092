"""What has been used of the cutting edges, and how much of its share each part to come may use.

The line's counters began with the shift, this process perhaps in the middle of it. What went before is
not known to have been spared or overspent, so parts and edges are both counted from the first reading.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from controllers.mpc.stations import Cell
from twin.cycle import Observation

SHARE_LEAST = 0.2
"""The least that a part to come is left of its share, however much was used; assumption."""
EDGES_MOST = 1.5
"""How many times its share it may use after a time of sparing; assumption."""
LEFT_LEAST = 0.1
"""Share of the orders over which a debt is always spread, even near the end; assumption."""


@dataclass(slots=True)
class EdgeMemory:
    """Parts done and edges used when each was first read, and the share that was found last."""

    done: float = math.nan
    edges: dict[str, float] = field(default_factory=dict)
    share: float = 1.0

    def see(
        self, cells: tuple[Cell, ...], seen: Observation, tools_eur: float, parts_most: float
    ) -> float:
        """Times its own share that a part to come may use, so that what was used by now is made up for.

        ``tools_eur`` are the edges of a part at the tuned setpoints on the true plant, ``parts_most`` as many
        parts as there is time for. While a counter is unknown the last share stays.
        """
        done_now = seen["line.good_count"] + 0.5 * seen["line.wip"]
        counts = {cell.name: _edges(cell, seen) for cell in cells if cell.edge_eur > 0.0}
        if math.isnan(done_now + seen["line.ordered_count"] + sum(counts.values())):
            return self.share
        if math.isnan(self.done):
            self.done, self.edges = done_now, counts
        used_eur = sum(
            cell.edge_eur * (counts[cell.name] - self.edges[cell.name])
            for cell in cells
            if cell.name in counts
        )
        done, orders = done_now - self.done, seen["line.ordered_count"] - self.done
        left = max(min(orders - done, parts_most), LEFT_LEAST * orders, 1.0)
        share = (done + left - used_eur / max(tools_eur, 1e-9)) / left
        self.share = min(max(share, SHARE_LEAST), EDGES_MOST)
        return self.share


def _edges(cell: Cell, seen: Observation) -> float:
    """Edges used up by now: whole ones, and the one in use where its wear is known."""
    use = seen[f"{cell.name}.tool_use"]
    return float(seen[f"{cell.name}.tool_changes"] + (0.0 if math.isnan(use) else use))
