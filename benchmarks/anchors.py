"""Does the simulator make as many parts as queueing theory says?

``python -m benchmarks.anchors --json`` runs saturated lines with exponential times whose throughput
is known exactly, and holds each to one rule: the error is at most 0.3 %, the exact value lies inside
the 99.9 % confidence interval, and that interval reaches at most 0.1 % to either side. Seeds are
fixed here, so the same numbers come out on every run.

Throughputs are in parts per mean cycle (of the last machine). An interval comes from independent
replications. What luck has given a replication beyond its expectation is known exactly
(``benchmarks.compensators``), and the part of the throughput that it explains is taken out by linear
regression (control variates: Lavenberg and Welch, Management Science 27(3), 1981).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from benchmarks.anchor_lines import SATURATED, Machine, serial_plant, throughput_per_s
from benchmarks.compensators import Tallies, Tally, differences
from twin.clock import cpu_s
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.simulator import Simulator

UNIT_S = 5.0
"""One unit of time, the mean cycle of most machines: any number would do."""
CONFIDENCE = 0.999
LARGEST_ERROR = 0.003
LARGEST_HALF_WIDTH = 0.001


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line, what it should make per unit of time, and how much of it is simulated.

    ``closed_form`` is given where the textbook has one; ``expected`` is always the solution of the
    Markov chain. ``warm_up`` and ``length`` of a replication are in units of time.
    """

    case: str
    source: str
    machines: tuple[Machine, ...]
    room: tuple[int, ...]
    replications: int
    length: float
    warm_up: float
    first_seed: int
    closed_form: float | None = None

    @property
    def expected(self) -> float:
        """Exact throughput, parts per unit of time."""
        return throughput_per_s(self.machines, self.room) * UNIT_S


def exponential(rate: float = 1.0, failure_rate: float = 0.0, repair_rate: float = 0.0) -> Machine:
    """A machine with exponential times; all rates per unit of time."""
    cycle_s = UNIT_S / rate
    if failure_rate == 0.0:
        return Machine(cycle_s)
    return Machine(cycle_s, "exponential", UNIT_S / failure_rate, UNIT_S / repair_rate)


def loss_queue(arrival: float, capacity: int) -> float:
    """M/M/1/K with service rate 1: the rate of those who find room."""
    if arrival == 1.0:
        return capacity / (capacity + 1.0)
    lost = (1.0 - arrival) * arrival**capacity / (1.0 - arrival ** (capacity + 1))
    return arrival * (1.0 - lost)


def anchors() -> tuple[Anchor, ...]:
    """All cases, with seeds of their own."""
    return tuple(_anchors())


def _anchors() -> Iterator[Anchor]:
    reliable, unreliable = exponential(), exponential(1.0, 0.01, 0.1)
    for n, (arrival, capacity) in enumerate(((0.8, 5), (0.9, 11), (1.0, 3))):
        yield Anchor(
            f"A1 M/M/1/{capacity}, arrivals {arrival}",
            "M/M/1/K, textbook",
            (exponential(arrival), reliable),
            (capacity - 2,),
            *(200, 2_500.0, 300.0, 1_000_000 + 10_000 * n),
            closed_form=loss_queue(arrival, capacity),
        )
    for n, room in enumerate((0, 1, 10)):
        yield Anchor(
            f"A2 two machines, {room} places",
            "birth and death chain, textbook",
            (reliable,) * 2,
            (room,),
            *(200, 2_500.0, 300.0, 2_000_000 + 10_000 * n),
            closed_form=(room + 2.0) / (room + 3.0),
        )
    for n, (machines, replications) in enumerate(((3, 200), (4, 200), (5, 300), (6, 400))):
        yield Anchor(
            f"A3 {machines} machines, no places",
            "Hunt, Operations Research 4(6), 1956" if machines == 3 else "Markov chain",
            (reliable,) * machines,
            (0,) * (machines - 1),
            *(replications, 3_000.0, 300.0, 3_000_000 + 10_000 * n),
            closed_form=22.0 / 39.0 if machines == 3 else None,
        )
    for n, room in enumerate((0, 2, 4, 10)):
        yield Anchor(
            f"A6 two unreliable machines, {room} places",
            "Markov chain",
            (unreliable,) * 2,
            (room,),
            *(300, 3_500.0, 700.0, 6_000_000 + 10_000 * n),
        )


def simulated_line(anchor: Anchor) -> Line:
    """The line of an anchor."""
    return build_line(serial_plant(anchor.machines, anchor.room))


