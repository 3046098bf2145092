"""The end of the work: who sleeps while the last parts go through the line.

A station that has seen the last part may sleep at once, unless one of the parts behind it is likely
to be scrapped and made again: then it would be woken for one part. With n parts on their way, each
scrapped with probability p, that happens with q = 1 - (1 - p)^n, and

    sleep if  (idle - standby) * time until the last is inspected  >  q * energy of a restart

where a restart takes the warm-up and the parts that are scrap after a rest. A station that holds all
the parts which it will still see has nothing to wait for and works them off.
"""

from __future__ import annotations

from collections.abc import Collection

from controllers.mpc.stations import Cell
from twin.cycle import Situation
from twin.line import schema as s

PRIOR_PARTS, PRIOR_SCRAP = 25.0, 1.0
"""What is taken as seen before the shift: one scrapped part in twenty-five; assumption."""


def rests(
    cells: tuple[Cell, ...], buffers: Collection[str], situation: Situation, pace_s: float
) -> dict[str, float]:
    """Standby setpoints for the end of the work, where the plan has no say; none while orders are open.

    A station that sleeps and has no part before it is left to the plan: it is not woken for what may
    happen.
    """
    seen = situation.observation
    released = seen["line.released_count"] - seen["line.scrap_count"]
    if seen["line.ordered_count"] - released > 0.5:
        return {}
    scrap = (seen["line.scrap_count"] + PRIOR_SCRAP) / (
        seen["line.scrap_count"] + seen["line.good_count"] + PRIOR_PARTS
    )
    parts = seen["line.wip"]
    reopened = 1.0 - (1.0 - scrap) ** parts
    inspected_s = pace_s * (parts + len(cells)) if parts > 0.0 else 0.0
    filled = {name for name in buffers if seen[f"{name}.level"] > 0.0}
    fed: set[str] = set()  # buffers to which parts are still on their way
    found = {}
    for cell in cells:
        if cell.spec.standby:  # nobody dozes off: a time-out knows nothing of the parts to come
            found[f"{cell.name}.standby_after_s"] = cell.spec.standby_after_s.operator[1]
        holds = cell.takes_from in filled or seen[f"{cell.name}.part_id"] > 0.0
        if holds or cell.takes_from in fed:
            fed.add(cell.gives_to)
            if cell.spec.standby and cell.takes_from not in fed:
                found[f"{cell.name}.standby"] = 0.0
        elif cell.spec.standby:
            saved_kwh = (cell.idle_kw - cell.standby_kw) * inspected_s / 3600.0
            if parts <= 0.0 or saved_kwh > reopened * _restart_kwh(cell, situation):
                found[f"{cell.name}.standby"] = 1.0
            elif seen[f"{cell.name}.state"] not in (s.STANDBY, s.OFF):
                found[f"{cell.name}.standby"] = 0.0
    return found


def _restart_kwh(cell: Cell, situation: Situation) -> float:
    """What a warm-up takes beyond waiting, and the parts that are scrap after a rest."""
    warm_up_kwh = (cell.warm_up_kw - cell.idle_kw) * cell.warm_up_s / 3600.0
    part_kwh = situation.observation[f"{cell.name}.last_energy_kwh"]
    spoilt_kwh = cell.spec.restart_scrap_parts * part_kwh if part_kwh > 0.0 else 0.0
    return float(warm_up_kwh + spoilt_kwh)
