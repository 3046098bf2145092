"""What was found of one number of a plant file: estimate, interval, verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from twin.config import Value


class Verdict(StrEnum):
    """What the record is worth for one number."""

    LEARNED = "learned"
    """The interval is narrower than what was known before; the estimate may replace the nominal."""
    NOT_INFORMATIVE = "not informative"
    """The record says no more than the plant file; the nominal value stays."""
    NO_EFFECT = "no effect seen"
    """The plant file knows of none, and the interval, narrow enough to be learned, holds none."""
    DISAGREES = "disagrees with range"
    """The whole interval lies outside the range of the plant file: one of the two is wrong."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the ends of its 95 % interval, from so many observations.

    NaN for an estimate that cannot be made, infinity for an end that the record leaves open.
    """

    estimate: float
    lo: float
    hi: float
    observations: int

    @property
    def is_closed(self) -> bool:
        """Whether estimate and both ends are finite."""
        return all(math.isfinite(number) for number in (self.estimate, self.lo, self.hi))


UNKNOWN = Interval(math.nan, -math.inf, math.inf, 0)
"""Nothing was observed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One number: where it stands in the plant file, what stood there, what the record says.

    ``path`` begins with the station's name: ``("turning", "power", "idle_kw")``. ``known`` is the
    range within which the number was known to lie before; None if the plant file gives none.
    """

    path: tuple[str, ...]
    unit: str
    nominal: float
    found: Interval
    known: tuple[float, float] | None
    verdict: Verdict
    note: str = ""

    @property
    def name(self) -> str:
        """The path as one word."""
        return ".".join(self.path)


def finding(
    path: tuple[str, ...],
    unit: str,
    nominal: Value | float,
    found: Interval,
    *,
    is_scale: bool = False,
    width: float | None = None,
    note: str = "",
) -> Finding:
    """Judge an interval against what the plant file knew.

    A number is learned if its interval is narrower than its range; without a range, than ``width``
    (in its unit), or else than its own nominal value. ``is_scale`` compares ratios instead of
    differences, as befits mean times, which are known to a factor.
    """
    known = nominal.range if isinstance(nominal, Value) else None
    value = float(nominal)
    return Finding(
        path,
        unit,
        value,
        found,
        known,
        _judged(value, found, known, width, is_scale=is_scale),
        note,
    )


def _judged(
    nominal: float,
    found: Interval,
    known: tuple[float, float] | None,
    width: float | None,
    *,
    is_scale: bool,
) -> Verdict:
    if not found.is_closed:
        return Verdict.NOT_INFORMATIVE
    if known is not None and known[0] < known[1]:
        if found.hi < known[0] or found.lo > known[1]:
            return Verdict.DISAGREES
        if is_scale and min(known[0], found.lo) > 0.0:
            is_narrow = found.hi / found.lo < known[1] / known[0]
        else:
            is_narrow = found.hi - found.lo < known[1] - known[0]
        return Verdict.LEARNED if is_narrow else Verdict.NOT_INFORMATIVE
    before = width if width is not None else abs(nominal)
    if found.hi - found.lo >= before:
        return Verdict.NOT_INFORMATIVE
    is_nothing = nominal == 0.0 and found.lo <= 0.0 <= found.hi
    return Verdict.NO_EFFECT if is_nothing else Verdict.LEARNED