def replication(anchor: Anchor, simulator: Simulator, seed: int) -> tuple[float, Tally]:
    """Throughput of one replication, and what luck had to do with it."""
    state = initial_state(simulator.line, seed, PLANT)
    begin_s = anchor.warm_up * UNIT_S
    end_s = begin_s + anchor.length * UNIT_S
    simulator.advance(state, {}, begin_s)
    good = simulator.line.k[s.K_LINE_I] + s.GOOD
    before = state.ints[good]
    tallies = Tallies(simulator.line, anchor.machines, state)
    tallies.follow(simulator.advance(state, {}, end_s).rows, end_s)
    return (state.ints[good] - before) / anchor.length, tallies.tally


def table_of(samples: Sequence[tuple[float, Tally]]) -> list[list[float]]:
    """One row a replication: throughput, then the control variates."""
    luck = differences([tally for _, tally in samples])
    return [[sample[0], *row] for sample, row in zip(samples, luck, strict=True)]


def estimate(rows: Sequence[Sequence[float]], confidence: float) -> tuple[float, float]:
    """Mean of the first column and half the width of its interval, the other columns regressed out."""
    table = np.array(rows)
    y = table[:, 0]
    x = np.column_stack([np.ones(len(table)), table[:, 1:]])
    coefficients, *_ = np.linalg.lstsq(x, y, rcond=None)
    freedom = len(table) - x.shape[1]
    if freedom < 1:
        raise ValueError(f"{len(table)} replications are too few for {x.shape[1]} coefficients")
    residual = y - x @ coefficients
    variance = float(residual @ residual) / freedom
    weights = np.linalg.pinv(x / np.linalg.norm(x, axis=0))[0] / math.sqrt(len(table))
    share = float(weights @ weights)
    half_width = student(confidence, freedom) * math.sqrt(variance * share)
    return float(coefficients[0]), half_width


def student(confidence: float, freedom: int) -> float:
    """Two-sided quantile of Student's t (Cornish-Fisher expansion; good from 30 degrees on)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    return z + first / freedom + second / freedom**2


def verdict(
    anchor: Anchor, samples: Sequence[tuple[float, Tally]], used_s: float
) -> dict[str, Any]:
    """One line of the answer."""
    expected = anchor.expected
    rows = table_of(samples)
    simulated, half_width = estimate(rows, CONFIDENCE)
    plain, plain_half_width = estimate([[r[0]] for r in rows], CONFIDENCE)
    error = abs(simulated - expected) / expected
    operations = sum(r[0] for r in rows) * anchor.length * len(anchor.machines)
    return {
        "case": anchor.case,
        "engine": "simpy",
        "expected": expected,
        "closed_form": anchor.closed_form,
        "expected_from": anchor.source,
        "simulated": simulated,
        "half_width": half_width,
        "relative_error": error,
        "relative_half_width": half_width / expected,
        "confidence": CONFIDENCE,
        "without_control_variates": [plain, plain_half_width],
        "control_variates": len(rows[0]) - 1,
        "replications": len(rows),
        "first_seed": anchor.first_seed,
        "operations": round(operations),
        "cpu_s": round(used_s, 1),
        "passed": bool(
            error <= LARGEST_ERROR
            and abs(simulated - expected) <= half_width <= LARGEST_HALF_WIDTH * expected
        ),
    }


def _share(task: tuple[Anchor, range]) -> tuple[list[tuple[float, Tally]], float]:
    """Some replications of one case, and the CPU time that they took; runs in a process of its own."""
    anchor, seeds = task
    began_s = cpu_s()
    simulator = Simulator(simulated_line(anchor), SATURATED)
    samples = [replication(anchor, simulator, seed) for seed in seeds]
    return samples, cpu_s() - began_s


def run(cases: Iterable[Anchor], workers: int) -> Iterator[dict[str, Any]]:
    """All cases one after the other, each over all workers."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        for anchor in cases:
            last = anchor.first_seed + anchor.replications
            seeds = range(anchor.first_seed, last)
            tasks = [(anchor, seeds[n : n + 10]) for n in range(0, len(seeds), 10)]
            shares = []
            for done, share in enumerate(pool.map(_share, tasks), start=1):
                shares.append(share)
                print(f"\r{anchor.case}: {done}/{len(tasks)}  ", end="", file=sys.stderr)
            print(file=sys.stderr)
            samples = [sample for some, _ in shares for sample in some]
            yield verdict(anchor, samples, sum(used_s for _, used_s in shares))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--case", default="", help="only cases whose name begins like this")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    cases = [anchor for anchor in anchors() if anchor.case.startswith(asked.case)]
    if not cases:
        parser.error(f"no case begins with {asked.case!r}")
    results = list(run(cases, asked.workers))
    if asked.json:
        print(json.dumps(results, indent=1))
    else:
        for result in results:
            print(
                f"{result['case']:<36} {result['expected']:.6f} {result['simulated']:.6f}"
                f" +-{result['half_width']:.6f} ({100 * result['relative_half_width']:.3f} %)"
                f" {result['cpu_s']:>6.1f} s {'passed' if result['passed'] else 'FAILED'}"
            )
    return 0 if all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
