"""Simple forecasts with honest intervals: what the disturbances and the price will do.

Prices follow the tariff that the plant file knows, if the present price is on it. Everything else
persists, with an 80 % interval from the errors that persistence has made so far over each horizon.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.config import Plant
from twin.cycle import Forecast, Observation

STEPS = 24
KEPT = 240
"""Past values of each series from which errors are taken."""
SHOWN_LATE_H = 60.0 / 3600.0
"""A new price may be shown this late; assumption."""
Z80 = 1.2816
"""The normal quantile that an 80 % interval reaches to."""


@dataclass(slots=True)
class ForecastMemory:
    """Past values by series, one a forecast step."""

    past: dict[str, deque[float]] = field(default_factory=dict)
    last_us: int = -(10**15)
    made: Forecast | None = None


class Forecaster:
    """Forecasts of one plant on a grid of the line layer's period, 24 steps ahead."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._step_s = plant.control.line_period_s
        self._names = [f"env.{name}" for name in plant.disturbances]
        adders = float(plant.energy.adders_eur_per_mwh)
        self._tariffs = {
            name: np.array(prices) + adders
            for name, prices in plant.energy.tariffs_eur_per_mwh.items()
        }

    def forecast(self, observation: Observation, memory: ForecastMemory) -> Forecast:
        """From now on; computed anew once a step, else the last one."""
        due = observation.time_us - memory.last_us >= round(self._step_s * 1e6)
        if memory.made is not None and not due:
            return memory.made
        memory.last_us = observation.time_us
        mean: dict[str, NDArray[np.float64]] = {}
        lower: dict[str, NDArray[np.float64]] = {}
        upper: dict[str, NDArray[np.float64]] = {}
        for name in self._names:
            value = observation[name]
            if math.isnan(value):
                continue
            past = memory.past.setdefault(name, deque(maxlen=KEPT))
            past.append(value)
            known = self.known_price(name, value, observation.time_us / 3.6e9)
            if known is not None:
                mean[name] = lower[name] = upper[name] = known
                continue
            spec = self._plant.disturbances[name.removeprefix("env.")]
            spread = Z80 * _spreads(np.array(past), spec.sd)
            mean[name] = np.full(STEPS, value)
            lower[name], upper[name] = value - spread, value + spread
        memory.made = Forecast(self._step_s, mean, lower, upper)
        return memory.made

    def known_price(self, name: str, price: float, hour: float) -> NDArray[np.float64] | None:
        """The tariff's course if the present price is on it; the plant's own tariff first.

        ``hour`` is plant time. None for what is no tariff, and for a price that is on none.
        """
        if self._plant.disturbances[name.removeprefix("env.")].kind != "tariff":
            return None
        clock = hour + self._plant.energy.starts_at_h
        hours = clock + np.arange(STEPS) * (self._step_s / 3600.0)
        own = self._plant.energy.tariff
        for tariff in (own, *(t for t in self._tariffs if t != own)):
            prices = self._tariffs[tariff]
            course = prices[np.floor(hours + 1e-9).astype(np.int64) % 24]
            # On the stroke of an hour the line may still show the price of the one before.
            shown = prices[math.floor(clock - SHOWN_LATE_H) % 24]
            if min(abs(course[0] - price), abs(shown - price)) < 1e-6:
                return np.asarray(course)
        return None


def _spreads(past: NDArray[np.float64], sd: float) -> NDArray[np.float64]:
    """Root mean square error of persistence by horizon; unknown horizons grow as a random walk.

    Before any error is known, it is that between two values of spread ``sd`` that do not know of
    each other.
    """
    spreads = np.zeros(STEPS)
    if len(past) <= 1 + 4:
        spreads[1:] = math.sqrt(2.0) * sd
        return spreads
    for h in range(1, STEPS):
        if len(past) > h + 4:
            errors = past[h:] - past[:-h]
            spreads[h] = math.sqrt(float(np.mean(errors * errors)))
        else:
            spreads[h] = spreads[h - 1] * math.sqrt(h / max(h - 1, 1))
    return np.asarray(np.maximum.accumulate(spreads))
