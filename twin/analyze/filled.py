"""What the line does not tell at the moment, as the twin expects it: for controllers, never the guard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twin.cycle import Observation
from twin.signals import Quality, Role, Signal


def filled(
    observation: Observation, signals: Sequence[Signal], expected: NDArray[np.float64]
) -> Observation:
    """The observation with the twin's values (one a signal) where a measured one is missing.

    Only the line's own course is filled in: setpoints in force, the environment and the PLC's words
    are known or not. What was filled is marked ``Quality.JUMP``, usable but not of this moment.
    """
    missing = np.isnan(observation.values) & np.isfinite(expected)
    own = [s.role in (Role.CV, Role.PV) and not s.name.startswith("control.") for s in signals]
    missing &= np.array(own)
    if not missing.any():
        return observation
    values = np.where(missing, expected, observation.values)
    quality = np.where(missing, int(Quality.JUMP), observation.quality)
    values.setflags(write=False)
    quality.setflags(write=False)
    return replace(observation, values=values, quality=quality)
