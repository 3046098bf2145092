"""From the loop's readings to the numbers of a policy's schema, in engineering units.

The packing is that of the environments; here stands only what a bundle needs beside it: a graph takes
engineering units, and what cannot be known has to have a name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controllers.env.observer import Observer
from controllers.policy.manifest import SchemaSpec, half_of, middle_of
from twin.cycle import Observation
from twin.kernels.draws import TWIN
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.tags import NO_CONTROL, TagReader


class Sight(NamedTuple):
    """What a policy sees at one moment, in engineering units and the order of its schema."""

    packed: NDArray[np.float64]
    """As its network takes it: what lies beyond its declared limits is at them."""
    shown: NDArray[np.float64]
    """As it is shown, which is what the training range looks at."""
    unknown: str
    """The first thing in it that is not known; empty where all is. Then the numbers are none."""


class Observing:
    """Observations of one line.

    It has to `listen` at every turn, decision or not: what an instrument has shown last is kept.
    """

    def __init__(self, line: Line, spaces: SchemaSpec, decision_s: float) -> None:
        self._observer = Observer(line, decision_s)
        self._middle, self._half = middle_of(spaces.observation), half_of(spaces.observation)
        self._names = [field.name for field in spaces.observation]
        self._asked = [field.name for field in spaces.action]
        # The first decision must not wait for the kernel to be compiled.
        reader, state = TagReader(line), initial_state(line, 0, TWIN)
        values, parts = reader.read(state, NO_CONTROL), reader.part_ids(state)
        begin = Observation(0, 0, values, np.zeros(len(values), np.int64), parts, (), reader.index)
        self.seen(begin, {name: begin[name] for name in self._asked})

    def listen(self, observation: Observation) -> None:
        """Note what the instruments show in this turn."""
        self._observer.note(observation)

    def seen(self, observation: Observation, previous: Mapping[str, float]) -> Sight:
        """What the policy sees now.

        ``previous`` are the setpoints that were asked for at the decision before, at the first one those in
        force.
        """
        nothing = np.full(self._middle.size, math.nan)
        for name in self._observer.needed:
            if not math.isfinite(observation[name]):
                return Sight(nothing, nothing, name)
        asked = [previous[name] for name in self._asked]
        shown = self._observer.in_units(observation, asked)
        is_known = np.isfinite(shown)
        if not is_known.all():
            return Sight(nothing, nothing, self._names[int(np.argmin(is_known))])
        packed = self._observer.observe(observation, asked).astype(np.float64)
        return Sight(self._middle + self._half * packed, shown, "")
