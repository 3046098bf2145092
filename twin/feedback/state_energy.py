"""What a station draws while it makes nothing: its electricity divided among four classes of state.

Meters count kWh, not states. Between two readings a station spends known times in its states and
draws a known energy; the mean power of each class that fits all such stretches best (least squares)
gives the energy of each class. A class in which power varies little (ready, asleep) is found to
within a percent or so; what the fit leaves over belongs to making.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.line import schema as s

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAKING, AWAKE, WARMING, ASLEEP = range(4)
"""Four ways to draw power: making a part, ready for one or in trouble, warming up, asleep."""
CLASS_OF_STATE = {
    s.OFF: ASLEEP,
    s.STANDBY: ASLEEP,
    s.WARM_UP: WARMING,
    s.IDLE: AWAKE,
    s.PROCESSING: MAKING,
    s.BLOCKED: AWAKE,
    s.DOWN: AWAKE,
    s.TOOL_CHANGE: AWAKE,
    s.SETUP: AWAKE,
    s.SERVICE: AWAKE,
    s.WAITING: AWAKE,
}
TIMES = tuple(f"time_{name}_s" for name in s.STATES)
"""The columns of a station that count the time in each state, in the order of the state codes."""
_CLASSES = np.array([[float(CLASS_OF_STATE[n] == m) for m in range(4)] for n in range(s.N_STATES)])


class StateEnergy:
    """The sums of the fit, for ``n`` stations at once."""

    def __init__(self, n: int) -> None:
        self._squares = np.zeros((n, 4, 4))
        self._products = np.zeros((n, 4))

    def book(self, times_s: NDArray[np.float64], energy_kwh: NDArray[np.float64]) -> None:
        """One stretch: times in each state (stations, states) and energy (stations)."""
        spent_s = times_s @ _CLASSES
        self._squares += spent_s[:, :, None] * spent_s[:, None, :]
        self._products += spent_s * energy_kwh[:, None]

    def divided(
        self, n: int, times_s: NDArray[np.float64], energy_kwh: float
    ) -> tuple[float, float, float, float]:
        """The energy of station ``n`` in all that time, by class; the parts add up to the whole."""
        spent_s = times_s @ _CLASSES
        kwh = _mean_power(self._squares[n], self._products[n]) * spent_s
        kwh[MAKING] = 0.0
        resting = float(kwh.sum())
        if resting > energy_kwh or (resting > 0.0 and spent_s[MAKING] == 0.0):
            kwh *= energy_kwh / resting
            resting = energy_kwh
        kwh[MAKING] = energy_kwh - resting
        return float(kwh[0]), float(kwh[1]), float(kwh[2]), float(kwh[3])


def _mean_power(squares: NDArray[np.float64], products: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean power of each class, kWh/s, none negative, that fits best; 0 where never seen."""
    use = np.diag(squares) > 0.0
    while use.any():
        at = np.flatnonzero(use)
        fit = np.linalg.lstsq(squares[np.ix_(at, at)], products[at], rcond=None)[0]
        if (fit >= 0.0).all():
            power = np.zeros(4)
            power[at] = fit
            return power
        use[at[fit < 0.0]] = False
    return np.zeros(4)
