"""The demand charge in a plan: the highest quarter of an hour of the clock, above what is due anyway.

The charge is paid once a shift for its highest clock-aligned quarter. So a plan pays only for what it
adds to the highest quarter so far, and to the mean power that the open orders need if they are spread
over the time left: that much is paid for by any plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUARTER_S = 900.0
PER_HOUR = 4.0


@dataclass(slots=True)
class GridMemory:
    """What the grid meter has shown in this shift: its highest whole quarter, and the running one."""

    shift: int = -1
    highest_kw: float = 0.0
    """Of the quarters that were metered: the least that the highest of the shift can be."""
    unseen_s: float = 0.0
    """The longest time of this shift between two readings, or before the first. If a quarter fits into it,
    a higher one may be paid for already, and plans are then charged for more than they add."""
    time_s: float = -1.0
    kwh: float = 0.0
    used_kwh: float = math.nan
    """Taken in the running quarter; NaN if it was not seen from its beginning."""
    site_kw: float = math.nan
    """What the rest of the site drew when that was last known."""

    def book(
        self, time_s: float, kwh: float, site_kw: float, starts_at_h: float, shift_s: float
    ) -> None:
        """A reading of the line's meter, and the power of the rest of the site since the last one.

        Between two readings the power is taken as even. A reading that is unknown is left out, and
        one below the last begins anew.
        """
        if time_s == self.time_s:
            return
        if math.isnan(kwh):
            self._begin(time_s, shift_s)
            return
        if self.time_s < 0.0 or kwh < self.kwh:
            self.used_kwh = 0.0 if into_quarter_s(time_s, starts_at_h) == 0.0 else math.nan
        else:
            elapsed_s = time_s - self.time_s
            power_kw = (kwh - self.kwh) * 3600.0 / elapsed_s + site_kw
            to_end_s = QUARTER_S - into_quarter_s(self.time_s, starts_at_h)
            while elapsed_s >= to_end_s - 1e-6:
                mean_kw = (self.used_kwh + power_kw * to_end_s / 3600.0) * PER_HOUR
                elapsed_s -= to_end_s
                if time_s - elapsed_s > self.shift * shift_s + 1e-6:  # else it was the last shift's
                    self.highest_kw = max(self.highest_kw, mean_kw)
                self.used_kwh, to_end_s = 0.0, QUARTER_S
            self.used_kwh += power_kw * elapsed_s / 3600.0
        self._begin(time_s, shift_s)
        self.time_s, self.kwh = time_s, kwh

    def _begin(self, time_s: float, shift_s: float) -> None:
        """A shift begins, if one does; and so much of it was not seen before this moment."""
        shift = int(time_s // shift_s)
        if shift != self.shift:
            self.shift, self.highest_kw, self.unseen_s = shift, 0.0, 0.0
        self.unseen_s = max(self.unseen_s, time_s - max(self.time_s, shift * shift_s))

    @property
    def paid_kw(self) -> float:
        """What a quarter may take without a new peak; infinite where one that nobody saw may have been higher."""
        return math.inf if self.time_s < 0.0 or self.doubt else self.highest_kw

    @property
    def doubt(self) -> str:
        """What is not known of the highest quarter, in words; empty if nothing."""
        if self.unseen_s < QUARTER_S:
            return ""
        return (
            f"highest quarter unknown: {self.unseen_s / 60.0:.0f} min of the shift were not metered"
        )


def into_quarter_s(time_s: float, starts_at_h: float) -> float:
    """Seconds since the running quarter of the clock began."""
    return round((time_s + starts_at_h * 3600.0) % QUARTER_S, 6) % QUARTER_S


@dataclass(frozen=True, slots=True, eq=False)
class PeakCharge:
    """The charge as a plan sees it that begins now."""

    eur_per_kw: float
    base_kw: float
    """Mean power of a quarter that adds nothing to the bill."""
    shares: NDArray[np.float64]
    """Share of each block (column) that lies in each whole quarter (row) of the plan."""
    begun_kwh: NDArray[np.float64]
    """What each quarter takes beside the line's plan: what is drawn already, and the rest of the site."""

    def charge_eur(self, kwh: NDArray[np.float64]) -> float:
        """For a course of the line's meter, read at the beginning and after each block."""
        if not len(self.shares):
            return 0.0
        means_kw = PER_HOUR * (self.shares @ np.diff(kwh) + self.begun_kwh)
        return self.eur_per_kw * max(float(np.max(means_kw)) - self.base_kw, 0.0)


def peak_charge(
    eur_per_kw: float,
    base_kw: float,
    memory: GridMemory,
    into_s: float,
    site_kw: float,
    block_s: float,
    blocks: int,
) -> PeakCharge:
    """The quarters that end within the plan; the running one only if its beginning was metered."""
    starts_s = np.arange(-into_s, blocks * block_s - QUARTER_S + 1e-6, QUARTER_S)
    known = starts_s >= 0.0 if math.isnan(memory.used_kwh) else np.full(len(starts_s), True)
    edges_s = np.arange(blocks + 1) * block_s
    low = np.maximum(edges_s[None, :-1], starts_s[:, None])
    high = np.minimum(edges_s[None, 1:], starts_s[:, None] + QUARTER_S)
    shares = np.maximum(high - low, 0.0) / block_s
    begun_kwh = site_kw * block_s / 3600.0 * shares.sum(axis=1)
    if len(starts_s) and known[0] and into_s > 0.0:
        begun_kwh[0] += memory.used_kwh
    base_kw = max(base_kw, memory.highest_kw)
    return PeakCharge(eur_per_kw, base_kw, shares[known], begun_kwh[known])
