"""How the times of a loop's record and those of the server belong together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from statistics import median

from twin.chaos.evidence import Evidence, Record, Shown


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
    return {life: round(median(values)) for life, values in found.items()}


def _first_life(record: Record, shown: Sequence[Shown], lives: Sequence[int]) -> int:
    """The life of the server in which a loop has begun: by the calendar, which both have."""
    from twin.chaos.rig import seconds

    began_s = min((seconds(one.utc) for one in (*record.notes, *record.commands)), default=0.0)
    begins = [min(scan.at_s for scan in shown if scan.life == life) for life in lives]
    return max(0, bisect_right(begins, began_s) - 1)


def of_record(evidence: Evidence, sequence: int) -> Record | None:
    """The loop that meant to write a batch of this number."""
    for record in evidence.records:
        if any(intent.sequence == sequence for intent in record.intents):
            return record
    return None
