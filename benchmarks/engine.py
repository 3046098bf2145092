"""How fast the twin is: ``python -m benchmarks.engine --json``.

A saturated serial line with buffers of ten places, blocking after service, failures, energy clocks and
part numbers, of 5, 20 and 100 stations, with exponential and with constant cycles. The contenders meet
the same luck and take turns: the line as one writes it in SimPy (``benchmarks.store_line``), the twin on
SimPy, the compiled twin. Only CPU time counts, and ratios are medians over the rounds, so that whatever
else the machine does falls on all of them.

Beside them, where they are installed: the nearest equal line in simantha, Ciw, salabim and LineFlow
(``benchmarks.rival_lines``), and how many times as fast the twin is on either engine.

An operation is one part through one station. A step of an environment is ten mean cycles of one line
among many, without observation or reward.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from benchmarks.anchor_lines import SATURATED, Machine, serial_plant
from benchmarks.rival_lines import PACKAGES, RIVALS
from benchmarks.store_line import store_line
from twin.analyze.alternatives import Change, compare_alternatives
from twin.analyze.whatif import present
from twin.clock import cpu_s
from twin.config import load_plant
from twin.kernels.draws import PLANT, TWIN
from twin.line import schema as s
from twin.line.compiled import CompiledSimulator, as_arrays
from twin.line.initial import initial_state
from twin.line.model import Line, build_line
from twin.line.scenario import build_table
from twin.line.simulator import Simulator
from twin.line.snapshot import from_json, to_json

STATIONS = (5, 20, 100)
LAWS = ("exponential", None)
CYCLE_S, BUFFER = 5.0, 10
BETWEEN_S, REPAIR_S = 500.0, 25.0
WARM_UP_CYCLES = 500.0
OPERATIONS = {"store": 20_000, "simpy": 20_000, "compiled": 2_000_000}
"""About so many in one round of each contender."""
RIVAL_CYCLES = 1_000
"""So many that filling the empty line does not count, at any length."""
ENVIRONMENTS, STEP_CYCLES, STEPS = 64, 10.0, 200
WORLDS = 200
BARS = {
    "simpy_ratio": 1.0,
    "compiled_ratio": 50.0,
    "compiled_ops_per_cpu_s": 10e6,  # up to 20 stations
    "snapshot_restore_ms": 1.0,  # at 20 stations
    "fork_us": 2.0,  # at 20 stations
    "whatif_1h_us": 50.0,
}


def line_of(n: int, law: str | None) -> tuple[list[Machine], list[int], Line]:
    """The line for the baseline, and for the twin."""
    machines = [Machine(CYCLE_S, law, BETWEEN_S, REPAIR_S)] * n
    room = [BUFFER] * (n - 1)
    return machines, room, build_line(serial_plant(machines, room))


def span_s(operations: int, n: int) -> float:
    """Plant time in which the line does about so many operations (at some 0.8 of its pace)."""
    return operations / n * CYCLE_S / 0.8


class Contender:
    """One engine with a line that is warm; each round goes on where the last one ended."""

    def __init__(self, run_to: Callable[[float], int], operations: int, n: int) -> None:
        self._run_to, self._span_s = run_to, span_s(operations, n)
        self._now_s = WARM_UP_CYCLES * CYCLE_S
        self._done = run_to(self._now_s)
        self.rates: list[float] = []

    def round(self) -> None:
        """One round: operations per CPU second."""
        self._now_s += self._span_s
        gc.collect()
        began_s = cpu_s()
        done = self._run_to(self._now_s)
        used_s = cpu_s() - began_s
        self.rates.append((done - self._done) / used_s)
        self._done = done


def store(n: int, law: str | None) -> Contender:
    """The idiomatic model."""
    machines, room, _ = line_of(n, law)
    env, stations = store_line(machines, room, seed=1)

    def run_to(until_s: float) -> int:
        env.run(until=until_s)
        return sum(len(station.departures) for station in stations)

    return Contender(run_to, OPERATIONS["store"], n)


def twin(n: int, law: str | None, *, compiled: bool) -> Contender:
    """The twin on one of its engines; the compiled one keeps no journal, SimPy's always does."""
    *_, line = line_of(n, law)
    state = initial_state(line, 1, PLANT)
    simulator: Any = Simulator(line, SATURATED)
    simulator.prime(state)
    if compiled:
        simulator = CompiledSimulator(line, SATURATED, tells=False)
        state = as_arrays(state)
    at = [(m + 1) * s.E_INTS + s.OPS for m in range(n)]

    def run_to(until_s: float) -> int:
        simulator.advance(state, {}, until_s)
        return sum(int(state.ints[column]) for column in at)

    return Contender(run_to, OPERATIONS["compiled" if compiled else "simpy"], n)


