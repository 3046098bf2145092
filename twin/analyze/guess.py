"""What lies in a buffer that shows how full it is, but not with which parts: a PLC without part lists.

The twin's own expectation is kept as far as it fits: first in, first out. Parts beyond it are
strangers, with numbers that no real part has and with a product drawn from the mix. Each ticket draws anew,
so the states that a line may be in differ where nothing is known.
"""

from __future__ import annotations

import math

from twin.cycle import Observation
from twin.kernels import draws
from twin.line import schema as s
from twin.line.model import Line
from twin.state import LineState

STRANGER = 2**31
"""Where the numbers of parts begin that nobody has told of."""


class Guess:
    """The contents of the buffers of one line, at one instant, where they are not told."""

    def __init__(self, line: Line, expected: LineState, ticket: int) -> None:
        self._buffers = {name: b for b, name in enumerate(line.buffers)}
        self._expected = {name: _parts(line, b, expected) for name, b in self._buffers.items()}
        at = line.k[s.K_LINE_I]
        self._luck = expected.ints[at + s.SEED], expected.ints[at + s.WORLD]
        self._ticket = ticket
        mixed_by = line.plant.source.mixed_by
        self._choices = line.plant.disturbances[mixed_by].choices if mixed_by else ()

    def contents(self, name: str, seen: Observation, places: int) -> tuple[int, ...]:
        """Parts oldest first, as many as the buffer shows; as expected if it shows nothing."""
        expected = self._expected[name]
        level = seen[f"{name}.level"]
        if math.isnan(level):
            return expected
        n = min(max(round(level), 0), places)
        if n <= len(expected):
            return expected[len(expected) - n :]
        first = STRANGER + self._buffers[name] * 2**16
        newest = max((part for part in expected if part >= first), default=first - 1)
        return (*expected, *range(newest + 1, newest + 1 + n - len(expected)))

    def product(self, part: int, now: float) -> float:
        """What a part is: as all that enter now, or for a stranger any of the mix."""
        if part < STRANGER or not self._choices:
            return now
        index = self._ticket * 2**20 + part - STRANGER
        pick = draws.uniform(*self._luck, 0, draws.GUESS, index)
        return self._choices[int(pick * len(self._choices))]


def _parts(line: Line, b: int, state: LineState) -> tuple[int, ...]:
    """The parts of a buffer by number, oldest first."""
    i, k = state.ints, line.k
    at = k[s.K_BUFFER_I] + b * s.B_INTS
    places, first = k[k[s.K_BUFFER_K] + s.BK * b], k[k[s.K_BUFFER_K] + s.BK * b + 1]
    ring = [k[s.K_RING_I] + first + (i[at + s.HEAD] + n) % max(places, 1) for n in range(i[at])]
    return tuple(i[k[s.K_PART_I] + i[place] * s.P_INTS + s.PART_ID] for place in ring)
