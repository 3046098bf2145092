"""A serial line as one writes it in SimPy: generators, stores, timeouts. Witness and yardstick.

It shares no code with the twin but the draws, so that both meet the same luck: saturated line, blocking
after service, failures in operation only, a clock for each state of each station and the energy that
goes with it, part numbers. The twin's departure times must equal its own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy

from benchmarks.anchor_lines import Machine
from twin.kernels import draws

IDLE, PROCESSING, BLOCKED, DOWN = range(4)
POWER_KW = (0.4, 0.7, 0.4, 0.4)
"""Of ``benchmarks.anchor_lines``: idle, processing, blocked, down."""


class Station:
    """One machine with its clocks."""

    def __init__(self, env: simpy.Environment, element: int, machine: Machine, seed: int) -> None:
        self.env, self.element, self.machine, self.seed = env, element, machine, seed
        self.time_s = [0.0] * 4
        self.energy_kwh = [0.0] * 4
        self.since_s = 0.0
        self.failures = 0
        self.departures: list[float] = []

    def clock(self, state: int) -> None:
        """Book the time since the last change on the state that ends."""
        elapsed = self.env.now - self.since_s
        self.time_s[state] += elapsed
        self.energy_kwh[state] += POWER_KW[state] * elapsed / 3600.0
        self.since_s = self.env.now

    def cycle_s(self, part: int) -> float:
        """How long this part takes."""
        if self.machine.law is None:
            return self.machine.cycle_s
        luck = draws.exponential(self.seed, draws.PLANT, self.element, draws.CYCLE, part, 1.0)
        return self.machine.cycle_s * luck

    def to_failure_s(self) -> float:
        """Operating time to the next failure."""
        if self.machine.between_s is None:
            return float("inf")
        key = (self.seed, draws.PLANT, self.element, draws.TIME_TO_FAILURE, 2 * self.failures)
        return draws.exponential(*key, self.machine.between_s)

    def repair_s(self) -> float:
        """How long this repair takes."""
        assert self.machine.repair_s is not None
        key = (self.seed, draws.PLANT, self.element, draws.REPAIR, 2 * self.failures)
        return draws.exponential(*key, self.machine.repair_s)

    def run(self, before: simpy.Store, behind: simpy.Store | None) -> Generator[Any, Any, None]:
        """Take a part, work on it through all failures, hand it on."""
        to_failure = self.to_failure_s()
        while True:
            part = yield before.get()
            self.clock(IDLE)
            left = self.cycle_s(part)
            while to_failure < left:
                yield self.env.timeout(to_failure)
                self.clock(PROCESSING)
                left -= to_failure
                repair = self.repair_s()
                self.failures += 1
                to_failure = self.to_failure_s()
                yield self.env.timeout(repair)
                self.clock(DOWN)
            yield self.env.timeout(left)
            self.clock(PROCESSING)
            to_failure -= left
            if behind is not None:
                yield behind.put(part)
                self.clock(BLOCKED)
            self.departures.append(self.env.now)


def store_line(
    machines: Sequence[Machine], room: Sequence[int], seed: int
) -> tuple[simpy.Environment, list[Station]]:
    """The line, ready to run. Buffers need at least one place: a ``Store`` has no hand to hand."""
    env = simpy.Environment()
    stores = [simpy.Store(env, capacity=n) for n in (1, *room)]
    stations = [Station(env, n + 1, machine, seed) for n, machine in enumerate(machines)]

    def source() -> Generator[Any, Any, None]:
        part = 0
        while True:
            part += 1
            yield stores[0].put(part)

    env.process(source())
    for n, station in enumerate(stations):
        env.process(station.run(stores[n], stores[n + 1] if n + 1 < len(stores) else None))
    return env, stations
