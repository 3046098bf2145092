"""What stations take of what the hall supplies: compressed air, coolant, water, from times and parts.

No meter of the line shows it. What a station takes in an hour of work, ready and asleep, and for each
part, stands in the plant file; how long it did which, and how many parts it made, is counted anyway. So the
figures follow from the books, of simulated and of live lines alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from twin.feedback.account import Account
from twin.feedback.state_energy import ASLEEP, CLASS_OF_STATE, MAKING
from twin.line import schema as s

Figure = tuple[str, str, Callable[[Account], float]]
"""Name, unit, and how it is taken from the books."""


def utility_figures(account: Account) -> Iterator[Figure]:
    """The figures of a plant with utilities, none for others."""
    utilities = account.plant.utilities
    for name, utility in utilities.items():
        taken = partial(used, name=name)
        yield f"utility.{name}", utility.unit, taken
        yield f"utility.{name}_per_good_part", utility.unit, partial(_per_good_part, of=taken)
    if utilities:
        yield "utility.energy_kwh_per_good_part", "kW.h", partial(_per_good_part, of=energy_kwh)
        yield "utility.cost_eur_per_good_part", "EUR", partial(_per_good_part, of=cost_eur)


def used(account: Account, name: str) -> float:
    """How much of a utility all stations took. Raises ``UndefinedError`` where times are unknown."""
    return sum(
        station_use(account, station.name, name)
        for station in account.plant.stations
        if name in station.uses
    )


def station_use(account: Account, station: str, name: str) -> float:
    """How much of a utility one station took."""
    use = account.plant.station(station).uses[name]
    an_hour = {MAKING: use.working_per_h, ASLEEP: use.asleep_per_h}
    taken = float(use.per_part) * account.growth(f"{station}.op_count")
    for code, state in enumerate(s.STATES):
        hours = account.growth(f"{station}.time_{state}_s") / 3600.0
        taken += float(an_hour.get(CLASS_OF_STATE[code], use.ready_per_h)) * hours
    return taken


def energy_kwh(account: Account) -> float:
    """The electricity that making the utilities took elsewhere on the site."""
    utilities = account.plant.utilities
    return sum(float(u.kwh_per_unit) * used(account, name) for name, u in utilities.items())


def cost_eur(account: Account) -> float:
    """What the utilities cost."""
    utilities = account.plant.utilities
    return sum(float(u.eur_per_unit) * used(account, name) for name, u in utilities.items())


def _per_good_part(account: Account, of: Callable[[Account], float]) -> float:
    return of(account) / account.good_parts
