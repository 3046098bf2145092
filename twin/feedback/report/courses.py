"""Courses over time made ready for drawing: steps without repetition, stretches of one state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from twin.cycle import Event
from twin.feedback.quarters import PER_HOUR
from twin.feedback.report.data import Series

QUARTER_S = 900.0
Stretch = tuple[float, float, int]
"""Begin, end (seconds of plant time) and state code."""


def changes(series: Series) -> Series:
    """The same steps with fewer points: where the value changes, and the last one."""
    times_s, values = series
    if values.size < 3:
        return series
    differs = (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    keep = np.concatenate(([True], differs))
    keep[-1] = True
    return times_s[keep], values[keep]


def thinned(series: Series, points: int = 1500) -> Series:
    """At most about so many points: the lowest and the highest of each of ``points / 2`` stretches."""
    times_s, values = series
    if values.size <= points:
        return series
    edges = np.linspace(0, values.size, points // 2 + 1).astype(np.int64)
    keep: list[int] = []
    for begin, end in pairwise(edges.tolist()):
        part = values[begin:end]
        if np.isnan(part).all():
            keep.append(begin)
        else:
            keep += sorted({int(begin + np.nanargmin(part)), int(begin + np.nanargmax(part))})
    return times_s[keep], values[keep]


def from_previous(series: Series) -> Series:
    """Each value from the reading before it on: for what a reading shows of the stretch it ends."""
    times_s, values = series
    if values.size < 2:
        return series
    return times_s, np.append(values[1:], values[-1])


def after_first(series: Series, count: Series, delay_s: float) -> Series:
    """Unknown until the first part was made: before, an instrument shows no part at all."""
    times_s, values = series
    at_s, made = count
    seen = np.searchsorted(at_s, times_s - delay_s, side="right") - 1
    shown = np.where(seen >= 0, made[np.maximum(seen, 0)], made[:1]) > 0.0
    return times_s, np.where(shown, values, np.nan)


def metered(series: Series) -> Series:
    """What a meter has counted since the first known reading; a fall is a restart and adds none."""
    times_s, values = series
    known = np.isfinite(values)
    times_s, values = times_s[known], values[known]
    growth = np.maximum(np.diff(values), 0.0)
    return times_s, np.concatenate((np.zeros(min(values.size, 1)), np.cumsum(growth)))


def quarter_means(energy: Series, site_load: Series | None, starts_at_h: float) -> Series:
    """Mean grid power of each whole quarter of an hour of the clock: begins, kW.

    As in the books: a reading shows the site load of the stretch that it ends; energy at a boundary
    without a reading is interpolated.
    """
    times_s, kwh = metered(energy)
    if times_s.size < 2:
        return np.empty(0), np.empty(0)
    if site_load is not None:
        at_s, load_kw = site_load
        known = np.isfinite(load_kw)
        if known.any():
            held = np.searchsorted(at_s[known], times_s, side="right") - 1
            load = load_kw[known][np.maximum(held, 0)]
            added = load[1:] * np.diff(times_s) / 3600.0
            kwh = kwh + np.concatenate(([0.0], np.cumsum(added)))
    offset_s = starts_at_h * 3600.0 % QUARTER_S
    first = np.ceil((times_s[0] + offset_s) / QUARTER_S - 1e-9)
    last = np.floor((times_s[-1] + offset_s) / QUARTER_S + 1e-9)
    boundaries_s = np.arange(first, last + 1.0) * QUARTER_S - offset_s
    if boundaries_s.size < 2:
        return np.empty(0), np.empty(0)
    return boundaries_s[:-1], np.diff(np.interp(boundaries_s, times_s, kwh)) * PER_HOUR


def stretches_of_samples(series: Series) -> Iterator[Stretch]:
    """Stretches of one state code from samples; one that is not known is left out."""
    times_s, codes = series
    if times_s.size == 0:
        return
    starts = np.concatenate(([0], 1 + np.flatnonzero(codes[1:] != codes[:-1])))
    ends = np.concatenate((starts[1:], [times_s.size - 1]))
    for begin, end in zip(starts, ends, strict=True):
        if np.isfinite(codes[begin]) and end > begin:
            yield float(times_s[begin]), float(times_s[end]), int(codes[begin])


def stretches_of_events(
    events: Sequence[Event], entity: str, from_s: float, until_s: float
) -> Iterator[Stretch]:
    """Stretches of one state code of an entity between two instants, from its state changes."""
    begin_s, code = from_s, -1
    for event in events:
        if event.entity != entity or event.before == event.after:
            continue
        time_s = event.time_us / 1e6
        if time_s > until_s:
            break
        if time_s > begin_s:
            yield begin_s, time_s, event.before if code < 0 else code
        begin_s, code = max(time_s, from_s), event.after
    if code >= 0 and until_s > begin_s:
        yield begin_s, until_s, code
