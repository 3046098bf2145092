"""The only file that may ask a machine for the time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class WallClock:
    """Paced operation: plant time runs with the monotonic clock, ``speed`` times as fast.

    ``origin_us`` is the plant time at which the clock is started; jumps of the machine's calendar
    do not move it.
    """

    def __init__(self, origin_us: int = 0, speed: float = 1.0) -> None:
        self._origin_us = origin_us
        self._speed = speed
        self._started_ns = time.monotonic_ns()

    def now_us(self) -> int:
        """Plant time, microseconds."""
        return self._origin_us + int((time.monotonic_ns() - self._started_ns) * self._speed) // 1000

    async def sleep_until(self, time_us: int) -> None:
        """Return when plant time has reached ``time_us``; at once if it has passed."""
        await asyncio.sleep(max(0.0, (time_us - self.now_us()) / 1e6 / self._speed))


class VirtualClock:
    """Time that passes when told to: for tests and for equipment that is advanced in lockstep."""

    def __init__(self, now_us: int = 0) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """Plant time, microseconds."""
        return self._now_us

    async def sleep_until(self, time_us: int) -> None:
        """Jump to ``time_us``."""
        self._now_us = max(self._now_us, time_us)


def utc_now() -> str:
    """The calendar time, ISO 8601 with milliseconds, for records that people read."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def monotonic_us() -> int:
    """A clock that never goes back, for freshness and deadlines of paced operation."""
    return time.monotonic_ns() // 1000


def cpu_s() -> float:
    """CPU time of this process, for timings that stand beside results, never in them."""
    return time.process_time()


def wall_s() -> float:
    """Elapsed time for timings that stand beside results, never in them."""
    return time.perf_counter()
