"""What the line does not tell at the moment, as the twin expects it: for controllers, never the guard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twin.cycle import Observation
from twin.signals import Quality, Role, Signal


def own_course(signals: Sequence[Signal]) -> NDArray[np.bool_]:
    """Which signals are the line's own course: those that a twin can stand in for.

    Setpoints in force, the environment and the PLC's words are known or they are not.
    """
    return np.array(
        [s.role in (Role.CV, Role.PV) and not s.name.startswith("control.") for s in signals]
    )


def filled(
    observation: Observation,
    own: NDArray[np.bool_],
    expected: Callable[[], NDArray[np.float64]],
) -> Observation:
    """The observation with the twin's values (one a signal) where a measured one is missing.

    ``expected`` is asked only if one is. What was filled is marked ``Quality.JUMP``: usable, but not
    of this moment.
    """
    missing = np.isnan(observation.values) & own
    if not missing.any():
        return observation
    values = np.where(missing, expected(), observation.values)
    quality = np.where(missing & np.isfinite(values), int(Quality.JUMP), observation.quality)
    values.setflags(write=False)
    quality.setflags(write=False)
    return replace(observation, values=values, quality=quality)