def speeds(n: int, law: str | None, rounds: int) -> dict[str, float]:
    """The contenders in turn."""
    contenders = {
        "store": store(n, law),
        "simpy": twin(n, law, compiled=False),
        "compiled": twin(n, law, compiled=True),
    }
    for _ in range(rounds):
        for contender in contenders.values():
            contender.round()
    rates = {name: contender.rates for name, contender in contenders.items()}
    pairs = list(zip(*rates.values(), strict=True))
    return {
        "store_ops_per_cpu_s": median(rates["store"]),
        "simpy_ratio": median(simpy / base for base, simpy, _ in pairs),
        "compiled_ratio": median(fast / base for base, _, fast in pairs),
        "compiled_ops_per_cpu_s": median(rates["compiled"]),
    }


def environments(n: int) -> dict[str, float]:
    """Many lines side by side, each a step further at a time."""
    *_, line = line_of(n, "exponential")
    simulator = CompiledSimulator(line, SATURATED, tells=False)
    states = [initial_state(line, seed, PLANT) for seed in range(ENVIRONMENTS)]
    for state in states:
        simulator.prime(state)
    floats = np.array([state.floats for state in states])
    ints = np.array([state.ints for state in states])
    nows_s = np.zeros(ENVIRONMENTS)
    simulator.advance_all(nows_s, floats, ints, {}, WARM_UP_CYCLES * CYCLE_S)
    began_s = cpu_s()
    for _ in range(STEPS):
        simulator.advance_all(nows_s, floats, ints, {}, nows_s[0] + STEP_CYCLES * CYCLE_S)
    used_s = cpu_s() - began_s
    copies = 20_000
    spare_f, spare_i = np.empty_like(floats), np.empty_like(ints)
    forked_s = cpu_s()
    for _ in range(copies // ENVIRONMENTS):
        spare_f[:], spare_i[:] = floats, ints
    return {
        "env_steps_per_cpu_s": ENVIRONMENTS * STEPS / used_s,
        "state_bytes_per_env": float(floats[0].nbytes + ints[0].nbytes),
        "fork_us": 1e6 * (cpu_s() - forked_s) / (copies // ENVIRONMENTS * ENVIRONMENTS),
    }


def snapshots(n: int) -> dict[str, float]:
    """A state in the middle of its work to text and back."""
    *_, line = line_of(n, "exponential")
    simulator = Simulator(line, SATURATED)
    state = initial_state(line, 1, PLANT)
    simulator.prime(state)
    simulator.advance(state, {}, WARM_UP_CYCLES * CYCLE_S)
    used = []
    for _ in range(50):
        began_s = cpu_s()
        from_json(line, to_json(line, state))
        used.append(cpu_s() - began_s)
    return {"snapshot_restore_ms": 1e3 * median(used)}


def what_ifs() -> dict[str, Any]:
    """An hour of the machining line from the middle of a shift on, in many worlds at once."""
    plant = load_plant("machining_line")
    line = build_line(plant)
    state = initial_state(line, 1, TWIN)
    simulator = Simulator(line, build_table(plant, 1, TWIN, 8.0))
    simulator.prime(state)
    simulator.advance(state, {}, 7200.0)
    used = []
    for _ in range(20):
        began_s = cpu_s()
        compare_alternatives(line, present(line, state), state, Change(), 3600.0, WORLDS)
        used.append(cpu_s() - began_s)
    both = median(used[1:])  # the first one loads the machine code
    return {"plant": plant.name, "worlds": WORLDS, "whatif_1h_us": 1e6 * both / (2 * WORLDS)}


def rivals(n: int, rounds: int) -> list[dict[str, Any]]:
    """Libraries that are installed, each with the nearest equal line, taking turns with the twin."""
    ours = {
        name: twin(n, "exponential", compiled=name == "compiled") for name in ("simpy", "compiled")
    }
    rows = []
    for name, rival in RIVALS.items():
        try:
            rival(2, 10)  # imports, and what a library makes once
        except ImportError as error:
            print(f"no row for {name}: {error}; pip install {PACKAGES[name]}", file=sys.stderr)
            continue
        rates = []
        for _ in range(rounds):
            began_s = cpu_s()
            done = rival(n, RIVAL_CYCLES)
            rates.append(done / (cpu_s() - began_s))
            for contender in ours.values():
                contender.round()
        times = {
            f"{engine}_times": median(
                own / theirs
                for own, theirs in zip(ours[engine].rates[-rounds:], rates, strict=True)
            )
            for engine in ours
        }
        rows.append({"stations": n, "library": name, "ops_per_cpu_s": median(rates), **times})
    return rows


def measure(rounds: int) -> list[dict[str, Any]]:
    """One row for each number of stations and law of cycle times."""
    rows = []
    for n in STATIONS:
        for law in LAWS:
            print(f"{n} stations, {law or 'constant'} cycles", file=sys.stderr)
            row = {"stations": n, "cycles": law or "constant", **speeds(n, law, rounds)}
            rows.append({**row, **environments(n), **snapshots(n)} if law else row)
        rows += rivals(n, min(rounds, 3))
    return [*rows, what_ifs()]


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    rows = measure(asked.rounds)
    if asked.json:
        print(json.dumps({"bars": BARS, "rounds": asked.rounds, "rows": rows}, indent=1))
    else:
        for row in rows:
            figures = (f"{k} {v:.4g}" if isinstance(v, float) else f"{v}" for k, v in row.items())
            print("  ".join(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
