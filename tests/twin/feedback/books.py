"""Readings written by hand, and small simulated shifts, to keep books of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from twin.config import Plant, load_plant, load_truth
from twin.cycle import Reading
from twin.equipment.plc import Plc
from twin.feedback import Ledger
from twin.kernels import draws
from twin.line.model import build_line
from twin.line.scenario import build_table, scenario_of
from twin.line.tags import line_signals
from twin.signals import Signal

PERIOD_US = 30_000_000


@cache
def plant() -> Plant:
    return load_plant("machining_line")


@cache
def signals() -> tuple[Signal, ...]:
    return line_signals(build_line(plant()))


@cache
def index() -> dict[str, int]:
    return {signal.name: n for n, signal in enumerate(signals())}


def reading(
    time_s: float, values: Mapping[str, float], status: Mapping[str, int] | None = None
) -> Reading:
    """A reading in which everything not named is 0."""
    row = np.zeros(len(signals()))
    bits = np.zeros(len(signals()), dtype=np.int64)
    for name, value in values.items():
        row[index()[name]] = value
    for name, bit in (status or {}).items():
        bits[index()[name]] = bit
    time_us = round(time_s * 1e6)
    return Reading(time_us, 0, row, np.full(row.size, time_us), bits)


def booked(readings: Sequence[Reading], of: Plant | None = None) -> Ledger:
    ledger = Ledger(of or plant(), signals())
    for one in readings:
        ledger.book(one)
    return ledger


@cache
def simulated(
    hours: int = 8, seed: int = 7, standby_s: float = 0.0, scenario: str = "nominal"
) -> tuple[Plc, tuple[Reading, ...]]:
    """The true line left to itself, with one standby time-out for all stations (0: none)."""
    line = build_line(plant(), load_truth("machining_line", plant()))
    table = build_table(plant(), seed, draws.PLANT, hours + 1, scenario)
    plc = Plc(line, table, seed, scenario_of(plant(), scenario))
    if standby_s:
        plc.recipe |= {f"{station.name}.standby_after_s": standby_s for station in plant().stations}
        plc.command("RequestRemote")
        plc.command("PermitRemote", 0.0)
    found = [plc.reading()]
    for k in range(1, hours * 120 + 1):
        plc.advance(k * PERIOD_US)
        found.append(plc.reading())
    return plc, tuple(found)
