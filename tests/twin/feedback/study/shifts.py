"""Shifts of small lines, read once a minute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.anchor_lines import SATURATED, Machine, serial_plant
from twin.feedback.study import Course
from twin.kernels.draws import PLANT
from twin.line.initial import initial_state
from twin.line.journal import Row
from twin.line.model import build_line
from twin.line.simulator import Simulator
from twin.line.tags import NO_CONTROL, TagReader


def course_of(
    machines: Sequence[Machine], room: Sequence[int], minutes: int, seed: int = 1
) -> Course:
    line = build_line(serial_plant(machines, room))
    simulator, state = Simulator(line, SATURATED), initial_state(line, seed, PLANT)
    simulator.prime(state)
    reader, values, rows = TagReader(line), [], list[Row]()
    times_s = np.arange(minutes + 1) * 60.0
    for time_s in times_s.tolist():
        rows += simulator.advance(state, {}, time_s).rows
        values.append(reader.read(state, NO_CONTROL))
    return Course(line, reader.signals, times_s, np.array(values), rows)
