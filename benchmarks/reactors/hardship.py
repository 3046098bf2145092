"""The station MPC when everything goes wrong: does a usable setpoint leave at every step, and in time?

The stirred reactor under `controllers.mpc.tracking`, measured with noise. In each step one of the
faults below may strike, drawn from a seed: measurements, setpoints or references that are not
numbers, a plant off its limits, bands that contradict each other, solvers that fail, answer with NaN
or claim success with rubbish, and a clock that leaves no time. *Usable* is finite, inside limits and
rates; *late* is after the period. Beside it, without faults: the offset that stays after a step of
the disturbance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reactors import stirred
from controllers.mpc.tracking import StationMpc
from twin.analyze.kalman import Noise
from twin.clock import cpu_s
from twin.optim.result import Solution, Status
from twin.optim.task import Aim, Band, Move, TrackingTask

Floats = NDArray[np.float64]
STEPS, SETTLE = 90, 160
BUDGET_S, PERIOD_S = 0.03, 0.05
"""CPU time that a step may use for solvers, and after which it is late. The reactor's own period is
18 s; stations of a line are decided in milliseconds."""
FAULTS = (
    "none", "no measurement", "one measurement", "setpoints unknown", "references unknown",
    "disturbance unknown", "state off limits", "contradictory bands", "hpipm fails", "sqp fails",
    "all solvers fail", "sqp answers NaN", "sqp claims success with rubbish", "no time",
    "clock jumps",
)  # fmt: skip
MOVES = (
    Move("feed_per_h", 5.0, 100.0, rate_per_s=1.0, weight=1e-3),
    Move("heat_kj_per_h", -8500.0, 0.0, rate_per_s=100.0, weight=1e-7),
)
TASK = TrackingTask(
    stirred.MODEL, stirred.STEP_S, stirred.HORIZON, MOVES,
    aims=(Aim("b_mol_per_l", 100.0), Aim("temperature_c", 0.05)),
    bands=(
        Band("temperature_c", hi=stirred.SOFT_C, weight=10.0),
        Band("b_mol_per_l", lo=0.2, weight=10.0),
    ),
    disturbances=("feed_warmer_k", "feed_a"),
)  # fmt: skip
# Nothing keeps both: below 60 degC and above 0.9 mol/l of B.
TORN = replace(
    TASK,
    bands=(Band("temperature_c", hi=60.0, weight=10.0), Band("b_mol_per_l", lo=0.9, weight=1e3)),
)
NOISE = Noise(
    {"b_mol_per_l": 0.002, "temperature_c": 0.05}, {"feed_warmer_k": 0.2, "feed_a": 0.01}, {}
)


def hardship(courses: int, seed: int) -> dict[str, Any]:
    """Shares of usable and of late steps over all faults, rungs by fault, and the offset."""
    whole, torn = StationMpc(TASK, NOISE), StationMpc(TORN, NOISE)
    counts: Counter[str] = Counter()
    rungs: dict[str, Counter[str]] = {fault: Counter() for fault in FAULTS}
    worst_s = 0.0
    for n in range(courses):
        rng = np.random.default_rng(seed + n)
        x, u = stirred.MODEL.point().x.copy(), np.array([18.0, -1000.0])
        memory = whole.begin(x, u)
        wanted = np.array([rng.uniform(0.5, 0.7), rng.uniform(128.0, 136.0)])
        for _ in range(STEPS):
            fault = str(rng.choice(FAULTS))
            _advance(x, u, rng.uniform(-5.0, 5.0))
            y = x[1:3] + rng.normal(size=2) * [0.002, 0.05]
            mpc = torn if fault == "contradictory bands" else whole
            began_s = cpu_s()
            with _struck(mpc, fault):
                answer, memory = mpc.decide(
                    *_seen(fault, memory, y, u, wanted), **_clock(fault, began_s)
                )
            used_s = cpu_s() - began_s
            asked = answer.answer.u
            counts["steps"] += 1
            counts["usable"] += _usable(asked, u)
            counts["late"] += used_s > PERIOD_S
            worst_s = max(worst_s, used_s)
            rungs[fault][str(answer.answer.rung)] += 1
            u = asked
    return {
        "faulty_steps": counts["steps"],
        "usable_pct": 100.0 * counts["usable"] / counts["steps"],
        "late_pct": 100.0 * counts["late"] / counts["steps"],
        "slowest_step_ms": 1e3 * worst_s,
        "rungs": {fault: dict(found) for fault, found in rungs.items()},
        "steady_offset_pct": _offset_pct(whole),
    }


def _advance(x: Floats, u: Floats, warmer_k: float, p: Floats | None = None) -> None:
    at = stirred.MODEL.point()
    for _ in range(4):
        stirred.MODEL.stepper()(x, u, np.array([warmer_k]), at.p if p is None else p, 4.5, x)


def _seen(fault: str, memory: Any, y: Floats, u: Floats, wanted: Floats) -> tuple[Any, ...]:
    """What reaches the controller in this step."""
    nan = np.full(2, np.nan)
    if fault == "state off limits":
        off = replace(memory.belief, x=np.array([9.0, -3.0, 400.0, -80.0]))
        memory = replace(memory, belief=off)
    y = {"no measurement": nan, "one measurement": np.array([y[0], np.inf])}.get(fault, y)
    d = np.array([np.nan if fault == "disturbance unknown" else 0.0])
    u = nan if fault == "setpoints unknown" else u
    return memory, y, u, nan if fault == "references unknown" else wanted, d


def _clock(fault: str, began_s: float) -> dict[str, Any]:
    if fault == "no time":
        return {"time_s": cpu_s, "deadline_s": began_s}
    if fault == "clock jumps":
        asked = iter([began_s, began_s])
        return {"time_s": lambda: next(asked, began_s + 1e6), "deadline_s": began_s + BUDGET_S}
    return {"time_s": cpu_s, "deadline_s": began_s + BUDGET_S}


@contextmanager
def _struck(mpc: StationMpc, fault: str) -> Iterator[None]:
    """Solvers that fail as the fault says, for one step."""
    sqp, nlp = mpc.ladder._sqp, mpc.ladder._nlp  # noqa: SLF001
    known = sqp.solve, nlp.solve

    def broken(x0: Floats, *_a: Any, **options: Any) -> Solution:
        name = f"sqp/{options.get('solver')}" if "solver" in options else "ipopt"
        claims = fault in {"sqp answers NaN", "sqp claims success with rubbish"}
        x = np.full(len(x0), np.nan) if fault != "sqp claims success with rubbish" else x0 * 0.0
        status = Status.SOLVED if claims else Status.FAILED
        return Solution(x, 0.0, status, 1, 0.0, claims, "injected", name)

    def only_hpipm(x0: Floats, *a: Any, **options: Any) -> Solution:
        solve = broken if options["solver"] == "hpipm" else known[0]
        return solve(x0, *a, **options)

    if fault == "hpipm fails":
        sqp.solve = only_hpipm  # type: ignore[method-assign]
    elif fault.startswith(("sqp", "all")):
        sqp.solve = broken  # type: ignore[method-assign]
    if fault.startswith("all"):
        nlp.solve = broken  # type: ignore[method-assign]
    try:
        yield
    finally:
        sqp.solve, nlp.solve = known  # type: ignore[method-assign]


def _usable(asked: Floats, before: Floats) -> bool:
    for n, move in enumerate(MOVES):
        most = move.rate_per_s * stirred.STEP_S * (1.0 + 1e-9)
        inside = move.lo <= asked[n] <= move.hi
        if not (np.isfinite(asked[n]) and inside and abs(asked[n] - before[n]) <= most):
            return False
    return True


def _offset_pct(mpc: StationMpc) -> float:
    """Largest error, in percent of the output's range, long after a step of disturbance and constants."""
    at = stirred.MODEL.point(k0_ab=1.34e12, jacket_kj_per_h_m2_k=3800.0)
    x, u, wanted = at.x.copy(), np.array([18.0, -1000.0]), np.array([0.6, 133.0])
    memory = mpc.begin(x, u)
    for k in range(SETTLE):
        _advance(x, u, 6.0 if k > SETTLE // 4 else 0.0, at.p)
        answer, memory = mpc.decide(memory, x[1:3], u, wanted)
        u = answer.answer.u
    spans = [q.hi - q.lo for q in stirred.MODEL.outputs]
    return float(np.max(np.abs(x[1:3] - wanted) / spans) * 100.0)
