"""Key performance indicators: one engine for simulated and for live lines.

A figure that has no meaning in a window (energy per good part without a good part) is not zero and
not NaN: it is left out, and the reason stands in ``undefined``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from twin.config import StationSpec
from twin.cycle import Kpi
from twin.feedback import iso22400
from twin.feedback.account import Account, UndefinedError
from twin.feedback.definitions import LINE_KPIS
from twin.feedback.ledger import Ledger
from twin.feedback.utilities import utility_figures
from twin.line import schema as s


@dataclass(frozen=True, slots=True)
class Kpis:
    """All figures of one window: those that are defined, and why the others are not.

    ``doubts`` are sentences on what was not measured as it should be; ``in_short`` are the same for
    a screen, and go into no record.
    """

    values: tuple[Kpi, ...]
    undefined: Mapping[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    in_short: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        """One figure. Raises ``KeyError`` with the reason if it is undefined."""
        for kpi in self.values:
            if kpi.name == name:
                return kpi.value
        raise KeyError(f"{name}: {self.undefined.get(name, 'there is no such figure')}")

    def __contains__(self, name: object) -> bool:
        """Whether the figure is defined."""
        return any(kpi.name == name for kpi in self.values)


def evaluate(books: Ledger | Account) -> Kpis:
    """All figures of the window that was booked."""
    account = books.account() if isinstance(books, Ledger) else books
    found: list[Kpi] = []
    undefined: dict[str, str] = {}
    for name, unit, of in _definitions(account):
        try:
            value = of(account)
        except UndefinedError as error:
            undefined[name] = str(error)
        else:
            found.append(Kpi(name, value, unit, account.from_us, account.until_us))
    doubts = account.doubts
    return Kpis(tuple(found), undefined, doubts.in_full(), doubts.in_short())


def _definitions(account: Account) -> Iterator[tuple[str, str, Callable[[Account], float]]]:
    for definition in LINE_KPIS:
        yield definition.name, definition.unit, definition.of
    yield from utility_figures(account)
    for station in account.plant.stations:
        for name, of in iso22400.STATION_KPIS.items():
            yield f"{station.name}.{name}", "1", _at(of, station)
        for state in s.STATES:
            share = partial(_state_share, station=station.name, state=state)
            yield f"{station.name}.{state}_share", "1", share
        if station.tool is not None:
            used = partial(Account.at_end, signal=f"{station.name}.tool_use")
            yield f"{station.name}.tool_life_used_end", "1", used


def _at(of: iso22400.OfStation, station: StationSpec) -> Callable[[Account], float]:
    return lambda account: of(account, station)


def _state_share(account: Account, station: str, state: str) -> float:
    total_s = sum(account.growth(f"{station}.time_{name}_s") for name in s.STATES)
    if total_s <= 0.0:
        raise UndefinedError(f"no time was counted at {station}")
    return account.growth(f"{station}.time_{state}_s") / total_s


def kpi_record(kpis: Kpis) -> dict[str, Any]:
    """The figures as plain data for ``kpi.json``: keys sorted, floats as they are."""
    windows = sorted({(kpi.from_us, kpi.until_us) for kpi in kpis.values})
    if len(windows) > 1:
        msg = f"figures of {len(windows)} windows {windows} do not belong in one record"
        raise ValueError(f"{msg}: write one record for each window")
    return {
        "doubts": list(kpis.doubts),
        "from_us": windows[0][0] if windows else None,
        "kpis": {
            kpi.name: {"unit": kpi.unit, "value": kpi.value}
            for kpi in sorted(kpis.values, key=lambda kpi: kpi.name)
        },
        "undefined": dict(sorted(kpis.undefined.items())),
        "until_us": windows[0][1] if windows else None,
    }


def kpis_from_record(record: Mapping[str, Any]) -> Kpis:
    """What ``kpi_record`` wrote, read back."""
    from_us, until_us = record["from_us"], record["until_us"]
    values = tuple(
        Kpi(name, kpi["value"], kpi["unit"], from_us, until_us)
        for name, kpi in record["kpis"].items()
    )
    return Kpis(values, dict(record["undefined"]), tuple(record["doubts"]))
