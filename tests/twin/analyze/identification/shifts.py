"""Logged stretches of emulated lines, and what those lines really are."""

from __future__ import annotations

import numpy as np

from twin.analyze.identification import Record
from twin.analyze.identification.record import wanted
from twin.config import load_plant, load_truth
from twin.equipment.plc import Plc
from twin.kernels import draws
from twin.line.model import Line, build_line
from twin.line.scenario import build_table, scenario_of


def logged(name: str, hours: float, seed: int) -> tuple[Line, Line, Record]:
    """The nominal line, the true one, and what the true one logged at its recipe."""
    plant = load_plant(name)
    true = build_line(plant, load_truth(name, plant))
    table = build_table(plant, seed, draws.PLANT, hours)
    plc = Plc(true, table, seed, scenario_of(plant, "nominal"))
    period_us = round(plant.control.period_s * 1e6)
    values = []
    for n in range(round(hours * 3.6e9 / period_us) + 1):
        if n:
            plc.advance(n * period_us)
        values.append(plc.reading().values)
    line, table_of = build_line(plant), np.array(values).T
    names = [signal.name for signal in plc.signals]
    columns = {key: table_of[names.index(key)] for key in wanted(line)}
    return line, true, Record(period_us / 1e6 * np.arange(len(values)), columns)
