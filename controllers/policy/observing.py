"""From the loop's readings to the numbers of a policy's schema, in engineering units.

The packing is that of the environments; here stands only what a bundle needs beside it: a graph takes
engineering units, and what cannot be known has to have a name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from controllers.env.observer import Observer
from controllers.policy.manifest import SchemaSpec, half_of, middle_of
from twin.cycle import Observation
from twin.kernels.draws import TWIN
from twin.line.initial import initial_state
from twin.line.model import Line
from twin.line.tags import NO_CONTROL, TagReader


class Observing:
    """Observations of one line, in engineering units and inside their declared limits.

    It has to `listen` at every turn, decision or not: what an instrument has shown last is kept.
    """

    def __init__(self, line: Line, spaces: SchemaSpec, decision_s: float) -> None:
        self._observer = Observer(line, decision_s)
        self._middle, self._half = middle_of(spaces.observation), half_of(spaces.observation)
        self._asked = [field.name for field in spaces.action]
        # The first decision must not wait for the kernel to be compiled.
        reader, state = TagReader(line), initial_state(line, 0, TWIN)
        values, parts = reader.read(state, NO_CONTROL), reader.part_ids(state)
        begin = Observation(0, 0, values, np.zeros(len(values), np.int64), parts, (), reader.index)
        self.seen(begin, {name: begin[name] for name in self._asked})

    def listen(self, observation: Observation) -> None:
        """Note what the instruments show in this turn."""
        self._observer.note(observation)

    def seen(
        self, observation: Observation, previous: Mapping[str, float]
    ) -> tuple[NDArray[np.float64], str]:
        """What the policy sees now, and the first thing in it that is not known; empty where all is.

        ``previous`` are the setpoints that were asked for at the decision before, at the first one those in
        force.
        """
        for name in self._observer.needed:
            if not math.isfinite(observation[name]):
                return np.full(self._middle.size, math.nan), name
        packed = self._observer.observe(observation, [previous[name] for name in self._asked])
        return self._middle + self._half * packed.astype(np.float64), ""
