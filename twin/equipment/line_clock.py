"""Plant time between the notifications of a paced line, and across restarts of its server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from twin.clock import monotonic_us
from twin.cycle import Reading
from twin.line.element_tags import ARRIVALS


class LineClock:
    """A ``Clock`` that follows the line: its last word, carried on at its speed.

    ``heard`` gives the last plant time and when it came by the monotonic clock, both microseconds.
    It never goes back, so it waits where the line's own time was ahead of the news.
    """

    def __init__(self, heard: Callable[[], tuple[int, int]], speed: float) -> None:
        self._heard, self._speed = heard, speed
        self._shown_us = 0

    def now_us(self) -> int:
        """Plant time, microseconds."""
        time_us, heard_us = self._heard()
        passed_us = int((monotonic_us() - heard_us) * self._speed)
        self._shown_us = max(self._shown_us, time_us + passed_us)
        return self._shown_us

    async def sleep_until(self, time_us: int) -> None:
        """Return when plant time has reached ``time_us``."""
        while (left_us := time_us - self.now_us()) > 0:  # noqa: ASYNC110  (the line may lag)
            await asyncio.sleep(left_us / 1e6 / self._speed)


def later(reading: Reading, by_us: int, instants: Sequence[int]) -> Reading:
    """The reading of a server that was started when plant time was ``by_us``.

    ``instants`` are the places of values that are themselves points in plant time, in seconds; so are
    the arrivals of parts on belts, in microseconds.
    """
    if by_us == 0:
        return reading
    values = reading.values.copy()
    values[list(instants)] += by_us / 1e6
    return replace(
        reading,
        time_us=reading.time_us + by_us,
        values=values,
        source_us=reading.source_us + by_us,
        part_ids={
            name: tuple(n + by_us for n in numbers) if name.endswith(ARRIVALS) else numbers
            for name, numbers in reading.part_ids.items()
        },
        events=tuple(replace(event, time_us=event.time_us + by_us) for event in reading.events),
    )
