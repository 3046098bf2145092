"""What electricity will cost in each block of a plan, from the forecast of the tariff."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twin.cycle import Forecast

PRICE = "env.price_eur_per_mwh"
LEAST_EUR_PER_MWH = 1.0
"""A negative price must not make waste worth while; assumption."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockPrices:
    """Mean price of electricity in each block, EUR/kWh, and that of the work left for later."""

    blocks: NDArray[np.float64]
    later: float
    doubt: str = ""
    """Why these are no forecast's, if they are not."""

    @property
    def is_flat(self) -> bool:
        """Whether it does not matter when electricity is drawn."""
        return bool(np.all(self.blocks == self.later))

    def electricity_eur(self, kwh: NDArray[np.float64]) -> float:
        """Cost of a course of the meter, read at the beginning and after each block.

        Blocks of one price that follow each other are charged as one, so that a flat tariff gives
        the price times what the meter grew by, to the last digit.
        """
        starts = np.flatnonzero(np.diff(self.blocks, prepend=np.nan) != 0.0)
        ends = [*starts[1:].tolist(), len(self.blocks)]
        total = 0.0
        for start, end in zip(starts.tolist(), ends, strict=True):
            total += float(self.blocks[start]) * float(kwh[end] - kwh[start])
        return total


def flat(eur_per_kwh: float, blocks: int) -> BlockPrices:
    """One price for all times."""
    return BlockPrices(np.full(blocks, eur_per_kwh), eur_per_kwh)


def block_prices(
    forecast: Forecast,
    age_s: float,
    now_eur_per_kwh: float,
    block_s: float,
    blocks: int,
    left_s: float,
) -> BlockPrices:
    """The means of the forecast over the blocks from now on; without a forecast, the price of now.

    ``age_s`` is how long ago the forecast was made. Work that the plan leaves is done between its
    end and the end of the shift, in ``left_s``, as far as the forecast reaches. Beyond its last
    step the forecast stays where it is.
    """
    mean = forecast.mean.get(PRICE)
    if mean is None or not np.all(np.isfinite(mean)):
        why = "no forecast" if mean is None else "the forecast has gaps"
        return replace(flat(now_eur_per_kwh, blocks), doubt=f"prices: {why}, that of now is taken")
    eur_per_kwh = np.maximum(mean, LEAST_EUR_PER_MWH) * 1e-3
    step_s, end_s = forecast.step_s, blocks * block_s
    means = [
        _mean(eur_per_kwh, step_s, age_s + k * block_s, age_s + (k + 1) * block_s)
        for k in range(blocks)
    ]
    known_s = min(max(left_s, end_s) + age_s, len(mean) * step_s)
    later = means[-1]
    if known_s > end_s + age_s:
        later = _mean(eur_per_kwh, step_s, end_s + age_s, known_s)
    return BlockPrices(np.array(means), later)


def _mean(prices: NDArray[np.float64], step_s: float, from_s: float, until_s: float) -> float:
    """Mean of a staircase between two times; exact where it is flat."""
    edges = np.arange(len(prices)) * step_s
    begin = np.clip(edges, from_s, until_s)
    end = np.append(begin[1:], until_s)
    first = float(prices[min(int(from_s / step_s + 1e-9), len(prices) - 1)])
    begin[edges <= from_s] = from_s
    inside_s = np.maximum(end - begin, 0.0)
    return first + float(np.dot(inside_s, prices - first)) / (until_s - from_s)
