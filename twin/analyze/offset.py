"""One slowly moving disturbance and its scalar Kalman filter."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Offset:
    """One disturbance: its estimate, the variance of that, the last innovation in sigmas, of how many."""

    value: float
    variance: float
    innovation: float = 0.0
    times: int = 0

    def update(self, measured: float, walk: float, noise: float) -> None:
        """One part further: predict, then correct. What was not measured teaches nothing."""
        if not math.isfinite(measured):
            return
        variance = self.variance + walk * walk
        gain = variance / (variance + noise * noise)
        error = measured - self.value
        self.innovation = error / math.sqrt(variance + noise * noise)
        self.times += 1
        self.value += gain * error
        self.variance = (1.0 - gain) * variance
