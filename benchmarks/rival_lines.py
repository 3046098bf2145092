"""The nearest equal of our serial line in other libraries, as their own manuals would write it.

None of them can do the same: what each leaves out or does otherwise stands with it. An operation is one
part through one station everywhere. Each function runs a line of ``n`` stations, buffers of ten places,
for so many mean cycles, and returns the operations; imports are inside, since none need be installed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

BUFFER = 10
BETWEEN, REPAIR = 100.0, 5.0
"""Mean cycles between failures, and of a repair."""


def simantha(n: int, cycles: int) -> int:
    """Ticks are whole: ten a cycle, constant cycles, geometric failures; a failure scraps the part."""
    from simantha import Buffer, Machine, Sink, Source, System

    tick = 10
    fails = 1.0 / (BETWEEN * tick)
    matrix = [[1.0 - fails, fails], [0.0, 1.0]]
    repair = {"geometric": 1.0 / (REPAIR * tick)}
    machines = [
        Machine(f"m{m}", cycle_time=tick, degradation_matrix=matrix, cm_distribution=repair)
        for m in range(n)
    ]
    between = [Buffer(f"b{m}", capacity=BUFFER) for m in range(n - 1)]
    source, sink = Source(), Sink()
    stages: list[Any] = [source, machines[0]]
    for buffer, machine in zip(between, machines[1:], strict=True):
        stages += [buffer, machine]
    stages.append(sink)
    for at, stage in enumerate(stages):
        before, behind = stages[max(at - 1, 0) : at], stages[at + 1 : at + 2]
        if stage is source:
            stage.define_routing(downstream=behind)
        elif stage is sink:
            stage.define_routing(upstream=before)
        else:
            stage.define_routing(upstream=before, downstream=behind)
    random.seed(1)
    system = System(objects=[*stages])
    system.simulate(simulation_time=cycles * tick, verbose=False, collect_data=False)
    return sum(machine.parts_made for machine in machines)


def ciw(n: int, cycles: int) -> int:
    """Exponential cycles; no breakdowns; arrivals at 1.5 times the pace stand for a full source."""
    import ciw as library

    rate = 1.0 / (1.0 + REPAIR / BETWEEN)  # repairs as longer cycles
    network = library.create_network(
        arrival_distributions=[library.dists.Exponential(1.5), *[None] * (n - 1)],
        service_distributions=[library.dists.Exponential(rate)] * n,
        routing=[[1.0 if to == at + 1 else 0.0 for to in range(n)] for at in range(n)],
        number_of_servers=[1] * n,
        queue_capacities=[BUFFER] * n,
    )
    library.seed(1)
    simulation = library.Simulation(network)
    simulation.simulate_until_max_time(float(cycles))
    return len(simulation.get_all_records(only=["service"]))


def salabim(n: int, cycles: int) -> int:
    """Stores and components that yield; the same failures; neither clocks nor energy."""
    import salabim as library

    env = library.Environment(random_seed=1, trace=False, yieldless=False)
    stores = [library.Store(f"b{m}", capacity=BUFFER, env=env) for m in range(n)]
    done = [0] * n

    class Part(library.Component):  # type: ignore[misc]
        pass

    class Feeder(library.Component):  # type: ignore[misc]
        def process(self) -> Iterator[Any]:
            while True:
                yield self.to_store(stores[0], Part(env=env))

    class Station(library.Component):  # type: ignore[misc]
        def setup(self, m: int) -> None:
            self.m = m

        def process(self) -> Iterator[Any]:
            to_failure = random.expovariate(1.0 / BETWEEN)
            while True:
                part = yield self.from_store(stores[self.m])
                left = random.expovariate(1.0)
                while to_failure < left:
                    yield self.hold(to_failure)
                    left -= to_failure
                    yield self.hold(random.expovariate(1.0 / REPAIR))
                    to_failure = random.expovariate(1.0 / BETWEEN)
                yield self.hold(left)
                to_failure -= left
                if self.m + 1 < n:
                    yield self.to_store(stores[self.m + 1], part)
                done[self.m] += 1

    random.seed(1)
    Feeder(env=env)
    for m in range(n):
        Station(m=m, env=env)
    env.run(till=cycles)
    return sum(done)


def lineflow(n: int, cycles: int) -> int:
    """Half of a cycle constant, half exponential; carriers; no breakdowns; one row of its log a 1,000 cycles."""
    from lineflow.simulation import Line, Process, Sink, Source

    counted = [0] * n

    class Counted(Process):  # type: ignore[misc]
        def _sample_exp_time(self, **given: Any) -> float:
            counted[int(self.name[1:])] += 1
            return float(super()._sample_exp_time(**given))

    class Serial(Line):  # type: ignore[misc]
        def build(self) -> None:
            room = {"capacity": BUFFER, "transition_time": 0.0, "put_time": 0.0, "get_time": 0.0}
            before: Any = Source("S", processing_time=0.01, unlimited_carriers=True)
            for m in range(n):
                station = Counted(f"P{m}", processing_time=0.5, processing_std=1.0)
                station.connect_to_input(before, **room)
                before = station
            Sink("E", processing_time=0.01).connect_to_input(before, **room)

    line = Serial(random_state=1, step_size=1000)
    line.run(simulation_end=cycles, show_status=False)
    return sum(counted)


RIVALS: dict[str, Callable[[int, int], int]] = {
    "simantha": simantha,
    "ciw": ciw,
    "salabim": salabim,
    "lineflow": lineflow,
}
PACKAGES = dict.fromkeys(RIVALS, "'takttwin[bench]'") | {"lineflow": "lineflow-rl"}
"""What to install for each; LineFlow brings torch and a window library along, and so is in no extra."""
