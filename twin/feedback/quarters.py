"""The grid operator's meter: energy of each quarter of an hour of the clock.

A demand charge is taken on the highest mean power of a quarter of an hour, and the quarters are
those of the clock, not of the run. Where a reading falls on the boundary the meter is exact; where
none does, the energy at the boundary is interpolated and the quarter says so.
"""

from __future__ import annotations

from dataclasses import dataclass

QUARTER_US = 900_000_000
PER_HOUR = 4.0


@dataclass(frozen=True, slots=True)
class Quarter:
    """One whole quarter of an hour: begin (plant time), grid energy, how well it is known.

    ``is_interpolated``: one of its ends, at least, lay in a gap between readings. ``is_complete``
    is false where some of its energy was not metered; then ``grid_kwh`` is a lower bound.
    """

    from_us: int
    grid_kwh: float
    is_interpolated: bool
    is_complete: bool

    @property
    def mean_kw(self) -> float:
        """Mean power drawn from the grid."""
        return self.grid_kwh * PER_HOUR


class QuarterMeter:
    """Cuts a course of metered energy at the quarters of the clock.

    ``starts_at_h`` is the hour of the clock at plant time 0. A quarter that had begun when metering
    began, and one that has not ended, are not in ``quarters``.
    """

    def __init__(self, starts_at_h: float) -> None:
        self._offset_us = round(starts_at_h * 3.6e9) % QUARTER_US
        self.quarters: list[Quarter] = []
        self._time_us = 0
        self._kwh = 0.0
        self._next_us = 0
        self._opened: tuple[int, float, bool] | None = None
        self._is_complete = True

    def begin(self, time_us: int, kwh: float) -> None:
        """The first reading of the meter."""
        self._time_us, self._kwh = time_us, kwh
        since_boundary_us = (time_us + self._offset_us) % QUARTER_US
        self._next_us = time_us - since_boundary_us + QUARTER_US
        if since_boundary_us == 0:
            self._opened = (time_us, kwh, False)

    def book(self, time_us: int, kwh: float, *, is_complete: bool) -> None:
        """A later reading of the meter, which never falls; ``is_complete``: nothing was missed."""
        self._is_complete = self._is_complete and is_complete
        while self._next_us <= time_us:
            boundary_us = self._next_us
            self._close(boundary_us, time_us, kwh)
            # What was missed in a gap may have been missed on either side of the boundary.
            self._is_complete = is_complete or boundary_us == time_us
        self._time_us, self._kwh = time_us, kwh

    def _close(self, boundary_us: int, time_us: int, kwh: float) -> None:
        share = (boundary_us - self._time_us) / (time_us - self._time_us)
        at_boundary = self._kwh + share * (kwh - self._kwh) if boundary_us < time_us else kwh
        is_between = boundary_us < time_us
        if self._opened is not None:
            from_us, from_kwh, was_between = self._opened
            self.quarters.append(
                Quarter(
                    from_us, at_boundary - from_kwh, was_between or is_between, self._is_complete
                )
            )
        self._opened = (boundary_us, at_boundary, is_between)
        self._next_us += QUARTER_US
