"""What a line does at this moment, for people: in a line of words, or as a small picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.line import schema as s
from twin.line.model import Line

_COLOURS = {
    s.OFF: (90, 90, 90),
    s.STANDBY: (120, 120, 160),
    s.WARM_UP: (240, 160, 60),
    s.IDLE: (230, 220, 120),
    s.PROCESSING: (60, 170, 90),
    s.BLOCKED: (80, 130, 220),
    s.DOWN: (210, 60, 60),
}
_OTHER = (170, 110, 190)
"""Changed over, serviced, waiting for somebody."""
CELL, HEIGHT = 24, 48
_PAPER, _INK = (250, 250, 250), (40, 40, 40)


def told(line: Line, now_s: float, floats: Sequence[float], ints: Sequence[int]) -> str:
    """Time, parts and orders, levels of the buffers, states of the stations."""
    at, b = line.k[s.K_LINE_I], line.k[s.K_BUFFER_I]
    hours, left_s = divmod(now_s, 3600.0)
    good, ordered = ints[at + s.GOOD], ints[at + s.ORDERED]
    levels = [f"{name} {ints[b + n * s.B_INTS]}" for n, name in enumerate(line.buffers)]
    states = [
        f"{station.name} {s.STATES[ints[(n + 1) * s.E_INTS + s.STATE]]}"
        for n, station in enumerate(line.stations)
    ]
    clock = f"{hours:02.0f}:{left_s / 60.0:02.0f}"
    takt = f"takt {floats[s.TAKT_S]:.0f} s"
    return f"{clock}  {good} of {ordered}  {takt}  {'  '.join([*levels, *states])}"


def painted(line: Line, ints: Sequence[int]) -> NDArray[np.uint8]:
    """A square for each station in the colour of its state, below it the buffer that it takes from."""
    n = len(line.stations)
    picture = np.full((HEIGHT + CELL, n * CELL, 3), _PAPER, dtype=np.uint8)
    buffers = line.plant.buffers
    names: list[Any] = [buffer.name for buffer in buffers]
    for m, spec in enumerate(line.plant.stations):
        state = ints[(m + 1) * s.E_INTS + s.STATE]
        picture[2 : CELL - 2, m * CELL + 2 : (m + 1) * CELL - 2] = _COLOURS.get(state, _OTHER)
        b = names.index(spec.takes_from)
        level = ints[line.k[s.K_BUFFER_I] + b * s.B_INTS]
        share = min(level / max(float(buffers[b].capacity), 1.0), 1.0)
        top = CELL + HEIGHT - round(share * (HEIGHT - 2))
        picture[top:, m * CELL + 6 : (m + 1) * CELL - 6] = _INK
    return picture
