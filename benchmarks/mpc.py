"""How fast our station MPC is against do-mpc, and what its short cuts cost: ``python -m benchmarks.mpc --json``.

Three reactors (``benchmarks.reactors``), each the same optimal-control problem for all: a stirred one whose
product is to follow steps, an industrial polymerisation and a fed batch that are to yield as much as their
limits allow. Plants have other constants than the model. Contenders: do-mpc as it comes (orthogonal
collocation, IPOPT), the product's own multiple shooting with three Gauss-Newton steps, with one (real-time
iteration), and IPOPT to the end on the same shooting problem, against which costs are counted. At least
twenty courses, each with its own plant, start and set points, from seeds; contenders take turns course by
course; only CPU time counts. Keys of the stirred reactor bear no prefix. At the end the station MPC as a
whole drives the stirred reactor through injected faults (`benchmarks.reactors.hardship`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.reactors.dompc import DoMpc
from benchmarks.reactors.hardship import hardship
from benchmarks.reactors.problems import PROBLEMS, Floats, Problem
from twin.cli.results import versions
from twin.clock import cpu_s
from twin.optim.ladder import Ladder, Memory, Rung
from twin.optim.shooting import Here, Shooting

COURSES, SEED = 24, 4001
BARS = {
    "sqp_vs_dompc": 0.25,
    "rti_vs_dompc": 0.10,
    "sqp_cost_gap_pct": 1.0,
    "rti_cost_gap_pct": 3.0,
    "late_pct": 0.0,
    "steady_offset_pct": 0.1,
}
LEAST = {"usable_pct": 100.0}


class Ours:
    """The product's ladder: Gauss-Newton steps from the plan before, IPOPT where they do not suffice."""

    def __init__(self, problem: Shooting, iterations: int) -> None:
        self._problem, self._d = problem, problem.task.model.point().d
        self._ladder = Ladder(problem, iterations=iterations)
        self._memory = Memory()
        self.succeeded, self.by_ipopt = True, 0

    def begin(self) -> None:
        """Forget the course before."""
        self._memory = Memory()

    def __call__(self, x: Floats, u: Floats, references: Floats) -> Floats:
        """The next setpoints."""
        first = self._memory.point is None
        answer, self._memory = self._ladder.solve(
            Here(x, u, references, self._d, np.zeros(0)), self._memory
        )
        self.succeeded = answer.optimised
        self.by_ipopt += answer.rung is Rung.IPOPT and not first
        return answer.u


class Converged:
    """IPOPT on the same shooting problem, to the end."""

    def __init__(self, problem: Shooting) -> None:
        self._problem, self._nlp = problem, problem.nlp()
        self._d = problem.task.model.point().d
        self._plan: Floats | None = None
        self.succeeded = True

    def begin(self) -> None:
        """Forget the course before."""
        self._plan = None

    def __call__(self, x: Floats, u: Floats, references: Floats) -> Floats:
        """The next setpoints."""
        here = Here(x, u, references, self._d, np.zeros(0))
        guess = self._problem.guess(here) if self._plan is None else self._plan
        solution = self._nlp.solve(guess, self._problem.parameters(here))
        self.succeeded = solution.usable
        self._plan = self._problem.shifted(solution.x) if solution.usable else None
        return self._problem.first(solution.x, u)


