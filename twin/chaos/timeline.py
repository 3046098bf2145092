"""How the times of a loop's record and those of the server belong together."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence

from twin.chaos.evidence import Record, Shown

NEAR_US = 10_000_000
"""Further off than this no counter is."""


def offsets_us(record: Record, shown: Sequence[Shown]) -> Mapping[int, int]:
    """By life of the server: plant time in the record less that of the server, microseconds.

    The PLC's counter is in both, and tells which scan a reading has seen. A counter that goes back
    is another life.
    """
    times: dict[int, dict[int, int]] = {}
    for scan in shown:
        times.setdefault(scan.life, {})[scan.alive] = scan.time_us
    lives = sorted(times)
    found: dict[int, list[int]] = {}
    at, before = _first_life(record, shown, lives), -1.0
    for time_us, alive in record.readings:
        if alive != alive:  # noqa: PLR0124  (NaN: the counter was not known)
            continue
        if alive < before and at + 1 < len(lives):
            at += 1
        before = alive
        told = times.get(lives[at], {}).get(int(alive)) if lives else None
        if told is not None:
            found.setdefault(lives[at], []).append(time_us - told)
    return {life: _exact(record, shown, life, values) for life, values in found.items()}


def _exact(record: Record, shown: Sequence[Shown], life: int, lags_us: Sequence[int]) -> int:
    """The counter tells the offset to a scan; what both have seen happen tells it to the microsecond.

    A counter is shown a little before or after the time that belongs to it.
    """
    about_us = sorted(lags_us)[len(lags_us) // 2]
    times: dict[tuple[object, ...], list[int]] = {}
    for time_us, *what in record.events:
        times.setdefault(tuple(what), []).append(time_us)
    found: Counter[int] = Counter()
    for scan in shown:
        for time_us, *what in scan.events if scan.life == life else ():
            candidates = [at_us - time_us for at_us in times.get(tuple(what), ())]
            found.update(c for c in candidates if abs(c - about_us) < NEAR_US)
    return found.most_common(1)[0][0] if found else min(lags_us)


def _first_life(record: Record, shown: Sequence[Shown], lives: Sequence[int]) -> int:
    """The life of the server in which a loop has begun: by the calendar, which both have."""
    from twin.chaos.rig import seconds

    known = [note.utc for note in record.notes] + [command.utc for command in record.commands]
    began_s = min((seconds(utc) for utc in known if utc), default=0.0)
    begins = [min(scan.at_s for scan in shown if scan.life == life) for life in lives]
    return max(0, bisect_right(begins, began_s) - 1)
