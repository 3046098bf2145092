"""The figures of a line: what each is called, its unit, which way is better, how it is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from twin.feedback import iso22400
from twin.feedback.account import Account, UndefinedError
from twin.feedback.state_energy import ASLEEP, AWAKE, WARMING
from twin.objective import Objective, Stocks, Used


@dataclass(frozen=True, slots=True)
class Definition:
    """How a figure of the line is taken from the account; ``better`` is "lower", "higher" or ""."""

    name: str
    unit: str
    better: str
    meaning: str
    of: Callable[[Account], float]


def _growth(signal: str) -> Callable[[Account], float]:
    return lambda account: account.growth(signal)


def _per_good_part(of: Callable[[Account], float]) -> Callable[[Account], float]:
    return lambda account: of(account) / account.good_parts


def _settled(meter: str, owed: Callable[[Stocks], float]) -> Callable[[Account], float]:
    """What a meter counted, with what the end owes more than the start: else who ends asleep has saved."""

    def taken(account: Account) -> float:
        owed_more = owed(account.stocks_at_end()) - owed(account.stocks_at_start())
        return account.growth(meter) + owed_more

    return taken


def _tool_changes(account: Account) -> float:
    return sum(account.growth(f"{name}.tool_changes") for name in account.tooled)


def _tool_cost_eur(account: Account) -> float:
    prices = Objective.of(account.plant).edge_cost_eur
    return sum(prices[name] * edges for name, edges in account.edges_used().items())


def _tool_life_used(account: Account) -> float:
    return sum(account.at_end(f"{name}.tool_use") for name in account.tooled)


def _energy_cost_eur(account: Account) -> float:
    gas_eur = account.growth("line.gas_kwh") * float(account.plant.energy.gas_eur_per_mwh) * 1e-3
    return account.electricity_cost_eur + gas_eur


def _settled_energy_cost_eur(account: Account) -> float:
    """With what the end owes more than the start, electricity at the mean price of the window."""
    before, after = account.stocks_at_start(), account.stocks_at_end()
    gas_eur_per_mwh = float(account.plant.energy.gas_eur_per_mwh)
    owed_eur = (after.heat_owed_kwh - before.heat_owed_kwh) * account.price_eur_per_mwh * 1e-3
    owed_eur += (after.gas_owed_kwh - before.gas_owed_kwh) * gas_eur_per_mwh * 1e-3
    return _energy_cost_eur(account) + owed_eur


def _running_cost_eur(account: Account) -> float:
    used = Used(
        energy_kwh=account.growth("line.energy_kwh"),
        price_eur_per_mwh=account.price_eur_per_mwh,
        gas_kwh=account.growth("line.gas_kwh"),
        material_kg=account.growth("line.material_kg"),
        scrap_kg=account.growth("line.scrap_kg"),
        good=account.growth("line.good_count"),
        edges=account.edges_used(),
    )
    return float(Objective.of(account.plant).running_eur(used))


def _stock_change_eur(account: Account) -> float:
    """Both ends at the mean price of the window, so that a moving price is no stock.

    Orders that are open at the start are the window's task and no stock that it was given: making
    them earns nothing, and those that are open at the end are missing.
    """
    objective, price = Objective.of(account.plant), account.price_eur_per_mwh
    before = replace(account.stocks_at_start(), backlog=0.0)
    return objective.stocks_eur(account.stocks_at_end(), price) - objective.stocks_eur(
        before, price
    )


def _ordered_parts(account: Account) -> float:
    return account.stocks_at_start().backlog + account.growth("line.ordered_count")


def _cost_eur(account: Account) -> float:
    return _running_cost_eur(account) + _stock_change_eur(account) + _demand_charge_eur(account)


def _co2_kg(account: Account) -> float:
    energy = account.plant.energy
    electricity_kg = account.growth("line.energy_kwh") * float(energy.electricity_co2_kg_per_kwh)
    return electricity_kg + account.growth("line.gas_kwh") * float(energy.gas_co2_kg_per_kwh)


def _peak_kw(account: Account) -> float:
    means = [quarter.mean_kw for quarter in account.quarters if quarter.is_complete]
    if not means:
        raise UndefinedError("no whole quarter of an hour of the clock was metered in full")
    return max(means)


def _demand_charge_eur(account: Account) -> float:
    return _peak_kw(account) * Objective.of(account.plant).peak_eur_per_kw


def _scrap_share(account: Account) -> float:
    return 1.0 - iso22400.line_quality_ratio(account)


def _energy_share(of: int) -> Callable[[Account], float]:
    def share(account: Account) -> float:
        missing = [st.name for st in account.plant.stations if st.name not in account.energy_kwh]
        if missing:
            raise UndefinedError(f"energy or state times unknown of {', '.join(missing)}")
        total = sum(sum(kwh) for kwh in account.energy_kwh.values())
        if total <= 0.0:
            raise UndefinedError("no electricity was drawn")
        return sum(kwh[of] for kwh in account.energy_kwh.values()) / total

    return share


def _drift(signal: str) -> Callable[[Account], float]:
    def error(account: Account) -> float:
        if signal not in account.drift:
            raise UndefinedError("no twin was in step with the line for two turns")
        return account.drift[signal]

    return error


def _at_bottleneck(of: iso22400.OfStation) -> Callable[[Account], float]:
    return lambda account: of(account, iso22400.bottleneck(account))


def _bottleneck_position(account: Account) -> float:
    return float(1 + account.plant.stations.index(iso22400.bottleneck(account)))


LINE_KPIS = (
    Definition("good_parts", "1", "higher", "good parts made", _growth("line.good_count")),
    Definition("scrap_parts", "1", "lower", "parts scrapped", _growth("line.scrap_count")),
    Definition(
        "ordered_parts",
        "1",
        "",
        "good parts to be made: open at the start, and ordered since",
        _ordered_parts,
    ),
    Definition(
        "throughput_parts_per_h",
        "1/h",
        "higher",
        "good parts an hour of the window",
        lambda account: account.growth("line.good_count") / account.hours,
    ),
    Definition("energy_kwh", "kW.h", "lower", "electricity", _growth("line.energy_kwh")),
    Definition("gas_kwh", "kW.h", "lower", "gas (lower heating value)", _growth("line.gas_kwh")),
    Definition(
        "energy_kwh_per_good_part",
        "kW.h",
        "lower",
        "electricity for each good part",
        _per_good_part(_growth("line.energy_kwh")),
    ),
    Definition(
        "gas_kwh_per_good_part",
        "kW.h",
        "lower",
        "gas for each good part",
        _per_good_part(_growth("line.gas_kwh")),
    ),
    Definition(
        "energy_settled_kwh_per_good_part",
        "kW.h",
        "lower",
        "the same electricity, with what makes the line as ready again as it was at the start",
        _per_good_part(_settled("line.energy_kwh", lambda stocks: stocks.heat_owed_kwh)),
    ),
    Definition(
        "gas_settled_kwh_per_good_part",
        "kW.h",
        "lower",
        "the same gas, with what makes heated zones as hot again as they were at the start",
        _per_good_part(_settled("line.gas_kwh", lambda stocks: stocks.gas_owed_kwh)),
    ),
    Definition(
        "material_kg_per_good_part",
        "kg",
        "lower",
        "material taken for each good part, scrap included",
        _per_good_part(_growth("line.material_kg")),
    ),
    Definition("scrap_share", "1", "lower", "scrap, of all parts that left", _scrap_share),
    Definition("tool_changes", "1", "lower", "edges worn out", _tool_changes),
    Definition(
        "tool_cost_eur",
        "EUR",
        "lower",
        "edges worn out, and the life lost by those in place, at the price of an edge",
        _tool_cost_eur,
    ),
    Definition(
        "tool_cost_eur_per_good_part",
        "EUR",
        "lower",
        "tool cost for each good part",
        _per_good_part(_tool_cost_eur),
    ),
    Definition(
        "running_cost_eur",
        "EUR",
        "lower",
        "energy, material less scrap, the charge for tools; stocks and demand charge aside",
        _running_cost_eur,
    ),
    Definition(
        "stock_change_eur",
        "EUR",
        "lower",
        "orders missing at the end, and the change of parts in the line and of heat owed, priced",
        _stock_change_eur,
    ),
    Definition(
        "cost_eur_per_good_part",
        "EUR",
        "lower",
        "running cost, change of stocks and demand charge, for each good part",
        _per_good_part(_cost_eur),
    ),
    Definition(
        "energy_cost_eur_per_good_part",
        "EUR",
        "lower",
        "electricity at the prices in force, and gas, for each good part",
        _per_good_part(_energy_cost_eur),
    ),
    Definition(
        "energy_cost_settled_eur_per_good_part",
        "EUR",
        "lower",
        "the same cost, with warm-ups and heat that the end of the window owes more than its start",
        _per_good_part(_settled_energy_cost_eur),
    ),
    Definition(
        "co2_kg_per_good_part",
        "kg",
        "lower",
        "CO2 of electricity and gas for each good part",
        _per_good_part(_co2_kg),
    ),
    Definition(
        "peak_kw",
        "kW",
        "lower",
        "highest mean grid power of a quarter of an hour of the clock, site load included",
        _peak_kw,
    ),
    Definition(
        "demand_charge_eur",
        "EUR",
        "lower",
        "demand charge of the shift at that peak",
        _demand_charge_eur,
    ),
    Definition("wip_end", "1", "", "parts in the line at the end", lambda a: a.stocks_at_end().wip),
    Definition(
        "backlog_end",
        "1",
        "lower",
        "good parts ordered and not made at the end",
        lambda a: a.stocks_at_end().backlog,
    ),
    Definition(
        "tool_life_used_end",
        "1",
        "lower",
        "life that the edges in place have lost, in edges",
        _tool_life_used,
    ),
    Definition(
        "heat_owed_kwh_end",
        "kW.h",
        "lower",
        "electricity that brings sleeping stations back to ready",
        lambda a: a.stocks_at_end().heat_owed_kwh,
    ),
    Definition(
        "gas_owed_kwh_end",
        "kW.h",
        "lower",
        "gas that brings heated zones back to the recipe; negative where they are hotter",
        lambda a: a.stocks_at_end().gas_owed_kwh,
    ),
    Definition(
        "idle_energy_share",
        "1",
        "",
        "share of electricity: ready, blocked, down or changed over (fitted)",
        _energy_share(AWAKE),
    ),
    Definition(
        "standby_energy_share",
        "1",
        "",
        "share of electricity: standby or off (fitted)",
        _energy_share(ASLEEP),
    ),
    Definition(
        "warm_up_energy_share",
        "1",
        "",
        "share of electricity: warm-up (fitted)",
        _energy_share(WARMING),
    ),
    Definition(
        "twin_error_parts",
        "1",
        "",
        "mean absolute error of the twin over one turn, in good parts",
        _drift("line.good_count"),
    ),
    Definition(
        "twin_error_kwh",
        "kW.h",
        "",
        "mean absolute error of the twin over one turn, in electricity",
        _drift("line.energy_kwh"),
    ),
    *(
        Definition(f"line.{name}", "1", "", f"{name.replace('_', ' ')} of the bottleneck", of)
        for name, of in (
            (name, _at_bottleneck(of))
            for name, of in iso22400.STATION_KPIS.items()
            if name not in ("quality_ratio", "oee_index")
        )
    ),
    Definition(
        "line.quality_ratio",
        "1",
        "higher",
        "good parts, of all parts that left the line",
        iso22400.line_quality_ratio,
    ),
    Definition(
        "line.oee_index",
        "1",
        "",
        "availability and effectiveness of the bottleneck times the line's quality ratio",
        iso22400.line_oee_index,
    ),
    Definition(
        "line.bottleneck_position",
        "1",
        "",
        "which station was longest at work, changed over or repaired, from the first on",
        _bottleneck_position,
    ),
)
"""The figures of the line, in the order in which they are read."""
