"""How fast our nonlinear MPC is against do-mpc, and what its short cuts cost: ``python -m benchmarks.mpc --json``.

The same optimal-control problem of a stirred reactor (``benchmarks.cstr``) for all: follow the steps of the
concentration of B, 20 steps ahead, soft limit on the temperature, moves cost. The plant has another rate
constant than the model. Contenders: do-mpc as it comes (orthogonal collocation, IPOPT), ours with three
Gauss-Newton steps, ours with one (real-time iteration), and IPOPT until it has converged on our own
multiple shooting, against which costs are counted. Twenty-four courses of 90 steps, each with its own plant,
start and set points, from seeds; contenders take turns course by course; only CPU time counts.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import Any

import casadi
import numpy as np
from numpy.typing import NDArray

from benchmarks import cstr
from twin.cli.results import versions
from twin.clock import cpu_s
from twin.optim.nlp import NlpProblem
from twin.optim.result import Solution
from twin.optim.sqp import OcpStages, SqpProblem

COURSES, STEPS, SEED = 24, 90, 4001
RK4_STEPS = 2
"""Of the prediction, in one control step; the plant takes ten."""
SCALE_X, SCALE_U = np.array([1.0, 1.0, 100.0, 100.0]), np.array([50.0, 4000.0])
BARS = {
    "sqp_vs_dompc": 0.25,
    "rti_vs_dompc": 0.10,
    "sqp_cost_gap_pct": 1.0,
    "rti_cost_gap_pct": 3.0,
}
N = cstr.HORIZON
Floats = NDArray[np.float64]
Control = Callable[[Floats, Floats, float], Floats]
"""From state, input in force and set point to the next input."""


def integrated(x: Any, u: Any, k0_factor: float, steps: int, exp: Any) -> Any:
    """One control step further, by the classical Runge-Kutta method."""
    h = cstr.STEP_H / steps

    def f(at: Any) -> Any:
        found = cstr.rates(at, u, k0_factor, exp)
        return casadi.vertcat(*found) if exp is casadi.exp else np.array(found)

    for _ in range(steps):
        k1 = f(x)
        k2 = f(x + 0.5 * h * k1)
        k3 = f(x + 0.5 * h * k2)
        k4 = f(x + h * k3)
        x = x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return x


class Shooting:
    """Multiple shooting on the state with the input in force, scaled; built once for all solvers.

    Variables: for each step x (4), the input before (2), then input (2) and kelvins too many (1).
    """

    def __init__(self) -> None:
        sx, su = casadi.DM(SCALE_X), casadi.DM(SCALE_U)
        start = casadi.SX.sym("start", 6)
        reference = casadi.SX.sym("reference")
        w, lo, hi, g, g_lo, g_hi, r, f = [], [], [], [], [], [], [], 0.0
        z = casadi.SX.sym("z0", 6)
        for k in range(N):
            w.append(z)
            lo += [*(np.array(cstr.X_LO) / SCALE_X), *(np.array(cstr.U_LO) / SCALE_U)]
            hi += [*(np.array(cstr.X_HI) / SCALE_X), *(np.array(cstr.U_HI) / SCALE_U)]
            v = casadi.SX.sym(f"v{k}", 3)
            w.append(v)
            lo += [*(np.array(cstr.U_LO) / SCALE_U), 0.0]
            hi += [*(np.array(cstr.U_HI) / SCALE_U), 10.0]
            following = casadi.SX.sym(f"z{k + 1}", 6)
            ahead = integrated(z[:4] * sx, v[:2] * su, 1.0, RK4_STEPS, casadi.exp)
            g.append(casadi.vertcat(ahead / sx, v[:2]) - following)
            g_lo += [0.0] * 6
            g_hi += [0.0] * 6
            if k == 0:
                g.append(z - start)
                g_lo += [0.0] * 6
                g_hi += [0.0] * 6
            g.append(z[2] - 0.01 * v[2] - cstr.SOFT_C / SCALE_X[2])
            g_lo.append(-np.inf)
            g_hi.append(0.0)
            moves = casadi.DM(np.sqrt(cstr.WEIGHT_MOVES)) * su * (v[:2] - z[4:])
            r += [math.sqrt(2.0 * cstr.WEIGHT_B) * (z[1] - reference), math.sqrt(2.0) * moves]
            f += cstr.WEIGHT_SOFT * v[2]
            z = following
        w.append(z)
        lo += [*(np.array(cstr.X_LO) / SCALE_X), *(np.array(cstr.U_LO) / SCALE_U)]
        hi += [*(np.array(cstr.X_HI) / SCALE_X), *(np.array(cstr.U_HI) / SCALE_U)]
        r.append(math.sqrt(2.0 * cstr.WEIGHT_B) * (z[1] - reference))
        self.x, self.r, self.f = casadi.vertcat(*w), casadi.vertcat(*r), f
        self.g, self.p = casadi.vertcat(*g), casadi.vertcat(start, reference)
        self.limits = {"x_lo": lo, "x_hi": hi, "g_lo": g_lo, "g_hi": g_hi}
        self.stages = OcpStages(N, 6, 3, (7, *[1] * (N - 1), 0))

    def guess(self, x: Floats, u: Floats) -> Floats:
        """Everything stays as it is."""
        stage = [*(x / SCALE_X), *(u / SCALE_U), *(u / SCALE_U), 0.0]
        return np.array([*(stage * N), *stage[:6]])


def shifted(solution: Solution) -> Floats:
    """The plan one step later, its last step twice."""
    x = solution.x
    return np.concatenate([x[9:-6], x[-6:], x[-9:-6], x[-6:]])


class Ours:
    """Gauss-Newton steps from the plan before, as many as allowed; IPOPT the first time."""

    def __init__(self, problem: Shooting, iterations: int) -> None:
        self._problem, self._iterations = problem, iterations
        # One step leaves the dynamics open by the square of its length.
        loose = 1e-3 if iterations > 1 else 1e-2
        self._sqp = SqpProblem(
            problem.x, r=problem.r, f=problem.f, g=problem.g, p=problem.p,
            stages=problem.stages, feasibility_tolerance=loose, **problem.limits,
        )  # fmt: skip
        self._plan: Floats | None = None
        self._multipliers: Floats | None = None

    def begin(self) -> None:
        """Forget the course before."""
        self._plan = None

    def __call__(self, x: Floats, u: Floats, reference: float) -> Floats:
        """The next input."""
        p = [*(x / SCALE_X), *(u / SCALE_U), reference]
        guess = self._problem.guess(x, u) if self._plan is None else self._plan
        steps = self._iterations if self._plan is not None else 30
        solution = self._sqp.solve(guess, p, iterations=steps)
        self._plan = shifted(solution)
        return solution.x[6:8] * SCALE_U


class Converged:
    """IPOPT on the same shooting problem, to the end."""

    def __init__(self, problem: Shooting) -> None:
        self._problem = problem
        self._nlp = NlpProblem(
            problem.x,
            problem.f + 0.5 * casadi.sumsqr(problem.r),
            problem.g,
            problem.p,
            **problem.limits,
        )
        self._plan: Floats | None = None

    def begin(self) -> None:
        """Forget the course before."""
        self._plan = None

    def __call__(self, x: Floats, u: Floats, reference: float) -> Floats:
        """The next input."""
        p = [*(x / SCALE_X), *(u / SCALE_U), reference]
        guess = self._problem.guess(x, u) if self._plan is None else self._plan
        solution = self._nlp.solve(guess, p)
        self._plan = shifted(solution)
        return solution.x[6:8] * SCALE_U


class DoMpc:
    """do-mpc with the same horizon, weights and limits, set up as its documentation does."""

    def __init__(self) -> None:
        import do_mpc

        model = do_mpc.model.Model("continuous")
        x = [model.set_variable("_x", name) for name in ("c_a", "c_b", "t_r", "t_k")]
        u = [model.set_variable("_u", name) for name in ("feed", "heat")]
        reference = model.set_variable("_tvp", "reference")
        names = ("c_a", "c_b", "t_r", "t_k")
        for name, rate in zip(names, cstr.rates(x, u, 1.0, casadi.exp), strict=True):
            model.set_rhs(name, rate)
        model.setup()
        mpc = do_mpc.controller.MPC(model)
        mpc.settings.n_horizon, mpc.settings.t_step = N, cstr.STEP_H
        mpc.settings.n_robust, mpc.settings.store_full_solution = 0, False
        mpc.settings.collocation_deg, mpc.settings.collocation_ni = 2, 1
        mpc.settings.supress_ipopt_output()
        cost = cstr.WEIGHT_B * (x[1] - reference) ** 2
        mpc.set_objective(lterm=cost, mterm=cost)
        # Its factors weigh moves of the scaled inputs.
        feed, heat = (w * scale**2 for w, scale in zip(cstr.WEIGHT_MOVES, SCALE_U, strict=True))
        mpc.set_rterm(feed=feed, heat=heat)
        for n, name in enumerate(names):
            mpc.scaling["_x", name] = SCALE_X[n]
            mpc.bounds["lower", "_x", name] = cstr.X_LO[n]
            mpc.bounds["upper", "_x", name] = cstr.X_HI[n]
        for n, name in enumerate(("feed", "heat")):
            mpc.scaling["_u", name] = SCALE_U[n]
            mpc.bounds["lower", "_u", name] = cstr.U_LO[n]
            mpc.bounds["upper", "_u", name] = cstr.U_HI[n]
        mpc.set_nl_cons(
            "t_r", x[2], ub=cstr.SOFT_C, soft_constraint=True, penalty_term_cons=cstr.WEIGHT_SOFT
        )
        template = mpc.get_tvp_template()

        def ahead(_now: float) -> Any:
            template["_tvp", :, "reference"] = self._reference
            return template

        self._reference = 0.5
        mpc.set_tvp_fun(ahead)
        mpc.setup()
        self._mpc, self._begun = mpc, False

    def begin(self) -> None:
        """Forget the course before."""
        self._begun = False

    def __call__(self, x: Floats, u: Floats, reference: float) -> Floats:
        """The next input."""
        self._reference = reference
        if not self._begun:
            self._mpc.reset_history()
            self._mpc.x0, self._mpc.u0 = x.reshape(-1, 1), u.reshape(-1, 1)
            self._mpc.set_initial_guess()
            self._begun = True
        found: Floats = np.asarray(self._mpc.make_step(x.reshape(-1, 1))).ravel()
        return found


def course(control: Any, seed: int) -> tuple[float, list[float]]:
    """One closed course: its cost, and the CPU time of each step after the first."""
    rng = np.random.default_rng(seed)
    factor = 1.0 + rng.uniform(-0.05, 0.05)
    x = np.array(cstr.X0) * (1.0 + rng.uniform(-0.03, 0.03, 4))
    u = np.array(cstr.U0)
    references = rng.uniform(0.5, 0.75, 3)
    control.begin()
    cost, used = 0.0, []
    for k in range(STEPS):
        reference = float(references[k * 3 // STEPS])
        began_s = cpu_s()
        asked = np.clip(control(x, u, reference), cstr.U_LO, cstr.U_HI)
        used.append(cpu_s() - began_s)
        cost += cstr.WEIGHT_B * (x[1] - reference) ** 2
        cost += cstr.WEIGHT_SOFT * max(x[2] - cstr.SOFT_C, 0.0)
        cost += float(np.array(cstr.WEIGHT_MOVES) @ (asked - u) ** 2)
        u = asked
        x = integrated(x, u, factor, 10, np.exp)
    return float(cost), used[1:]


def measured(courses: int) -> dict[str, Any]:
    """All contenders over all courses, in turns."""
    problem = Shooting()
    contenders = {
        "do_mpc": DoMpc(),
        "sqp": Ours(problem, 3),
        "rti": Ours(problem, 1),
        "ipopt": Converged(problem),
    }
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    times: dict[str, list[list[float]]] = {name: [] for name in contenders}
    for n in range(courses):
        for name, control in contenders.items():
            cost, used = course(control, SEED + n)
            costs[name].append(cost)
            times[name].append(used)
        print(f"\r{n + 1} of {courses} courses", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    found = {
        f"{name}_vs_dompc": median(
            median(own) / median(base)
            for own, base in zip(times[name], times["do_mpc"], strict=True)
        )
        for name in ("sqp", "rti", "ipopt")
    }
    gaps = {
        f"{name}_cost_gap_pct": _gap(costs[name], costs["ipopt"])
        for name in ("sqp", "rti", "do_mpc")
    }
    return {
        "courses": courses,
        "steps": STEPS,
        "seed": SEED,
        **found,
        **gaps,
        "ms": {name: _milliseconds(of) for name, of in times.items()},
        "bars": BARS,
        "met": {name: bool({**found, **gaps}[name] <= bar) for name, bar in BARS.items()},
        "costs": costs,
        "versions": versions(),
    }


def _gap(own: Sequence[float], base: Sequence[float]) -> float:
    return 100.0 * (fmean(own) / fmean(base) - 1.0)


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
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    print(json.dumps(measured(parser.parse_args().courses), indent=1))


if __name__ == "__main__":
    main()
