"""Lowest and highest values per stretch of readings, so that a year's trend needs no full scan.

A stretch is a run of at least ``READINGS`` consecutive readings. Its extremes are real samples with
their own times, written in the same transaction as the samples; raw samples stay as they are. With
a thousand points on a screen, a trend reads at most 500 stretches' worth of raw samples, or else
one row a stretch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

READINGS = 60
"""Readings that make a stretch: less than three rows a reading at 160 signals. Assumption; the raw
scan behind a trend of 1,000 points then never exceeds 30,000 readings."""


def extent_columns(
    time_us: NDArray[np.int64], values: NDArray[np.float64]
) -> dict[str, NDArray[np.float64] | NDArray[np.int64] | NDArray[np.int16]]:
    """The extremes of one stretch, one row a signal, as columns of the table ``extents``.

    ``time_us`` has shape (readings,), ``values`` (readings, signals) with NaN for unknown. A signal
    that is unknown throughout gets NaN at the first time.
    """
    readings, signals = values.shape
    unknown = np.isnan(values)
    lowest = np.where(unknown, np.inf, values).argmin(axis=0)
    highest = np.where(unknown, -np.inf, values).argmax(axis=0)
    # A stretch of +inf and NaN alone: argmin may have landed on a NaN; take any known sample.
    column = np.arange(signals)
    first_known = unknown.argmin(axis=0)
    lowest = np.where(unknown[lowest, column], first_known, lowest)
    highest = np.where(unknown[highest, column], first_known, highest)
    return {
        "from_us": np.full(signals, time_us[0]),
        "until_us": np.full(signals, time_us[readings - 1]),
        "signal": column.astype(np.int16),
        "low": values[lowest, column],
        "low_us": time_us[lowest],
        "high": values[highest, column],
        "high_us": time_us[highest],
    }
