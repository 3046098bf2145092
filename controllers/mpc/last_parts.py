"""The end of the work: who sleeps while the last parts go through the line.

A station that has seen the last part may sleep at once, unless one of the parts behind it is likely
to be scrapped and made again: then it would be woken for one part. With n parts on their way, each
scrapped with probability p, that happens with q = 1 - (1 - p)^n, and

    sleep if  price * (idle - standby) * time until the last is inspected  >  q * what a restart costs

where a restart costs its warm-up, and the parts that are scrap after a rest in so far as waiting awake would have saved
them: a long rest spoils them anyway. The time has in it what a repair of who holds one of the last parts still takes
on average: a short one is no reason to sleep, a long one is. A station that holds
all the parts which it will still see has nothing to wait for and works them off.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from controllers.mpc.outlook import repair_left_s
from controllers.mpc.stations import Cell, Prices
from twin.cycle import Situation
from twin.line import schema as s

PRIOR_PARTS, PRIOR_SCRAP = 25.0, 1.0
"""What is taken as seen before the shift: one scrapped part in twenty-five; assumption."""
NO_DOZING = (
    "the last parts are on their way, and a time-out knows nothing of them;"
    " saves restarts; risks a wait that nobody foresaw awake"
)
WORKS_OFF = (
    "it holds all the parts that it will still see; saves waiting later on, by working them off now;"
    " risks nothing new"
)


@dataclass(frozen=True, slots=True)
class Rest:
    """What is asked of one setpoint at the end of the work, and why."""

    asked: float
    why: str


def rests(
    cells: tuple[Cell, ...],
    buffers: Collection[str],
    situation: Situation,
    pace_s: float,
    prices: Prices,
) -> dict[str, Rest]:
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
    inspected_s = 0.0
    if parts > 0.0:
        inspected_s = pace_s * (parts + len(cells)) + _repair_s(cells, situation)
    filled = {name for name in buffers if seen[f"{name}.level"] > 0.0}
    fed: set[str] = set()  # buffers to which parts are still on their way
    found = {}
    for cell in cells:
        if cell.spec.standby:  # nobody dozes off: a time-out knows nothing of the parts to come
            found[f"{cell.name}.standby_after_s"] = Rest(
                cell.spec.standby_after_s.operator[1], NO_DOZING
            )
        holds = cell.takes_from in filled or seen[f"{cell.name}.part_id"] > 0.0
        if holds or cell.takes_from in fed:
            fed.add(cell.gives_to)
            if cell.spec.standby and cell.takes_from not in fed:
                found[f"{cell.name}.standby"] = Rest(0.0, WORKS_OFF)
        elif cell.spec.standby:
            saved_kwh = (cell.idle_kw - cell.standby_kw) * inspected_s / 3600.0
            saved_eur = saved_kwh * prices.energy_eur_per_kwh
            restart_eur = _restart_eur(cell, prices, inspected_s)
            if parts <= 0.0 or saved_eur > reopened * restart_eur:
                found[f"{cell.name}.standby"] = Rest(1.0, _asleep(cell, saved_kwh, reopened))
            elif seen[f"{cell.name}.state"] not in (s.STANDBY, s.OFF):
                found[f"{cell.name}.standby"] = Rest(0.0, _awake(saved_kwh, restart_eur, reopened))
    return found


def _asleep(cell: Cell, saved_kwh: float, reopened: float) -> str:
    if saved_kwh <= 0.0:
        return (
            f"no part is left in the line and no order open; saves {cell.idle_kw - cell.standby_kw:.2f}"
            f" kW; risks {cell.warm_up_s:.0f} s of warm-up for an order that still comes"
        )
    return (
        f"it has seen its last part; saves {saved_kwh:.2f} kWh until the last one is inspected; risks"
        f" a restart by {100.0 * reopened:.0f} %, for a part that is scrapped and made again"
    )


def _awake(saved_kwh: float, restart_eur: float, reopened: float) -> str:
    return (
        f"a part behind it is scrapped and made again by {100.0 * reopened:.0f} %; saves a restart of"
        f" {restart_eur:.2f} EUR then; risks {saved_kwh:.2f} kWh of waiting for nothing"
    )


def _repair_s(cells: tuple[Cell, ...], situation: Situation) -> float:
    """How long the last parts still wait for a repair, on average: that of who is down longest and holds one."""
    seen, left_s = situation.observation, 0.0
    for cell in cells:
        if seen[f"{cell.name}.state"] == s.DOWN and seen[f"{cell.name}.part_id"] > 0.0:
            down_s = situation.time_s - seen[f"{cell.name}.state_since_s"]
            left_s = max(left_s, repair_left_s(cell, down_s))
    return left_s


def _restart_eur(cell: Cell, prices: Prices, inspected_s: float) -> float:
    """What a restart takes beyond waiting awake, if it may come at any moment until the last part is inspected.

    Its warm-up, and the parts that are scrap after a rest if the rest so far would not have spoilt them.
    """
    warm_up_kwh = (cell.warm_up_kw - cell.idle_kw) * cell.warm_up_s / 3600.0
    saved = min(cell.spec.restart_after_s / inspected_s, 1.0) if inspected_s > 0.0 else 1.0
    spoilt_eur = saved * cell.spec.restart_scrap_parts * prices.scrap_eur
    return float(warm_up_kwh * prices.energy_eur_per_kwh + spoilt_eur)
