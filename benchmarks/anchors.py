"""Does the simulator make as many parts, and take as much energy, as theory says?

``python -m benchmarks.anchors --json`` runs lines whose throughput (or mean power) is known exactly
(``benchmarks.anchor_cases``), on both engines, and holds each to one rule: the error is at most 0.3 %,
the exact value lies inside the 99.9 % confidence interval, and that interval reaches at most 0.1 % to
either side. Seeds are fixed, so the same numbers come out on every run.

An interval comes from independent replications. On the compiled engine there are enough of them for the
plain mean. On SimPy's there are fewer: what luck has given a replication beyond its expectation is known
exactly (``benchmarks.compensators``), and the part of the figure that it explains is taken out by linear
regression (control variates: Lavenberg and Welch, Management Science 27(3), 1981). Such a row shows
whether parts move rightly, and hardly whether luck is fair; so its plain mean must agree as well, within
an interval that is wider.

How long a stop may last without delaying anything (A10) has no luck in it and must come out to the last
bit (``benchmarks.anchor_window``).
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
from statistics import NormalDist
from typing import Any

import numpy as np

from benchmarks.anchor_cases import UNIT_S, Anchor, Effort, anchors
from benchmarks.anchor_lines import SATURATED, serial_plant
from benchmarks.anchor_window import windows
from benchmarks.compensators import Tallies, Tally, differences
from twin.clock import cpu_s
from twin.kernels.draws import PLANT
from twin.line import schema as s
from twin.line.compiled import CompiledSimulator
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.simulator import Simulator

SIMPY, COMPILED = ENGINES = ("simpy", "compiled")
CONFIDENCE = 0.999
LARGEST_ERROR = 0.003
LARGEST_HALF_WIDTH = 0.001
AT_ONCE = {SIMPY: 10, COMPILED: 50}
"""Replications that one process takes at a time."""

Sample = tuple[float, Tally]
"""The figure of one replication, and what luck had to do with it (nothing if that was not counted)."""


def simulated_line(anchor: Anchor) -> Line:
    """The line of an anchor."""
    return build_line(serial_plant(anchor.machines, anchor.room))


def so_far(anchor: Anchor, line: Line, now_s: float, floats: Any, ints: Any) -> Any:
    """What the figure counts, from the beginning on: units of parts, or power times units of time.

    For states by row, or for a single one.
    """
    if anchor.figure == "throughput":
        return ints[..., line.k[s.K_LINE_I] + s.GOOD] / anchor.split
    last = len(anchor.machines) * s.E_FLOATS
    booked_kwh = floats[..., last + s.ENERGY_KWH : last + s.ENERGY_KWH + s.N_STATES].sum(axis=-1)
    since_h = (now_s - floats[..., last + s.BOOKED_S]) / 3600.0
    return (booked_kwh + floats[..., last + s.POWER_KW] * since_h) * 3600.0 / UNIT_S


def replication(anchor: Anchor, simulator: Simulator, seed: int, effort: Effort) -> Sample:
    """One replication on SimPy."""
    line = simulator.line
    state = initial_state(line, seed, PLANT)
    begin_s = effort.warm_up * UNIT_S
    end_s = begin_s + effort.length * UNIT_S
    simulator.advance(state, {}, begin_s)
    before = so_far(anchor, line, begin_s, np.array(state.floats), np.array(state.ints))
    tallies = Tallies(line, anchor.machines, state, anchor.grain)
    tallies.follow(simulator.advance(state, {}, end_s).rows, end_s)
    after = so_far(anchor, line, end_s, np.array(state.floats), np.array(state.ints))
    return float(after - before) / effort.length, tallies.tally


def replications(
    anchor: Anchor, simulator: CompiledSimulator, seeds: Sequence[int], effort: Effort
) -> list[Sample]:
    """Many replications side by side on the compiled engine, which keeps no journal here."""
    line = simulator.line
    states = [initial_state(line, seed, PLANT) for seed in seeds]
    floats = np.array([state.floats for state in states])
    ints = np.array([state.ints for state in states], dtype=np.int64)
    nows_s = np.zeros(len(seeds))
    begin_s = effort.warm_up * UNIT_S
    end_s = begin_s + effort.length * UNIT_S
    simulator.advance_all(nows_s, floats, ints, {}, begin_s)
    before = so_far(anchor, line, begin_s, floats, ints)
    simulator.advance_all(nows_s, floats, ints, {}, end_s)
    after = so_far(anchor, line, end_s, floats, ints)
    return [(figure, {}) for figure in ((after - before) / effort.length).tolist()]


def table_of(samples: Sequence[Sample]) -> list[list[float]]:
    """One row a replication: the figure, then the control variates."""
    if not any(tally for _, tally in samples):
        return [[figure] for figure, _ in samples]
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


def verdict(anchor: Anchor, which: str, samples: Sequence[Sample], used_s: float) -> dict[str, Any]:
    """One line of the answer."""
    expected = anchor.expected
    effort = anchor.compiled if which == COMPILED else anchor.simpy
    rows = table_of(samples)
    simulated, half_width = estimate(rows, CONFIDENCE)
    plain, plain_half_width = estimate([[r[0]] for r in rows], CONFIDENCE)
    error = abs(simulated - expected) / expected
    return {
        "case": anchor.case,
        "engine": which,
        "figure": anchor.figure,
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
        "length": effort.length,
        "first_seed": anchor.first_seed,
        "cpu_s": round(used_s, 1),
        "passed": bool(
            error <= LARGEST_ERROR
            and abs(simulated - expected) <= half_width <= LARGEST_HALF_WIDTH * expected
            and abs(plain - expected) <= plain_half_width
        ),
    }


def _share(task: tuple[Anchor, str, range]) -> tuple[list[Sample], float]:
    """Some replications of one case, and the CPU time that they took; runs in a process of its own."""
    anchor, which, seeds = task
    began_s = cpu_s()
    line = simulated_line(anchor)
    if which == COMPILED:
        compiled = CompiledSimulator(line, SATURATED, tells=False)
        samples = replications(anchor, compiled, seeds, anchor.compiled)
    else:
        simpy = Simulator(line, SATURATED)
        samples = [replication(anchor, simpy, seed, anchor.simpy) for seed in seeds]
    return samples, cpu_s() - began_s


def run(cases: Iterable[Anchor], engines: Sequence[str], workers: int) -> Iterator[dict[str, Any]]:
    """All cases one after the other, each on the engines in turn, over all workers."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        for anchor, which in ((anchor, which) for anchor in cases for which in engines):
            effort = anchor.compiled if which == COMPILED else anchor.simpy
            seeds = range(anchor.first_seed, anchor.first_seed + effort.replications)
            step = AT_ONCE[which]
            tasks = [(anchor, which, seeds[n : n + step]) for n in range(0, len(seeds), step)]
            shares = []
            for done, share in enumerate(pool.map(_share, tasks), start=1):
                shares.append(share)
                print(f"\r{anchor.case}, {which}: {done}/{len(tasks)} ", end="", file=sys.stderr)
            print(file=sys.stderr)
            samples = [sample for some, _ in shares for sample in some]
            yield verdict(anchor, which, samples, sum(used_s for _, used_s in shares))


def main() -> int:
    """Run the cases asked for, and print; 1 if one of them fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--case", default="", help="only cases whose name begins like this")
    parser.add_argument("--engine", choices=ENGINES, help="on this engine only")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    engines = (asked.engine,) if asked.engine else ENGINES
    cases = [anchor for anchor in anchors() if anchor.case.startswith(asked.case)]
    results = list(run(cases, engines, asked.workers)) if cases else []
    results += windows(engines, asked.case)
    if not results:
        parser.error(f"no case begins with {asked.case!r}")
    if asked.json:
        print(json.dumps(results, indent=1))
    else:
        for result in results:
            print(
                f"{result['case']:<46} {result['engine']:<8} {result['expected']:>9.6f}"
                f" {result['simulated']:>9.6f} +-{result['half_width']:.6f}"
                f" ({100 * result.get('relative_half_width', 0.0):.3f} %)"
                f" {result['cpu_s']:>6.1f} s {'passed' if result['passed'] else 'FAILED'}"
            )
    return 0 if all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
