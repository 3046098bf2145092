"""What a policy has seen in training: an even sample, and whatever was ever extreme.

It becomes the training range of the bundle, so it takes observations as the environments' ``shown`` gives them, not
stopped at -1 and 1: with those that are, it would not know how far beyond a limit training has been. Which observations are kept follows from their number alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOMENTS, LINES = 1024, 8
"""How many moments are kept, at most (then every second one goes, and half as many come), and how many lines of each."""
GOLDEN = 0.6180339887498949
"""Steps of this share of the lines visit all of them evenly, whatever the stride of the moments."""


class Seen:
    """Observations (scaled, one row a line) of a training run with ``lines`` lines, thinned out as they come."""

    def __init__(self, lines: int, width: int) -> None:
        rows = min(LINES, lines)
        self._apart = np.arange(rows) * lines // rows
        self._held = np.zeros((MOMENTS, rows, width), dtype=np.float32)
        self._extreme = np.zeros((2, width, width), dtype=np.float32)
        self._ends = np.array([[np.inf], [-np.inf]], dtype=np.float32).repeat(width, axis=1)
        self._counts = np.array([0, 0, 1], dtype=np.int64)  # held, came, stride

    def add(self, observations: NDArray[np.float32]) -> None:
        """Look at what all lines show at one moment."""
        least, most = observations.min(axis=0), observations.max(axis=0)
        for side, better in enumerate((least < self._ends[0], most > self._ends[1])):
            if better.any():
                at = (observations.argmax if side else observations.argmin)(axis=0)[better]
                self._extreme[side, better] = observations[at]
                self._ends[side, better] = (most if side else least)[better]
        held, came, stride = self._counts.tolist()
        if held == MOMENTS and came % stride == 0:
            self._held[: MOMENTS // 2] = self._held[::2]
            held, stride = MOMENTS // 2, 2 * stride
        if came % stride == 0:
            first = int(came * GOLDEN % 1.0 * len(observations))
            self._held[held] = observations[(first + self._apart) % len(observations)]
            held += 1
        self._counts[:] = held, came + 1, stride

    def sample(self) -> NDArray[np.float32]:
        """The sample, and the observations in which a number was lower or higher than ever."""
        if not self._counts[1]:
            return self._held[:0, 0]
        width = self._held.shape[2]
        return np.concatenate([self._held[: self._counts[0]].reshape(-1, width), *self._extreme])

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """All that changes, as arrays."""
        names = ("held", "extreme", "ends", "counts")
        return {name: getattr(self, f"_{name}").copy() for name in names}

    def restore(self, held: dict[str, NDArray[Any]]) -> None:
        """Be as `snapshot` found it."""
        for name, value in held.items():
            getattr(self, f"_{name}")[...] = value