def course(problem: Problem, control: Any, seed: int) -> tuple[float, list[float], int]:
    """One closed course: its cost, the CPU time of each step after the first, failed solves."""
    rng = np.random.default_rng(seed)
    model, task = problem.task.model, problem.task
    p, x = problem.plant(rng), problem.first(rng)
    d, u = model.point().d, np.array(problem.u)
    drawn = rng.uniform(*problem.references, 3) if problem.references else np.zeros(0)
    lo, hi = (np.array([getattr(m, end) for m in task.moves]) for end in ("lo", "hi"))
    step, outputs = model.stepper(), model.numbers()
    control.begin()
    cost, used, failed = 0.0, [], 0
    for k in range(problem.steps):
        references = drawn[[k * 3 // problem.steps]] if len(drawn) else drawn
        began_s = cpu_s()
        asked = np.clip(control(x.copy(), u, references), lo, hi)
        used.append(cpu_s() - began_s)
        failed += not control.succeeded
        for _ in range(round(task.step_s / problem.plant_step_s)):
            step(x, asked, d, p, problem.plant_step_s, x)
        cost += _cost(task, outputs(x, asked, d, p), references, asked - u)
        u = asked
    return float(cost), used[1:], failed


def _cost(task: Any, y: Sequence[float], references: Floats, moved: Floats) -> float:
    """What the task says that a step costs, on the plant itself."""
    at = dict(zip(task.model.output_names, y, strict=True))
    cost = sum(price * at[name] for name, price in task.prices.items())
    for n, aim in enumerate(task.aims):
        cost += aim.weight * (at[aim.output] - references[n]) ** 2
    for band in task.bands:
        cost += band.weight * max(band.lo - at[band.output], at[band.output] - band.hi, 0.0)
    return float(cost + sum(m.weight * moved[n] ** 2 for n, m in enumerate(task.moves)))


def measured(problem: Problem, courses: int) -> dict[str, Any]:
    """All contenders over all courses of one reactor, in turns."""
    shooting = Shooting(problem.task)
    contenders = {
        "do_mpc": DoMpc(problem.task),
        "sqp": Ours(shooting, 3),
        "rti": Ours(shooting, 1),
        "ipopt": Converged(shooting),
    }
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    times: dict[str, list[list[float]]] = {name: [] for name in contenders}
    failed = dict.fromkeys(contenders, 0)
    for n in range(courses):
        for name, control in contenders.items():
            cost, used, bad = course(problem, control, SEED + n)
            costs[name].append(cost)
            times[name].append(used)
            failed[name] += bad
        print(f"\r{problem.name}: {n + 1} of {courses}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    found = {
        f"{name}_vs_dompc": median(
            median(own) / median(base)
            for own, base in zip(times[name], times["do_mpc"], strict=True)
        )
        for name in ("sqp", "rti", "ipopt")
    }
    found |= {
        f"{name}_cost_gap_pct": _gap(costs[name], costs["ipopt"])
        for name in ("sqp", "rti", "do_mpc")
    }
    rest = {
        "steps": problem.steps,
        "failed_solves": failed,
        "by_ipopt": {name: contenders[name].by_ipopt for name in ("sqp", "rti")},
        "ms": {name: _milliseconds(of) for name, of in times.items()},
        "costs": costs,
    }
    prefix = "" if problem.name == "cstr" else f"{problem.name}_"
    return {prefix + key: value for key, value in (found | rest).items()}


def _gap(own: Sequence[float], base: Sequence[float]) -> float:
    return 100.0 * (fmean(own) - fmean(base)) / abs(fmean(base))


def _milliseconds(of: Sequence[Sequence[float]]) -> dict[str, float]:
    every = np.array([t for used in of for t in used]) * 1e3
    shares = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {name: float(np.quantile(every, share)) for name, share in shares.items()}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--courses", type=int, default=COURSES)
    parser.add_argument("--only", choices=[*(problem.name for problem in PROBLEMS), "hardship"])
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    asked = parser.parse_args()
    found: dict[str, Any] = {"courses": asked.courses, "seed": SEED}
    for problem in PROBLEMS:
        if asked.only in {None, problem.name}:
            found |= measured(problem, asked.courses)
    if asked.only in {None, "hardship"}:
        found |= hardship(asked.courses, SEED)
    bars = {
        key: bar
        for key in found
        for name, bar in BARS.items()
        if key == name or key.endswith(f"_{name}")
    }
    met = {key: bool(found[key] <= bar) for key, bar in bars.items()}
    for key in LEAST.keys() & found.keys():
        bars[key], met[key] = LEAST[key], bool(found[key] >= LEAST[key])
    print(json.dumps({**found, "bars": bars, "met": met, "versions": versions()}, indent=1))


if __name__ == "__main__":
    main()
